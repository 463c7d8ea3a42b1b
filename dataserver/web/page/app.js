/* The page as a whole: which room is open, what stands beside it, and that everything is shown again when something changed. */

import './room_view.js';
import './sidebar.js';
import './sign_in.js';
import './status.js';
import { CallFailed, call } from '../net/api.js';
import { Outbox, OutboxFull } from '../outbox/outbox.js';
import { delivers } from '../outbox/delivery.js';
import { Store } from '../outbox/store.js';
import { el } from './dom.js';
import { later } from './later.js';
import { Model } from './model.js';
import { SpaceOrder } from './space_order.js';
import { reasonOf, text } from './texts.js';

const MAX_BOOKMARKS = 500;

export class ChatApp extends HTMLElement {
  connectedCallback() {
    this.opened = this.open();
  }

  async open() {
    this.store = await Store.open();
    this.outbox = new Outbox(this.store);
    this.model = new Model(this.store, this.outbox);
    this.bookmarks = new Map(await this.store.seen('bookmarks') ?? []);
    this.order = new SpaceOrder(await this.store.seen('order'), (kept, fields) => { this.store.keep('order', kept); this.setting(fields); });
    this.wear(await this.store.seen('theme'));
    delivers('save-user-config', async (_, id) => (await later('settings_sync')).upload(this, id));
    delivers('update-space', async (payload, id, _, atMs) => (await later('space_changes')).update(this, payload, id, atMs));
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
    for (const each of [this.side, this.view, this.status, this.toasts]) each.begin(this);
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
    this.dispatchEvent(new Event('entered'));
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
    this.panel.show?.();
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

  /* Do what a module of `later/` does; null, and words for it, if it can't be fetched. */
  async use(name, act, ...said) {
    let module;
    try {
      module = await later(name);
    } catch (error) {
      console.info('not fetched', name, error.name);
      this.toasts.say(text('error.not_here'), 'problem');
      return null;
    }
    return module[act](this, ...said);
  }

  /* `about`: what the panel is about, where its name does not say it. */
  openPanel(name, about = null) {
    if (!this.panel.hidden && this.panel.name === name && this.panel.about === about) return this.closePanel();
    const before = document.activeElement;
    return this.use('panels', 'openPanel', name, about, before);
  }

  closePanel() {
    this.panel.hidden = true;
    this.panel.before?.focus?.();
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

  toggleBookmark(message, room) {
    const isOn = !this.bookmarks.has(message.id);
    if (isOn && this.bookmarks.size >= MAX_BOOKMARKS) return this.toasts.say(text('bookmarks.full', { most: MAX_BOOKMARKS }), 'problem');
    if (isOn) this.bookmarks.set(message.id, { message, room });
    else this.bookmarks.delete(message.id);
    this.store.keep('bookmarks', [...this.bookmarks]);
    this.setting({ [`bookmarks.${message.id}`]: isOn ? { room, note: '', seq: message.seq } : null });
    this.showSoon();
    return null;
  }

  /* Settings that changed; they leave this device only if the user has allowed it. */
  setting(fields) {
    later('settings_sync').then((sync) => sync.change(this, fields)).catch((error) => console.info('a setting was not noted', error.name));
  }

  wear(theme) {
    document.documentElement.dataset.theme = theme ?? 'system';
  }
}

customElements.define('chat-app', ChatApp);
