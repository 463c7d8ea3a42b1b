/* What the operations page says of a server, from its last seconds. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { verdict } from '../../../dataserver/web/admin/verdict.js';

const POOL = { busy: 0, waiting: 0, alive: 2, completed: 9, rejected: 0, restarts: 0, dead: 0, wait_p99_ms: 0 };
const SECOND = {
  at_ms: 0, requests: 10, failed: 0, lag_ms: 1, readers: POOL, writers: POOL, wal_bytes: 0, largest_wal_bytes: 0, oldest_reader_s: 0,
};
const GOOD = { useWorkers: true, walBoundBytes: 1000 };

/** Return a quarter of a minute, the last of it as `changes` say; a function gets the second's place from the end. */
function seconds(changes, count = 15) {
  return Array.from({ length: 15 }, (_, place) => {
    const fromEnd = 14 - place;
    return fromEnd < count ? { ...SECOND, ...changes } : SECOND;
  });
}

function bad(told) {
  return told.parts.filter((each) => each.level === 'bad').map((each) => each.name);
}

const CASES = [
  ['healthy', 'good', [], seconds({})],
  ['saturated', 'bad', ['Readers'], seconds({ readers: { ...POOL, rejected: 5 }, failed: 5 }, 1)],
  ['saturated', 'bad', ['Writers'], seconds({ writers: { ...POOL, rejected: 5 } }, 1)],
  ['stuck log', 'bad', ['Log'], seconds({ largest_wal_bytes: 1001 }, 3)],
  ['crashing', 'bad', ['Workers'], seconds({ readers: { ...POOL, restarts: 1 } }, 3)],
  ['crashing', 'bad', ['Workers'], seconds({ writers: { ...POOL, dead: 1 } }, 2)],
  ['crashing', 'bad', ['Workers'], seconds({ readers: { ...POOL, dead: 1, rejected: 9 }, largest_wal_bytes: 0 }, 2)],
  ['restarted', 'warning', [], seconds({ readers: { ...POOL, restarts: 1 } }, 1)],
  ['late', 'warning', [], seconds({ lag_ms: 150 }, 3)],
  ['late', 'warning', [], seconds({ lag_ms: 1500 }, 1)],
  ['failing', 'warning', [], seconds({ failed: 1 }, 1)],
  ['busy', 'warning', [], seconds({ readers: { ...POOL, waiting: 1 } })],
];

test('each state is told by its own name, and one part of it cries', () => {
  for (const [state, level, parts, vitals] of CASES) {
    const told = verdict(vitals, GOOD);
    assert.deepEqual([told.state, told.level, bad(told)], [state, level, parts]);
    assert.equal(told.todo !== '', state !== 'healthy', state);
  }
});

test('what passes by itself makes nobody run', () => {
  for (const once of [
    seconds({ largest_wal_bytes: 5000 }, 2), // a large transaction
    seconds({ readers: { ...POOL, waiting: 50 } }, 10), // a burst
    seconds({ lag_ms: 150 }, 2),
    seconds({ readers: { ...POOL, dead: 1 } }, 1), // another takes its place
  ]) {
    const told = verdict(once, GOOD);
    assert.equal(told.level, 'good', told.state);
  }
});

test('what was done on purpose is said, and is no alarm', () => {
  const off = verdict(seconds({}), { ...GOOD, useWorkers: false });
  assert.deepEqual([off.state, off.level, bad(off)], ['without workers', 'warning', []]);
  assert.deepEqual(verdict(seconds({}), { ...GOOD, isDraining: true }).state, 'draining');
  assert.equal(verdict(seconds({}), { ...GOOD, isGoingOver: true }).parts[0].word, 'draining');
  assert.equal(verdict([], GOOD).state, 'unknown');
});

test('who holds a log is told apart: a read of this server, or another program', () => {
  const stuck = (age) => verdict(seconds({ largest_wal_bytes: 2000, oldest_reader_s: age }), { ...GOOD, longestLog: 'shop' });
  assert.match(stuck(0).says, /log of shop .* another program/);
  assert.match(stuck(40).says, /read or backup of this server has been open for 40 s/);
});
