/* The page's settings against the vectors that chat/sync wrote: the same bytes, seals and merges. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import * as page from '../../../dataserver/web/later/settings_document.js';
import * as seal from '../../../dataserver/web/later/settings_seal.js';
import { restOf } from '../../../dataserver/web/later/space_merge.js';

const cases = JSON.parse(readFileSync(new URL('../../vectors/settings.json', import.meta.url)));
const bytesOf = (hex) => new Uint8Array(Buffer.from(hex, 'hex'));

test('a document is written as the same bytes, and read again', () => {
  for (const { document, written } of cases.documents) {
    assert.equal(new TextDecoder().decode(page.written(document)), written);
    assert.deepEqual(page.read(new TextEncoder().encode(written)), document);
  }
});

test('what a later program wrote, or nobody, is not read', () => {
  for (const [text, code] of [['{"schema":2,"fields":{}}', 'settings_too_new'], ['{}', 'settings_invalid'], ['nothing', 'settings_invalid']]) {
    assert.throws(() => page.read(new TextEncoder().encode(text)), { code });
  }
});

test('a seed gives the same keys, none of which can be taken out again', async () => {
  for (const { seed, public_key: publicKey, key_id: keyId } of cases.keys) {
    const keys = await seal.keysOf(bytesOf(seed));
    assert.equal(Buffer.from(keys.public_key).toString('hex'), publicKey);
    assert.equal(Buffer.from(keys.key_id).toString('hex'), keyId);
    assert.deepEqual([keys.sign.extractable, keys.derive.extractable], [false, false]);
  }
  await assert.rejects(seal.keysOf(new Uint8Array(31)), { code: 'settings_wrong_key' });
});

test('contexts are the same bytes', () => {
  for (const { parts, bytes } of cases.contexts) assert.equal(Buffer.from(seal.context(parts)).toString('hex'), bytes);
});

test('what is sealed under the same session is the same, signature and all', async () => {
  for (const { seed, account, session, document, sealed } of cases.sealed) {
    const keys = await seal.keysOf(bytesOf(seed));
    assert.deepEqual(await seal.sealed(keys, account, document, sealed.version, bytesOf(session)), sealed);
    assert.deepEqual(await seal.opened(keys, account, sealed), document);
    assert.notEqual((await seal.sealed(keys, account, document, 1)).ciphertext, (await seal.sealed(keys, account, document, 1)).ciphertext);
  }
});

test('what was changed on the way, or is of another account, version or key, is not used', async () => {
  const [{ seed, account, sealed }] = cases.sealed;
  const keys = await seal.keysOf(bytesOf(seed));
  const other = await seal.keysOf(bytesOf(cases.keys[1].seed));
  const flipped = seal.asBytes(sealed.ciphertext);
  flipped[60] ^= 1;
  const tries = [
    [keys, account, { ...sealed, version: 99 }], [keys, '1', sealed], [other, account, sealed], [keys, account, { ...sealed, algorithm: 'ed448' }],
    [keys, account, { ...sealed, ciphertext: seal.asText(flipped) }], [keys, account, { ...sealed, ciphertext: 'no base64!' }], [keys, account, { ...sealed, ciphertext: '' }],
  ];
  for (const each of tries) await assert.rejects(seal.opened(...each), { code: 'settings_forged' });
});

test('a message that is signed but was sealed for another account does not open', async () => {
  const [{ seed, document }] = cases.sealed;
  const keys = await seal.keysOf(bytesOf(seed));
  const theirs = await seal.sealed(keys, '1', document, 1);
  const message = seal.signedBytes('2', 1, seal.asBytes(theirs.ciphertext));
  const signature = seal.asText(new Uint8Array(await crypto.subtle.sign('Ed25519', keys.sign, message)));
  await assert.rejects(seal.opened(keys, '2', { ...theirs, signature }), { code: 'settings_forged' });
});

test('changes have the same times and are told alike', () => {
  for (const each of cases.changes) {
    assert.deepEqual(page.withChanges(each.before, each.said, each.at_ms), each.after);
    assert.deepEqual(page.changes(each.before, each.after), each.changes);
  }
});

test('two devices come to the same settings as in Python, with the same conflicts', () => {
  assert.ok(cases.merges.some((each) => each.conflicts.length));
  for (const { base, mine, theirs, document, conflicts } of cases.merges) {
    assert.deepEqual(page.merged(base, mine, theirs), { document, conflicts });
    assert.deepEqual(page.merged(base, theirs, mine).document, document);
  }
});

test('of an update of a space that somebody else changed the same is left as in Python, and the same is told', () => {
  assert.ok(cases.space_merges.some((each) => each.rest.conflicts.some((told) => told.was_mine)));
  for (const { fields, base, theirs, at_ms: atMs, rest } of cases.space_merges) assert.deepEqual(restOf(fields, base, theirs, atMs), rest);
});
