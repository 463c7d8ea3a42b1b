/* Spaces, channels and folders are made and joined, and people are given roles. */

import './words.js';
import { newId } from '../outbox/rules.js';
import { text } from '../page/texts.js';
import { ask } from './dialogs.js';
import { addFolder } from './moves.js';

const NAME = { label: text('dialog.name'), required: true, most: 100 };

export async function newSpace(app) {
  const said = await ask(text('side.new_space'), { name: NAME, description: { label: text('dialog.description') }, is_open: { label: text('dialog.open'), type: 'checkbox' } });
  const made = said && await app.now('POST', '/v1/spaces', { client_id: newId(), ...said });
  if (!made) return;
  const room = await app.now('POST', `/v1/spaces/${made.id}/rooms`, { client_id: newId(), name: 'general' });
  await app.model.reload();
  if (room) app.openRoom(room.id);
}

export async function newRoom(app, space) {
  const said = await ask(text('side.new_channel', { name: space.name }), { name: NAME, topic: { label: text('dialog.topic') } });
  const made = said && await app.now('POST', `/v1/spaces/${space.id}/rooms`, { client_id: newId(), ...said });
  if (!made) return;
  await app.model.reload();
  app.openRoom(made.id);
}

/* Its name and topic, and whether it is archived: then it is read, and not written to. */
export async function changeRoom(app, room) {
  const said = await ask(text('room.settings', { name: room.name }), {
    name: { ...NAME, value: room.name }, topic: { label: text('dialog.topic'), value: room.topic }, is_archived: { label: text('dialog.archive'), type: 'checkbox', value: Boolean(room.archived_at_ms) },
  });
  const before = { name: room.name, topic: room.topic, is_archived: Boolean(room.archived_at_ms) };
  const fields = Object.fromEntries(Object.entries(said ?? {}).filter(([name, value]) => value !== before[name]));
  if (!Object.keys(fields).length || !(await app.now('PATCH', `/v1/rooms/${room.id}`, { client_id: newId(), fields }))) return;
  await app.model.reload();
}

export async function joinSpace(app) {
  const said = await ask(text('side.join'), { id: { label: text('dialog.space_id'), required: true } });
  if (!said) return;
  if (/^\d+$/.test(said.id)) app.act('join-space', { space_id: said.id, was: false });
  else if (await app.now('POST', `/v1/invites/${encodeURIComponent(said.id)}/join`, { client_id: newId() })) await app.model.reload();
}

export async function newFolder(app) {
  const said = await ask(text('side.new_folder'), { name: { label: text('side.rename_folder'), required: true, most: 64 } });
  if (said?.name) addFolder(app.order, said.name, newId());
  app.side.show();
}

export async function changeRole(app, space, member, role) {
  await app.now('PATCH', `/v1/spaces/${space.id}/members/${member.user}`, { client_id: newId(), role });
  await app.model.loadMembers(space.id).catch((error) => console.info('not read', error.code));
}

export async function openDirect(app, user) {
  const made = await app.now('POST', '/v1/direct', { client_id: newId(), user });
  if (!made) return;
  await app.model.reload();
  app.openRoom(made.room_id ?? made.room ?? [...app.model.rooms.values()].find((each) => each.space === made.id)?.id);
}
