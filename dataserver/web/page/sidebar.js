/* Spaces in folders, their channels in groups, and how much is unread. Spaces and channels are moved by dragging, or with
 * Alt and the arrow keys. */

import { avatar } from './avatar.js';
import { button, el } from './dom.js';
import { RANKS, shownSpace } from './projection.js';
import { text } from './texts.js';

export class SideBar extends HTMLElement {
  begin(app) {
    this.app = app;
    this.tree = el('nav', { 'aria-label': text('side.label') });
    this.said = el('div', { class: 'for-readers', role: 'status' });
    this.help = el('p', { class: 'for-readers', id: 'move-help' }, text('side.move_help'));
    this.user = el('footer');
    const tools = el('div', { class: 'tools' },
      button(text('side.new_space'), () => app.use('spaces', 'newSpace')), button(text('side.join'), () => app.use('spaces', 'joinSpace')), button(text('side.new_folder'), () => app.use('spaces', 'newFolder')));
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
    const shape = JSON.stringify([folders, direct, [...model.rooms.values()].map((each) => [each.id, each.name, each.unread, each.place, each.group]), [...model.groups], this.app.roomId, model.me, direct.map((each) => model.pictures.get(each.with?.user)), model.pictures.get(model.me?.id)]);
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
    this.user.replaceChildren(button([avatar(model, model.me?.id, name), el('span', { dir: 'auto' }, name)], () => this.app.openPanel('account'), { class: 'me', 'aria-label': text('side.profile', { name }) }), button(text('side.sign_out'), () => this.app.use('account', 'signOut')));
  }

  folderOf(folder) {
    const own = new Set(folder.spaces.map((each) => each.id));
    const unread = [...this.app.model.rooms.values()].reduce((sum, each) => sum + (own.has(each.space) ? each.unread : 0), 0);
    const head = el('summary', { 'data-focus': `folder:${folder.name}` }, el('span', { dir: 'auto' }, folder.name), unreadOf(unread));
    const box = el('details', { open: !this.order.isClosed(folder.name), class: 'folder' }, head, el('ul', { class: 'spaces' }, ...folder.spaces.map((each) => this.spaceOf(each))));
    box.addEventListener('toggle', () => this.order.setClosed(folder.name, !box.open));
    this.dropsOn(head, (said) => this.app.use('moves', 'dropSpace', said, folder.name, null));
    return box;
  }

  spaceOf(space) {
    const { model } = this.app;
    const rooms = [...model.rooms.values()].filter((each) => each.space === space.id && !each.archived_at_ms).sort((a, b) => a.place - b.place || Number(a.id) - Number(b.id));
    const mayManage = RANKS[space.role] >= RANKS.admin;
    const groups = model.groups.get(space.id) ?? [];
    const inGroup = new Set(groups.map((each) => each.id));
    const own = (id) => rooms.filter((each) => (id === null ? !inGroup.has(each.group) : each.group === id)).map((each) => this.roomOf(each, `# ${each.name}`, mayManage));
    const head = el('div', { class: 'space-head', tabIndex: 0, role: 'group', 'aria-label': space.name, 'aria-describedby': 'move-help', 'data-focus': `space:${space.id}` },
      el('h3', { dir: 'auto', title: space.name }, space.name),
      mayManage && button('⊞', () => this.app.use('groups', 'newGroup', space), { 'aria-label': text('side.new_group', { name: space.name }), title: text('side.new_group', { name: space.name }) }),
      mayManage && button('+', () => this.app.use('spaces', 'newRoom', space), { 'aria-label': text('side.new_channel', { name: space.name }) }),
      button('⚙', () => this.app.openPanel('space', space.id), { 'aria-label': text('side.settings', { name: space.name }) }));
    draggedAs(head, `space:${space.id}`);
    head.addEventListener('keydown', (event) => this.movesBy(event, (step) => this.app.use('moves', 'stepSpace', space, step, event.shiftKey)));
    this.dropsOn(head, (said) => (said.startsWith('room:') ? this.app.use('groups', 'dropRoom', said, space.id, null, null) : this.app.use('moves', 'dropSpace', said, this.order.folderOf(space.id), space.id)));
    return el('li', { class: 'space-item' }, head, el('ul', { class: 'rooms' }, ...own(null)), ...groups.map((each) => this.groupOf(each, space, mayManage, own(each.id))));
  }

  groupOf(group, space, mayManage, rooms) {
    const head = el('div', { class: 'group-head', role: 'group', tabIndex: 0, 'aria-label': text('side.group', { name: group.name }), 'data-focus': `group:${group.id}` }, el('h4', { dir: 'auto' }, group.name),
      mayManage && button('✎', () => this.app.use('groups', 'changeGroup', space, group), { 'aria-label': text('side.change_group', { name: group.name }) }));
    if (mayManage) {
      head.addEventListener('keydown', (event) => this.movesBy(event, (step) => this.app.use('groups', 'stepGroup', space, group, step)));
      this.dropsOn(head, (said) => this.app.use('groups', 'dropRoom', said, space.id, group.id, null));
    }
    return el('section', { class: 'group' }, head, el('ul', { class: 'rooms' }, ...rooms));
  }

  directOf(space) {
    const room = [...this.app.model.rooms.values()].find((each) => each.space === space.id);
    const name = this.app.nameOfRoom(room);
    return room ? this.roomOf(room, [avatar(this.app.model, space.with?.user ?? space.id, name), name]) : '';
  }

  roomOf(room, name, mayMove = false) {
    const made = button([el('span', { dir: 'auto', class: 'room-name' }, ...[name].flat()), unreadOf(room.unread)].filter(Boolean), () => this.app.openRoom(room.id), { class: 'room', title: typeof name === 'string' ? room.name : null, 'aria-current': room.id === this.app.roomId ? 'page' : null, 'data-focus': `room:${room.id}`, 'data-room': room.id });
    if (mayMove) {
      draggedAs(made, `room:${room.id}`);
      made.setAttribute('aria-describedby', 'move-help');
      made.addEventListener('keydown', (event) => this.movesBy(event, (step) => this.app.use('groups', event.shiftKey ? 'stepRoomGroup' : 'stepRoom', room, step)));
      this.dropsOn(made, (said) => this.app.use('groups', 'dropRoom', said, room.space, room.group, room.id));
    }
    return el('li', {}, made);
  }

  /* Do something with the step that Alt and an arrow key mean. */
  movesBy(event, act) {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!event.altKey || !step || event.target !== event.currentTarget) return;
    event.preventDefault();
    act(step);
  }

  /* For readers. */
  tell(words) {
    this.said.textContent = words;
  }

  dropsOn(element, take) {
    element.addEventListener('dragover', (event) => { event.preventDefault(); element.classList.add('over'); });
    element.addEventListener('dragleave', () => element.classList.remove('over'));
    element.addEventListener('drop', (event) => {
      event.preventDefault();
      element.classList.remove('over');
      take(event.dataTransfer.getData('text/plain'));
    });
  }

}

function unreadOf(count) {
  return count > 0 ? el('span', { class: 'unread', role: 'img', 'aria-label': text('side.unread', { count }) }, count > 99 ? '99+' : String(count)) : null;
}

function draggedAs(element, said) {
  element.draggable = true;
  element.addEventListener('dragstart', (event) => {
    event.dataTransfer.setData('text/plain', said);
    event.dataTransfer.effectAllowed = 'move';
  });
}

customElements.define('side-bar', SideBar);
