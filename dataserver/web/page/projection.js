/* What is shown: what the server said, with everything on top that the user did and the server has not answered. An action
 * that fails goes from here, and with it its effect: nothing has to be undone. Pure. */

import { withReaction } from './room_log.js';

/* What the roles of a space may do, the higher the more. */
export const RANKS = { member: 1, moderator: 2, admin: 3, owner: 4 };

/* A name by which a message is found whether or not the server knows it yet. */
export function nameOf(message, me) {
  return message.sender === me ? message.client_id : message.id;
}

export function keyOf(message) {
  return `${message.sender}/${message.client_id}`;
}

/* The rows of a room. `state` of a row: sent, sending, waiting, failed. */
export function shown(messages, actions, me, roomId, isAtEnd = true) {
  const rows = [];
  const places = new Map();
  const stored = new Set();
  for (const message of messages) {
    places.set(nameOf(message, me), rows.length);
    if (message.sender === me) stored.add(message.client_id);
    rows.push({ key: keyOf(message), message, state: 'sent', action: null });
  }
  for (const action of actions) {
    const { payload, type } = action;
    if (payload.room_id !== roomId || action.state === 'cancelled' || action.state === 'expired') continue;
    if (type === 'send-message') {
      if (!isAtEnd || stored.has(action.client_id)) continue;
      places.set(action.client_id, rows.length);
      rows.push(sending(action, me));
    } else if (places.has(payload.message_id) && action.state !== 'failed') {
      const place = places.get(payload.message_id);
      rows[place] = changed(rows[place], action, me);
    }
  }
  return rows;
}

function sending(action, me) {
  const message = {
    id: null, seq: Infinity, client_id: action.client_id, sender: me, content: action.payload.content,
    reply_to: action.payload.reply_to_id ?? null, created_at_ms: action.created_at_ms, edited_at_ms: null, deleted_at_ms: null,
    reactions: [], is_pinned: false,
  };
  return { key: keyOf(message), message, state: action.state === 'failed' ? 'failed' : 'sending', action };
}

/* A row with what an action does to its message. */
export function changed(row, action, me) {
  const { payload, type } = action;
  const change = {
    'edit-message': () => ({ content: payload.content, edited_at_ms: action.created_at_ms }),
    'delete-message': () => ({ content: null, deleted_at_ms: action.created_at_ms, reactions: [], is_pinned: false }),
    reaction: () => ({ reactions: withReaction(row.message.reactions, payload.emoji, me, payload.is_on) }),
    'pin-message': () => ({ is_pinned: true }),
    'unpin-message': () => ({ is_pinned: false }),
  }[type];
  return change ? { ...row, message: { ...row.message, ...change() }, pending: true } : row;
}

/* The settings of a space with what is on its way. */
export function shownSpace(space, actions) {
  const fields = actions
    .filter((each) => each.type === 'update-space' && each.payload.space_id === space.id && each.state !== 'failed')
    .map((each) => each.payload.fields);
  return Object.assign({}, space, ...fields);
}
