/* The outbox's rules in one place: action types, their lanes, what a failure means, client ids and the numbers of sends.
 * All pure but for `newId`; `states`, `retries`, `lanes` and `coalescing` are its parts. */

export * from './states.js';
export * from './retries.js';
export * from './lanes.js';
export * from './coalescing.js';

const HIGH = 0;
const MIDDLE = 1;
const LOW = 2;
const INVALID = [400, 422];
const DAY_S = 86400;
const MAX_DELAY_S = 300;
const MESSAGE = ['room_id', 'message_id'];

const DEFAULTS = {
  key: [], stuck: 'park', blocks_on_conflict: false, max_attempts: 3, base_delay_s: 2, permanent: null, on_target_gone: 'fail',
  on_uncertain: 'ask', coalescing: 'none', subject: [], coalesces_across: true, is_on: null, target: null,
  waits_for_target: false, debounce_s: 0, expires_after_s: null, priority: MIDDLE, success_notice: null, failure_notice: null,
};

const PIN = {
  topic: 'pins', key: MESSAGE, stuck: 'supersede', permanent: [404], on_target_gone: 'drop', coalescing: 'toggle',
  subject: MESSAGE, target: 'message_id', waits_for_target: true,
};
const MUTE = {
  topic: 'moderation', key: ['space_id', 'user_id'], stuck: 'supersede', permanent: [403], coalescing: 'toggle',
  subject: ['space_id', 'user_id'], coalesces_across: false,
};
const COMING = {
  topic: 'space', key: ['space_id'], stuck: 'block', permanent: [403, 404], on_target_gone: 'succeed', coalescing: 'toggle',
  subject: ['space_id'], coalesces_across: false,
};

const DECLARED = {
  'send-message': {
    topic: 'messages', key: ['room_id'], base_delay_s: 1, permanent: [400, 403, 404], on_target_gone: 'drop', priority: HIGH,
  },
  'edit-message': {
    topic: 'messages', key: ['room_id'], stuck: 'skip', permanent: [404], on_target_gone: 'drop', coalescing: 'edit',
    subject: MESSAGE, target: 'message_id', priority: HIGH, failure_notice: 'Failed to edit message',
  },
  'delete-message': {
    topic: 'messages', key: ['room_id'], stuck: 'skip', max_attempts: null, permanent: [], on_target_gone: 'succeed',
    coalescing: 'delete', subject: MESSAGE, target: 'message_id', priority: HIGH, failure_notice: 'Failed to delete message',
  },
  reaction: {
    topic: 'reactions', key: MESSAGE, stuck: 'expire', permanent: [404], on_target_gone: 'drop', coalescing: 'toggle',
    subject: [...MESSAGE, 'emoji'], target: 'message_id', waits_for_target: true, expires_after_s: DAY_S,
  },
  'pin-message': { ...PIN, is_on: true, failure_notice: 'Failed to pin message' },
  'unpin-message': { ...PIN, is_on: false, failure_notice: 'Failed to unpin message' },
  'save-user-config': {
    topic: 'config', stuck: 'supersede', permanent: INVALID, coalescing: 'fields', debounce_s: 0.5, priority: LOW,
    failure_notice: 'Failed to save settings',
  },
  'update-profile': {
    topic: 'profile', stuck: 'supersede', permanent: INVALID, coalescing: 'fields', priority: LOW,
    failure_notice: 'Failed to save profile',
  },
  'update-space': {
    topic: 'space', key: ['space_id'], stuck: 'supersede', blocks_on_conflict: true, permanent: [403, 404],
    on_target_gone: 'drop', coalescing: 'fields', subject: ['space_id'], coalesces_across: false, priority: LOW,
    success_notice: 'Space settings saved', failure_notice: 'Failed to save space settings',
  },
  'kick-user': {
    topic: 'moderation', key: ['space_id', 'user_id'], stuck: 'skip', permanent: [403, 404], on_target_gone: 'succeed',
    success_notice: 'User removed', failure_notice: 'Failed to remove user',
  },
  'mute-user': { ...MUTE, is_on: true, success_notice: 'User muted', failure_notice: 'Failed to mute user' },
  'unmute-user': { ...MUTE, is_on: false, success_notice: 'User unmuted', failure_notice: 'Failed to unmute user' },
  'sync-space-keys': {
    topic: 'keys', stuck: 'block', permanent: INVALID, on_target_gone: 'drop', coalescing: 'replace', priority: LOW,
    failure_notice: 'Failed to sync keys',
  },
  'join-space': { ...COMING, is_on: true, failure_notice: 'Failed to join space' },
  'leave-space': { ...COMING, is_on: false, failure_notice: 'Failed to leave space' },
};

