// How the server is, in one word and a sentence, from its last seconds. Pure.
//
// The first of these that holds is told: workers that die as they start explain a pool that is full, a full pool
// explains slow answers, and so on down.

const WINDOW_COUNT = 15;
const WAL_BOUND_BYTES = 256 * 1024 * 1024;
const OLD_READER_S = 30;
const LATE_MS = 100;

/** Return `{state, level, says}`; `level` is `good`, `warning` or `bad`. */
export function verdict(vitals, facts = {}) {
  const window = vitals.slice(-WINDOW_COUNT);
  if (facts.isDraining) return said("draining", "warning", "It stops: requests that run may end, new ones are refused.");
  if (window.length === 0) return said("unknown", "warning", "Nothing has been measured yet.");
  const last = window.at(-1);
  const sum = (pick) => window.reduce((total, each) => total + pick(each), 0);
  const restarts = sum((each) => each.readers.restarts + each.writers.restarts);
  if (restarts >= 3 || (restarts > 0 && last.readers.alive === 0)) {
    return said("crashing", "bad", `Workers died ${restarts} times in ${window.length} s: read the log for why.`);
  }
  const rejected = sum((each) => each.readers.rejected + each.writers.rejected);
  if (rejected > 0) {
    return said("saturated", "bad", `${rejected} calls were refused in ${window.length} s: more come than the workers do.`);
  }
  if (last.wal_bytes > (facts.walBoundBytes ?? WAL_BOUND_BYTES)) {
    const why = last.oldest_reader_s > OLD_READER_S ? ` A read has been open for ${Math.round(last.oldest_reader_s)} s.` : "";
    return said("stuck log", "bad", `The write-ahead log does not shrink.${why}`);
  }
  const late = Math.max(...window.map((each) => each.lag_ms));
  if (late >= LATE_MS) {
    return said("late", "warning", `The event loop was ${Math.round(late)} ms late: something ran on it that should not.`);
  }
  const failed = sum((each) => each.failed);
  if (failed > 0) return said("failing", "warning", `${failed} requests failed in ${window.length} s: see the errors below.`);
  const waiting = Math.min(...window.map((each) => each.readers.waiting));
  if (waiting > 0) return said("busy", "warning", "All readers have been busy for some time; calls wait.");
  return said("healthy", "good", "Requests are answered, nothing waits.");
}

function said(state, level, says) {
  return { state, level, says };
}
