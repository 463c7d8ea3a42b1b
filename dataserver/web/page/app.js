/* The page as a whole: which room is open, what stands beside it, and that everything is shown again when something changed. */

import './panels.js';
import './room_view.js';
import './sidebar.js';
import './sign_in.js';
import './status.js';
import { CallFailed, call } from '../net/api.js';
import { Outbox, OutboxFull } from '../outbox/outbox.js';
import { newId } from '../outbox/rules.js';
import { Store } from '../outbox/store.js';
import { ask, tell } from './dialogs.js';
import { el } from './dom.js';
import { Model } from './model.js';
import { SpaceOrder } from './space_order.js';
import { reasonOf, text } from './texts.js';

const MAX_BOOKMARKS = 500;

export class ChatApp extends HTMLElement {
  async connectedCallback() {
    this.store = await Store.open();
    this.outbox = new Outbox(this.store);
    this.model = new Model(this.store, this.outbox);
    this.bookmarks = new Map(await this.store.seen('bookmarks') ?? []);
    this.order = new SpaceOrder(await this.store.seen('order'), (kept) => this.store.keep('order', kept));
    this.build();
    this.model.addEventListener('change', () => this.showSoon());
    this.outbox.addEventListener('change', () => this.showSoon());
    this.outbox.addEventListener('refused', (event) => this.refused(event.detail));
    document.addEventListener('visibilitychange', () => this.showSoon());
    await this.begin();
  }

  build() {
    this.side = document.createElement('side-bar');
    this.view = document.createElement('room-view');
    this.panel = el('side-panel', { hidden: true, role: 'complementary' });
    this.status = document.createElement('status-line');
    this.toasts = document.createElement('toast-area');
    this.signIn = el('sign-in', { hidden: true });
    this.none = el('p', { class: 'none' }, text('room.none'));
    this.main = el('main', { id: 'main' }, this.status, this.none, this.view);
    this.replaceChildren(el('a', { class: 'skip', href: '#main', onclick: (event) => { event.preventDefault(); this.view.composer.focus(); } }, text('app.skip')), this.side, this.main, this.panel, this.toasts, this.signIn);
    for (const each of [this.side, this.view, this.panel, this.status, this.toasts]) each.begin(this);
    this.side.hidden = this.main.hidden = true;
    document.addEventListener('keydown', (event) => this.key(event));
  }

  async begin() {
    let isIn = false;
    try {
      isIn = await this.model.begin();
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
    }
    if (!isIn) this.signIn.show(this.model, { onDone: () => this.entered() });
    else this.entered();
  }

  entered() {
    this.side.hidden = this.main.hidden = false;
    const wanted = location.hash.slice(1);
    const kept = localStorage.getItem('room');
    const first = [wanted, kept, [...this.model.rooms.keys()][0]].find((id) => this.model.rooms.has(id));
    if (first) this.openRoom(first);
    this.show();
  }

  /* Once for all that changes within a frame. */
  showSoon() {
    if (this.isSoon) return;
    this.isSoon = true;
    const go = () => { this.isSoon = false; this.show(); };
    if (document.visibilityState === 'visible') requestAnimationFrame(go);
    else setTimeout(go, 100);
  }

  show() {
    if (!this.model.me) return;
    if (this.roomId && !this.room) this.roomId = null;
    this.view.hidden = !this.roomId;
    this.none.hidden = Boolean(this.roomId);
    this.side.show();
    if (this.roomId) this.view.show();
    this.panel.show();
    this.status.show();
    const unread = [...this.model.rooms.values()].reduce((sum, each) => sum + each.unread, 0);
    document.title = unread ? `(${unread}) ${text('title')}` : text('title');
    if (this.outbox.needsLogin && this.signIn.hidden) this.signIn.show(this.model, { isAgain: true, onDone: () => this.show() });
    else if (!this.outbox.needsLogin && !this.signIn.hidden && !this.side.hidden) this.signIn.hidden = true;
  }

  get room() {
    return this.model.rooms.get(this.roomId);
  }

  nameOfRoom(room) {
    const space = this.model.spaces.get(room?.space);
    return space?.kind === 'direct' ? this.model.names.get(space.with?.user) ?? space.with?.name ?? '' : room?.name ?? '';
  }

  openRoom(id) {
    this.roomId = id;
    localStorage.setItem('room', id);
    this.classList.remove('with-side');
    this.view.hidden = false;
    const opening = this.view.open(id);
    this.show();
    if (matchMedia('(min-width: 700px)').matches) this.view.composer.focus();
    return opening;
  }

  async goTo(roomId, seq) {
    if (roomId !== this.roomId) await this.openRoom(roomId);
    await this.view.goToSeq(seq);
  }

  toggleSide() {
    this.classList.toggle('with-side');
    if (this.classList.contains('with-side')) this.side.querySelector('button, [tabindex="0"]')?.focus();
  }

  openPanel(name) {
    if (!this.panel.hidden && this.panel.name === name) return this.closePanel();
    this.before = document.activeElement;
    this.panel.open(name);
    return null;
  }

  closePanel() {
    this.panel.hidden = true;
    this.before?.focus?.();
  }

