/* What the page knows: who is signed in, spaces, rooms, members and messages. Read from the server, kept for the next time,
 * changed by events. What the user does goes to the outbox and is shown by `projection.js`. */

import { CallFailed, call } from '../net/api.js';
import { Live } from '../net/live.js';
import { RANKS, changed, nameOf, shownSpace } from './projection.js';
import { RoomLog } from './room_log.js';

const PAGE_COUNT = 100;
const KEPT_MESSAGES_COUNT = 200;
const FROM_THE_END = 2 ** 53 - 1;
const KEEP_AFTER_MS = 800;
const MARK_AFTER_MS = 500;

export class Model extends EventTarget {
  constructor(store, outbox) {
    super();
    Object.assign(this, { store, outbox, me: null, spaces: new Map(), rooms: new Map(), logs: new Map(), members: new Map(), names: new Map() });
    Object.assign(this, { groups: new Map(), freshGroups: new Set(), details: new Map(), moved: new Map(), pictures: new Map(), wanted: new Set() });
    this.present = new Map();
    this.typing = new Map();
    this.live = new Live({
      onEvent: (event) => this.hear(event),
      onTyping: (told) => this.heardTyping(told),
      onPresence: (told) => this.heardPresence(told),
      onReset: (stream) => this.reset(stream),
      onState: (isOpen) => this.connected(isOpen),
      onSessionEnded: () => this.checkSession(),
    });
    outbox.addEventListener('ended', (event) => this.actionEnded(event.detail));
  }

  /* Begin with what was kept, then with what the server says. Returns whether somebody is signed in. */
  async begin() {
    const kept = await this.store.seen('session');
    if (kept) {
      this.groups = new Map(kept.groups);
      this.take(kept);
      await this.outbox.open(this.me.id);
    }
    try {
      await this.load();
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      if (error.kind === 'auth') {
        if (kept) this.outbox.setContact(this.outbox.contact, true);
        return Boolean(kept);
      }
      if (!kept) throw error;
      this.outbox.setContact('offline');
      this.live.start();
    }
    return true;
  }

  async signIn(path, body) {
    await call('POST', path, body);
    if (this.me && this.me.name !== body.name.toLowerCase()) { // what waits for another account stays
      await this.store.forgetSeen('settings:');
      location.reload();
      return;
    }
    await this.load();
    await this.outbox.resume();
  }

  connected(isOpen) {
    if (!isOpen) return;
    this.outbox.setContact('online');
    this.dispatchEvent(new Event('contact'));
  }

  /* Everything but messages. */
  async load() {
    const me = await call('GET', '/v1/me');
    const isFirst = this.me === null;
    const [spaces, rooms] = await Promise.all([call('GET', '/v1/spaces'), call('GET', '/v1/rooms')]);
    this.take({ me, spaces: spaces.spaces, rooms: rooms.rooms });
    if (isFirst) await this.outbox.open(me.id);
    this.outbox.setContact('online');
    this.keepSoon();
    this.followAll();
    this.live.start();
    this.loadGroups().catch((error) => console.info('groups were not read', error.code));
  }

  /* The groups of the spaces that have some, or may get some from this user; read once, and anew when one changed. */
  async loadGroups() {
    const inGroups = new Set([...this.rooms.values()].filter((each) => each.group).map((each) => each.space));
    for (const { id, role, kind } of this.spaces.values()) {
      if (kind === 'direct' || this.freshGroups.has(id)) continue;
      if (!inGroups.has(id) && RANKS[role] < RANKS.admin) {
        this.groups.delete(id);
        continue;
      }
      const { groups } = await call('GET', `/v1/spaces/${id}/groups`);
      this.groups.set(id, groups);
      this.freshGroups.add(id);
    }
    this.changed();
    this.keepSoon();
  }

  /* What the list of spaces leaves out: emoji, stickers, names of roles. */
  async loadDetails(spaceId) {
    const { settings, version } = await call('GET', `/v1/spaces/${spaceId}`);
    this.details.set(spaceId, { ...settings, version });
    this.changed();
  }

  /* With what is on its way. */
  detailsOf(id) {
    return shownSpace({ ...this.details.get(id), id }, this.outbox.listed());
  }

  take({ me, spaces, rooms }) {
    this.me = me;
    this.names.set(me.id, me.display_name || me.name);
    this.spaces = new Map(spaces.map((each) => [each.id, each]));
    const before = this.rooms;
    this.rooms = new Map(rooms.map((each) => [each.id, { ...each, ...this.moved.get(each.id), unread: unreadOf(each, before.get(each.id)) }]));
    this.changed();
  }

  followAll() {
    const streams = { [this.me.id]: since(this.me) };
    for (const each of [...this.spaces.values(), ...this.rooms.values()]) if (!this.live.known.has(each.id)) streams[each.id] = since(each);
    for (const id of Object.keys(streams)) if (this.live.known.has(id)) delete streams[id];
    this.live.follow(streams);
  }

