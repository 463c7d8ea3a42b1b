/* What the page makes of events and of what the user did. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { shownMembers } from '../../../dataserver/web/later/member_projection.js';
import { addFolder, place, step, stepFolder, take } from '../../../dataserver/web/later/moves.js';
import { shown } from '../../../dataserver/web/page/projection.js';
import { RoomLog, applyEvent } from '../../../dataserver/web/page/room_log.js';
import { SpaceOrder } from '../../../dataserver/web/page/space_order.js';

function message(seq, more = {}) {
  return { id: String(seq), seq, client_id: `c${seq}`, sender: '1', content: `m${seq}`, reactions: [], is_pinned: false, ...more };
}

function logOf(...seqs) {
  const log = new RoomLog();
  log.replace(seqs.map((seq) => message(seq)), { isAtStart: true, isAtEnd: true });
  return log;
}

function action(type, payload, more = {}) {
  return { client_id: 'new', type, state: 'queued', created_at_ms: 5, payload: { room_id: '9', ...payload }, ...more };
}

test('an event that comes late is put in its place, and one that comes twice changes nothing', () => {
  const log = logOf(1, 5);
  applyEvent(log, { kind: 'message.created', message: message(3) });
  applyEvent(log, { kind: 'message.created', message: message(3) });
  assert.deepEqual(log.messages.map((each) => each.seq), [1, 3, 5]);
});

test('a message beyond what is held leaves no hole', () => {
  const log = logOf(4, 5);
  log.isAtEnd = false;
  applyEvent(log, { kind: 'message.created', message: message(9) });
  applyEvent(log, { kind: 'message.created', message: message(2) });
  assert.deepEqual(log.messages.map((each) => each.seq), [4, 5]);
});

test('reactions and pins change the message that they are about', () => {
  const log = logOf(1);
  applyEvent(log, { kind: 'reaction.added', actor: '2', body: { emoji: '+' }, message: message(1) });
  applyEvent(log, { kind: 'reaction.added', actor: '2', body: { emoji: '+' }, message: message(1) });
  applyEvent(log, { kind: 'pin.added', actor: '2', message: message(1) });
  assert.deepEqual(log.messages[0].reactions, [{ emoji: '+', user: '2' }]);
  assert.equal(log.messages[0].is_pinned, true);
});

test('what was sent shows once, whether the answer or the event came first', () => {
  const waiting = action('send-message', { content: 'x' }, { client_id: 'c2' });
  assert.equal(shown(logOf(1).messages, [waiting], '1', '9').length, 2);
  assert.equal(shown(logOf(1, 2).messages, [waiting], '1', '9').length, 2);
  const [, row] = shown(logOf(1).messages, [waiting], '1', '9');
  const [, stored] = shown(logOf(1, 2).messages, [], '1', '9');
  assert.deepEqual([row.key, row.state, stored.key, stored.state], ['1/c2', 'sending', '1/c2', 'sent']);
});

test('an action that failed has no effect any more', () => {
  const edit = action('edit-message', { message_id: 'c1', content: 'other' });
  assert.equal(shown(logOf(1).messages, [edit], '1', '9')[0].message.content, 'other');
  assert.equal(shown(logOf(1).messages, [{ ...edit, state: 'failed' }], '1', '9')[0].message.content, 'm1');
  const kick = { ...action('kick-user', {}), payload: { space_id: '3', user_id: '7' } };
  assert.equal(shownMembers([{ user: '7' }], [kick], '3').length, 0);
  assert.equal(shownMembers([{ user: '7' }], [{ ...kick, state: 'failed' }], '3').length, 1);
});

test('a space is in one folder, and new ones stand at the end of none', () => {
  let kept = null;
  const order = new SpaceOrder(null, (said) => { kept = said; });
  const spaces = ['a', 'b', 'c'].map((id) => ({ id }));
  order.arranged(spaces.slice(0, 2));
  addFolder(order, 'work');
  place(order, 'b', 'work', null);
  place(order, 'a', 'work', 'b');
  assert.deepEqual(order.arranged(spaces).map((each) => [each.name, each.spaces.map(({ id }) => id)]), [['work', ['a', 'b']], [null, ['c']]]);
  assert.equal(step(order, 'a', 1), 2);
  assert.equal(stepFolder(order, 'a', 1), '–');
  assert.deepEqual(kept.folders.map((each) => each.spaces), [['b'], ['c', 'a']]);
});
