/* Settings as they leave the device: encrypted for the user alone and signed, as chat/sync/sealing.py does it, under the
 * same labels; tests/vectors/settings.json holds the two together. All by the browser's own cryptography.
 *
 * The user's key is the seed of an Ed25519 key. What is kept of it can't be taken out of the browser again: a key that
 * signs, and one from which each message's key is derived (HKDF-SHA-512, a random session as salt). Every message has a
 * session of its own, so no pair of key and nonce can come twice. */

import { read, SettingsRefused, written } from './settings_document.js';

export const ALGORITHM = 'ed25519';
const SEED_BYTES = 32;
const KEY_ID_BYTES = 8;
const SESSION_BYTES = 24;
const HEAD_BYTES = 3 + KEY_ID_BYTES + SESSION_BYTES + 8;
const PKCS8_START = '302e020100300506032b657004220420';
const SETTINGS = 'chat.settings/1';
const ID_LABEL = 'workers.keys/1 id of a given key';
const MESSAGE_LABEL = 'workers.keys/1 message ';

const bytesOf = (text) => new TextEncoder().encode(text);

export function isSupported() {
  return globalThis.crypto?.subtle !== undefined;
}

export function newSeed() {
  return crypto.getRandomValues(new Uint8Array(SEED_BYTES));
}

export function asText(bytes) {
  return btoa(Array.from(bytes, (each) => String.fromCharCode(each)).join(''));
}

/* Raises SettingsRefused if it is no base64. */
export function asBytes(text) {
  try {
    return Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
  } catch {
    throw new SettingsRefused('settings_forged');
  }
}

/* What a device keeps of the user's key. Raises SettingsRefused if `seed` has another length. */
export async function keysOf(seed) {
  if (seed.length !== SEED_BYTES) throw new SettingsRefused('settings_wrong_key');
  const root = new Uint8Array(await crypto.subtle.digest('SHA-512', seed)).slice(0, SEED_BYTES);
  const settings = await derived(await hkdfKey(root), new Uint8Array(), bytesOf(SETTINGS), SEED_BYTES);
  const derive = await hkdfKey(settings);
  const pkcs8 = joined([Uint8Array.from(PKCS8_START.match(/../g), (each) => parseInt(each, 16)), seed]);
  const open = await crypto.subtle.importKey('pkcs8', pkcs8, { name: 'Ed25519' }, true, ['sign']);
  const { x } = await crypto.subtle.exportKey('jwk', open);
  return {
    derive,
    sign: await crypto.subtle.importKey('pkcs8', pkcs8, { name: 'Ed25519' }, false, ['sign']),
    key_id: await derived(derive, new Uint8Array(), bytesOf(ID_LABEL), KEY_ID_BYTES),
    public_key: asBytes(x.replaceAll('-', '+').replaceAll('_', '/')),
  };
}

function hkdfKey(bytes) {
  return crypto.subtle.importKey('raw', bytes, 'HKDF', false, ['deriveBits']);
}

async function derived(key, salt, info, count) {
  return new Uint8Array(await crypto.subtle.deriveBits({ name: 'HKDF', hash: 'SHA-512', salt, info }, key, 8 * count));
}

/* A document sealed and signed as `version`, in the server's form. Raises SettingsRefused if it is too large. */
export async function sealed(keys, account, document, version, session = crypto.getRandomValues(new Uint8Array(SESSION_BYTES))) {
  const head = joined([bytesOf('WK'), Uint8Array.of(1), keys.key_id, session, new Uint8Array(8)]);
  const cipher = await cipherOf(keys, head, account);
  const ciphertext = joined([head, new Uint8Array(await crypto.subtle.encrypt(cipher.how, cipher.key, written(document)))]);
  const signature = await crypto.subtle.sign('Ed25519', keys.sign, signedBytes(account, version, ciphertext));
  return { version, ciphertext: asText(ciphertext), algorithm: ALGORITHM, public_key: asText(keys.public_key), signature: asText(new Uint8Array(signature)) };
}

/* The document in what a device with these keys has sealed. Raises SettingsRefused if none has, or it can't be read here. */
export async function opened(keys, account, { version, ciphertext, algorithm, signature }) {
  const data = asBytes(ciphertext);
  const verify = await crypto.subtle.importKey('raw', keys.public_key, { name: 'Ed25519' }, false, ['verify']);
  const isGenuine = algorithm === ALGORITHM && data.length > HEAD_BYTES && await crypto.subtle.verify('Ed25519', verify, asBytes(signature), signedBytes(account, version, data));
  if (!isGenuine) throw new SettingsRefused('settings_forged');
  let body;
  try {
    const cipher = await cipherOf(keys, data.slice(0, HEAD_BYTES), account);
    body = await crypto.subtle.decrypt(cipher.how, cipher.key, data.slice(HEAD_BYTES));
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    throw new SettingsRefused('settings_forged');
  }
  return read(body);
}

/* The cipher of the message with this head: the head's session gives the key, its number the nonce. */
async function cipherOf(keys, head, account) {
  const id = head.slice(3, 3 + KEY_ID_BYTES);
  const session = head.slice(3 + KEY_ID_BYTES, 3 + KEY_ID_BYTES + SESSION_BYTES);
  const subkey = await derived(keys.derive, session, joined([bytesOf(MESSAGE_LABEL), id]), SEED_BYTES);
  const iv = joined([new Uint8Array(4), head.slice(HEAD_BYTES - 8)]);
  return {
    how: { name: 'AES-GCM', iv, additionalData: joined([head, context([`${SETTINGS} sealed`, account])]) },
    key: await crypto.subtle.importKey('raw', subkey, 'AES-GCM', false, ['encrypt', 'decrypt']),
  };
}

export function signedBytes(account, version, ciphertext) {
  return context([`${SETTINGS} signed`, account, version, ciphertext]);
}

/* Parts one after the other, each with its kind and length: no two lists of parts give the same. */
export function context(parts) {
  return joined(parts.flatMap((part) => {
    const [kind, data] = part instanceof Uint8Array ? ['b', part] : [typeof part === 'string' ? 's' : 'i', bytesOf(String(part))];
    const head = new Uint8Array(5);
    head[0] = kind.charCodeAt(0);
    new DataView(head.buffer).setUint32(1, data.length);
    return [head, data];
  }));
}

function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, each) => sum + each.length, 0));
  let at = 0;
  for (const each of parts) {
    whole.set(each, at);
    at += each.length;
  }
  return whole;
}