  /* The session may be over: renew it, or have the user sign in. Returns whether to connect again. */
  async checkSession() {
    try {
      await call('GET', '/v1/me');
    } catch (error) {
      if (error.kind === 'auth') {
        this.outbox.setContact(this.outbox.contact, true);
        this.live.stop();
        return false;
      }
    }
    return true;
  }

  logOf(roomId) {
    let log = this.logs.get(roomId);
    if (!log) {
      log = new RoomLog();
      this.logs.set(roomId, log);
    }
    return log;
  }

  /* The newest messages of a room, unless they are here. */
  async openRoom(roomId) {
    const log = this.logOf(roomId);
    if (log.isRead && log.isAtEnd) return;
    const kept = await this.store.seen(`room:${roomId}`);
    if (kept && !log.messages.length) {
      log.replace(kept.messages, { isAtStart: kept.isAtStart, isAtEnd: true });
      this.changed();
    }
    await this.loadAround(roomId, FROM_THE_END);
  }

  /* The stretch that ends before a seq takes the place of what is held. */
  async loadAround(roomId, beforeSeq) {
    const log = this.logOf(roomId);
    const { messages } = await this.page(roomId, `before_seq=${beforeSeq}`);
    const isAtEnd = beforeSeq === FROM_THE_END;
    if (!isAtEnd && messages.length < PAGE_COUNT / 2) {
      const rest = await this.page(roomId, `after_seq=${messages.at(-1)?.seq ?? 0}`);
      messages.push(...rest.messages);
    }
    log.replace(messages, { isAtStart: messages.length < PAGE_COUNT, isAtEnd });
    log.caughtUp();
    log.isRead = true;
    this.keepRoomSoon(roomId);
    this.changed();
  }

  /* The page before or behind what is held. */
  async loadMore(roomId, isOlder) {
    const log = this.logOf(roomId);
    if ((isOlder ? log.isAtStart : log.isAtEnd) || log.isLoading || !log.messages.length) return;
    log.isLoading = true;
    try {
      const { messages } = await this.page(roomId, isOlder ? `before_seq=${log.messages[0].seq}` : `after_seq=${log.messages.at(-1).seq}`);
      log.extend(messages, isOlder, messages.length < PAGE_COUNT);
      log.caughtUp();
      this.changed();
    } finally {
      log.isLoading = false;
    }
  }

  async page(roomId, range) {
    const log = this.logOf(roomId);
    log.reading += 1;
    const found = await call('GET', `/v1/rooms/${roomId}/messages?${range}&limit=${PAGE_COUNT}`).finally(() => { log.reading -= 1; });
    for (const each of found.messages) if (!this.names.has(each.sender)) this.names.set(each.sender, each.sender_name);
    return found;
  }

  async loadMembers(spaceId) {
    const found = [];
    for (let after = '0'; ;) {
      const { members } = await call('GET', `/v1/spaces/${spaceId}/members?after=${after}&limit=500`);
      found.push(...members);
      if (members.length < 500 || found.length >= 5000) break;
      after = members.at(-1).user;
    }
    for (const each of found) this.names.set(each.user, each.display_name || each.name);
    this.members.set(spaceId, found);
    this.changed();
    return found;
  }

  nameOf(userId) {
    return this.names.get(userId) ?? `#${userId}`;
  }

  /* The user has seen a room up to its end. */
  async markRead(roomId) {
    const room = this.rooms.get(roomId);
    if (!room || room.read_seq >= room.last_seq || this.outbox.contact === 'offline') return;
    room.read_seq = room.last_seq;
    room.unread = 0;
    this.changed();
    if (this.marking) return;
    this.marking = true;
    await new Promise((then) => setTimeout(then, MARK_AFTER_MS));
    this.marking = false;
    try {
      await call('PUT', `/v1/rooms/${roomId}/read`, { seq: room.last_seq });
    } catch (error) {
      console.info('not marked as read', error.code);
    }
  }

  hear(event) {
    const room = this.rooms.get(event.stream);
    if (room) this.hearRoom(room, event);
    else if (this.spaces.has(event.stream)) this.hearSpace(event);
    else if (event.stream === this.me.id) this.hearOwn(event);
  }

  hearRoom(room, event) {
    room.last_seq = Math.max(room.last_seq, event.seq);
    const log = this.logs.get(room.id);
    log?.take(event);
    if (event.kind === 'room.updated') this.reloadSoon();
    if (event.kind === 'message.created' && event.actor !== this.me.id) {
      room.unread += 1;
      this.typing.get(room.id)?.delete(event.actor);
      if (!this.names.has(event.actor)) this.loadMembers(room.space).catch(() => {});
      this.dispatchEvent(new CustomEvent('message', { detail: { room, message: event.message } }));
    }
    this.keepRoomSoon(room.id);
    this.changed();
  }

