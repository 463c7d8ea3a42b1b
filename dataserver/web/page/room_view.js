/* One channel: its messages and the composer, and what can be done to a message. */

import './composer.js';
import './message_list.js';
import { OutboxFull } from '../outbox/outbox.js';
import { button, el, isPicture } from './dom.js';
import { RANKS, nameOf, shown } from './projection.js';
import { text } from './texts.js';

export class RoomView extends HTMLElement {
  connectedCallback() {
    if (this.list) return;
    this.name = el('h2', { tabIndex: -1 });
    this.topic = el('p', { class: 'topic', dir: 'auto' });
    this.panels = el('div', { class: 'panel-buttons' });
    this.menu = button('☰', () => this.app.toggleSide(), { class: 'menu', 'aria-label': text('side.menu') });
    this.list = document.createElement('message-list');
    this.typingLine = el('p', { class: 'typing', role: 'status' });
    this.composer = document.createElement('message-composer');
    this.heard = el('div', { class: 'for-readers', role: 'log', 'aria-live': 'polite' });
    this.settings = button('✎', () => this.app.use('spaces', 'changeRoom', this.room), { hidden: true });
    this.append(el('header', {}, this.menu, el('div', { class: 'names' }, this.name, this.topic), this.settings, this.panels), this.list, this.typingLine, this.composer, this.heard);
  }

  begin(app) {
    Object.assign(this, { app, model: app.model, outbox: app.outbox });
    const names = ['search', 'pins', 'bookmarks', 'members', 'actions'];
    this.panels.replaceChildren(...names.map((name) => button(text(`panel.${name}`), () => app.openPanel(name))));
    this.model.addEventListener('message', (event) => {
      const { room, message } = event.detail;
      if (room.id === this.roomId && message.content) this.heard.textContent = text('room.new', { name: this.authorOf(message), content: message.content });
    });
  }

  get me() {
    return this.model.me?.id;
  }

  get room() {
    return this.model.rooms.get(this.roomId);
  }

  get space() {
    return this.model.spaces.get(this.room?.space);
  }

  get mayPin() {
    return (RANKS[this.space?.role] ?? 0) >= RANKS.moderator;
  }

  get mayDeleteOthers() {
    return this.mayPin;
  }

  async open(roomId) {
    this.roomId = roomId;
    const name = this.app.nameOfRoom(this.room);
    this.name.textContent = name;
    this.list.begin(text('room.messages', { name }));
    this.composer.open(roomId, name, this);
    this.show();
    try {
      await this.model.openRoom(roomId);
      if (!this.model.members.has(this.room.space)) await this.model.loadMembers(this.room.space);
      if (!this.model.details.has(this.room.space)) await this.model.loadDetails(this.room.space);
    } catch (error) {
      console.info('the room was not read', error.code ?? error.name);
    }
  }

  /* As it is now; called once a frame at most. */
  show() {
    if (!this.room) return;
    const log = this.model.logOf(this.roomId);
    const name = this.app.nameOfRoom(this.room);
    if (this.name.textContent !== name) this.name.textContent = name;
    this.settings.hidden = this.space?.kind === 'direct' || !(RANKS[this.space?.role] >= RANKS.admin);
    this.settings.setAttribute('aria-label', text('room.settings', { name }));
    this.topic.textContent = this.room.archived_at_ms ? text('room.archived') : this.room.topic;
    this.details = this.model.detailsOf(this.room.space);
    this.rows = shown(log.messages, this.outbox.listed(), this.me, this.roomId, log.isAtEnd || !log.messages.length);
    this.list.show(this.rows, log, this.room.last_seq, this);
    const typing = this.model.typingIn(this.roomId);
    this.typingLine.textContent = typing.length ? text('room.typing', { names: typing.join(', ') }) : '';
    if (this.list.isAtEnd && document.visibilityState === 'visible') this.model.markRead(this.roomId);
  }

  authorOf(message) {
    if (message.sender === this.me) return this.model.me.display_name || this.model.me.name;
    return this.model.names.get(message.sender) ?? message.sender_name ?? this.model.nameOf(message.sender);
  }

  find(reference) {
    return this.rows?.find(({ message }) => message.id === reference || (message.client_id === reference && message.sender === this.me));
  }

  goTo(reference) {
    const row = this.find(reference);
    if (row) this.list.reveal(row.key);
  }

