/* Names and pictures of those one shares a space with. A change of them is told to nobody, so it is asked for: when the
 * page has opened, when the connection is back, and now and then while it is looked at. Pictures of whoever is shown are
 * fetched once and kept by their tags, so they are there without a connection too. */

import { CallFailed, call } from '../net/api.js';

const EVERY_MS = 60000;
const PAGE_COUNT = 100;
const MAX_PICTURES = 300;

/* Keep names and pictures as they are at the server, from now on. */
export function follow(app) {
  const { model } = app;
  const soon = () => { if (model.me && document.visibilityState === 'visible') refresh(app); };
  model.addEventListener('contact', soon);
  model.addEventListener('user.changed', soon);
  model.addEventListener('change', () => loadWanted(app));
  app.addEventListener('entered', soon);
  document.addEventListener('visibilitychange', soon);
  setInterval(soon, EVERY_MS);
  loadWanted(app);
  if (model.me) refresh(app);
}

let refreshing = null;
let isAgain = false;

/* What has changed by the time of the call is known when this is done. */
export function refresh(app) {
  isAgain = true;
  refreshing ??= readAll(app).finally(() => { refreshing = null; });
  return refreshing;
}

async function readAll(app) {
  try {
    while (isAgain) {
      isAgain = false;
      await read(app);
    }
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error;
    console.info('names and pictures were not read', error.code);
  }
}

/* What is known of them: the tags of their pictures, their names, and up to where it was asked. */
async function known(app) {
  if (app.people) return app.people;
  const people = await app.store.seen('people') ?? { position: 0, tags: {}, names: {} };
  app.people ??= people;
  for (const [id, name] of Object.entries(people.names)) if (!app.model.names.has(id)) app.model.names.set(id, name);
  app.model.changed();
  return app.people;
}

async function read(app) {
  const { model } = app;
  const people = await known(app);
  for (;;) {
    const { users, position } = await call('GET', `/v1/users?changed_after=${people.position}&limit=${PAGE_COUNT}`);
    for (const each of users) {
      people.names[each.id] = each.display_name || each.name;
      model.names.set(each.id, people.names[each.id]);
      if ((people.tags[each.id] ?? null) === (each.avatar ?? null)) continue;
      forget(model, each.id);
      if (each.avatar) people.tags[each.id] = each.avatar;
      else delete people.tags[each.id];
      model.wanted.add(each.id);
    }
    people.position = position;
    if (users.length) {
      await app.store.keep('people', people);
      model.changed();
    }
    if (users.length < PAGE_COUNT) break;
  }
  await loadWanted(app);
}

function forget(model, id) {
  if (model.pictures.has(id)) URL.revokeObjectURL(model.pictures.get(id));
  model.pictures.delete(id);
}

/* The pictures of those who are shown and have one. */
async function loadWanted(app) {
  const { model } = app;
  if (!model.wanted.size) return;
  const wanted = [...model.wanted];
  model.wanted.clear();
  const { tags } = await known(app);
  for (const id of wanted) {
    if (!tags[id] || model.pictures.has(id) || model.pictures.size >= MAX_PICTURES) continue;
    const picture = await kept(app, id, tags[id]);
    if (!picture || model.pictures.has(id)) continue;
    model.pictures.set(id, URL.createObjectURL(picture));
    model.changed();
  }
}

async function kept(app, id, tag) {
  const found = await app.store.seen(`picture:${id}`);
  if (found?.tag === tag) return found.picture;
  try {
    const answer = await fetch(`/v1/users/${id}/avatar`, { credentials: 'same-origin' });
    if (!answer.ok) return null;
    const picture = await answer.blob();
    await app.store.keep(`picture:${id}`, { tag, picture });
    return picture;
  } catch (error) {
    console.info('a picture was not fetched', error.name);
    return null;
  }
}
