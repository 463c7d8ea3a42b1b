/* What several pending actions about one thing become. The law: the server ends in the same state as if every action had
 * been delivered. An action that was ever handed over (`was_called`) is never changed nor taken back unseen. */

function plan(payload, more = {}) {
  return { carrier: null, payload, replaced: [], annihilated: [], is_nothing: false, ...more };
}

/* What becomes of a new action of `kind` and of the `pending` ones about the same thing, oldest first;
 * `isAnotherOpen`: there are others about it, under way or of unknown outcome. */
export function planned(kind, payload, pending, isAnotherOpen = false) {
  if (kind.coalescing === 'edit') return edited(payload, pending);
  if (kind.coalescing === 'delete') return deleted(payload, pending);
  if (kind.coalescing === 'toggle') return toggled(kind, payload, pending, isAnotherOpen);
  if (kind.coalescing === 'fields') return merged(payload, pending);
  if (kind.coalescing === 'replace') return takingOver(payload, pending);
  return plan(payload);
}

function isUnsent(each, messageId) {
  return each.type === 'send-message' && each.client_id === messageId && !each.was_called;
}

function edited(payload, pending) {
  const edits = pending.filter((each) => each.type === 'edit-message');
  const unsent = pending.find((each) => isUnsent(each, payload.message_id));
  if (unsent) return plan({ ...unsent.payload, content: payload.content }, { carrier: unsent, replaced: edits });
  return takingOver(payload, edits);
}

function deleted(payload, pending) {
  const about = pending.filter((each) => each.type !== 'send-message' && each.type !== 'delete-message');
  const earlier = pending.filter((each) => each.type === 'delete-message');
  const unsent = pending.find((each) => isUnsent(each, payload.message_id));
  if (unsent) return plan(payload, { annihilated: [unsent, ...about, ...earlier], is_nothing: true });
  if (earlier.length) return plan(earlier[0].payload, { carrier: earlier[0], annihilated: about });
  return plan(payload, { annihilated: about });
}

function toggled(kind, payload, pending, isAnotherOpen) {
  if (!pending.length) return plan(isAnotherOpen ? { ...payload, was: null } : payload);
  const first = pending[0].payload;
  const isOn = kind.is_on ?? payload.is_on;
  const untouched = !pending.some((each) => each.was_called);
  const was = untouched ? (first.was ?? null) : null;
  if (was !== null && was === isOn) return plan(payload, { annihilated: pending, is_nothing: true });
  return plan({ ...payload, was }, { replaced: pending });
}

function merged(payload, pending) {
  const fields = Object.assign({}, ...pending.map((each) => each.payload.fields), payload.fields);
  const versions = [...pending.map((each) => each.payload.base_version), payload.base_version];
  const together = { ...payload, fields, base_version: versions.find((each) => (each ?? null) !== null) ?? null };
  if ('base' in payload) together.base = seenFirst([...pending.map((each) => each.payload), payload]);
  return takingOver(together, pending);
}

/* What each field was when it was first changed; null if one of the updates does not say. */
function seenFirst(updates) {
  if (updates.some((each) => (each.base ?? null) === null)) return null;
  return Object.assign({}, ...updates.map((each) => each.base).reverse());
}

/* The oldest one that the server can't know carries `payload`; without such a one, the new action does. */
function takingOver(payload, pending) {
  const place = pending.findIndex((each) => !each.was_called);
  if (place < 0) return plan(payload, { replaced: pending });
  return plan(payload, { carrier: pending[place], replaced: pending.filter((_, index) => index !== place) });
}
