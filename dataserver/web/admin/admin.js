// The operations page: how the server is now, how it was for the last quarter of an hour, and what can be done about it.

import { call, isSignedIn, part, signIn, signOut } from "./api.js";
import { Chart } from "./chart.js";
import { Console } from "./console.js";
import { button, el, table } from "./dom.js";
import { bytes, count, milliseconds, moment } from "./figures.js";
import { verdict } from "./verdict.js";

const SPAN_COUNT = 900;
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

let vitals = [];
let facts = {};
let timers = [];

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
  timers = [setInterval(tried(showVitals), VITALS_EVERY_MS), setInterval(tried(showLists), LISTS_EVERY_MS)];
}

function close() {
  timers.forEach(clearInterval);
  signOut();
  vitals = [];
  place("board").hidden = place("sign-out").hidden = true;
  place("sign-in").hidden = false;
  place("verdict").textContent = place("facts").textContent = "";
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
      if (error.status === 401 || error.status === 403) close();
      tell({ level: "bad", state: "unreachable", says: error.message });
    } finally {
      isRunning = false;
    }
  };
}

async function showVitals() {
  const answer = await call("GET", `/v1/admin/vitals?since_ms=${vitals.at(-1)?.at_ms ?? 0}`);
  if (!isSignedIn()) return;
  vitals = [...vitals, ...answer.vitals].slice(-SPAN_COUNT);
  facts = { isDraining: answer.is_draining, walBoundBytes: answer.wal_bound_bytes };
  for (const chart of charts) chart.show(vitals, SPAN_COUNT);
  tell(verdict(vitals, facts));
  place("facts").textContent = `${answer.workers.use_workers ? `${answer.workers.kind} workers` : "workers are off"}, up ${upFor(answer.up_s)}`;
  showWorkers(answer.workers);
  showErrors(answer.errors);
}

function tell({ level, state, says }) {
  const head = place("verdict");
  if (head.textContent !== `${state}: ${says}`) head.textContent = `${state}: ${says}`;
  head.className = level;
  document.title = `${state} – dataserver`;
}

async function showLists() {
  const [{ databases: names }, storage, { tokens }] = await Promise.all([
    call("GET", "/v1/databases"), call("GET", "/v1/admin/storage"), call("GET", "/v1/tokens"),
  ]);
  const found = await Promise.all(names.map((name) => call("GET", `/v1/databases/${part(name)}`).catch(() => ({ name }))));
  sqlConsole.showDatabases(names);
  place("databases").replaceChildren(table("All databases", ["name", "size", "log", "tables", ""], found.map((each) => [
    each.name, bytes(each.size_bytes ?? 0), bytes(each.wal_bytes ?? 0), each.table_count ?? "–", databaseButtons(each.name),
  ])), databaseNotes);
  place("slow").replaceChildren(slowTable(storage.slow_queries));
  place("tokens").replaceChildren(table("Tokens", ["name", "role", "made", ""], tokens.map((each) => [
    each.name, each.role, new Date(each.created_at_ms).toISOString().slice(0, 10),
    each.revoked_at_ms ? "revoked" : button("Revoke", async () => {
      if (confirm(`Revoke the token ${each.name || each.id}?`)) await call("DELETE", `/v1/tokens/${part(each.id)}`);
      await showLists();
    }),
  ])));
}

const databaseNotes = el("div", { role: "status" });

function databaseButtons(name) {
  return el(
    "span",
    { class: "buttons" },
    button("Tables", async () => {
      const { tables } = await call("GET", `/v1/databases/${part(name)}/tables`);
      databaseNotes.replaceChildren(table(`Tables of ${name}`, ["name", "kind", "columns", "rows (estimate)"], tables.map((each) => [
        each.name, each.kind, each.columns.map((column) => column.name).join(", "), each.row_count_estimate ?? "–",
      ])));
    }),
    button("Back up", async () => {
      databaseNotes.replaceChildren(`Copying ${name} …`);
      try {
        const made = await call("POST", `/v1/databases/${part(name)}/backup`, {});
        databaseNotes.replaceChildren(`${made.name}: ${bytes(made.size_bytes)} in ${milliseconds(made.seconds * 1000)}`);
      } catch (error) {
        databaseNotes.replaceChildren(`${name} was not backed up: ${error.message}`);
      }
    }),
  );
}

function slowTable(slow) {
  if (!slow.length) return el("p", {}, "None so far.");
  return table("The last ones", ["ago", "database", "took", "worst", "times", "statement", "plan"], slow.map((each) => [
    upFor(each.ago_s), each.database, milliseconds(each.run_ms), milliseconds(each.worst_ms), count(each.count),
    el("code", {}, each.sql), el("pre", {}, each.plan.join("\n")),
  ]));
}

function showErrors(errors) {
  place("errors").replaceChildren(
    errors.length
      ? table("The last ones; the log has more", ["at", "route", "code", "times"], errors.map((each) => [
        moment(each.at_ms), each.route, each.code, each.count,
      ]))
      : el("p", {}, "None so far."),
  );
}

const workerNotes = el("div", { role: "status" });
let shownWorkers = "";

function showWorkers(workers) {
  const now = JSON.stringify(workers);
  if (now === shownWorkers) return;
  shownWorkers = now;
  place("workers").replaceChildren(
    table("Pools", ["pool", "kind", "workers", "alive", "restarted"], workers.pools.map((pool) => [
      pool.name, pool.kind, pool.worker_count, pool.alive_count, pool.restarts_count,
    ])),
    el(
      "p",
      { class: "buttons" },
      button("Test the workers", async () => {
        workerNotes.replaceChildren("Each kind gets up to 5 s …");
        try {
          const { trials } = await call("POST", "/v1/admin/self-test");
          workerNotes.replaceChildren(table("Self-test", ["kind", "trial", "result", "took"], trials.map((each) => [
            each.kind, each.name, each.detail ? `${each.outcome}: ${each.detail}` : each.outcome, milliseconds(each.took_ms),
          ])));
        } catch (error) {
          workerNotes.replaceChildren(error.message);
        }
      }),
    ),
    workerNotes,
  );
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
