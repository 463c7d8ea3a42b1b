/* The user's settings as one document, and what two devices' changes become: as chat/sync/document.py and merge.py have
 * them; tests/vectors/settings.json holds the two together. Pure. Fields: `folders`, `sidebar`, `preferences.NAME`,
 * `bookmarks.MESSAGE`; one that was taken away stays with the value null. */

export const SCHEMA = 1;
export const EMPTY = { schema: SCHEMA, fields: {} };
const MAX_FIELD_COUNT = 10000;
const MAX_DOCUMENT_BYTES = 1048576;

export class SettingsRefused extends Error {
  constructor(code) {
    super(code);
    this.code = code;
  }
}

/* JSON of a value, the same for the same value: names in the order of their code points. */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  return `{${Object.keys(value).sort(byCodePoint).map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(',')}}`;
}

function byCodePoint(a, b) {
  const [one, other] = [[...a], [...b]];
  for (let at = 0; at < Math.min(one.length, other.length); at += 1) {
    const step = one[at].codePointAt(0) - other[at].codePointAt(0);
    if (step) return step;
  }
  return one.length - other.length;
}

/* The document as bytes. Raises SettingsRefused if it is too large. */
export function written({ schema, fields }) {
  const all = Object.keys(fields).sort(byCodePoint).map((name) => `${JSON.stringify(name)}:{"value":${canonical(fields[name].value)},"at_ms":${fields[name].at_ms}}`);
  const data = new TextEncoder().encode(`{"schema":${schema},"fields":{${all.join(',')}}}`);
  if (data.length > MAX_DOCUMENT_BYTES || all.length > MAX_FIELD_COUNT) throw new SettingsRefused('settings_too_large');
  return data;
}

/* The document that `written` made. Raises SettingsRefused if a later program did, or it is none. */
export function read(data) {
  let plain;
  try {
    plain = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(data));
  } catch {
    throw new SettingsRefused('settings_invalid');
  }
  if (!Number.isInteger(plain?.schema) || plain.schema < SCHEMA || typeof plain.fields !== 'object') throw new SettingsRefused('settings_invalid');
  if (plain.schema > SCHEMA) throw new SettingsRefused('settings_too_new');
  return { schema: plain.schema, fields: plain.fields };
}

/* With fields changed at `atMs`; a change is later than what it replaces, whatever the clock says. */
export function withChanges({ schema, fields }, changes, atMs) {
  const after = { ...fields };
  for (const [name, value] of Object.entries(changes)) {
    const former = fields[name];
    if (!former || canonical(former.value) !== canonical(value)) after[name] = { value, at_ms: Math.max(atMs, former ? former.at_ms + 1 : 0) };
  }
  return { schema, fields: after };
}

/* The values of `mine` that `base` has not. */
export function changes(base, mine) {
  return Object.fromEntries(Object.entries(mine.fields).filter(([name, field]) => !base.fields[name] || !isSame(base.fields[name], field)).map(([name, field]) => [name, field.value]));
}

/* `mine` and `theirs` together, both having begun with `base`; a field changed on both sides is told as a conflict. */
export function merged(base, mine, theirs) {
  const fields = {};
  const conflicts = [];
  const names = [...new Set([base, mine, theirs].flatMap((each) => Object.keys(each.fields)))].sort(byCodePoint);
  for (const name of names) {
    const [was, one, other] = [base, mine, theirs].map((each) => each.fields[name]);
    const kept = keptOf(was, one, other);
    if (!kept) continue;
    fields[name] = kept.field;
    if (kept.lost) conflicts.push({ name, kept: kept.field.value, lost: kept.lost.value, lost_at_ms: kept.lost.at_ms, was_mine: kept.lost === one });
  }
  return { document: { schema: SCHEMA, fields }, conflicts };
}

function keptOf(was, one, other) {
  if (!one || !other) return one || other ? { field: one ?? other } : null;
  if (canonical(one.value) === canonical(other.value)) return { field: one.at_ms >= other.at_ms ? one : other };
  if (was && isSame(one, was)) return { field: other };
  if (was && isSame(other, was)) return { field: one };
  return isLater(one, other) ? { field: one, lost: other } : { field: other, lost: one };
}

function isSame(one, other) {
  return one.at_ms === other.at_ms && canonical(one.value) === canonical(other.value);
}

/* Which change counts; of two at the same moment the same one for both sides. */
function isLater(one, other) {
  if (one.at_ms !== other.at_ms) return one.at_ms > other.at_ms;
  return byCodePoint(canonical(one.value), canonical(other.value)) > 0;
}
