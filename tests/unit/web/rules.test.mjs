/* The outbox's rules against the vectors that the Python rules wrote. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import * as rules from '../../../dataserver/web/outbox/rules.js';

const cases = JSON.parse(readFileSync(new URL('../../vectors/queue_rules.json', import.meta.url)));
const byPlace = cases.rules;

function entryOf([state, attempts, in_lane, was_called, failure]) {
  return { state, attempts, in_lane, was_called, failure: typeof failure === 'number' ? cases.failures[failure] : failure };
}

function verdictOf(told) {
  return { entry: entryOf(told), lane: told[5], wait_s: told[6] };
}

function laneOf(values) {
  const names = ['priority', 'due_ms', 'fence', 'owner', 'claimed_to', 'lapsed_to', 'careful', 'paused', 'blocked_by'];
  return Object.fromEntries(names.map((name, place) => [name, values[place]]));
}

test('action types are declared alike', () => {
  assert.deepEqual(Object.values(rules.TYPES), cases.types);
  assert.deepEqual(Object.values(rules.TYPES).map(rules.rulesOf), byPlace.slice(0, cases.types.length));
});

test('lanes and subjects have the same keys', () => {
  for (const each of cases.addresses) {
    const kind = rules.TYPES[each.type];
    assert.equal(rules.laneOf(kind, each.payload, each.account), each.lane);
    assert.equal(rules.subjectOf(kind, each.payload, each.account), each.subject);
  }
});

test('a failed try has the same consequences', () => {
  assert.ok(cases.failed.length > 500);
  for (const each of cases.failed) {
    const failure = cases.failures[each.failure];
    const said = rules.failed(entryOf(each.entry), failure, byPlace[each.rules], each.chance);
    assert.deepEqual(said, verdictOf(each.then), JSON.stringify(each));
  }
});

test('every other turn has the same consequences', () => {
  const turns = {
    unknown_to_server: (entry, each) => rules.unknownToServer(entry, byPlace[each.rules]),
    succeeded: (entry, each) => rules.succeeded(entry),
    expired: (entry, each) => rules.expired(entry),
    said_of_an_old_session: (entry, each) => rules.saidOfAnOldSession({ entry: entry, lane: 'goes on', wait_s: 0 }),
    retried: (entry, each) => rules.retried(entry),
    cancelled: (entry, each) => rules.cancelled(entry),
    lapsed: (entry, each) => rules.lapsed(entry, each.flag),
  };
  for (const each of cases.turns) {
    const then = each.then.length > 5 ? verdictOf(each.then) : entryOf(each.then);
    assert.deepEqual(turns[each.turn](entryOf(each.entry), each), then, JSON.stringify(each));
  }
});

test('waits are as long', () => {
  for (const each of cases.delays) {
    assert.equal(rules.delayS(each.policy, each.attempts, each.chance, each.retry_after_s), each.delay_s);
    assert.equal(rules.isSpent(each.policy, each.attempts), each.is_spent);
  }
});

test('prefixes of lanes are claimed and given back alike', () => {
  for (const each of cases.claims) {
    const lane = laneOf(each.lane);
    assert.equal(rules.isClaimable(lane, each.now_ms), each.is_claimable);
    assert.equal(rules.rankMs(lane, 50), each.rank_ms);
    const claimed = rules.claimed(lane, 'me', 900, each.in_lane, each.most);
    assert.deepEqual(claimed, laneOf(each.claimed));
    assert.deepEqual(rules.released(claimed, each.fence, each.rest, each.has_more), laneOf(each.released));
  }
  for (const each of cases.rests) assert.deepEqual(rules.restAfter(verdictOf(each.verdict), 8, 1000), each.then);
});

test('pending actions about one thing become the same', () => {
  for (const each of cases.plans) {
    const made = rules.planned(rules.TYPES[each.type], each.payload, each.pending, each.is_another_open);
    const plain = {
      carrier: made.carrier?.id ?? null,
      payload: made.payload,
      replaced: made.replaced.map((other) => other.id),
      annihilated: made.annihilated.map((other) => other.id),
      is_nothing: made.is_nothing,
    };
    assert.deepEqual(plain, each.then, JSON.stringify(each));
  }
});

test('client ids are made alike', () => {
  for (const each of cases.client_ids) assert.equal(rules.clientId(each.wall_ms, Buffer.from(each.chance, 'hex')), each.id);
});

test('sends that go one after the other have the same numbers', () => {
  for (const { tries, numbers } of cases.numbers) {
    let order = rules.NO_ORDER;
    const given = tries.map((id, place) => {
      if (place > 0 && tries[place - 1] !== id) order = rules.answered(order, tries[place - 1]);
      order = rules.numbered(order, 's', id);
      return rules.toVoid(order, id).dev_seq;
    });
    assert.deepEqual(given, numbers);
  }
});

test('a send keeps its number until it is answered, and one that is given up is void', () => {
  let order = rules.numbered(rules.NO_ORDER, 's', 'a');
  order = rules.numbered(order, 's', 'b');
  order = rules.numbered(order, 's', 'a');
  assert.deepEqual(order, { session: 's', next: 3, given: { a: 1, b: 2 } });
  order = rules.answered(order, 'a');
  assert.equal(rules.toVoid(order, 'a'), null);
  assert.deepEqual(rules.toVoid(order, 'b'), { session: 's', dev_seq: 2 });
  assert.deepEqual(rules.numbered(order, 't', 'b'), { session: 't', next: 2, given: { b: 1 } });
});
