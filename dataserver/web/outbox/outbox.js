/* What the user did and the server has not answered yet: kept on disk, delivered by one tab, shown by all.
 *
 * `actions` is this tab's copy, changed at once when the user does something; the truth is in the store, where each change
 * is made to what is there, so tabs never undo each other's. What changed is told to the other tabs. */

import { canDeliver } from './delivery.js';
import { Drain } from './drain.js';
import { FINAL, NEW_ENTRY, TYPES, WAITING, cancelled, laneOf, newId, planned, retried, subjectOf } from './rules.js';

export const MAX_WAITING_COUNT = 1000;
const CHANNEL = 'chat-outbox';

export class OutboxFull extends Error {}

export class Outbox extends EventTarget {
  constructor(store) {
    super();
    this.store = store;
    this.account = null;
    this.actions = new Map();
    this.contact = 'online';
    this.needsLogin = false;
    this.lastMs = 0;
    this.channel = new BroadcastChannel(CHANNEL);
    this.channel.onmessage = (event) => this.hear(event.data);
    this.drain = new Drain(this);
  }

  async open(account) {
    this.account = account;
    for (const each of await this.store.actions()) this.take(each);
    this.changed();
    this.drain.start();
  }

  /* Do something; it shows at once, and survives a crash a few milliseconds later. */
  enqueue(type, payload) {
    const kind = TYPES[type];
    if (!canDeliver(type)) throw new Error(`nobody delivers ${type}`);
    if (this.waiting().length >= MAX_WAITING_COUNT) throw new OutboxFull();
    this.lastMs = Math.max(Date.now(), this.lastMs + 1);
    const action = {
      ...NEW_ENTRY,
      client_id: newId(this.lastMs),
      type, payload, account: this.account,
      lane: laneOf(kind, payload, this.account),
      subject: subjectOf(kind, payload, this.account),
      created_at_ms: Date.now(),
      due_ms: kind.debounce_s ? Date.now() + 1000 * kind.debounce_s : 0,
      expires_at_ms: kind.expires_after_s ? Date.now() + 1000 * kind.expires_after_s : null,
    };
    this.apply(merge(kind, action, [...this.actions.values()]));
    const stored = kind.coalescing === 'none' ? this.store.add(action) : this.store.update((all) => merge(kind, action, all));
    stored.then(
      (said) => this.say(said),
      (error) => this.refuse(action, error),
    );
    return action.client_id;
  }

  retry(id) {
    return this.change(id, (each) => (canRetry(each) ? { ...each, ...retried(each), due_ms: 0 } : null));
  }

  /* Take an action back; false if it may be at the server by now. */
  async cancel(id) {
    const after = await this.change(id, (each) => (canCancel(each) ? { ...each, ...cancelled(each), is_gone: true } : null));
    return after !== null;
  }

  /* Let what waited for a login go on. */
  async resume() {
    this.needsLogin = false;
    this.drain.logins += 1;
    for (const each of this.listed()) if (each.state === 'paused') await this.change(each.client_id, (found) => (found.state === 'paused' ? { ...found, state: 'queued' } : null));
    this.channel.postMessage({ login: true });
    this.changed();
    this.drain.wake();
  }

  async change(id, turn) {
    const after = await this.store.updateOne(id, turn);
    if (after) this.say(after.is_gone ? { put: [], gone: [{ client_id: id, state: after.state }] } : { put: [after], gone: [] });
    return after;
  }

  waiting() {
    return this.listed().filter((each) => !FINAL.has(each.state));
  }

  failed() {
    return this.listed().filter((each) => each.state === 'failed');
  }

  /* In the order in which they were done. */
  listed() {
    return [...this.actions.values()]
      .filter((each) => each.account === this.account)
      .sort((a, b) => (a.client_id < b.client_id ? -1 : 1));
  }

  setContact(contact, needsLogin = this.needsLogin) {
    if (this.contact === contact && this.needsLogin === needsLogin) return;
    Object.assign(this, { contact, needsLogin });
    this.channel.postMessage({ contact, needsLogin });
    this.changed();
  }

  /* Show a change here and in the other tabs. */
  say(said) {
    this.apply(said);
    this.channel.postMessage(said);
    this.drain.wake();
  }

  apply(said) {
    for (const each of said.gone) this.actions.delete(each.client_id);
    for (const each of said.put) {
      const hasJustFailed = each.state === 'failed' && this.actions.get(each.client_id)?.state !== 'failed';
      this.take(each);
      if (hasJustFailed) this.dispatchEvent(new CustomEvent('failed', { detail: each }));
    }
    for (const each of said.gone) if (each.state) this.dispatchEvent(new CustomEvent('ended', { detail: each }));
    this.changed();
  }

  take(action) {
    this.actions.set(action.client_id, action);
    const ms = parseInt(action.client_id.slice(0, 8) + action.client_id.slice(9, 13), 16);
    this.lastMs = Math.max(this.lastMs, ms);
  }

  hear(said) {
    if (said.contact) Object.assign(this, said);
    if (said.login) {
      this.needsLogin = false;
      this.drain.logins += 1;
    }
    if (said.put) this.apply(said);
    else this.changed();
    this.drain.wake();
  }

  refuse(action, error) {
    this.actions.delete(action.client_id);
    this.dispatchEvent(new CustomEvent('refused', { detail: { action, error } }));
    this.changed();
  }

  changed() {
    this.dispatchEvent(new Event('change'));
  }
}

export function canRetry(action) {
  return action.state === 'failed' || action.state === 'retry_wait' || action.state === 'queued';
}

export function canCancel(action) {
  return WAITING.has(action.state) || action.state === 'failed';
}

/* What is stored for a new action, beside what waits already about the same thing. */
function merge(kind, action, all) {
  const open = all.filter((each) => each.account === action.account && !FINAL.has(each.state) && isAbout(kind, action, each));
  open.sort((a, b) => (a.client_id < b.client_id ? -1 : 1));
  const free = open.filter((each) => WAITING.has(each.state));
  const made = planned(kind, action.payload, free, free.length < open.length);
  const gone = [...made.replaced, ...made.annihilated].map((each) => ({ client_id: each.client_id, state: 'cancelled' }));
  if (made.is_nothing) return { put: [], gone };
  const keeper = made.carrier ?? action;
  return { put: [{ ...keeper, payload: made.payload }], gone };
}

function isAbout(kind, action, each) {
  if (kind.coalescing === 'none' || each.client_id === action.client_id) return false;
  if (each.subject !== null && each.subject === action.subject) return true;
  const target = kind.target && action.payload[kind.target];
  if (kind.coalescing === 'edit') return each.type === 'send-message' && each.client_id === target;
  if (kind.coalescing === 'delete') {
    return (each.type === 'send-message' && each.client_id === target) || (each.payload.message_id === target && each.payload.room_id === action.payload.room_id);
  }
  return false;
}
