/* In which folders and in which order the user has their spaces; kept on this device, and told as settings of the user
 * (`folders`, `sidebar`: as chat/sync has them). Pure but for `save`. */

export class SpaceOrder {
  /* `kept`: {folders: [{id, name, closed, spaces: [id]}]}; the folder without a name holds what is in none. */
  constructor(kept, save) {
    this.folders = kept?.folders ?? [{ name: null, closed: false, spaces: [] }];
    this.save = () => save({ folders: this.folders }, this.settings);
  }

  get settings() {
    const named = this.folders.filter((each) => each.name !== null);
    const loose = this.folders.find((each) => each.name === null);
    return { folders: named.map(({ id, name, spaces }) => ({ id, name, spaces })), sidebar: [...named.map((each) => each.id), ...loose.spaces] };
  }

  /* The folders with their spaces; spaces that are new stand at the end of those in no folder. */
  arranged(spaces) {
    const byId = new Map(spaces.map((each) => [each.id, each]));
    const known = new Set(this.folders.flatMap((each) => each.spaces));
    const loose = this.folders.find((each) => each.name === null);
    loose.spaces.push(...spaces.map((each) => each.id).filter((id) => !known.has(id)));
    return this.folders.map(({ name, spaces: ids }) => ({ name, spaces: ids.filter((id) => byId.has(id)).map((id) => byId.get(id)) }));
  }

  folderOf(spaceId) {
    return this.folders.find((each) => each.spaces.includes(spaceId))?.name ?? null;
  }

  isClosed(name) {
    return this.folders.find((each) => each.name === name)?.closed ?? false;
  }

  setClosed(name, closed) {
    const found = this.folders.find((each) => each.name === name);
    if (!found || found.closed === closed) return;
    found.closed = closed;
    this.save();
  }
}
