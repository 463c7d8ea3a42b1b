// The SQL console: reads unless told to write, shows the plan, pages through rows, saves them as CSV.

import { call, exactly, part } from "./api.js";
import { button, el, table } from "./dom.js";
import { count, milliseconds } from "./figures.js";

const PAGE_COUNT = 100;

export class Console {
  constructor() {
    this.database = el("select", { id: "console-database" });
    this.sql = el("textarea", { id: "console-sql", rows: 5, spellcheck: false });
    this.writes = el("input", { id: "console-writes", type: "checkbox" });
    this.said = el("p", { role: "status" });
    this.result = el("div");
    this.sql.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.run();
    });
    this.node = el(
      "div",
      {},
      el("label", { for: "console-database" }, "Database"), this.database,
      el("label", { for: "console-sql" }, "Statement (Ctrl+Enter runs it)"), this.sql,
      el("p", {}, this.writes, el("label", { for: "console-writes" }, "It may write")),
      el("p", { class: "buttons" }, button("Run", () => this.run()), button("Plan", () => this.plan()), button("CSV", () => this.save())),
      this.said,
      this.result,
    );
  }

  showDatabases(names) {
    const chosen = this.database.value;
    this.database.replaceChildren(...names.map((name) => el("option", { value: name }, name)));
    if (names.includes(chosen)) this.database.value = chosen;
  }

  get path() {
    return `/v1/databases/${part(this.database.value)}`;
  }

  async run() {
    await this.told(async () => {
      const begun = performance.now();
      if (this.writes.checked) {
        const done = await call("POST", `${this.path}/execute`, { sql: this.sql.value }, exactly);
        this.said.textContent = `${count(done.changes)} rows changed, on disk, in ${milliseconds(performance.now() - begun)}`;
        this.show(done.columns ?? [], done.rows ?? []);
        return;
      }
      const found = await call("POST", `${this.path}/query`, { sql: this.sql.value, shape: "arrays" }, exactly);
      this.said.textContent = `${count(found.rows.length)} rows in ${milliseconds(performance.now() - begun)}`;
      this.show(found.columns, found.rows);
    });
  }

  show(columns, rows) {
    this.columns = columns;
    this.rows = rows;
    this.page(0);
  }

  page(first) {
    const shown = this.rows.slice(first, first + PAGE_COUNT);
    const turns = el("p", { class: "buttons" });
    if (first > 0) turns.append(button("Before", () => this.page(first - PAGE_COUNT)));
    if (first + PAGE_COUNT < this.rows.length) turns.append(button("Next", () => this.page(first + PAGE_COUNT)));
    const caption = `rows ${count(first + 1)} to ${count(first + shown.length)} of ${count(this.rows.length)}`;
    this.result.replaceChildren(...(shown.length ? [table(caption, this.columns, shown), turns] : []));
  }

  async plan() {
    await this.told(async () => {
      const plan = await call("POST", `${this.path}/explain`, { sql: this.sql.value });
      const missing = plan.missing_indexes.map(({ table: name, columns }) => `an index on ${name} (${columns.join(", ")}) is missing`);
      const scans = plan.full_scans.length ? `It reads whole: ${plan.full_scans.join(", ")}` : "No table is read whole";
      this.said.textContent = [scans, ...missing].join("; ");
      this.result.replaceChildren(el("pre", {}, planText(plan)));
    });
  }

  async save() {
    await this.told(async () => {
      const found = await call("POST", `${this.path}/query`, { sql: this.sql.value, shape: "arrays" }, exactly);
      const text = [found.columns, ...found.rows].map((row) => row.map(csvCell).join(",")).join("\r\n");
      const link = el("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: `${this.database.value}.csv` });
      link.click();
      URL.revokeObjectURL(link.href);
      this.said.textContent = `${count(found.rows.length)} rows saved`;
    });
  }

  async told(act) {
    try {
      await act();
    } catch (error) {
      this.said.textContent = error.message;
      this.result.replaceChildren();
    }
  }
}

export function csvCell(value) {
  if (value === null || value === undefined) return "";
  let text = typeof value === "object" ? JSON.stringify(value) : String(value);
  if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`; // a spreadsheet would run it
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function planText(plan) {
  const lines = [];
  const walk = (steps, depth) => {
    for (const step of steps) {
      lines.push(`${"  ".repeat(depth)}${step.detail}`);
      walk(step.steps, depth + 1);
    }
  };
  walk(plan.steps, 0);
  return lines.join("\n");
}
