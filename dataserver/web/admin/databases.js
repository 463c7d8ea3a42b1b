// The databases: sizes, tables, backups with how far they are.

import { call, part } from "./api.js";
import { button, el, shown, table } from "./dom.js";
import { bytes, count, milliseconds } from "./figures.js";

export class Databases {
  constructor(place) {
    this.list = el("div");
    this.running = el("div", { class: "running" });
    this.notes = el("div", { role: "status" });
    place.replaceChildren(this.list, this.running, this.notes);
  }

  /** Return the name of the database with the longest log, as it was looked at last. */
  get longestLog() {
    return this.longest?.wal_bytes ? this.longest.name : "";
  }

  show(databases) {
    this.longest = databases.reduce((most, each) => ((each.wal_bytes ?? 0) > (most?.wal_bytes ?? 0) ? each : most), null);
    shown(this.list, databases, (found) => table("All databases", ["name", "size", "log", "tables", ""], found.map((each) => [
      each.name, bytes(each.size_bytes ?? 0), bytes(each.wal_bytes ?? 0), each.table_count ?? "–", this.buttons(each.name),
    ])));
  }

  showRunning(backups) {
    shown(this.running, backups, (found) => el("ul", { "aria-label": "Backups that run" }, ...found.map((each) => {
      const done = each.total_pages ? Math.floor((100 * each.done_pages) / each.total_pages) : 0;
      const far = each.total_pages ? `${done} %, ${count(each.done_pages)} of ${count(each.total_pages)} pages` : "begins";
      return el("li", {}, `Backup of ${each.database}: ${far} ${each.step}`, el("progress", {
        max: 100, value: done, "aria-label": `Backup of ${each.database}`,
      }));
    })));
  }

  buttons(name) {
    return el(
      "span",
      { class: "buttons" },
      button("Tables", () => this.tables(name), { "data-focus": `tables ${name}`, "aria-label": `Tables of ${name}` }),
      button("Back up", () => this.backUp(name), { "data-focus": `back-up ${name}`, "aria-label": `Back up ${name}` }),
      button("Backups", () => this.backups(name), { "data-focus": `backups ${name}`, "aria-label": `Backups of ${name}` }),
    );
  }

  async tables(name) {
    await this.told(async () => {
      const { tables } = await call("GET", `/v1/databases/${part(name)}/tables`);
      return [table(`Tables of ${name}`, ["name", "kind", "columns", "rows (estimate)"], tables.map((each) => [
        each.name, each.kind, each.columns.map((column) => column.name).join(", "), each.row_count_estimate ?? "–",
      ]))];
    });
  }

  async backUp(name) {
    this.notes.replaceChildren(`Copying ${name} …`);
    await this.told(async () => {
      const made = await call("POST", `/v1/databases/${part(name)}/backup`, {});
      return [`${made.name}: ${bytes(made.size_bytes)} in ${milliseconds(made.seconds * 1000)}`];
    }, `${name} was not backed up: `);
  }

  async backups(name) {
    await this.told(async () => {
      const { backups } = await call("GET", `/v1/databases/${part(name)}/backup`);
      return [table(`Backups of ${name}`, ["name", "size"], backups.map((each) => [each.name, bytes(each.size_bytes)]))];
    });
  }

  async told(act, before = "") {
    try {
      this.notes.replaceChildren(...(await act()));
    } catch (error) {
      this.notes.replaceChildren(`${before}${error.message}`);
    }
  }
}