  hearSpace(event) {
    const space = this.spaces.get(event.stream);
    const isOver = ['member.left', 'member.kicked'].includes(event.kind) && event.body.user === this.me.id;
    if (isOver) this.reloadSoon();
    else if (event.kind.startsWith('member.') && this.members.has(space.id)) this.loadMembers(space.id).catch(() => {});
    if (event.kind === 'space.updated') {
      const { settings, version } = event.body;
      Object.assign(space, settings, { version });
      if (this.details.has(space.id)) this.details.set(space.id, { ...this.details.get(space.id), ...settings, version });
    }
    if (event.kind.startsWith('group.')) this.freshGroups.delete(space.id);
    if (event.kind.startsWith('room.') || event.kind.startsWith('group.') || event.kind === 'space.deleted' || event.kind === 'space.opened') this.reloadSoon();
    if (event.kind === 'member.changed' && event.body.user === this.me.id) this.reloadSoon();
    this.changed();
  }

  hearOwn(event) {
    if (event.kind === 'room.read') {
      const room = this.rooms.get(event.body.room);
      if (room && event.body.seq > room.read_seq) {
        room.read_seq = event.body.seq;
        room.unread = Math.min(room.unread, Math.max(0, room.last_seq - room.read_seq));
      }
      this.changed();
    } else this.reloadSoon();
    this.dispatchEvent(new Event(event.kind));
  }

  heardTyping({ room, users }) {
    if (!this.typing.has(room)) this.typing.set(room, new Map());
    for (const user of users) if (user !== this.me.id) this.typing.get(room).set(user, Date.now() + 4000);
    setTimeout(() => this.changed(), 4100);
    this.changed();
  }

  typingIn(roomId) {
    return [...(this.typing.get(roomId) ?? [])].filter(([, until]) => until > Date.now()).map(([user]) => this.nameOf(user));
  }

  heardPresence({ space, users }) {
    this.present.set(space, { ...this.present.get(space), ...users });
    this.changed();
  }

  /* What came could not all be told: read it anew. */
  reset(stream) {
    this.freshGroups.delete(stream);
    if (this.details.has(stream)) this.loadDetails(stream).catch((error) => console.info('not read anew', error.code));
    const log = this.logs.get(stream);
    if (log) {
      log.isRead = false;
      if (log.isAtEnd) this.loadAround(stream, FROM_THE_END).catch((error) => console.info('not read anew', error.code));
    }
    this.reloadSoon();
  }

  reloadSoon() {
    clearTimeout(this.reloading);
    this.reloading = setTimeout(() => this.reload(), 100);
  }

  reload() {
    return this.load().catch((error) => console.info('not read anew', error.code));
  }

  /* An answer is as good as its event, and often sooner. */
  actionEnded({ action, state, result }) {
    if (state !== 'done' || !action || action.account !== this.me?.id) return;
    if (action.type === 'send-message') {
      const log = this.logs.get(action.payload.room_id);
      if (!log || !result?.seq) return;
      log.put({
        id: result.id, seq: result.seq, client_id: action.client_id, sender: this.me.id, sender_name: this.me.name,
        content: action.payload.content, reply_to: action.payload.reply_to_id ?? null, mentions: null, created_at_ms: action.created_at_ms,
        edited_at_ms: null, deleted_at_ms: null, reactions: [], is_pinned: false,
      });
      this.keepRoomSoon(action.payload.room_id);
    } else if (action.payload.room_id) this.confirm(action);
    else this.reloadSoon();
    this.changed();
  }

  /* What an action did to a message, until its event says the same. */
  confirm(action) {
    const { message_id: name, room_id: roomId } = action.payload;
    const log = this.logs.get(roomId);
    const found = log?.messages.find((each) => each.id === name || nameOf(each, this.me.id) === name);
    if (found) log.change(found.id, () => changed({ message: found }, action, this.me.id).message);
  }

  keepSoon() {
    clearTimeout(this.keeping);
    this.keeping = setTimeout(() => {
      if (this.me) this.store.keep('session', { me: this.me, spaces: [...this.spaces.values()], rooms: [...this.rooms.values()], groups: [...this.groups] });
    }, KEEP_AFTER_MS);
  }

  keepRoomSoon(roomId) {
    const log = this.logs.get(roomId);
    clearTimeout(log?.keeping);
    if (!log?.isAtEnd) return;
    log.keeping = setTimeout(() => {
      const messages = log.messages.slice(-KEPT_MESSAGES_COUNT);
      this.store.keep(`room:${roomId}`, { messages, isAtStart: log.isAtStart && messages.length === log.messages.length });
    }, KEEP_AFTER_MS);
  }

  changed() {
    this.dispatchEvent(new Event('change'));
  }
}

function since({ epoch, last_seq: seq }) {
  return { epoch, seq };
}

/* Until it is followed live, what came since it was read counts, whatever it was. */
function unreadOf(room, before) {
  if (before && before.last_seq === room.last_seq && before.read_seq === room.read_seq) return before.unread;
  return Math.max(0, room.last_seq - room.read_seq);
}
