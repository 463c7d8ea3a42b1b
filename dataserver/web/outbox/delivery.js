/* How each type of action is brought to the server, and how it is asked about one whose answer was lost. */

import { call } from '../net/api.js';

const part = encodeURIComponent;

function room(payload) {
  return `/v1/rooms/${part(payload.room_id)}`;
}

function member(payload) {
  return `/v1/spaces/${part(payload.space_id)}/members/${part(payload.user_id)}`;
}

function toggled(isOn, path, id) {
  return isOn ? call('PUT', path, { client_id: id }) : call('DELETE', `${path}?client_id=${part(id)}`);
}

const ROUTES = {
  'send-message': (p, id, order) => call('POST', `${room(p)}/messages`, {
    client_id: id, content: p.content, reply_to: p.reply_to_id ?? null, ...(order ?? {}),
  }),
  'edit-message': (p, id) => call('PATCH', `${room(p)}/messages/${part(p.message_id)}`, { client_id: id, content: p.content }),
  'delete-message': (p, id) => call('DELETE', `${room(p)}/messages/${part(p.message_id)}?client_id=${part(id)}`),
  reaction: (p, id) => toggled(p.is_on, `${room(p)}/messages/${part(p.message_id)}/reactions/${part(p.emoji)}`, id),
  'pin-message': (p, id) => toggled(true, `${room(p)}/pins/${part(p.message_id)}`, id),
  'unpin-message': (p, id) => toggled(false, `${room(p)}/pins/${part(p.message_id)}`, id),
  'update-profile': (p, id) => call('PATCH', '/v1/me/profile', { client_id: id, fields: p.fields }),
  'kick-user': (p, id) => call('DELETE', `${member(p)}?client_id=${part(id)}`),
  'mute-user': (p, id) => call('PUT', `${member(p)}/mute`, { client_id: id }),
  'unmute-user': (p, id) => call('DELETE', `${member(p)}/mute?client_id=${part(id)}`),
  'join-space': (p, id) => call('POST', `/v1/spaces/${part(p.space_id)}/join`, { client_id: id }),
  'leave-space': (p, id) => call('POST', `/v1/spaces/${part(p.space_id)}/leave`, { client_id: id }),
};

/* Have another way of delivery for a type; `way(payload, client_id, order, created_at_ms)` raises CallFailed. */
export function delivers(type, way) {
  ROUTES[type] = way;
}

export function canDeliver(type) {
  return type in ROUTES;
}

/* The server's answer; `order` is the number of a send. Raises CallFailed. */
export function deliver(action, order = null) {
  return ROUTES[action.type](action.payload, action.client_id, order, action.created_at_ms);
}

/* The stored answer to an action, null if the server has never seen it. Raises CallFailed. */
export async function ask(action) {
  try {
    return (await call('GET', `/v1/actions/${part(action.client_id)}`)).result;
  } catch (error) {
    if (error.kind === 'target_gone') return null;
    throw error.kind === 'answer_lost' ? Object.assign(error, { kind: 'unreachable' }) : error;
  }
}

export function voided(action, order) {
  return call('POST', `${room(action.payload)}/void`, order);
}
