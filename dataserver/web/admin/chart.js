// A line chart of the last quarter of an hour, as SVG: every series has its own line style, so that colour is not all.

import { el } from "./dom.js";

const WIDTH = 300;
const HEIGHT = 80;
const SPACE = "http://www.w3.org/2000/svg";

export class Chart {
  /** `series`: `[{name, pick}]`; `format` writes a value. */
  constructor(title, series, format) {
    this.series = series;
    this.format = format;
    this.lines = series.map((_, place) => svg("polyline", { class: `line line-${place}`, points: "" }));
    this.values = series.map(() => el("output", {}, "–"));
    this.top = el("span", { class: "top" }, "");
    const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    picture.append(...this.lines);
    this.node = el(
      "figure",
      {},
      el(
        "figcaption",
        {},
        el("h3", {}, title),
        el("dl", {}, ...series.flatMap(({ name }, place) => [
          el("dt", { class: `key key-${place}` }, name), el("dd", {}, this.values[place]),
        ])),
      ),
      el("div", { class: "plot" }, this.top, picture),
    );
  }

  /** Show the seconds of `vitals`, the newest at the right edge; `span` of them fill the width. */
  show(vitals, span) {
    const columns = this.series.map(({ pick }) => vitals.map(pick));
    const most = Math.max(1e-9, ...columns.flat());
    this.top.textContent = vitals.length ? this.format(most) : "";
    columns.forEach((column, place) => {
      const first = span - column.length;
      const points = column.map((value, index) => {
        const x = ((first + index) / (span - 1)) * WIDTH;
        return `${x.toFixed(1)},${(HEIGHT - (value / most) * (HEIGHT - 2) - 1).toFixed(1)}`;
      });
      this.lines[place].setAttribute("points", points.join(" "));
      this.values[place].textContent = column.length ? this.format(column.at(-1)) : "–";
    });
  }
}

function svg(tag, attributes) {
  const made = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
