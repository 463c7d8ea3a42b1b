/* The messages of one room that the page holds: a stretch of them, in their order, with no hole in it. Pure data. */

const MAX_HELD_COUNT = 1500;

export class RoomLog {
  constructor(room) {
    this.room = room;
    this.messages = [];
    this.isAtStart = false;
    this.isAtEnd = false;
  }

  /* The whole stretch anew. */
  replace(messages, { isAtStart, isAtEnd }) {
    Object.assign(this, { messages: [...messages], isAtStart, isAtEnd });
  }

  /* More at one end; what is too much goes from the other. */
  extend(messages, isOlder, isLast) {
    const [first, last] = [this.messages[0].seq, this.messages.at(-1).seq];
    if (isOlder) {
      this.messages = [...messages.filter((each) => each.seq < first), ...this.messages];
      this.isAtStart = isLast;
      if (this.messages.length > MAX_HELD_COUNT) this.isAtEnd = false;
      this.messages = this.messages.slice(0, MAX_HELD_COUNT);
    } else {
      this.messages = [...this.messages, ...messages.filter((each) => each.seq > last)];
      this.isAtEnd = isLast;
      if (this.messages.length > MAX_HELD_COUNT) this.isAtStart = false;
      this.messages = this.messages.slice(-MAX_HELD_COUNT);
    }
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
