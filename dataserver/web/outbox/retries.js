/* How long to wait before an action is tried again: full jitter under a bound that doubles; what the server asks for
 * (`Retry-After`) wins, and jitter is only ever added to it. */

const MOST_DOUBLINGS = 64;

/* `max_attempts` null: no end. */
export function isSpent(policy, attempts) {
  return policy.max_attempts !== null && attempts >= policy.max_attempts;
}

export function boundS(policy, attempts) {
  const doublings = Math.min(Math.max(attempts - 1, 0), MOST_DOUBLINGS);
  return Math.min(policy.max_delay_s, policy.base_delay_s * 2 ** doublings);
}

export function delayS(policy, attempts, chance, retryAfterS = null) {
  const jitterS = boundS(policy, attempts) * Math.min(Math.max(chance, 0), 1);
  if (retryAfterS === null || !(retryAfterS > 0)) return jitterS;
  return Math.min(retryAfterS, policy.max_retry_after_s) + Math.min(jitterS, policy.base_delay_s);
}
