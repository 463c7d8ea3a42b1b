/* The messages of one room that the page holds: a stretch of them, in their order, with no hole in it. Pure data. */

const MAX_HELD_COUNT = 1500;

export class RoomLog {
  constructor() {
    this.messages = [];
    this.isAtStart = false;
    this.isAtEnd = true;
    this.reading = 0;
    this.later = [];
  }

  /* Events that come while a page is read may be newer than it: they count once more after it. */
  take(event) {
    if (this.reading) this.later.push(event);
    applyEvent(this, event);
  }

  caughtUp() {
    for (const event of this.later.splice(0)) applyEvent(this, event);
  }

  /* The whole stretch anew. */
  replace(messages, { isAtStart, isAtEnd }) {
    Object.assign(this, { messages: [...messages], isAtStart, isAtEnd });
  }

  /* More at one end; what is too much goes from the other. */
  extend(messages, isOlder, isLast) {
    const held = this.messages;
    const all = isOlder ? [...messages.filter((each) => each.seq < held[0].seq), ...held] : [...held, ...messages.filter((each) => each.seq > held.at(-1).seq)];
    this[isOlder ? 'isAtStart' : 'isAtEnd'] = isLast;
    if (all.length > MAX_HELD_COUNT) this[isOlder ? 'isAtEnd' : 'isAtStart'] = false;
    this.messages = isOlder ? all.slice(0, MAX_HELD_COUNT) : all.slice(-MAX_HELD_COUNT);
  }

  /* One message, new or changed; ignored where it is not beside what is held. */
  put(message) {
    const at = this.placeOf(message.seq);
    const found = this.messages[at];
    if (found && found.seq === message.seq) {
      this.messages[at] = { ...found, ...message };
      return;
    }
    if (at === this.messages.length ? this.isAtEnd : at > 0) this.messages.splice(at, 0, message);
  }

  change(id, change) {
    const at = this.messages.findIndex((each) => each.id === id);
    if (at < 0) return;
    this.messages[at] = { ...this.messages[at], ...change(this.messages[at]) };
  }

  placeOf(seq) {
    let low = 0;
    let high = this.messages.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.messages[middle].seq < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/* What an event of a room does to a log; false if it says nothing about messages. */
export function applyEvent(log, event) {
  const { message, kind, actor, body } = event;
  if (!message) return false;
  if (kind === 'message.created') {
    log.put({ reactions: [], is_pinned: false, ...message });
  } else if (kind === 'message.edited' || kind === 'message.deleted') {
    log.change(message.id, () => (message.content === null ? { ...message, reactions: [], is_pinned: false } : message));
  } else if (kind === 'reaction.added') {
    log.change(message.id, (old) => ({ reactions: withReaction(old.reactions, body.emoji, actor, true) }));
  } else if (kind === 'reaction.removed') {
    log.change(message.id, (old) => ({ reactions: withReaction(old.reactions, body.emoji, actor, false) }));
  } else if (kind === 'pin.added' || kind === 'pin.removed') {
    log.change(message.id, () => ({ is_pinned: kind === 'pin.added' }));
  }
  return true;
}

export function withReaction(reactions, emoji, user, isOn) {
  const others = (reactions ?? []).filter((each) => each.emoji !== emoji || each.user !== user);
  return isOn ? [...others, { emoji, user }] : others;
}