  key(event) {
    if ((event.ctrlKey || event.metaKey) && event.key === 'k') {
      event.preventDefault();
      this.openPanel('search');
    }
  }

  act(type, payload) {
    try {
      this.outbox.enqueue(type, payload);
    } catch (error) {
      if (!(error instanceof OutboxFull)) throw error;
      this.toasts.say(text('outbox.full'), 'problem');
    }
  }

  /* What could not be kept is undone, and its text is back where it was written. */
  refused({ action, error }) {
    const isFull = error?.name === 'QuotaExceededError';
    if (action.type === 'send-message' && action.payload.room_id === this.roomId) this.view.composer.restore(action.payload.content);
    const words = isFull ? text('outbox.no_space') : text('outbox.unstored', { reason: error?.name ?? '' });
    if (action.type === 'send-message') this.view.composer.say(words);
    else this.toasts.say(words, 'problem');
  }

  /* A call that is made at once or not at all. */
  async now(method, path, body) {
    try {
      return await call(method, path, body);
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      this.toasts.say(text('error.any', { reason: reasonOf(error) }), 'problem');
      return null;
    }
  }

  async newSpace() {
    const said = await ask(text('side.new_space'), { name: { label: text('dialog.name'), required: true, most: 100 }, description: { label: text('dialog.description') }, is_open: { label: text('dialog.open'), type: 'checkbox' } });
    if (!said) return;
    const made = await this.now('POST', '/v1/spaces', { client_id: newId(), ...said });
    if (!made) return;
    const room = await this.now('POST', `/v1/spaces/${made.id}/rooms`, { client_id: newId(), name: 'general' });
    await this.model.load();
    if (room) this.openRoom(room.id);
  }

  async newRoom(space) {
    const said = await ask(text('side.new_channel', { name: space.name }), { name: { label: text('dialog.name'), required: true, most: 100 }, topic: { label: text('dialog.topic') } });
    if (!said) return;
    const made = await this.now('POST', `/v1/spaces/${space.id}/rooms`, { client_id: newId(), ...said });
    if (!made) return;
    await this.model.load();
    this.openRoom(made.id);
  }

  async joinSpace() {
    const said = await ask(text('side.join'), { id: { label: text('dialog.space_id'), required: true } });
    if (!said) return;
    if (/^\d+$/.test(said.id)) this.act('join-space', { space_id: said.id, was: false });
    else if (await this.now('POST', `/v1/invites/${encodeURIComponent(said.id)}/join`, { client_id: newId() })) await this.model.load();
  }

  async editSpace(space) {
    const mayChange = space.role === 'admin' || space.role === 'owner';
    const settings = { name: { label: text('dialog.name'), value: space.name, required: true, most: 100 }, description: { label: text('dialog.description'), value: space.description, type: 'textarea' } };
    const said = await ask(`${text('dialog.space_settings')} (${space.id})`, { ...(mayChange ? settings : {}), invite: { label: text('dialog.invite'), type: 'checkbox' }, leave: { label: text('dialog.leave'), type: 'checkbox' } });
    if (!said) return;
    if (said.leave) return void this.act('leave-space', { space_id: space.id, was: true });
    const changed = Object.fromEntries(['name', 'description'].filter((key) => mayChange && said[key] !== (space[key] ?? '')).map((key) => [key, said[key]]));
    if (Object.keys(changed).length) this.act('update-space', { space_id: space.id, fields: changed, base_version: space.version });
    if (said.invite) {
      const made = await this.now('POST', `/v1/spaces/${space.id}/invites`, { client_id: newId() });
      if (made) await tell(text('dialog.invite'), text('dialog.invited', { secret: made.secret }));
    }
  }

  async editProfile() {
    const { me } = this.model;
    const said = await ask(text('dialog.profile'), { display_name: { label: text('dialog.display_name'), value: me.display_name, most: 100 }, about: { label: text('dialog.about'), value: me.fields?.about ?? '', type: 'textarea' } });
    if (!said) return;
    const fields = {};
    if (said.display_name !== me.display_name) fields.display_name = said.display_name;
    if (said.about !== (me.fields?.about ?? '')) fields.about = said.about;
    if (Object.keys(fields).length) this.act('update-profile', { fields });
  }

  async changeRole(space, member, role) {
    await this.now('PATCH', `/v1/spaces/${space.id}/members/${member.user}`, { client_id: newId(), role });
    await this.model.loadMembers(space.id).catch((error) => console.info('not read', error.code));
  }

  async openDirect(user) {
    const made = await this.now('POST', '/v1/direct', { client_id: newId(), user });
    if (!made) return;
    await this.model.load();
    this.openRoom(made.room_id ?? made.room ?? [...this.model.rooms.values()].find((each) => each.space === made.id)?.id);
  }

  toggleBookmark(message, room) {
    if (this.bookmarks.has(message.id)) this.bookmarks.delete(message.id);
    else if (this.bookmarks.size < MAX_BOOKMARKS) this.bookmarks.set(message.id, { message, room });
    this.store.keep('bookmarks', [...this.bookmarks]);
    this.showSoon();
  }
}

customElements.define('chat-app', ChatApp);
