/* The groups that a space's channels stand in: made, renamed, taken away, moved; and channels moved within and between
 * them. What is moved stands there at once; if the server refuses, it says why, and all is read anew. */

import './words.js';
import { newId } from '../outbox/rules.js';
import { RANKS } from '../page/projection.js';
import { text } from '../page/texts.js';
import { ask } from './dialogs.js';

const NAME = { label: text('dialog.name'), required: true, most: 100 };

export async function newGroup(app, space) {
  const said = await ask(text('side.new_group', { name: space.name }), { name: NAME });
  if (!said || !(await app.now('POST', `/v1/spaces/${space.id}/groups`, { client_id: newId(), name: said.name }))) return;
  await readAnew(app, space.id);
}

export async function changeGroup(app, space, group) {
  const said = await ask(text('side.change_group', { name: group.name }), { name: { ...NAME, value: group.name }, gone: { label: text('group.take_away'), type: 'checkbox' } });
  if (!said) return;
  const path = `/v1/spaces/${space.id}/groups/${group.id}`;
  if (said.gone) await app.now('DELETE', `${path}?client_id=${newId()}`);
  else if (said.name !== group.name) await app.now('PATCH', path, { client_id: newId(), name: said.name });
  await readAnew(app, space.id);
}

async function readAnew(app, spaceId) {
  app.model.groups.delete(spaceId);
  await app.model.load();
}

/* One place up or down among the groups. */
export async function stepGroup(app, space, group, step) {
  const groups = moved(app.model.groups.get(space.id), group, step);
  app.model.groups.set(space.id, groups.map((each, place) => ({ ...each, place })));
  app.model.changed();
  app.side.tell(text('side.moved', { name: group.name, place: groups.indexOf(group) + 1 }));
  for (const [place, each] of groups.entries()) {
    if (each.place !== place && !(await app.now('PATCH', `/v1/spaces/${space.id}/groups/${each.id}`, { client_id: newId(), place }))) return readAnew(app, space.id);
  }
  return null;
}

function moved(list, what, step) {
  const at = list.indexOf(what);
  const others = list.filter((each) => each !== what);
  others.splice(Math.max(0, Math.min(others.length, at + step)), 0, what);
  return others;
}

/* One place up or down in its group. */
export async function stepRoom(app, room, step) {
  const rooms = moved(roomsIn(app, room.space, room.group), room, step);
  app.side.tell(text('side.moved', { name: room.name, place: rooms.indexOf(room) + 1 }));
  await arrange(app, room.group, rooms);
}

/* Into the group above or below. */
export async function stepRoomGroup(app, room, step) {
  const ids = [null, ...(app.model.groups.get(room.space) ?? []).map((each) => each.id)];
  const group = ids[Math.max(0, Math.min(ids.length - 1, ids.indexOf(room.group) + step))];
  if (group === room.group) return;
  app.side.tell(text('group.now_in', { name: room.name, group: app.model.groups.get(room.space).find((each) => each.id === group)?.name ?? '–' }));
  await arrange(app, group, [...roomsIn(app, room.space, group), room]);
}

/* A channel was dropped on a group, or before another channel. `said` names it. */
export async function dropRoom(app, said, spaceId, group, before) {
  const room = app.model.rooms.get(said.replace('room:', ''));
  if (!said.startsWith('room:') || room?.space !== spaceId || room.id === before) return;
  const rooms = roomsIn(app, spaceId, group).filter((each) => each !== room);
  const at = rooms.findIndex((each) => each.id === before);
  rooms.splice(at < 0 ? rooms.length : at, 0, room);
  await arrange(app, group, rooms);
}

function roomsIn(app, spaceId, group) {
  const known = new Set((app.model.groups.get(spaceId) ?? []).map((each) => each.id));
  const isIn = (each) => (group === null ? !known.has(each.group) : each.group === group);
  return [...app.model.rooms.values()].filter((each) => each.space === spaceId && !each.archived_at_ms && isIn(each)).sort((a, b) => a.place - b.place || Number(a.id) - Number(b.id));
}

/* Have channels stand in a group in this order. */
async function arrange(app, group, rooms) {
  const { model } = app;
  if (!rooms.length || !(RANKS[model.spaces.get(rooms[0].space)?.role] >= RANKS.admin)) return;
  const changes = rooms.map((room, place) => ({ room, place })).filter(({ room, place }) => room.group !== group || room.place !== place);
  for (const { room, place } of changes) Object.assign(room, { group, place });
  model.changed();
  for (const { room, place } of changes) {
    if (!(await app.now('PATCH', `/v1/rooms/${room.id}`, { client_id: newId(), fields: { group: group ?? '', place } }))) {
      await model.load();
      return;
    }
  }
}
