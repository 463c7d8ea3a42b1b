/* What opens beside the messages: members, pinned messages, bookmarks, search, and what is pending or failed. */

import { CallFailed, call } from '../net/api.js';
import { canCancel, canRetry } from '../outbox/outbox.js';
import { sure } from './dialogs.js';
import { button, el, timeOf } from './dom.js';
import { RANKS, shownMembers } from './projection.js';
import { reasonOf, text } from './texts.js';

const SEARCH_AFTER_MS = 250;

export class SidePanel extends HTMLElement {
  begin(app) {
    this.app = app;
    this.heading = el('h2', { tabIndex: -1 });
    this.content = el('div', { class: 'content' });
    this.replaceChildren(el('header', {}, this.heading, button('✕', () => app.closePanel(), { 'aria-label': text('panel.close') })), this.content);
    this.addEventListener('keydown', (event) => { if (event.key === 'Escape') app.closePanel(); });
  }

  open(name) {
    this.name = name;
    this.shape = null;
    this.heading.textContent = text(`panel.${name}`);
    this.content.replaceChildren();
    this.setAttribute('aria-label', text(`panel.${name}`));
    this.hidden = false;
    if (name === 'search') this.openSearch();
    else if (name === 'pins') this.openPins();
    this.show();
    (this.querySelector('input') ?? this.heading).focus();
  }

  show() {
    if (this.hidden) return;
    if (this.name === 'members') this.showMembers();
    else if (this.name === 'actions') this.showActions();
    else if (this.name === 'bookmarks') this.showHits([...this.app.bookmarks.values()]);
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
    this.unlessSame([members, present, space.role, model.me.id], () => [el('ul', { class: 'members' }, ...members.map((each) => this.memberOf(each, space, present[each.user])))]);
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
      ? el('select', { 'aria-label': text('member.role', { name }), onchange: (event) => app.changeRole(space, member, event.target.value) }, ...roles.map((each) => el('option', { value: each, selected: each === member.role }, text(`role.${each}`))))
      : el('span', { class: 'role' }, text(`role.${member.role}`));
    return el('li', {}, el('span', { class: `dot ${status ?? 'offline'}`, title: status ?? 'offline' }), el('span', { class: 'who', dir: 'auto' }, name, el('small', {}, ` ${member.user === me.id ? text('member.you') : member.name}${isMuted ? ` · ${text('panel.muted')}` : ''}`)), role,
      el('span', { class: 'buttons' }, member.user !== me.id && space.kind !== 'direct' && button(text('member.message'), () => app.openDirect(member.user)),
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
    const about = payload.content ?? model.spaces.get(payload.space_id)?.name ?? Object.values(payload.fields ?? {}).join(', ');
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
      const { hits } = await call('GET', `/v1/search?q=${encodeURIComponent(query)}`);
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

  showHits(hits) {
    this.unlessSame(hits, () => this.hitsOf(hits));
  }

  hitsOf(hits) {
    const { app } = this;
    if (!hits.length) return [el('p', { class: 'empty' }, text('panel.nothing'))];
    return [el('ul', { class: 'hits' }, ...hits.map(({ message, room }) => el('li', {}, el('p', { class: 'from' }, app.model.names.get(message.sender) ?? message.sender_name ?? '', ' · ', app.nameOfRoom(app.model.rooms.get(room)), ' ', timeOf(message.created_at_ms)),
      button(el('span', { dir: 'auto' }, message.content ?? text('message.deleted')), () => app.goTo(room, message.seq), { class: 'hit' }))))];
  }
}

customElements.define('side-panel', SidePanel);
