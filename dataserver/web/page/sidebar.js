/* Spaces in folders, their channels, and how much is unread. Spaces are moved by dragging, or with Alt and the arrow keys. */

import { ask } from './dialogs.js';
import { button, el } from './dom.js';
import { shownSpace } from './projection.js';
import { text } from './texts.js';

export class SideBar extends HTMLElement {
  begin(app) {
    this.app = app;
    this.tree = el('nav', { 'aria-label': text('side.label') });
    this.said = el('div', { class: 'for-readers', role: 'status' });
    this.help = el('p', { class: 'for-readers', id: 'move-help' }, text('side.move_help'));
    this.user = el('footer');
    const tools = el('div', { class: 'tools' },
      button(text('side.new_space'), () => app.newSpace()), button(text('side.join'), () => app.joinSpace()), button(text('side.new_folder'), () => this.newFolder()));
    this.replaceChildren(this.tree, tools, this.user, this.help, this.said);
  }

  get order() {
    return this.app.order;
  }

  show() {
    const { model, outbox } = this.app;
    const actions = outbox.listed();
    const leaving = new Set(actions.filter((each) => each.type === 'leave-space' && each.state !== 'failed').map((each) => each.payload.space_id));
    const spaces = [...model.spaces.values()].filter((each) => !leaving.has(each.id)).map((each) => shownSpace(each, actions));
    const folders = this.order.arranged(spaces.filter((each) => each.kind !== 'direct'));
    const direct = spaces.filter((each) => each.kind === 'direct');
    const shape = JSON.stringify([folders, direct, [...model.rooms.values()].map((each) => [each.id, each.name, each.unread, each.place]), this.app.roomId, model.me?.display_name]);
    if (shape === this.shape) return;
    this.shape = shape;
    const focused = document.activeElement?.dataset?.focus;
    this.tree.replaceChildren(
      ...folders.map((folder) => (folder.name === null ? el('ul', { class: 'spaces' }, ...folder.spaces.map((each) => this.spaceOf(each))) : this.folderOf(folder))),
      direct.length ? el('section', {}, el('h3', {}, text('side.direct')), el('ul', {}, ...direct.map((each) => this.directOf(each)))) : '',
      spaces.length ? '' : el('p', { class: 'empty' }, text('side.empty')),
    );
    if (focused) this.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
    const name = model.me?.display_name || model.me?.name || '';
    this.user.replaceChildren(button(name, () => this.app.editProfile(), { 'aria-label': text('side.profile', { name }) }), button(text('side.sign_out'), () => model.signOut()));
  }

  folderOf(folder) {
    const head = el('summary', { 'data-focus': `folder:${folder.name}` }, `🗀 ${folder.name}`);
    const box = el('details', { open: !this.order.isClosed(folder.name), class: 'folder' }, head, el('ul', { class: 'spaces' }, ...folder.spaces.map((each) => this.spaceOf(each))));
    box.addEventListener('toggle', () => this.order.setClosed(folder.name, !box.open));
    this.dropsOn(head, () => ({ folder: folder.name, before: null }));
    return box;
  }

  spaceOf(space) {
    const { model } = this.app;
    const rooms = [...model.rooms.values()].filter((each) => each.space === space.id && !each.archived_at_ms).sort((a, b) => a.place - b.place || Number(a.id) - Number(b.id));
    const mayManage = space.role === 'admin' || space.role === 'owner';
    const head = el('div', { class: 'space-head', draggable: true, tabIndex: 0, role: 'group', 'aria-label': space.name, 'aria-describedby': 'move-help', 'data-focus': `space:${space.id}` },
      el('h3', { dir: 'auto' }, space.name),
      mayManage && button('+', () => this.app.newRoom(space), { 'aria-label': text('side.new_channel', { name: space.name }) }),
      button('⚙', () => this.app.editSpace(space), { 'aria-label': text('side.settings', { name: space.name }) }));
    head.addEventListener('dragstart', (event) => { event.dataTransfer.setData('text/plain', space.id); event.dataTransfer.effectAllowed = 'move'; });
    head.addEventListener('keydown', (event) => this.moved(event, space));
    this.dropsOn(head, () => ({ folder: this.order.folderOf(space.id), before: space.id }));
    return el('li', { class: 'space-item' }, head, el('ul', { class: 'rooms' }, ...rooms.map((each) => this.roomOf(each, `# ${each.name}`))));
  }

  directOf(space) {
    const room = [...this.app.model.rooms.values()].find((each) => each.space === space.id);
    return room ? this.roomOf(room, this.app.nameOfRoom(room)) : '';
  }

  roomOf(room, name) {
    const unread = room.unread > 0 ? el('span', { class: 'unread', 'aria-label': text('side.unread', { count: room.unread }) }, room.unread > 99 ? '99+' : String(room.unread)) : null;
    return el('li', {}, button([el('span', { dir: 'auto' }, name), unread].filter(Boolean), () => this.app.openRoom(room.id), { class: 'room', 'aria-current': room.id === this.app.roomId ? 'page' : null, 'data-focus': `room:${room.id}`, 'data-room': room.id }));
  }

  dropsOn(element, placeOf) {
    element.addEventListener('dragover', (event) => { event.preventDefault(); element.classList.add('over'); });
    element.addEventListener('dragleave', () => element.classList.remove('over'));
    element.addEventListener('drop', (event) => {
      event.preventDefault();
      element.classList.remove('over');
      this.place(event.dataTransfer.getData('text/plain'), placeOf());
    });
  }

  place(spaceId, { folder, before }) {
    if (!this.app.model.spaces.has(spaceId) || spaceId === before) return;
    this.order.place(spaceId, folder, before);
    this.show();
  }

  moved(event, space) {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!event.altKey || !step || event.target !== event.currentTarget) return;
    event.preventDefault();
    const place = event.shiftKey ? this.order.stepFolder(space.id, step) : this.order.step(space.id, step);
    this.show();
    this.said.textContent = text('side.moved', { name: space.name, place });
  }

  async newFolder() {
    const said = await ask(text('side.new_folder'), { name: { label: text('side.rename_folder'), required: true, most: 64 } });
    if (said?.name) this.order.addFolder(said.name);
    this.show();
  }
}

customElements.define('side-bar', SideBar);
