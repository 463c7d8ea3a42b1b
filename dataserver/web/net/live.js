/* The connection on which events come. It comes back by itself, says how far each stream is known, and is given what was
 * missed; a gap that can't be filled is told by `onReset`, and then the pages are read anew. */

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 20000;
const PING_MS = 20000;
const SESSION_ENDED = 4401;

export class Live {
  /* `handlers` has a function for all that is told here; `onSessionEnded` says whether to go on. */
  constructor(handlers) {
    this.handlers = handlers;
    this.known = new Map();
    this.asked = new Map();
    this.number = 0;
    this.waitMs = FIRST_WAIT_MS;
    this.isWanted = false;
    window.addEventListener('online', () => this.soon(0));
  }

  start() {
    this.isWanted = true;
    this.connect();
  }

  stop() {
    this.isWanted = false;
    this.socket?.close();
  }

  /* Follow streams: `streams` maps ids to {epoch, seq}. */
  follow(streams) {
    for (const [id, since] of Object.entries(streams)) this.known.set(id, since);
    if (this.isOpen && Object.keys(streams).length) this.subscribe(streams);
  }

  unfollow(ids) {
    for (const id of ids) this.known.delete(id);
    if (this.isOpen && ids.length) this.say({ op: 'unsubscribe', streams: ids });
  }

  typing(room) {
    if (this.isOpen) this.say({ op: 'typing', room });
  }

  get isOpen() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  connect() {
    clearTimeout(this.timer);
    if (!this.isWanted || (this.socket && this.socket.readyState < WebSocket.CLOSING)) return;
    const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/v1/ws`);
    this.socket = socket;
    this.wasOpen = false;
    socket.onopen = () => {
      this.wasOpen = true;
      this.waitMs = FIRST_WAIT_MS;
      this.handlers.onState(true);
      if (this.known.size) this.subscribe(Object.fromEntries(this.known));
      this.pings = setInterval(() => this.say({ op: 'ping' }), PING_MS);
    };
    socket.onmessage = (event) => this.hear(JSON.parse(event.data));
    socket.onclose = (event) => {
      clearInterval(this.pings);
      this.asked.clear();
      this.handlers.onState(false);
      this.ended(event.code);
    };
  }

  async ended(code) {
    if (!this.isWanted) return;
    if ((code === SESSION_ENDED || !this.wasOpen) && !(await this.handlers.onSessionEnded())) return;
    this.soon(this.spreadMs ?? this.waitMs * (0.5 + Math.random() / 2));
    this.spreadMs = null;
    this.waitMs = Math.min(LONGEST_WAIT_MS, this.waitMs * 2);
  }

  soon(ms) {
    clearTimeout(this.timer);
    if (this.isWanted) this.timer = setTimeout(() => this.connect(), ms);
  }

  say(command, then = null) {
    this.number += 1;
    if (then) this.asked.set(this.number, then);
    this.socket.send(JSON.stringify({ id: this.number, ...command }));
  }

  subscribe(streams) {
    this.say({ op: 'subscribe', streams }, (answers) => {
      for (const [id, said] of Object.entries(answers)) {
        if (said.error) this.known.delete(id);
        else if (!said.recovered) {
          this.known.set(id, { epoch: said.epoch, seq: said.last_seq });
          this.handlers.onReset(id);
        }
        if (said.present) this.handlers.onPresence({ space: id, users: said.present });
      }
    });
  }

  hear(told) {
    const then = this.asked.get(told.id);
    this.asked.delete(told.id);
    if (told.ok && then) then(told.ok);
    else if (told.event) this.take(told.event);
    else if (told.typing) this.handlers.onTyping(told.typing);
    else if (told.presence) this.handlers.onPresence(told.presence);
    else if (told.ended) for (const id of told.ended.streams) this.known.delete(id);
    else if (told.drain) this.spreadMs = told.drain.resume_after_ms;
  }

  take(event) {
    const known = this.known.get(event.stream);
    if (known && event.seq <= known.seq) return;
    if (known) known.seq = event.seq;
    this.handlers.onEvent(event);
  }
}
