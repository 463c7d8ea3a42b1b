/* The user's settings here and at the server, as chat/sync/settings_sync.py has them: changed here at once, kept in the
 * browser's store, and brought to the server by the outbox once the user has allowed it. Of a field that was changed on two
 * devices the later change counts; the other is kept, and the user is told. */

import './words.js';
import { CallFailed, call } from '../net/api.js';
import { text } from '../page/texts.js';
import { take } from './moves.js';
import { EMPTY, SettingsRefused, changes, merged, withChanges } from './settings_document.js';
import { ALGORITHM, asText, keysOf, opened, sealed } from './settings_seal.js';

const PATH = '/v1/me/settings';
const TYPE = 'save-user-config';
const CHANNEL = 'chat-settings';
const TRIES = 5;
const MAX_LOST = 50;
const NOTHING = { document: EMPTY, base: EMPTY, version: 0, keys: null, is_registered: false, lost: [] };
const SAID = { settings_forged: 'settings.forged', settings_too_new: 'settings.too_new', settings_wrong_key: 'settings.wrong_key' };

/* Take over what other devices and tabs save, from now on. */
export function follow(app) {
  const { model } = app;
  app.settingsChannel = new BroadcastChannel(CHANNEL);
  app.settingsChannel.onmessage = async ({ data }) => {
    if (data.account !== model.me?.id) return;
    apply(app, (await stateOf(app)).document);
    tellOf(app, data.conflicts);
  };
  const begin = async () => {
    const state = await stateOf(app);
    apply(app, state.document);
    if (state.version) await fetchAnew(app);
  };
  model.addEventListener('settings.saved', () => fetchAnew(app));
  model.addEventListener('contact', begin);
  app.addEventListener('entered', begin);
  if (model.me) begin();
}

function nameOf(app) {
  return `settings:${app.model.me.id}`;
}

export async function stateOf(app) {
  return await app.store.seen(nameOf(app)) ?? NOTHING;
}

function revise(app, turn) {
  return app.store.revise(nameOf(app), (found) => ({ ...(found ?? NOTHING), ...turn(found ?? NOTHING) }));
}

/* Change fields here; they go on to the server if that is allowed. */
export async function change(app, fields) {
  let changed = {};
  const state = await revise(app, ({ document: before }) => {
    const document = withChanges(before, fields, Date.now());
    changed = changes(before, document);
    return { document };
  });
  if (!Object.keys(changed).length) return;
  app.settingsChannel?.postMessage({ account: app.model.me.id, conflicts: [] });
  if (state.keys) app.act(TYPE, { fields: changed });
}

/* Let the settings leave this device, sealed by the key of this seed; raises SettingsRefused if it is none. */
export async function allow(app, seed) {
  const keys = await keysOf(seed);
  const state = await revise(app, () => ({ keys, is_registered: false }));
  app.act(TYPE, { fields: changes(state.base, state.document) });
}

/* Keep them here from now on; what the server has stays there. */
export function forbid(app) {
  return revise(app, () => ({ keys: null }));
}

export function forgetLost(app, one) {
  return revise(app, ({ lost }) => ({ lost: lost.filter((each) => each.name !== one.name || each.lost_at_ms !== one.lost_at_ms) }));
}

/* Bring what is here to the server, with what came there meanwhile. Raises CallFailed. */
export async function upload(app, clientId) {
  try {
    return await uploaded(app, clientId);
  } catch (error) {
    if (!(error instanceof SettingsRefused)) throw error;
    throw new CallFailed('permanent', error.code, text(SAID[error.code] ?? error.code));
  }
}

async function uploaded(app, clientId) {
  let state = await stateOf(app);
  if (!state.keys) return { is_synced: false };
  if (!state.is_registered) {
    await call('POST', '/v1/me/signing-keys', { client_id: `${clientId}-key`, algorithm: ALGORITHM, public_key: asText(state.keys.public_key) });
    await revise(app, () => ({ is_registered: true }));
  }
  const conflicts = [];
  for (let tries = 0; tries < TRIES; tries += 1) {
    const { document: mine, version, keys } = state;
    const body = { client_id: `${clientId}/${version}`, ...await sealed(keys, app.model.me.id, mine, version + 1) };
    let answer = null;
    try {
      answer = await call('PUT', PATH, body, { version });
    } catch (error) {
      if (error.code !== 'version_conflict') throw error;
      conflicts.push(...await takeOver(app, error.details.current));
    }
    if (answer?.duplicate) conflicts.push(...await fetched(app)); // an earlier state of these settings was saved
    else if (answer) await revise(app, () => ({ base: mine, version: answer.version }));
    state = await stateOf(app);
    const isDone = answer !== null || (state.version > 0 && !Object.keys(changes(state.base, state.document)).length);
    if (isDone) return { is_synced: true, version: state.version, conflicts };
  }
  throw new CallFailed('transient', 'settings_conflict', '');
}

async function fetched(app) {
  const { keys } = await stateOf(app);
  return keys ? takeOver(app, await call('GET', PATH)) : [];
}

async function fetchAnew(app) {
  try {
    await fetched(app);
  } catch (error) {
    if (error instanceof SettingsRefused) app.toasts.say(text(SAID[error.code] ?? error.code), 'problem');
    else if (error instanceof CallFailed) console.info('settings were not read', error.code);
    else throw error;
  }
}

/* Merge what the server has, sealed; returns what was changed on both sides. */
async function takeOver(app, current) {
  if (!current) {
    await revise(app, () => ({ base: EMPTY, version: 0 }));
    return [];
  }
  const { keys } = await stateOf(app);
  const theirs = await opened(keys, app.model.me.id, current);
  let conflicts = [];
  const state = await revise(app, ({ base, document, version, lost }) => {
    if (current.version <= version) return {};
    const found = merged(base, document, theirs);
    conflicts = found.conflicts;
    return { document: found.document, base: theirs, version: current.version, lost: [...conflicts, ...lost].slice(0, MAX_LOST) };
  });
  apply(app, state.document);
  app.settingsChannel?.postMessage({ account: app.model.me.id, conflicts });
  tellOf(app, conflicts);
  return conflicts;
}

export function nameOfField(name) {
  return text(`field.${name.split('.')[0]}`);
}

function tellOf(app, conflicts) {
  const names = [...new Set(conflicts.map((each) => nameOfField(each.name)))].join(', ');
  if (names) app.toasts.say(text('settings.conflict', { names }));
}

/* Have the page as its settings say. */
export function apply(app, { fields }) {
  const { folders, sidebar } = fields;
  if (folders || sidebar) app.store.keep('order', take(app.order, { folders: folders?.value ?? [], sidebar: sidebar?.value ?? [] }));
  for (const [name, { value }] of Object.entries(fields)) if (name.startsWith('bookmarks.')) mark(app, name.slice(10), value);
  app.store.keep('bookmarks', [...app.bookmarks]);
  const theme = fields['preferences.theme']?.value ?? 'system';
  app.store.keep('theme', theme);
  app.wear(theme);
  app.showSoon();
}

function mark(app, id, value) {
  if (value === null) app.bookmarks.delete(id);
  else if (!app.bookmarks.has(id)) {
    const message = { id, seq: value.seq ?? 0, content: null, sender: '', sender_name: '', created_at_ms: 0 };
    app.bookmarks.set(id, { message, room: value.room, isPlace: true });
  }
}
