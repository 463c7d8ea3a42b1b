// Calls of the server. The token is held in this module, in memory: a reload asks for it again.

let token = null;

export class Refused extends Error {
  constructor(status, error) {
    super(error.message);
    this.status = status;
    this.code = error.code;
    this.details = error.details ?? {};
  }
}

export function signIn(text) {
  token = text;
}

export function signOut() {
  token = null;
}

export function isSignedIn() {
  return token !== null;
}

/** Return the answer's JSON; raises `Refused` with what the server said, or that there was no answer. */
export async function call(method, path, body, read = JSON.parse) {
  const response = await request(method, path, body);
  return response.status === 204 ? null : read(await response.text());
}

/** Return the value of a text in JSON; a whole number that no double holds is a BigInt, where the browser shows its digits. */
export function exactly(text) {
  return JSON.parse(text, (_, value, context) => (typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source) ? BigInt(context.source) : value));
}

/** Return the answer itself, for what is no JSON. */
export async function request(method, path, body) {
  const headers = { Authorization: `Bearer ${token}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store" });
  } catch {
    throw new Refused(0, { code: "unreachable", message: "the server does not answer" });
  }
  if (!response.ok) {
    const said = await response.json().catch(() => ({}));
    throw new Refused(response.status, said.error ?? { code: "unknown", message: response.statusText });
  }
  return response;
}

/** Return `text` as a part of a path. */
export const part = encodeURIComponent;
