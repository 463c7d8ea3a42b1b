// How the server is, from its last seconds: each part in a word, and all of it in a word, a sentence, and what to do. Pure.
//
// The first of the states that holds is told: workers that die as they start explain a pool that is full, a full pool
// explains slow answers, and so on down. What only follows from another part is a warning at most, so that one thing cries.

import { bytes, count } from "./figures.js";

const WINDOW_COUNT = 15;
const STUCK_COUNT = 3;
const MANY_RESTARTS = 3;
const WAL_BOUND_BYTES = 256 * 1024 * 1024;
const OLD_READER_S = 5;
const LATE_MS = 100;
const LATE_COUNT = 3;
const VERY_LATE_MS = 1_000;

/** Return `{state, level, says, todo, parts}`; a level is `good`, `warning` or `bad`, a part is `{name, level, word, detail}`. */
export function verdict(vitals, facts = {}) {
  const seen = summed(vitals.slice(-WINDOW_COUNT), facts);
  const parts = judged(seen, facts);
  return { ...overall(seen, facts, parts), parts };
}

function summed(window, facts) {
  const last = window.at(-1);
  const sum = (pick) => window.reduce((total, each) => total + pick(each), 0);
  const bound = facts.walBoundBytes ?? WAL_BOUND_BYTES;
  const recent = window.slice(-STUCK_COUNT);
  const late = window.map((each) => each.lag_ms);
  return {
    last,
    bound,
    seconds: window.length,
    restarts: sum((each) => each.readers.restarts + each.writers.restarts),
    isDead: recent.length > 1 && recent.slice(-2).every((each) => each.readers.dead + each.writers.dead > 0),
    refusedReads: sum((each) => each.readers.rejected),
    refusedWrites: sum((each) => each.writers.rejected),
    failed: sum((each) => each.failed),
    isStuck: recent.length === STUCK_COUNT && recent.every((each) => each.largest_wal_bytes > bound),
    late: Math.max(0, ...late),
    isLate: late.filter((each) => each >= LATE_MS).length >= LATE_COUNT || late.some((each) => each >= VERY_LATE_MS),
    waitingReads: Math.min(...window.map((each) => each.readers.waiting)),
    waitingWrites: Math.min(...window.map((each) => each.writers.waiting)),
  };
}

function judged(seen, facts) {
  const { last } = seen;
  if (!last) return [];
  const crashes = seen.isDead || seen.restarts >= MANY_RESTARTS;
  const most = crashes ? "warning" : "bad"; // a pool whose workers die can do no better
  return [
    part("Workers", ...(crashes ? ["bad", seen.isDead ? "dead" : "crashing"] : seen.restarts ? ["warning", "restarted"]
      : facts.isGoingOver ? ["warning", "draining"] : facts.useWorkers === false ? ["warning", "off"] : ["good", "alive"]),
    seen.isDead ? "a pool has none" : `${count(seen.restarts)} restarts`),
    pool("Readers", last.readers, seen.refusedReads, seen.waitingReads, most),
    pool("Writers", last.writers, seen.refusedWrites, seen.waitingWrites, most),
    part("Log", ...(seen.isStuck ? ["bad", "stuck"] : ["good", "short"]), `${bytes(last.largest_wal_bytes)} of ${bytes(seen.bound)}`),
    part("Event loop", ...(seen.isLate ? ["warning", "late"] : ["good", "on time"]), `${count(seen.late)} ms late`),
    part("Requests", ...(others(seen) ? ["warning", "failing"] : ["good", "answered"]), `${count(last.requests)} a second`),
  ];
}

function pool(name, now, refused, waiting, most) {
  const [level, word] = refused ? [most, "refusing"] : waiting ? ["warning", "busy"] : ["good", "free"];
  return part(name, level, word, refused ? `${count(refused)} refused` : `${count(now.busy)} busy, ${count(now.waiting)} waiting`);
}

/** Return how many requests failed for another reason than a pool that was full. */
function others(seen) {
  return Math.max(0, seen.failed - seen.refusedReads - seen.refusedWrites);
}

function overall(seen, facts, parts) {
  const { last } = seen;
  const within = `in the last ${seen.seconds} s`;
  if (facts.isDraining) return said("draining", "warning", "The server stops: requests that run may end, new ones are refused.", "");
  if (!last) return said("unknown", "warning", "Nothing has been measured yet.", "Wait a second.");
  if (parts[0].level === "bad") {
    return said("crashing", "bad", seen.isDead ? `No worker is alive${facts.deadPools ? ` of: ${facts.deadPools}` : " in one of the pools"}.` : `Workers died ${count(seen.restarts)} times ${within}.`,
      "Read the log: workers.worker_died says why (killed, no memory, a fault in a library). Without workers the server goes on, slower: turn them off below.");
  }
  const refused = seen.refusedReads + seen.refusedWrites;
  if (refused > 0) {
    const [what, todo] = seen.refusedReads >= seen.refusedWrites
      ? ["reads", "Look at the slow queries below: an index may be missing. If there are none, let less come, or set SQLITE_WORKER_COUNT higher."]
      : ["writes", "Send fewer writes, or several in one request; look for one that takes long among the slow queries below."];
    return said("saturated", "bad", `${count(refused)} calls, most of them ${what}, were refused ${within}: more come than the workers do.`, todo);
  }
  if (seen.isStuck) {
    const of = facts.longestLog ? ` of ${facts.longestLog}` : "";
    const who = last.oldest_reader_s > OLD_READER_S
      ? `A read or backup of this server has been open for ${count(last.oldest_reader_s)} s.`
      : "No read of this server is that old: another program has the file open and reads.";
    return said("stuck log", "bad",
      `The write-ahead log${of} has ${bytes(last.largest_wal_bytes)}, its bound is ${bytes(seen.bound)}, and it can't be cut while somebody reads. ${who}`,
      "End that read: seconds later the log is cut. Until then every write makes it longer, and the disk fills.");
  }
  if (seen.isLate) {
    return said("late", "warning", `The event loop was up to ${count(seen.late)} ms late ${within}: something held it up.`,
      facts.useWorkers === false ? "SQL runs on it: turn the workers on below." : "See whether the machine has other work; the chart says since when it is so.");
  }
  if (others(seen) > 0) {
    return said("failing", "warning", `${count(others(seen))} requests failed ${within}.`, "The recent errors below say which; the log says why.");
  }
  if (facts.useWorkers === false) {
    return said("without workers", "warning", "SQL runs on the event loop: one slow query holds up every request.", "Turn the workers on below.");
  }
  if (seen.restarts > 0) return said("restarted", "warning", `A worker died ${within} and another took its place.`, "Once is no harm; the log says why.");
  if (parts.some((each) => each.word === "busy")) {
    return said("busy", "warning", "All workers have been busy for some time; calls wait.", "Nothing was refused yet. Look at the slow queries below.");
  }
  return said("healthy", "good", "Requests are answered, nothing waits.", "");
}

function said(state, level, says, todo) {
  return { state, level, says, todo };
}

function part(name, level, word, detail) {
  return { name, level, word, detail };
}
