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
  app.model.freshGroups.delete(spaceId);
  await app.model.reload();
}

/* One place up or down among the groups. */
export async function stepGroup(app, space, { id }, step) {
  const groups = moved(app.model.groups.get(space.id), id, step);
  app.model.groups.set(space.id, groups.map((each, place) => ({ ...each, place })));
  app.model.changed();
  tellPlace(app, groups, id);
  for (const [place, each] of groups.entries()) {
    if (each.place !== place && !(await app.now('PATCH', `/v1/spaces/${space.id}/groups/${each.id}`, { client_id: newId(), place }))) return readAnew(app, space.id);
  }
  return null;
}

function moved(list, id, step) {
  const at = list.findIndex((each) => each.id === id);
  const others = list.filter((each) => each.id !== id);
  others.splice(Math.max(0, Math.min(others.length, at + step)), 0, list[at]);
  return others;
}

function tellPlace(app, list, id) {
  const at = list.findIndex((each) => each.id === id);
  app.side.tell(text('side.moved', { name: list[at].name, place: at + 1 }));
}

/* One place up or down in its group. */
export async function stepRoom(app, { id }, step) {
  const room = app.model.rooms.get(id);
  const rooms = moved(roomsIn(app, room.space, room.group), id, step);
  tellPlace(app, rooms, id);
  await arrange(app, room.group, rooms);
}

/* Into the group above or below. */
export async function stepRoomGroup(app, { id }, step) {
  const room = app.model.rooms.get(id);
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
  const isIn = (each) => (known.has(group) ? each.group === group : !known.has(each.group));
  return [...app.model.rooms.values()].filter((each) => each.space === spaceId && !each.archived_at_ms && isIn(each)).sort((a, b) => a.place - b.place || Number(a.id) - Number(b.id));
}

/* Have channels stand in a group in this order. */
async function arrange(app, group, rooms) {
  const { model } = app;
  if (!rooms.length || !(RANKS[model.spaces.get(rooms[0].space)?.role] >= RANKS.admin)) return;
  const changes = rooms.map((room, place) => ({ room, was: { group: room.group, place: room.place }, to: { group, place } })).filter(({ room, to }) => room.group !== group || room.place !== to.place);
  for (const { room, to } of changes) {
    Object.assign(room, to);
    model.moved.set(room.id, to); // what is read meanwhile may not know it yet
  }
  model.changed();
  arranging = arranging.then(() => bring(app, changes));
  await arranging;
}

let arranging = Promise.resolve();

/* One after the other, in the order in which they were done. */
async function bring(app, changes) {
  const { model } = app;
  let isRefused = false;
  for (const { room: { id }, was, to } of changes) {
    const fields = { group: to.group ?? '', place: to.place };
    isRefused ||= !(await app.now('PATCH', `/v1/rooms/${id}`, { client_id: newId(), fields }));
    if (model.moved.get(id) !== to) continue;
    model.moved.delete(id);
    if (isRefused && model.rooms.has(id)) Object.assign(model.rooms.get(id), was);
  }
  model.changed();
  if (isRefused) await model.reload();
}
