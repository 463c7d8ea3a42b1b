/* Spaces are moved within and between folders. The first half is pure but for `order.save`. */

import './words.js';
import { text } from '../page/texts.js';

export function addFolder(order, name, id = name) {
  if (order.folders.some((each) => each.name === name)) return;
  order.folders.splice(-1, 0, { id, name, closed: false, spaces: [] });
  order.save();
}

/* Put a space into a folder, before another one or at the end. */
export function place(order, spaceId, folderName, before) {
  for (const each of order.folders) each.spaces = each.spaces.filter((id) => id !== spaceId);
  const { spaces } = order.folders.find((each) => each.name === folderName);
  const at = before === null ? -1 : spaces.indexOf(before);
  spaces.splice(at < 0 ? spaces.length : at, 0, spaceId);
  order.save();
}

/* One place up or down in its folder; returns the place, from 1. */
export function step(order, spaceId, by) {
  const { spaces } = order.folders.find((each) => each.spaces.includes(spaceId));
  const at = spaces.indexOf(spaceId);
  const to = Math.max(0, Math.min(spaces.length - 1, at + by));
  spaces.splice(to, 0, ...spaces.splice(at, 1));
  order.save();
  return to + 1;
}

/* Into the next folder up or down; returns that folder's name, or a dash for none. */
export function stepFolder(order, spaceId, by) {
  const at = order.folders.findIndex((each) => each.spaces.includes(spaceId));
  const to = Math.max(0, Math.min(order.folders.length - 1, at + by));
  if (to !== at) place(order, spaceId, order.folders[to].name, null);
  return order.folders[to].name ?? '–';
}

/* Have the folders and the order that the user's settings say; which are closed is a matter of this device. */
export function take(order, { folders = [], sidebar = [] }) {
  const closed = new Set(order.folders.filter((each) => each.closed).map((each) => each.id));
  const placeOf = ({ id }) => (sidebar.includes(id) ? sidebar.indexOf(id) : sidebar.length);
  const named = folders.map((each) => ({ ...each, closed: closed.has(each.id) })).sort((a, b) => placeOf(a) - placeOf(b));
  const elsewhere = new Set(named.flatMap((each) => [each.id, ...each.spaces]));
  order.folders = [...named, { name: null, closed: false, spaces: sidebar.filter((id) => !elsewhere.has(id)) }];
  return { folders: order.folders };
}

/* A space was dropped into a folder, or before another one. `said` names it. */
export function dropSpace({ model, order, side }, said, folder, before) {
  const spaceId = said.replace('space:', '');
  if (!model.spaces.has(spaceId) || said === spaceId || spaceId === before) return;
  place(order, spaceId, folder, before);
  side.show();
}

export function stepSpace({ order, side }, space, by, isFolder) {
  const to = isFolder ? stepFolder(order, space.id, by) : step(order, space.id, by);
  side.show();
  side.tell(text('side.moved', { name: space.name, place: to }));
}
