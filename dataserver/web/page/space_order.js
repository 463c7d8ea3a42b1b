/* In which folders and in which order the user has their spaces; kept on this device. Pure but for `save`. */

export class SpaceOrder {
  /* `kept`: {folders: [{name, closed, spaces: [id]}]}; the folder without a name holds what is in none. */
  constructor(kept, save) {
    this.folders = kept?.folders ?? [{ name: null, closed: false, spaces: [] }];
    this.save = () => save({ folders: this.folders });
  }

  /* The folders with their spaces; spaces that are new stand at the end of those in no folder. */
  arranged(spaces) {
    const byId = new Map(spaces.map((each) => [each.id, each]));
    const known = new Set(this.folders.flatMap((each) => each.spaces));
    const loose = this.folders.find((each) => each.name === null);
    loose.spaces.push(...spaces.map((each) => each.id).filter((id) => !known.has(id)));
    return this.folders.map(({ name, spaces: ids }) => ({ name, spaces: ids.filter((id) => byId.has(id)).map((id) => byId.get(id)) }));
  }

  addFolder(name) {
    if (this.folders.some((each) => each.name === name)) return;
    this.folders.splice(-1, 0, { name, closed: false, spaces: [] });
    this.save();
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

  /* Put a space into a folder, before another one or at the end. */
  place(spaceId, folderName, before) {
    for (const each of this.folders) each.spaces = each.spaces.filter((id) => id !== spaceId);
    const { spaces } = this.folders.find((each) => each.name === folderName);
    const at = before === null ? -1 : spaces.indexOf(before);
    spaces.splice(at < 0 ? spaces.length : at, 0, spaceId);
    this.save();
  }

  /* One place up or down in its folder; returns the place, from 1. */
  step(spaceId, step) {
    const { spaces } = this.folders.find((each) => each.spaces.includes(spaceId));
    const at = spaces.indexOf(spaceId);
    const to = Math.max(0, Math.min(spaces.length - 1, at + step));
    spaces.splice(to, 0, ...spaces.splice(at, 1));
    this.save();
    return to + 1;
  }

  /* Into the next folder up or down; returns that folder's name, or nothing for none. */
  stepFolder(spaceId, step) {
    const at = this.folders.findIndex((each) => each.spaces.includes(spaceId));
    const to = Math.max(0, Math.min(this.folders.length - 1, at + step));
    if (to !== at) this.place(spaceId, this.folders[to].name, null);
    return this.folders[to].name ?? '–';
  }
}
