// The users of the chat: who they are, when they were here, and whether they may come in.

import { call, part } from "./api.js";
import { button, el, shown, table } from "./dom.js";

const PAGE_COUNT = 50;

export class Users {
  constructor(place) {
    this.after = "";
    this.having = el("input", { id: "users-having", type: "search", autocomplete: "off" });
    this.having.addEventListener("change", () => {
      this.after = "";
      return this.refresh();
    });
    this.list = el("div");
    this.said = el("p", { role: "status" });
    place.replaceChildren(el("label", { for: "users-having" }, "Whose name has"), this.having, this.list, this.said);
  }

  async refresh() {
    try {
      const path = `/v1/admin/users?limit=${PAGE_COUNT}&after=${part(this.after)}&having=${part(this.having.value.trim())}`;
      this.show(await call("GET", path));
    } catch (error) {
      if (error.status === 401 || error.status === 403) throw error;
      this.said.textContent = error.message;
    }
  }

  show({ users, next_after: next }) {
    shown(this.list, { users, next, after: this.after }, () => el(
      "div",
      {},
      users.length
        ? table("Users", ["name", "shown as", "role", "devices", "last seen", "may log in", ""], users.map((each) => [
          each.name, each.display_name, each.server_role ?? "–", each.device_count, day(each.seen_at_ms),
          each.disabled_at_ms ? `no, since ${day(each.disabled_at_ms)}` : "yes", this.switchOf(each),
        ]))
        : el("p", {}, "Nobody."),
      el(
        "p",
        { class: "buttons" },
        this.after ? button("First users", () => this.from(""), { "data-focus": "users first" }) : null,
        next ? button("Next users", () => this.from(next), { "data-focus": "users next" }) : null,
      ),
    ));
  }

  switchOf(user) {
    const label = user.disabled_at_ms ? "Enable" : "Disable";
    return button(label, async () => {
      if (label === "Disable" && !confirm(`Disable ${user.name}? All their sessions end.`)) return;
      try {
        await call("PATCH", "/v1/admin/users", { name: user.name, is_allowed: label === "Enable" });
        this.said.textContent = `${user.name} ${label === "Enable" ? "may log in again" : "may not log in any more"}.`;
      } catch (error) {
        this.said.textContent = error.message;
      }
      await this.refresh();
    }, { "data-focus": `user ${user.name}`, "aria-label": `${label} ${user.name}` });
  }

  async from(after) {
    this.after = after;
    await this.refresh();
  }
}

function day(atMs) {
  return atMs ? new Date(atMs).toISOString().slice(0, 16).replace("T", " ") : "–";
}
