/* Somebody else changed a space's settings meanwhile: what is left of an update, as chat/sync/space_merge.py has it;
 * tests/vectors/settings.json holds the two together. Pure. */

import { canonical } from './settings_document.js';

/* What of an update made at `atMs`, of fields that were `base` then, still has to be done, and which fields both changed:
 * of those the later change counts. `theirs`: {settings, updated_at_ms}, as the server has them. */
export function restOf(fields, base, theirs, atMs) {
  const left = {};
  const conflicts = [];
  const wasMine = theirs.updated_at_ms > atMs;
  for (const [name, mine] of Object.entries(fields)) {
    const [there, before] = [theirs.settings, base].map((each) => each[name] ?? null);
    if (canonical(mine) === canonical(there)) continue;
    const isConflict = canonical(there) !== canonical(before);
    if (!isConflict || !wasMine) left[name] = mine;
    if (!isConflict) continue;
    const [kept, lost] = wasMine ? [there, mine] : [mine, there];
    conflicts.push({ name, kept, lost, lost_at_ms: wasMine ? atMs : theirs.updated_at_ms, was_mine: wasMine });
  }
  return { fields: left, conflicts };
}
