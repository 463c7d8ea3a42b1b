/* What may happen to an action: pure functions over plain values, the same as the queue's in Python.
 * tests/vectors/queue_rules.json holds the two together. Names of fields are those of the vectors. */

import { delayS, isSpent } from './retries.js';

export const FINAL = new Set(['failed', 'expired', 'cancelled', 'done']);

/* Certainly not at the server just now. */
export const WAITING = new Set(['queued', 'retry_wait', 'paused']);

export const OUTCOME_NOT_TOLD = 'outcome_not_told';

/* So many questions more than tries may fail. */
const MORE_QUESTIONS_COUNT = 10;

const NOT_RECEIVED = { kind: 'answer_lost', code: 'not_received', message: 'no call got through to the server', status: null, retry_after_s: null };

export const NEW_ENTRY = { state: 'queued', attempts: 0, in_lane: true, was_called: false, failure: null };

function verdict(entry, lane = 'goes on', waitS = 0) {
  return { entry, lane, wait_s: waitS };
}

export function succeeded(entry) {
  return verdict({ state: 'done', attempts: entry.attempts, in_lane: false, was_called: true, failure: null });
}

/* What follows from a try that ended with `failure`; `chance` (0 to 1) is for the jitter. */
export function failed(entry, failure, rules, chance) {
  const isAsking = entry.state === 'uncertain';
  if (failure.kind === 'unreachable') return verdict({ ...entry, state: isAsking ? 'uncertain' : 'queued', failure }, 'is offline');
  if (failure.kind === 'auth') return verdict({ ...entry, state: isAsking ? 'uncertain' : 'paused', failure }, 'waits for login');
  let tried = { ...entry, was_called: true, failure };
  if (failure.kind === 'rate') return waiting({ ...tried, state: isAsking ? 'uncertain' : 'retry_wait' }, rules, chance);
  if (failure.kind === 'target_gone' && rules.on_target_gone !== 'fail') {
    return verdict({ ...tried, state: rules.on_target_gone === 'succeed' ? 'done' : 'expired', in_lane: false });
  }
  if (failure.kind === 'answer_lost') return answerLost(tried, rules, chance);
  if (isRefusal(failure, rules)) return givenUp(tried, rules);
  tried = { ...tried, attempts: entry.attempts + 1 };
  if (isAsking) return askedInVain(tried, rules, chance);
  if (isSpent(rules.retries, tried.attempts)) return givenUp(tried, rules);
  return waiting({ ...tried, state: 'retry_wait' }, rules, chance);
}

/* The server would say the same again. */
export function isRefusal(failure, rules) {
  if (failure.kind === 'target_gone' || failure.kind === 'conflict') return true;
  if (failure.kind !== 'permanent') return false;
  return rules.permanent === null || failure.status === null || rules.permanent.includes(failure.status);
}

export function givenUp(entry, rules) {
  const isConflict = entry.failure !== null && entry.failure.kind === 'conflict';
  if (rules.stuck === 'block' || (rules.blocks_on_conflict && isConflict)) return verdict({ ...entry, state: 'failed' }, 'is blocked');
  return verdict({ ...entry, state: rules.stuck === 'expire' ? 'expired' : 'failed', in_lane: false });
}

/* An action whose claim ended without a word: its tab crashed, or was closed. */
export function lapsed(entry, isHead) {
  return { ...entry, state: 'uncertain', was_called: true, attempts: entry.attempts + (isHead ? 1 : 0) };
}

/* The server was asked about an uncertain action and has never seen it. */
export function unknownToServer(entry, rules) {
  if (isSpent(rules.retries, entry.attempts)) return givenUp({ ...entry, failure: entry.failure ?? NOT_RECEIVED }, rules);
  return verdict({ ...entry, state: 'calling' });
}

export function saidOfAnOldSession(said) {
  return verdict({ ...said.entry, state: said.entry.state === 'uncertain' ? 'uncertain' : 'queued' }, 'waits');
}

/* Tried again from the beginning, since somebody wants it. */
export function retried(entry) {
  const wasTold = entry.failure === null || entry.failure.code !== OUTCOME_NOT_TOLD;
  return { ...entry, state: entry.state !== 'uncertain' && wasTold ? 'queued' : 'uncertain', attempts: 0, in_lane: true };
}

export function cancelled(entry) {
  return { ...entry, state: 'cancelled', in_lane: false };
}

export function expired(entry) {
  return verdict({ ...entry, state: 'expired', in_lane: false });
}

/* The code or status of a failure, and what the server said. */
export function textOf(failure) {
  const name = failure.status === null ? failure.code : String(failure.status);
  return ['', name, failure.code].includes(failure.message) ? name : `${name}: ${failure.message}`;
}

function askedInVain(entry, rules, chance) {
  if (isSpent(rules.retries, entry.attempts - MORE_QUESTIONS_COUNT)) {
    const message = entry.failure === null ? '' : textOf(entry.failure);
    return givenUp({ ...entry, failure: { kind: 'answer_lost', code: OUTCOME_NOT_TOLD, message, status: null, retry_after_s: null } }, rules);
  }
  return waiting({ ...entry, state: 'uncertain' }, rules, chance);
}

function answerLost(tried, rules, chance) {
  const isQuestion = tried.state === 'uncertain' && rules.on_uncertain === 'ask';
  const entry = { ...tried, attempts: tried.attempts + 1 };
  if (isQuestion) return askedInVain(entry, rules, chance);
  if (rules.on_uncertain === 'hold') return givenUp(entry, rules);
  if (rules.on_uncertain === 'repeat' && isSpent(rules.retries, entry.attempts)) return givenUp(entry, rules);
  return waiting({ ...entry, state: 'uncertain' }, rules, chance);
}

function waiting(entry, rules, chance) {
  const waitS = delayS(rules.retries, entry.attempts, chance, entry.failure === null ? null : entry.failure.retry_after_s);
  if (rules.stuck === 'skip') return verdict({ ...entry, in_lane: false }, 'goes on', waitS);
  return verdict(entry, 'waits', waitS);
}