  async goToSeq(seq) {
    const held = this.model.logOf(this.roomId).messages;
    if (!held.some((each) => each.seq === seq)) await this.loadAt(seq);
    this.show();
    const row = this.rows.find(({ message }) => message.seq === seq);
    if (row) this.list.reveal(row.key);
  }

  async loadAt(seq) {
    this.list.isAtEnd = false;
    await this.model.loadAround(this.roomId, Math.min(this.room.last_seq + 1, seq + 50));
  }

  async loadEnd() {
    if (!this.model.logOf(this.roomId).isAtEnd) await this.model.loadAround(this.roomId, 2 ** 53 - 1);
  }

  loadMore(isOlder) {
    this.model.loadMore(this.roomId, isOlder).catch((error) => console.info('not read', error.code));
  }

  /* Do something and show it at once; false if the outbox takes no more. */
  act(type, payload) {
    try {
      this.outbox.enqueue(type, payload);
      return true;
    } catch (error) {
      if (!(error instanceof OutboxFull)) throw error;
      this.composer.say(text('outbox.full'));
      return false;
    }
  }

  submit(content, mode) {
    if (mode?.kind === 'edit') {
      if (content === mode.row.message.content) return true;
      return this.act('edit-message', { room_id: this.roomId, message_id: nameOf(mode.row.message, this.me), content });
    }
    const reply = mode?.kind === 'reply' ? { reply_to_id: nameOf(mode.row.message, this.me) } : {};
    const isDone = this.act('send-message', { room_id: this.roomId, content, ...reply });
    if (isDone) {
      const log = this.model.logOf(this.roomId);
      if (log.messages.length && !log.isAtEnd) this.loadEnd().catch((error) => console.info('not read', error.code));
      this.list.isAtEnd = true;
      this.show();
    }
    return isDone;
  }

  withMentions(content, chosen) {
    return content.replace(/(^|\s)@([a-z0-9][a-z0-9._-]*)/g, (whole, gap, name) => {
      const user = chosen.get(name) ?? this.members.find((each) => each.name === name)?.user;
      return user ? `${gap}<@${user}>` : whole;
    });
  }

  readable(content) {
    return content.replace(/<@(\d+)>/g, (_, user) => `@${this.members.find((each) => each.user === user)?.name ?? user}`);
  }

  get members() {
    return this.model.members.get(this.room?.space) ?? [];
  }

  membersNamed(start) {
    const low = start.toLowerCase();
    return this.members.filter((each) => each.name.startsWith(low) || each.display_name?.toLowerCase().startsWith(low));
  }

  typing() {
    this.model.live.typing(this.roomId);
  }

  reply(row) {
    this.composer.reply(row, this.authorOf(row.message));
  }

  edit(row) {
    if (row.message.sender === this.me && row.message.content !== null) this.composer.edit(row);
  }

  editLast() {
    const row = this.rows.findLast(({ message }) => message.sender === this.me && message.content !== null);
    if (row?.state === 'sent' || row?.state === 'sending') this.composer.edit(row);
  }

  react(row, emoji) {
    const isOn = !row.message.reactions.some((each) => each.emoji === emoji && each.user === this.me);
    this.act('reaction', { room_id: this.roomId, message_id: nameOf(row.message, this.me), emoji, is_on: isOn, was: !isOn });
  }

  chooseReaction(row) {
    return this.app.use('messages', 'chooseReaction', row);
  }

  history(row) {
    return this.app.use('messages', 'showHistory', row);
  }

  pin(row) {
    const isOn = !row.message.is_pinned;
    this.act(isOn ? 'pin-message' : 'unpin-message', { room_id: this.roomId, message_id: nameOf(row.message, this.me), was: !isOn });
  }

  remove(row) {
    return this.app.use('messages', 'remove', row);
  }

  /* The space's own emoji and stickers: addresses of their pictures by name. */
  get ownPictures() {
    const { emoji, stickers } = this.details;
    if (this.pictured?.emoji !== emoji || this.pictured?.stickers !== stickers) {
      this.pictured = { emoji, stickers, found: new Map([...stickers ?? [], ...emoji ?? []].filter((each) => isPicture(each.image)).map((each) => [each.name, each.image])) };
    }
    return this.pictured?.found;
  }

  markOf({ message }) {
    return message.id !== null && this.app.bookmarks.has(message.id);
  }

  bookmark({ message }) {
    this.app.toggleBookmark(message, this.roomId);
  }
}

customElements.define('room-view', RoomView);
