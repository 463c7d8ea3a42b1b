/* The one tab that delivers. It holds a lock that the browser gives to another tab when this one is closed or dies; what
 * was under way then is of unknown outcome, and the server is asked about it before it is sent again.
 *
 * Lanes run beside each other. Of one lane a prefix is claimed; messages of a prefix are in flight together, in the order
 * that their numbers say (`dev_seq`); everything else goes one by one. */

import { isReachable } from '../net/api.js';
import { ask, deliver, voided } from './delivery.js';
import {
  FINAL, NEW_LANE, NO_ORDER, TYPES, WAITING, answered, claimed, expired, failed, givenUp, isClaimable, lapsed,
  newId, numbered, rankMs, released, restAfter, rulesOf, saidOfAnOldSession, succeeded, toVoid, unknownToServer,
} from './rules.js';

const LOCK = 'chat-outbox-drain';
const MAX_LANES = 4;
const PREFIX_COUNT = 4;
const LEASE_MS = 60000;
const AGEING_MS = 30000;
const SAFETY_MS = 1000;
const LONGEST_LOOK_MS = 15000;

export class Drain {
  constructor(outbox) {
    this.outbox = outbox;
    this.lanes = new Map();
    this.orders = new Map();
    this.running = new Set();
    this.logins = 0;
    this.owner = newId();
    this.isStirred = false;
    this.goOn = () => {};
  }

  start() {
    navigator.locks.request(LOCK, () => this.run()).catch((error) => console.error('the outbox stopped', error));
    window.addEventListener('online', () => this.wake());
    window.addEventListener('offline', () => this.outbox.setContact('offline'));
  }

  /* For as long as this tab lives. */
  async run() {
    await this.takeOver();
    if (!navigator.onLine) this.outbox.setContact('offline');
    let lookMs = SAFETY_MS;
    for (;;) {
      const { outbox } = this;
      if (outbox.contact === 'offline') {
        if (await isReachable()) {
          lookMs = SAFETY_MS;
          outbox.setContact('online');
        } else lookMs = Math.min(LONGEST_LOOK_MS, lookMs * 1.5);
      }
      if (outbox.contact === 'online' && !outbox.needsLogin) this.claim();
      await this.rest(outbox.contact === 'offline' ? lookMs * (0.5 + Math.random()) : SAFETY_MS);
    }
  }

  /* There may be something to do. */
  wake() {
    this.isStirred = true;
    this.goOn();
  }

  /* What the tab before had under way is of unknown outcome now. */
  async takeOver() {
    const heads = new Set();
    for (const each of this.outbox.listed()) {
      if (each.state !== 'calling') continue;
      const isHead = !heads.has(each.lane);
      heads.add(each.lane);
      this.lanes.set(each.lane, { ...NEW_LANE, owner: 'lost', fence: 1, due_ms: 0, priority: TYPES[each.type].priority });
      await this.outbox.change(each.client_id, (found) => ({ ...found, ...lapsed(found, isHead) }));
    }
  }

