"use strict";

/* What all pages use: their data, nodes, sortable tables, and the box that says what a mark is.
   Names are only ever set as text. */

const waiting = new Map();

globalThis.salprobe = {
  receive(name, content) {
    waiting.get(name).done(content);
  },
};

/** Load some data once: from this page if it is one file, else from data/NAME.js.
    Pages opened from disk may load scripts, but no JSON. */
function load(name) {
  if (!waiting.has(name)) {
    const one = {};
    one.promise = new Promise((done, failed) => {
      const here = document.getElementById(`data-${name}`);
      if (here) {
        done(JSON.parse(here.textContent));
        return;
      }
      one.done = done;
      const script = document.createElement("script");
      script.src = `data/${name}.js`;
      script.onerror = () => failed(new Error(`data/${name}.js is missing`));
      document.head.append(script);
    });
    waiting.set(name, one);
  }
  return waiting.get(name).promise;
}

/** Return a function from a picture's name to its address. */
const pictures = () =>
  document.getElementById("data-pictures")
    ? load("pictures").then((all) => (name) => all[name])
    : Promise.resolve((name) => `pictures/${name}`);

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

const html = (tag, attributes = {}, ...children) =>
  fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

const two = (value) => (value == null ? "–" : value.toFixed(2).replace("-", "−"));
const small = (q) => (q === null ? "–" : q < 0.001 ? "<0.001" : q.toFixed(3));

/** Make the rows of a table sortable by its headers; `key` gives a row's value in a column. */
function sortable(table, key, start = null) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = head.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const first = column === start ? "ascending" : "descending";
      const other = first === "ascending" ? "descending" : "ascending";
      const order = head.getAttribute("aria-sort") === first ? other : first;
      for (const one of heads) if (one.hasAttribute("aria-sort")) one.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const rows = [...body.rows].map((row) => [key(row, column), row]);
      rows.sort(([a], [b]) => (a === null) - (b === null) || sign * (a - b) || 0);
      body.append(...rows.map(([, row]) => row));
    });
  });
}

/** Make every table of class `sorted` sortable by the numbers that its cells begin with. */
function sortTables() {
  for (const table of document.querySelectorAll("table.sorted")) {
    const heads = [...table.tHead.rows[0].cells];
    [...table.tBodies[0].rows].forEach((row, place) => (row.dataset.place = place));
    heads.forEach((head, column) => {
      const number = (row) => /^[<±+−-]?\.?\d/.test(row.cells[column].textContent.trim());
      if (column && ![...table.tBodies[0].rows].some(number)) return;
      head.setAttribute("aria-sort", "none");
      head.replaceChildren(html("button", { type: "button" }, head.textContent || "row"));
    });
    sortable(
      table,
      (row, column) => {
        if (!column) return Number(row.dataset.place);
        const value = parseFloat(row.cells[column].textContent.trim().replace("−", "-").replace("<", ""));
        return Number.isNaN(value) ? null : value;
      },
      0,
    );
  }
}

/** The box beside a mark or a cell that says what it is; Escape takes it away. */
const tip = {
  node: null,
  target: null,
  show(target, lines) {
    if (!this.node) {
      this.node = html("div", { id: "tip", role: "tooltip" });
      document.body.append(this.node);
      addEventListener("keydown", (event) => event.key === "Escape" && this.hide());
      // The focus may scroll the page to its mark, beside which the box stays.
      const follow = () => (this.target === document.activeElement ? this.place() : this.hide());
      addEventListener("scroll", follow, { passive: true, capture: true });
    }
    this.node.replaceChildren(
      ...lines.map((line) =>
        Array.isArray(line)
          ? html("div", {}, html("span", {}, line[0]), html("b", {}, line[1]))
          : html("p", {}, line),
      ),
    );
    this.node.hidden = false;
    this.target = target;
    this.place();
  },
  place() {
    const { left, right, top, bottom } = this.target.getBoundingClientRect();
    const { width, height } = this.node.getBoundingClientRect();
    const edge = document.documentElement.clientWidth;
    const x = Math.min(Math.max(8, (left + right - width) / 2), Math.max(8, edge - width - 8));
    const above = top - height - 8;
    this.node.style.left = `${x}px`;
    this.node.style.top = `${above > 4 ? above : bottom + 8}px`;
  },
  hide() {
    if (this.node) this.node.hidden = true;
  },
};
