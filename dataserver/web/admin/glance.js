// The head of the page: how the server is, which part of it is wrong, and what to do. Never by colour alone.

import { el } from "./dom.js";

const SIGNS = { good: "✓", warning: "!", bad: "✕" };
const WORDS = { good: "good", warning: "take care", bad: "bad" };

export class Glance {
  constructor(head, tiles) {
    this.head = head;
    this.tiles = tiles;
    this.told = "";
    this.byName = new Map();
  }

  /** Show a verdict; what is read out changes only when the state does. */
  show({ state, level, says, todo, parts = [] }) {
    this.tell(state, level, says, todo);
    for (const part of parts) this.tile(part);
    document.title = `${SIGNS[level]} ${state} – dataserver`;
  }

  clear() {
    this.told = "";
    this.head.replaceChildren();
    this.head.className = "";
    this.tiles.replaceChildren();
    this.byName.clear();
    document.title = "dataserver: operations";
  }

  tell(state, level, says, todo) {
    const told = JSON.stringify([state, says, todo]);
    if (told === this.told) return;
    this.told = told;
    this.head.className = level;
    this.head.replaceChildren(
      el("p", { class: "state" }, sign(level), ` ${state}`),
      el("p", { class: "says" }, says),
      ...(todo ? [el("p", { class: "todo" }, el("strong", {}, "What to do: "), todo)] : []),
    );
  }

  tile({ name, level, word, detail }) {
    let shown = this.byName.get(name);
    if (!shown) {
      shown = { mark: el("span"), word: el("strong"), detail: el("span", { class: "detail" }) };
      shown.node = el("li", {}, el("span", { class: "name" }, name), el("span", {}, shown.mark, " ", shown.word), shown.detail);
      shown.node.dataset.part = name;
      this.byName.set(name, shown);
      this.tiles.append(shown.node);
    }
    shown.node.className = level;
    shown.mark.replaceChildren(sign(level));
    shown.word.textContent = word;
    shown.detail.textContent = detail;
  }
}

function sign(level) {
  return el("span", { class: "sign", role: "img", "aria-label": WORDS[level] }, SIGNS[level]);
}
