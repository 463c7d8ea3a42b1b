/* Changes of a space's settings are brought to the server; what somebody else changed meanwhile is merged field by field,
 * and of what both changed the user is told what did not count. */

import './words.js';
import { CallFailed, call } from '../net/api.js';
import { text } from '../page/texts.js';
import { summaryOf } from './conflict_words.js';
import { restOf } from './space_merge.js';

const TYPE = 'update-space';
const TRIES = 5;
const TOLD_MS = 30000;
const NAMES = { name: 'dialog.name', description: 'dialog.description', role_names: 'space.role_names', emoji: 'space.emoji', stickers: 'space.stickers' };

/* Show what became of changes, whichever tab delivers them, from now on. */
export function follow(app) {
  if (app.followsSpaces) return;
  app.followsSpaces = true;
  app.outbox.addEventListener('ended', ({ detail: { action, result } }) => {
    if (action?.type === TYPE && action.account === app.model.me?.id && result) show(app, action.payload, result);
  });
}

/* An answer is as good as its event; of what was merged, the rest is read. */
function show(app, { space_id: id, fields }, { version, conflicts = [] }) {
  const { model, toasts } = app;
  for (const each of conflicts) toasts.say(told(model.spaces.get(id)?.name, each), each.was_mine ? 'problem' : '', TOLD_MS);
  app.dispatchEvent(new CustomEvent('space.merged', { detail: { id, conflicts } }));
  const details = model.details.get(id);
  if (conflicts.length) model.loadDetails(id).catch((error) => console.info('settings of the space were not read', error.code));
  else if (details && version > details.version) model.details.set(id, { ...details, ...fields, version });
}

function told(space, { name, lost, was_mine: wasMine }) {
  return text(wasMine ? 'space.mine_lost' : 'space.theirs_lost', { space, field: text(NAMES[name] ?? name), lost: summaryOf(lost) });
}

/* Change settings as the user did at `atMs`, from the version that was seen. Raises CallFailed: a conflict, if the change
 * does not say what the fields were. */
export async function update(app, payload, clientId, atMs) {
  follow(app);
  let { fields, base_version: version = null } = payload;
  let conflicts = [];
  for (let tries = 0; tries < TRIES; tries += 1) {
    try {
      const answer = await call('PATCH', `/v1/spaces/${encodeURIComponent(payload.space_id)}`, { client_id: clientId, fields }, { version });
      return conflicts.length ? { ...answer, conflicts } : answer;
    } catch (error) {
      if (error.code !== 'version_conflict' || !payload.base) throw error;
      const { current } = error.details;
      ({ fields, conflicts } = restOf(payload.fields, payload.base, current, atMs));
      ({ version } = current);
      if (!Object.keys(fields).length) return { version, conflicts };
    }
  }
  throw new CallFailed('transient', 'version_conflict', text('space.always_changed'));
}