export const TYPES = Object.fromEntries(
  Object.entries(DECLARED).map(([name, declared]) => [name, { name, ...DEFAULTS, ...declared }]),
);

export function rulesOf(kind) {
  return {
    retries: {
      max_attempts: kind.max_attempts, base_delay_s: Math.min(kind.base_delay_s, MAX_DELAY_S), max_delay_s: MAX_DELAY_S,
      max_retry_after_s: DAY_S,
    },
    stuck: kind.stuck,
    blocks_on_conflict: kind.blocks_on_conflict,
    permanent: kind.permanent,
    on_target_gone: kind.on_target_gone,
    on_uncertain: kind.on_uncertain,
  };
}

function joined(topic, account, parts) {
  const escaped = [account, ...parts.map(String)].map((part) => part.replaceAll('%', '%25').replaceAll('/', '%2F'));
  return [topic, ...escaped].join('/');
}

export function laneOf(kind, payload, account) {
  return joined(kind.topic, account, kind.key.map((name) => payload[name]));
}

/* What tells the actions that `payload` may be coalesced with; null if there are none. */
export function subjectOf(kind, payload, account) {
  if (kind.coalescing === 'none') return null;
  return joined(`${kind.topic}:${kind.coalescing}`, account, kind.subject.map((name) => payload[name]));
}

/* A UUID of version 7 of `wallMs` and ten random bytes; only the last 74 bits of those count. */
export function clientId(wallMs, chance) {
  const bytes = new Uint8Array(16);
  let left = wallMs;
  for (let place = 5; place >= 0; place -= 1) {
    bytes[place] = left % 256;
    left = Math.floor(left / 256);
  }
  const bits = [...chance].reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n) & ((1n << 74n) - 1n);
  const high = Number(bits >> 62n);
  bytes[6] = 0x70 | (high >> 8);
  bytes[7] = high & 0xff;
  let low = (bits & ((1n << 62n) - 1n)) | (2n << 62n);
  for (let place = 15; place >= 8; place -= 1) {
    bytes[place] = Number(low & 0xffn);
    low >>= 8n;
  }
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

export function newId(wallMs = Date.now()) {
  return clientId(wallMs, crypto.getRandomValues(new Uint8Array(10)));
}

/* Numbers of sends: given at the first transmission, within one random session for as long as a lane is held by one tab.
 * A number that was given stays with its action until it is answered; one whose action will not come is to be void. */
export const NO_ORDER = { session: null, next: 1, given: {} };

export function numbered(order, session, actionClientId) {
  const own = order.session === session ? order : { session, next: 1, given: {} };
  if (own.given[actionClientId] !== undefined) return own;
  return { session, next: own.next + 1, given: { ...own.given, [actionClientId]: own.next } };
}

/* The order once the server has stored or refused an action: its number is taken. */
export function answered(order, actionClientId) {
  const { [actionClientId]: _taken, ...given } = order.given;
  return { ...order, given };
}

/* What is to be told the server of an action that is given up: its number, null if it had none. */
export function toVoid(order, actionClientId) {
  const number = order.given[actionClientId];
  return number === undefined ? null : { session: order.session, dev_seq: number };
}
