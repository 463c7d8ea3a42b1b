/* Calls to the server. The session is in cookies that no script can read; `x-chat-page` shows that a page of this
 * server asks, which a form or a picture of another site can't send. */

const TIMEOUT_MS = 30000;
const PAGE_HEADER = { 'x-chat-page': '1' };

/* What became of a call that gave no answer of success; `kind` is the queue's word for it. */
export class CallFailed extends Error {
  constructor(kind, code, message, more = {}) {
    super(message || code);
    Object.assign(this, { kind, code, status: null, retry_after_s: null, details: {} }, more);
  }

  /* As it is stored with an action. */
  get failure() {
    return { kind: this.kind, code: this.code, message: this.message, status: this.status, retry_after_s: this.retry_after_s };
  }
}

/* The answer's body; renews the session once if it has run out. */
export async function call(method, path, body = undefined, { isRetry = false, version = null } = {}) {
  const headers = { ...PAGE_HEADER };
  const isFile = body instanceof Blob;
  if (body !== undefined) headers['content-type'] = isFile ? body.type : 'application/json';
  if (version !== null) headers['if-match'] = `"${version}"`;
  let answer;
  let told;
  try {
    answer = await fetch(path, {
      method,
      headers,
      body: isFile ? body : JSON.stringify(body),
      credentials: 'same-origin',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    told = await answer.text();
  } catch (error) {
    throw new CallFailed(navigator.onLine ? 'answer_lost' : 'unreachable', error.name === 'TimeoutError' ? 'timed_out' : 'no_answer', '');
  }
  const value = parsed(told);
  if (answer.status === 401 && !isRetry && value?.error?.code !== 'wrong_password') {
    await renew();
    return call(method, path, body, { isRetry: true, version });
  }
  if (answer.ok) return value;
  throw refusal(answer, value);
}

function parsed(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

const KINDS = { transient: 'transient', rate: 'rate', auth: 'auth', conflict: 'conflict', unknown: 'answer_lost' };
const GONE = new Set(['not_found', 'gone']);

function refusal(answer, value) {
  const error = value?.error;
  const seconds = Number(answer.headers.get('retry-after'));
  const waitMs = error?.retry_after_ms ?? (seconds > 0 ? seconds * 1000 : null);
  const code = error?.code ?? 'http_error';
  let kind = KINDS[error?.class] ?? (answer.status >= 500 ? 'transient' : 'permanent');
  if (kind === 'permanent' && GONE.has(code)) kind = 'target_gone';
  if (!error && answer.status === 401) kind = 'auth';
  return new CallFailed(kind, code, error?.message ?? '', {
    status: answer.status, retry_after_s: waitMs === null ? null : waitMs / 1000, details: error?.details ?? {},
  });
}

let renewing = null;

/* Exchange the session's tokens, once for all tabs and calls that found them too old. */
export function renew() {
  renewing ??= navigator.locks
    .request('session-renewal', async () => {
      const answer = await fetch('/v1/auth/refresh', {
        method: 'POST', headers: { ...PAGE_HEADER, 'content-type': 'application/json' }, body: '{}', credentials: 'same-origin',
      });
      if (answer.ok) return;
      throw refusal(answer, parsed(await answer.text()));
    })
    .catch((error) => {
      throw error instanceof CallFailed ? error : new CallFailed('unreachable', 'no_answer', '');
    })
    .finally(() => { renewing = null; });
  return renewing;
}

/* Whether the server answers at all. */
export async function isReachable() {
  try {
    return (await fetch('/healthz', { cache: 'no-store', signal: AbortSignal.timeout(5000) })).ok;
  } catch {
    return false;
  }
}
