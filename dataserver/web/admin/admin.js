// The operations page: how the server is now, how it was for the last quarter of an hour, and what can be done about it.

import { call, isSignedIn, part, signIn, signOut } from "./api.js";
import { Chart } from "./chart.js";
import { Console } from "./console.js";
import { Databases } from "./databases.js";
import { button, el, shown, table } from "./dom.js";
import { bytes, count, milliseconds, moment } from "./figures.js";
import { Glance } from "./glance.js";
import { Users } from "./users.js";
import { verdict } from "./verdict.js";
import { Workers } from "./workers.js";

const SPAN_COUNT = 900;
const LEAST_SPAN_COUNT = 60;
const VITALS_EVERY_MS = 1_000;
const LISTS_EVERY_MS = 10_000;

const place = (id) => document.getElementById(id);

const charts = [
  new Chart("Requests a second", [
    { name: "all", pick: (v) => v.requests }, { name: "failed", pick: (v) => v.failed },
  ], count),
  new Chart("Latency", [
    { name: "p50", pick: (v) => v.p50_ms }, { name: "p95", pick: (v) => v.p95_ms }, { name: "p99", pick: (v) => v.p99_ms },
  ], milliseconds),
  new Chart("Readers", [
    { name: "busy", pick: (v) => v.readers.busy }, { name: "waiting", pick: (v) => v.readers.waiting },
    { name: "refused", pick: (v) => v.readers.rejected },
  ], count),
  new Chart("Writers", [
    { name: "writes", pick: (v) => v.writers.completed }, { name: "waiting", pick: (v) => v.writers.waiting },
    { name: "refused", pick: (v) => v.writers.rejected },
  ], count),
  new Chart("Wait for a worker, p99", [
    { name: "readers", pick: (v) => v.readers.wait_p99_ms }, { name: "writers", pick: (v) => v.writers.wait_p99_ms },
  ], milliseconds),
  new Chart("Event loop late", [{ name: "worst", pick: (v) => v.lag_ms }], milliseconds),
  new Chart("Write-ahead logs", [{ name: "size", pick: (v) => v.wal_bytes }], bytes),
  new Chart("Memory", [{ name: "server and workers", pick: (v) => v.memory_bytes }], bytes),
  new Chart("Connections", [
    { name: "requests", pick: (v) => v.open_requests }, { name: "sockets", pick: (v) => v.sockets },
  ], count),
];
const sqlConsole = new Console();
const glance = new Glance(place("verdict"), place("parts"));
const workers = new Workers(place("workers"));
const databases = new Databases(place("databases"));
const users = new Users(place("users"));

let vitals = [];
let timers = [];
let state = "";
const refreshLists = tried(showLists);

async function open() {
  place("refused").textContent = "";
  try {
    await Promise.all([showVitals(), showLists()]);
  } catch (error) {
    place("refused").textContent = error.message;
    close();
    return;
  }
  place("sign-in").hidden = true;
  place("board").hidden = place("sign-out").hidden = false;
  timers = [setInterval(tried(showVitals), VITALS_EVERY_MS), setInterval(refreshLists, LISTS_EVERY_MS)];
}

function close() {
  timers.forEach(clearInterval);
  signOut();
  vitals = [];
  state = "";
  place("board").hidden = place("sign-out").hidden = true;
  place("sign-in").hidden = false;
  place("facts").textContent = "";
  glance.clear();
  place("token").focus();
}

/** Return `show` for a timer: what goes wrong is told in the head of the page, and the next try may go well. */
function tried(show) {
  let isRunning = false;
  return async () => {
    if (isRunning || document.hidden) return;
    isRunning = true;
    try {
      await show();
    } catch (error) {
      if (error.status === 401 || error.status === 403) {
        close();
        place("refused").textContent = error.message;
      } else if (isSignedIn()) {
        glance.show({ state: "unreachable", level: "bad", says: `The page can't read how the server is: ${error.message}.`, todo: "See whether it runs; this page asks again every second." });
      }
    } finally {
      isRunning = false;
    }
  };
}

async function showVitals() {
  const answer = await call("GET", `/v1/admin/vitals?since_ms=${vitals.at(-1)?.at_ms ?? 0}`);
  if (!isSignedIn()) return;
  vitals = [...vitals, ...answer.vitals].slice(-SPAN_COUNT);
  const span = Math.max(LEAST_SPAN_COUNT, vitals.length);
  for (const chart of charts) chart.show(vitals, span);
  place("span").textContent = `The last ${upFor(span)}`;
  const told = verdict(vitals, {
    isDraining: answer.is_draining,
    isGoingOver: answer.workers.is_draining,
    useWorkers: answer.workers.use_workers,
    walBoundBytes: answer.wal_bound_bytes,
    deadPools: answer.workers.pools.filter((each) => !each.alive_count).map((each) => `${each.storage} ${each.name}`).join(", "),
    longestLog: databases.longestLog,
  });
  glance.show(told);
  if (told.state !== state) {
    state = told.state;
    refreshLists(); // what explains it may be there
  }
  place("facts").textContent = `${answer.workers.use_workers ? `${answer.workers.kind} workers` : "workers are off"}, up ${upFor(answer.up_s)}`;
  workers.show(answer.workers);
  databases.showRunning(answer.backups);
  showErrors(answer.errors);
}

async function showLists() {
  const [{ databases: names }, storage, { tokens }] = await Promise.all([
    call("GET", "/v1/databases"), call("GET", "/v1/admin/storage"), call("GET", "/v1/tokens"), users.refresh(),
  ]);
  const found = await Promise.all(names.map((name) => call("GET", `/v1/databases/${part(name)}`).catch(() => ({ name }))));
  if (!isSignedIn()) return;
  sqlConsole.showDatabases(names);
  databases.show(found);
  shown(place("slow"), storage.slow_queries.map((each) => ({ ...each, ago_s: Math.round(each.ago_s / 10) * 10 })), slowTable);
  shown(place("tokens"), tokens, () => table("Tokens", ["name", "role", "made", ""], tokens.map((each) => [
    each.name, each.role, new Date(each.created_at_ms).toISOString().slice(0, 10),
    each.revoked_at_ms ? "revoked" : revoking(each),
  ])));
}

function revoking(token) {
  const name = token.name || token.id;
  return button("Revoke", async () => {
    if (confirm(`Revoke the token ${name}?`)) await call("DELETE", `/v1/tokens/${part(token.id)}`);
    await showLists();
  }, { "data-focus": `token ${token.id}`, "aria-label": `Revoke ${name}` });
}

function slowTable(slow) {
  if (!slow.length) return el("p", {}, "None so far.");
  return table("The last ones", ["ago", "database", "took", "worst", "times", "statement", "plan"], slow.map((each) => [
    upFor(each.ago_s), each.database, milliseconds(each.run_ms), milliseconds(each.worst_ms), count(each.count),
    el("code", {}, each.sql), el("pre", {}, each.plan.join("\n")),
  ]));
}

function showErrors(errors) {
  shown(place("errors"), errors, () => (errors.length
    ? table("The last ones; the log has more", ["at", "route", "code", "times"], errors.map((each) => [
      moment(each.at_ms), each.route, each.code, each.count,
    ]))
    : el("p", {}, "None so far.")));
}

function upFor(seconds) {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`;
}

place("charts").append(...charts.map((chart) => chart.node));
place("console").append(sqlConsole.node);
place("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  signIn(place("token").value.trim());
  place("token").value = "";
  open();
});
place("sign-out").addEventListener("click", close);
close();
