// Elements made without HTML: what a user wrote becomes text and nothing else.

/** Return a new element; `properties` are set on it, `children` are nodes or texts. */
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = value;
    else if (name.includes("-") || name === "role" || name === "for" || name === "scope") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.filter((each) => each !== null && each !== undefined));
  return made;
}

/** Return a table of texts; a cell may be a node. */
export function table(caption, heads, rows) {
  return el(
    "div",
    { class: "scrolls", tabIndex: 0, role: "region", "aria-label": caption },
    el(
      "table",
      {},
      el("caption", {}, caption),
      el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head)))),
      el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map((cell) => el("td", {}, asNode(cell)))))),
    ),
  );
}

/** Return a button that does `act` once at a time and shows that it is busy. */
export function button(text, act, properties = {}) {
  const made = el("button", { type: "button", ...properties }, text);
  made.addEventListener("click", async () => {
    made.disabled = true;
    made.setAttribute("aria-busy", "true");
    try {
      await act();
    } finally {
      made.disabled = false;
      made.removeAttribute("aria-busy");
    }
  });
  return made;
}

const told = new WeakMap();

/** Show in `place` what `make` makes of `data`, if that has changed; who has the focus in it keeps it (`data-focus`). */
export function shown(place, data, make) {
  const text = JSON.stringify(data);
  if (told.get(place) === text) return;
  told.set(place, text);
  const focused = place.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined;
  const scrolled = [...place.querySelectorAll(".scrolls")].map((each) => each.scrollTop);
  place.replaceChildren(make(data));
  place.querySelectorAll(".scrolls").forEach((each, index) => {
    each.scrollTop = scrolled[index] ?? 0;
  });
  if (focused) [...place.querySelectorAll("[data-focus]")].find((each) => each.dataset.focus === focused)?.focus();
}

function asNode(cell) {
  if (cell instanceof Node) return cell;
  if (cell === null || cell === undefined) return el("span", { class: "null" }, "null");
  return document.createTextNode(typeof cell === "object" ? JSON.stringify(cell) : String(cell));
}
