/* What opens beside the messages: members, pinned messages, bookmarks, search, and what is pending or failed; `account.js`
 * and `space.js` fill theirs. */

import './words.js';
import { CallFailed, call } from '../net/api.js';
import { canCancel, canRetry } from '../outbox/outbox.js';
import { avatar } from '../page/avatar.js';
import { button, el, timeOf } from '../page/dom.js';
import { RANKS } from '../page/projection.js';
import { reasonOf, text } from '../page/texts.js';
import { fillAccount } from './account.js';
import { sure } from './dialogs.js';
import { shownMembers } from './member_projection.js';
import { fillSpace } from './space.js';
import { changeRole, openDirect } from './spaces.js';

const SEARCH_AFTER_MS = 250;
const MUTED_COUNT = 500;
const SYNTAX = /["*()^]|\b(AND|OR|NOT|NEAR)\b/;

export function openPanel(app, name, about, before) {
  if (!app.panel.app) app.panel.begin(app);
  app.panel.open(name, about, before);
}

export class SidePanel extends HTMLElement {
  begin(app) {
    this.app = app;
    this.heading = el('h2', { tabIndex: -1 });
    this.content = el('div', { class: 'content' });
    this.replaceChildren(el('header', {}, this.heading, button('✕', () => app.closePanel(), { 'aria-label': text('panel.close') })), this.content);
    this.addEventListener('keydown', (event) => { if (event.key === 'Escape') app.closePanel(); });
  }

  open(name, about, before) {
    Object.assign(this, { name, about, before, shape: null, muted: null, silent: null });
    this.heading.textContent = text(`panel.${name}`);
    this.content.replaceChildren();
    this.setAttribute('aria-label', text(`panel.${name}`));
    this.hidden = false;
    if (name === 'search') this.openSearch();
    else if (name === 'pins') this.openPins();
    else if (name === 'account') fillAccount(this);
    else if (name === 'space') fillSpace(this);
    this.show();
    (this.querySelector('input') ?? this.heading).focus();
  }

  show() {
    if (this.hidden) return;
    const { model, room } = this.app;
    if (this.name === 'space' ? !model.spaces.has(this.about) : this.name === 'members' && !room) this.app.closePanel(); // it is gone
    else if (this.name === 'members') this.showMembers();
    else if (this.name === 'actions') this.showActions();
    else if (this.name === 'bookmarks') this.showBookmarks();
  }

  unlessSame(shape, make) {
    const said = JSON.stringify(shape);
    if (said === this.shape) return;
    this.shape = said;
    this.content.replaceChildren(...make());
  }

  showMembers() {
    const { model, outbox, room } = this.app;
    const space = model.spaces.get(room?.space);
    if (!space) return;
    const members = shownMembers(model.members.get(space.id) ?? [], outbox.listed(), space.id);
    const present = model.present.get(space.id) ?? {};
    members.sort((a, b) => RANKS[b.role] - RANKS[a.role] || a.name.localeCompare(b.name));
    const silent = members.filter((each) => (each.muted_until_ms ?? Infinity) > Date.now()).map((each) => each.user);
    if (this.silent !== String(silent)) this.readMuted();
    this.silent = String(silent);
    this.called = model.detailsOf(space.id).role_names;
    const pictures = members.map((each) => model.pictures.get(each.user));
    this.unlessSame([members, present, space.role, model.me.id, this.muted, pictures, this.called], () => [
      el('ul', { class: 'members' }, ...members.map((each) => this.memberOf(each, space, present[each.user]))), ...this.mutedList(space)]);
  }

  /* As it is called in the space. */
  roleName(role) {
    return this.called?.[role] || text(`role.${role}`);
  }

  /* For those who may unmute: who is muted, by whom and since when, whether still here or not. */
  async readMuted() {
    const { model, room } = this.app;
    if (!(RANKS[model.spaces.get(room?.space)?.role] >= RANKS.moderator)) return;
    try {
      this.muted = (await call('GET', `/v1/spaces/${room.space}/muted?limit=${MUTED_COUNT}`)).muted;
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      this.muted = null;
    }
    this.show();
  }

  mutedList(space) {
    if (!this.muted?.length) return [];
    const { app } = this;
    const nameOf = (id) => app.model.nameOf(id);
    return [el('h3', {}, text('panel.muted_users')), el('ul', { class: 'muted' }, ...this.muted.map((each) => el('li', {},
      el('span', { class: 'who', dir: 'auto' }, each.name, el('small', {}, ` ${text('member.muted_by', { name: nameOf(each.muted_by) })} `, timeOf(each.at_ms, true))),
      button(text('member.unmute'), () => this.unmute(space, each)))))];
  }

  unmute(space, { user }) {
    this.app.act('unmute-user', { space_id: space.id, user_id: user, was: true });
    this.muted = this.muted.filter((each) => each.user !== user);
    this.show();
  }

  memberOf(member, space, status) {
    const { app } = this;
    const { me } = app.model;
    const name = member.display_name || member.name;
    const isMuted = (member.muted_until_ms ?? Infinity) > Date.now();
    const isBelow = RANKS[space.role] >= RANKS.moderator && RANKS[space.role] > RANKS[member.role] && member.user !== me.id;
    const payload = { space_id: space.id, user_id: member.user };
    const kick = async () => { if (await sure(text('member.sure_kick', { name }), text('member.kick'))) app.act('kick-user', payload); };
    const mute = () => app.act(isMuted ? 'unmute-user' : 'mute-user', { ...payload, was: isMuted });
    const mayGive = RANKS[space.role] >= RANKS.admin && member.user !== me.id && (space.role === 'owner' || RANKS[space.role] > RANKS[member.role]);
    const roles = Object.keys(RANKS).filter((each) => space.role === 'owner' || RANKS[each] < RANKS[space.role]);
    const role = mayGive
      ? el('select', { 'aria-label': text('member.role', { name }), onchange: (event) => changeRole(app, space, member, event.target.value) }, ...roles.map((each) => el('option', { value: each, selected: each === member.role }, this.roleName(each))))
      : el('span', { class: 'role', dir: 'auto' }, this.roleName(member.role));
    const presence = text(`presence.${status ?? 'offline'}`);
    return el('li', {}, el('span', { class: 'face' }, avatar(app.model, member.user, name), el('span', { class: `dot ${status ?? 'offline'}`, role: 'img', 'aria-label': presence, title: presence })), el('span', { class: 'who', dir: 'auto' }, name, el('small', {}, ` ${member.user === me.id ? text('member.you') : member.name}${isMuted ? ` · ${text('panel.muted')}` : ''}`)), role,
      el('span', { class: 'buttons' }, member.user !== me.id && space.kind !== 'direct' && button(text('member.message'), () => openDirect(app, member.user)),
        isBelow && button(text(isMuted ? 'member.unmute' : 'member.mute'), mute), isBelow && button(text('member.kick'), kick)));
  }

  showActions() {
    const { outbox } = this.app;
    const actions = outbox.listed();
    this.unlessSame(actions.map((each) => [each.client_id, each.state, each.attempts, each.failure]), () => (actions.length ? [el('ul', { class: 'actions' }, ...actions.map((each) => this.actionOf(each)))] : [el('p', { class: 'empty' }, text('panel.nothing'))]));
  }

  actionOf(action) {
    const { outbox, model } = this.app;
    const { payload } = action;
    const room = model.rooms.get(payload.room_id);
    const about = payload.content ?? model.spaces.get(payload.space_id)?.name ?? Object.keys(payload.fields ?? {}).join(', ');
    return el('li', { class: action.state }, el('strong', {}, text(`type.${action.type}`, payload)), room ? ` # ${this.app.nameOfRoom(room)}` : '', el('p', { dir: 'auto', class: 'about' }, String(about ?? '').slice(0, 200)),
      el('p', { class: 'state' }, text(`state.${action.state}`, { reason: reasonOf(action.failure) }), action.attempts ? ` · ${text('action.tries', { count: action.attempts })}` : ''),
      el('span', { class: 'buttons' }, canRetry(action) && button(text('message.retry'), () => outbox.retry(action.client_id)), canCancel(action) && button(text('dialog.cancel'), () => outbox.cancel(action.client_id))));
  }

  openSearch() {
    const results = el('div', { role: 'status' });
    this.content.append(el('input', { type: 'search', 'aria-label': text('panel.search_for'), placeholder: text('panel.search_for'), oninput: (event) => {
      clearTimeout(this.searching);
      const query = event.target.value.trim();
      this.searching = setTimeout(() => this.search(query, results), SEARCH_AFTER_MS);
    } }), results);
  }

  async search(query, results) {
    this.asked = query;
    if (!query) return results.replaceChildren();
    try {
      const { hits } = await found(query);
      if (this.asked === query) results.replaceChildren(...this.hitsOf(hits));
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      results.replaceChildren(el('p', { class: 'problem' }, text('error.any', { reason: reasonOf(error) })));
    }
    return null;
  }

  async openPins() {
    const { roomId } = this.app;
    let pins;
    try {
      pins = (await call('GET', `/v1/rooms/${roomId}/pins`)).pins.map(({ message }) => message);
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      pins = this.app.model.logOf(roomId).messages.filter((each) => each.is_pinned);
    }
    this.showHits(pins.map((message) => ({ message, room: roomId })));
  }

  /* Of what another device has marked, only the place is known at first. */
  async showBookmarks() {
    const { app } = this;
    this.showHits([...app.bookmarks.values()]);
    const unread = [...app.bookmarks].filter(([, each]) => each.isPlace && !each.wasAsked && app.model.rooms.has(each.room));
    for (const [, each] of unread) each.wasAsked = true;
    for (const [id, each] of unread) {
      try {
        const { messages } = await call('GET', `/v1/rooms/${each.room}/messages?after_seq=${each.message.seq - 1}&limit=1`);
        if (messages[0]?.id === id) app.bookmarks.set(id, { message: messages[0], room: each.room });
      } catch (error) {
        if (!(error instanceof CallFailed)) throw error;
      }
    }
    if (unread.length && this.name === 'bookmarks') this.showHits([...app.bookmarks.values()]);
  }

  showHits(hits) {
    this.unlessSame(hits, () => this.hitsOf(hits));
  }

  wordsOf({ content, created_at_ms: atMs }) {
    return content?.replace(/<@(\d+)>/g, (_, user) => `@${this.app.model.nameOf(user)}`) ?? text(atMs ? 'message.deleted' : 'bookmarks.place');
  }

  hitsOf(hits) {
    const { app } = this;
    if (!hits.length) return [el('p', { class: 'empty' }, text('panel.nothing'))];
    return [el('ul', { class: 'hits' }, ...hits.map(({ message, room }) => el('li', {}, el('p', { class: 'from' }, app.model.names.get(message.sender) ?? message.sender_name ?? '', ' · ', app.nameOfRoom(app.model.rooms.get(room)), ' ', message.created_at_ms ? timeOf(message.created_at_ms, true) : ''),
      button(el('span', { dir: 'auto' }, this.wordsOf(message)), () => app.goTo(room, message.seq), { class: 'hit' }))))];
  }
}

/* What has no sign of FTS5's syntax in it, or is none, is looked for word by word. Raises CallFailed. */
async function found(query) {
  const ask = (said) => call('GET', `/v1/search?q=${encodeURIComponent(said)}`);
  const words = query.split(/\s+/).map((each) => `"${each.replaceAll('"', '""')}"`).join(' ');
  if (!SYNTAX.test(query)) return ask(words);
  try {
    return await ask(query);
  } catch (error) {
    if (error.code !== 'invalid_value') throw error;
    return ask(words);
  }
}

customElements.define('side-panel', SidePanel);