  async rest(ms) {
    if (!this.isStirred) {
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.goOn = () => { clearTimeout(timer); resolve(); };
      });
    }
    this.isStirred = false;
  }

  claim() {
    const now = Date.now();
    for (const [key, actions] of this.ready(now)) {
      if (this.running.size >= MAX_LANES) return;
      const lane = this.lanes.get(key) ?? { ...NEW_LANE, due_ms: 0, priority: TYPES[actions[0].type].priority };
      const due = { ...lane, due_ms: 0 }; // the actions themselves say when they are due
      if (!isClaimable(due, now)) continue;
      const prefix = actions.map((each) => each.client_id);
      const held = claimed(due, this.owner, now + LEASE_MS, prefix, PREFIX_COUNT);
      if (held.claimed_to === null) continue;
      this.lanes.set(key, held);
      this.running.add(key);
      const covered = actions.slice(0, prefix.indexOf(held.claimed_to) + 1);
      this.runLane(key, held.fence, covered).catch((error) => this.broken(covered, error)).finally(() => {
        this.running.delete(key);
        this.wake();
      });
    }
  }

  /* A lane stopped by what should not happen: nobody knows what became of its actions, so the server is asked. */
  async broken(actions, error) {
    console.error('a lane stopped', error);
    const asks = (found) => (found.state === 'calling' ? { ...found, ...lapsed(found, true), due_ms: Date.now() + SAFETY_MS } : null);
    for (const each of actions) await this.outbox.change(each.client_id, asks);
  }

  /* The lanes that have something to do, the most urgent first, each with what may be claimed of it. */
  ready(now) {
    const byLane = new Map();
    for (const each of this.outbox.listed()) {
      if (FINAL.has(each.state) && !(each.state === 'failed' && each.in_lane)) continue;
      if (!byLane.has(each.lane)) byLane.set(each.lane, []);
      byLane.get(each.lane).push(each);
    }
    const found = [];
    for (const [key, actions] of byLane) {
      if (this.running.has(key)) continue;
      const outside = actions.find((each) => !each.in_lane && each.due_ms <= now);
      const inLane = actions.filter((each) => each.in_lane);
      const blocked = inLane[0]?.state === 'failed';
      const free = blocked ? [] : prefixOf(inLane, now, (each) => this.mayGo(each));
      if (outside) found.push([key, [outside]]);
      else if (free.length) found.push([key, free]);
    }
    const rank = ([, [first]]) => rankMs({ due_ms: first.created_at_ms, priority: TYPES[first.type].priority }, AGEING_MS);
    return found.sort((a, b) => rank(a) - rank(b));
  }

  mayGo(action) {
    const kind = TYPES[action.type];
    if (!kind.waits_for_target) return true;
    const target = this.outbox.actions.get(action.payload.message_id);
    return !target || target.state === 'done';
  }

  async runLane(key, fence, actions) {
    let [ended, last] = [null, null];
    const together = actions.every((each) => each.type === 'send-message');
    const begun = [];
    if (together) for (const each of actions) begun.push(await this.begin(each));
    for (const [place, each] of actions.entries()) {
      const tried = together ? begun[place] : await this.begin(each);
      if (!tried) continue;
      const verdict = await tried.outcome();
      await this.settle(each, verdict);
      if (verdict.lane === 'goes on') continue;
      if (!ended) [ended, last] = [verdict, each];
      if (!together) break;
    }
    this.lanes.set(key, released(this.lanes.get(key), fence, restAfter(ended, last?.client_id ?? null, Date.now()), true));
  }

  /* Write down that the action is under way, then call; null if it is not there any more. */
  async begin(action) {
    const kind = TYPES[action.type];
    const now = Date.now();
    if (action.expires_at_ms && action.expires_at_ms < now) return { outcome: async () => expired(action) };
    const entry = await this.outbox.change(action.client_id, (found) => {
      if (!WAITING.has(found.state) && found.state !== 'uncertain') return null;
      return found.state === 'uncertain' ? found : { ...found, state: 'calling', was_called: true };
    });
    if (!entry) return null;
    const logins = this.logins;
    const tried = this.tried(entry, kind);
    return { outcome: async () => {
      const verdict = await tried;
      return verdict.lane === 'waits for login' && logins !== this.logins ? saidOfAnOldSession(verdict) : verdict;
    } };
  }

  /* One try, or one question about a try whose answer was lost. */
  async tried(entry, kind) {
    const rules = rulesOf(kind);
    const chance = Math.random();
    let asked = entry;
    try {
      if (entry.state === 'uncertain') {
        const stored = await ask(entry);
        if (stored !== null) return { ...succeeded(entry), result: stored };
        const unknown = unknownToServer(entry, rules);
        if (unknown.entry.state !== 'calling') return unknown;
        asked = unknown.entry;
        await this.outbox.change(entry.client_id, (found) => ({ ...found, state: 'calling' }));
      }
      const result = await deliver(entry, this.orderOf(entry));
      return { ...succeeded(asked), result };
    } catch (error) {
      if (!error.failure) throw error;
      if (error.code === 'out_of_turn') {
        await this.fillUp(entry, error.details.expected);
        return { entry: { ...asked, state: 'queued' }, lane: 'waits', wait_s: 0.2 };
      }
      if (error.kind === 'target_gone' && rules.on_target_gone === 'fail') return givenUp({ ...asked, was_called: true, failure: error.failure }, rules);
      return failed(asked, error.failure, rules, chance);
    }
  }

  orderOf(entry) {
    if (entry.type !== 'send-message') return null;
    const order = numbered(this.orders.get(entry.lane) ?? NO_ORDER, this.owner, entry.client_id);
    this.orders.set(entry.lane, order);
    return toVoid(order, entry.client_id);
  }

  async settle(action, verdict) {
    const { entry, lane, wait_s: waitS, result } = verdict;
    const isOver = FINAL.has(entry.state) && entry.state !== 'failed';
    const { state, attempts, in_lane, was_called, failure } = entry;
    const held = { state, attempts, in_lane, was_called, failure };
    const after = await this.outbox.store.updateOne(action.client_id, (found) => {
      if (FINAL.has(found.state)) return null;
      return isOver ? { ...found, ...held, is_gone: true } : { ...found, ...held, due_ms: waitS > 0 ? Date.now() + 1000 * waitS : 0 };
    });
    await this.closeNumber(action, entry);
    if (after?.is_gone) this.outbox.say({ put: [], gone: [{ client_id: action.client_id, state, action, result: result ?? null, failure }] });
    else if (after) this.outbox.say({ put: [after], gone: [] });
    if (lane === 'is offline') this.outbox.setContact('offline');
    if (lane === 'waits for login') this.outbox.setContact(this.outbox.contact, true);
  }

  /* The server misses numbers: those of actions that were taken back meanwhile will not come. */
  async fillUp(action, expected) {
    const order = this.orders.get(action.lane);
    const open = new Set(Object.keys(order.given).filter((id) => this.outbox.actions.has(id)).map((id) => order.given[id]));
    for (let number = expected; number < order.given[action.client_id]; number += 1) {
      if (!open.has(number)) await voided(action, { session: order.session, dev_seq: number });
    }
  }

  /* The server has taken a send's number, or is told that nothing comes for it. */
  async closeNumber(action, entry) {
    const order = this.orders.get(action.lane);
    if (!order || !FINAL.has(entry.state)) return;
    const open = toVoid(order, action.client_id);
    this.orders.set(action.lane, answered(order, action.client_id));
    if (entry.state === 'done' || open === null) return;
    try {
      await voided(action, open);
    } catch (error) {
      this.orders.delete(action.lane); // numbers begin anew, under another session
      this.owner = newId();
      console.info('a number was not taken back', error.code);
    }
  }
}

/* The first actions that may go now; what is not due holds up those behind it, and a question is asked alone. */
function prefixOf(inLane, now, mayGo) {
  if (inLane[0]?.state === 'uncertain' && inLane[0].due_ms <= now) return inLane.slice(0, 1);
  const place = inLane.findIndex((each) => each.due_ms > now || !WAITING.has(each.state) || each.state === 'paused' || !mayGo(each));
  return place < 0 ? inLane : inLane.slice(0, place);
}
