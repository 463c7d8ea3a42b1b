// The workers: what they are, how they do, a test of them, and the switch that turns them on and off.

import { call } from "./api.js";
import { button, el, shown, table } from "./dom.js";
import { count, milliseconds } from "./figures.js";

const OFF = "Turn the workers off? SQL then runs on the event loop: one slow query holds up every request. No call is lost: those under way end on the old workers.";
const ON = "Turn the workers on? No call is lost: those under way end where they are.";

export class Workers {
  constructor(place) {
    this.useWorkers = true;
    this.pools = el("div");
    this.said = el("p", { role: "status" });
    this.draining = el("p", { class: "draining", hidden: true });
    this.test = el("div", { role: "status" });
    this.toggle = button("Turn the workers off", () => this.change());
    place.replaceChildren(
      this.pools,
      this.draining,
      el("p", { class: "buttons" }, this.toggle, button("Test the workers", () => this.tried())),
      this.said,
      this.test,
    );
  }

  show(workers) {
    this.useWorkers = workers.use_workers;
    const label = workers.use_workers ? "Turn the workers off" : "Turn the workers on";
    if (this.toggle.textContent !== label) this.toggle.textContent = label;
    this.draining.hidden = !workers.is_draining;
    const left = workers.draining_count ? `${count(workers.draining_count)} calls end on them` : "they are about to end";
    this.draining.textContent = `Draining: the workers of before are still there, ${left}.`;
    shown(this.pools, workers.pools, (pools) => table(
      "Pools",
      ["of", "pool", "kind", "workers", "alive", "busy", "waiting", "restarted", "refused", "timed out"],
      pools.map((pool) => [
        pool.storage, pool.name, pool.fallback_reason ? `${pool.kind} (${pool.fallback_reason})` : pool.kind, pool.worker_count,
        pool.alive_count, pool.busy_count, pool.waiting_count, pool.restarts_count, reasons(pool.rejected), pool.timed_out_count,
      ]),
    ));
  }

  async change() {
    const wanted = !this.useWorkers;
    if (!confirm(wanted ? ON : OFF)) return;
    this.said.textContent = "Draining: new calls go over, those under way end …";
    try {
      const workers = await call("PUT", "/v1/admin/workers", { workers: wanted });
      this.show(workers);
      this.said.textContent = wanted ? "The workers are on." : "The workers are off.";
    } catch (error) {
      this.said.textContent = `Nothing was changed: ${error.message}`;
    }
  }

  async tried() {
    this.test.replaceChildren("Each kind gets up to 5 s …");
    try {
      const { trials } = await call("POST", "/v1/admin/self-test");
      this.test.replaceChildren(table("Self-test", ["kind", "trial", "result", "took"], trials.map((each) => [
        each.kind, each.name, each.detail ? `${each.outcome}: ${each.detail}` : each.outcome, milliseconds(each.took_ms),
      ])));
    } catch (error) {
      this.test.replaceChildren(error.message);
    }
  }
}

function reasons(rejected) {
  const told = Object.entries(rejected).map(([reason, times]) => `${reason} ${count(times)}`);
  return told.length ? told.join(", ") : "0";
}
