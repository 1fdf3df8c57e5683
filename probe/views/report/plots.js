"use strict";

/* Draws plots as SVG. A mark can be pointed at, or reached by Tab and the arrow keys. */

const nice = (span) => {
  const power = 10 ** Math.floor(Math.log10(span));
  return [0.1, 0.2, 0.5, 1, 2].map((one) => one * power).find((step) => span / step <= 6);
};

/** Return round numbers in a range as pairs: the number, and its text in digits that fit. */
function ticks(low, high) {
  const step = nice(high - low || 1);
  const [first, last] = [Math.ceil(low / step - 1e-9), Math.floor(high / step + 1e-9)];
  const power = (value) => Math.floor(Math.log10(Math.abs(value)) + 1e-9);
  const most = power(Math.max(Math.abs(low), Math.abs(high)) || 1);
  const shown = (value) => {
    if (most < 5 && most > -4) return String(Number(value.toFixed(Math.max(0, -power(step)))));
    if (!value) return "0";
    const [digits, exponent] = value.toExponential(Math.max(0, power(value) - power(step))).split("e");
    const raised = [...String(Number(exponent))].map((one) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(one)]);
    return `${Number(digits)}·10${raised.join("")}`;
  };
  const found = [];
  for (let k = first; k <= last; k += 1) found.push([k * step, shown(k * step).replace("-", "−")]);
  return found;
}

const line = (x1, y1, x2, y2, name) => svg("line", { x1, y1, x2, y2, class: name });
const label = (x, y, text, attributes = {}) => svg("text", { x, y, ...attributes }, text);

/** Let one of several nodes have the focus; `next` gives the place that a key leads to. */
function reachable(frame, marks, next, told) {
  let at = 0;
  const choose = (place) => {
    marks[at].node.setAttribute("tabindex", "-1");
    at = place;
    marks[at].node.setAttribute("tabindex", "0");
  };
  const say = (place) => {
    for (const one of frame.querySelectorAll(".on")) one.classList.remove("on");
    marks[place].node.classList.add("on");
    told?.(marks[place]);
    tip.show(marks[place].node, [marks[place].text]);
  };
  const silent = () => {
    for (const one of frame.querySelectorAll(".on")) one.classList.remove("on");
    told?.(null);
    tip.hide();
  };
  marks.forEach((mark, place) => {
    mark.node.setAttribute("tabindex", place ? "-1" : "0");
    mark.node.addEventListener("focus", () => {
      choose(place);
      if (mark.node.matches(":focus-visible")) say(place);
    });
    mark.node.addEventListener("blur", silent);
  });
  frame.addEventListener("keydown", (event) => {
    const place = next(at, event.key);
    if (place === null || place === undefined || !marks[place]) return;
    event.preventDefault();
    marks[place].node.focus();
    say(place);
  });
  return { say, silent };
}

/** Return the frame of a plot with its axes, and the scales from values to pixels. */
function axes(box, spec, x, y, height) {
  const width = box.clientWidth;
  const longest = Math.max(0, ...spec.names.map((name) => name.length));
  const step = (width - 60) / Math.max(1, spec.names.length);
  const turned = spec.names.length > 0 && longest * 6.6 > step - 4;
  const angle = step < 18 ? 90 : 38; // closer than that, slanted lines would overlap
  const bottom = turned ? Math.min(96, 26 + longest * (angle === 90 ? 6 : 4.6)) : 22;
  const side = ticks(...y);
  const left = Math.max(46, 24 + 6.6 * Math.max(...side.map(([, text]) => text.length)));
  const area = { left, right: width - 12, top: 8, bottom: height - bottom - 18 };
  const toX = (value) => area.left + ((value - x[0]) / (x[1] - x[0])) * (area.right - area.left);
  const toY = (value) => area.bottom - ((value - y[0]) / (y[1] - y[0])) * (area.bottom - area.top);
  const frame = svg("svg", {
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    role: "group",
    "aria-label": spec.title,
  });
  for (const [value, text] of side) {
    frame.append(line(area.left, toY(value), area.right, toY(value), "grid-line"));
    frame.append(label(area.left - 6, toY(value) + 4, text, { class: "tick", "text-anchor": "end" }));
  }
  if (spec.names.length) {
    spec.names.forEach((name, place) => {
      const [at, under] = [toX(place), area.bottom + 14];
      const turn = turned ? { "text-anchor": "end", transform: `rotate(${-angle} ${at + (angle === 90 ? 4 : 0)} ${under})` } : { "text-anchor": "middle" };
      frame.append(label(at, under, name, { class: "tick", ...turn }));
    });
  } else {
    for (const [value, text] of ticks(...x)) {
      frame.append(line(toX(value), area.top, toX(value), area.bottom, "grid-line"));
      frame.append(label(toX(value), area.bottom + 15, text, { class: "tick", "text-anchor": "middle" }));
    }
  }
  frame.append(label((area.left + area.right) / 2, height - 4, spec.x, { class: "axis-name", "text-anchor": "middle" }));
  const middle = (area.top + area.bottom) / 2;
  frame.append(label(12, middle, spec.y, { class: "axis-name", "text-anchor": "middle", transform: `rotate(-90 12 ${middle})` }));
  return { frame, area, toX, toY };
}

/** Return the range of some marks; a very wide interval, which would squeeze all else, leaves it. */
function heights(marks, from) {
  const widths = marks.filter((mark) => mark.low !== null).map((mark) => mark.high - mark.low);
  const usual = 3 * (widths.sort((a, b) => a - b)[widths.length >> 1] ?? 0);
  const ends = marks.flatMap((mark) =>
    mark.low !== null && mark.high - mark.low <= usual ? [mark.low, mark.high] : [mark.y],
  );
  return reach([...ends, ...marks.map((mark) => mark.y)], from);
}

function reach(values, from = []) {
  const known = [...values, ...from];
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const more = (high - low || 1) * 0.05;
  return [from.includes(low) ? low : low - more, high + more];
}

/** Draw marks, with lines between them or not. */
function drawMarks(box, spec) {
  const all = spec.series.flatMap((series) => series.marks).filter((mark) => mark.y !== null);
  if (!all.length) return html("p", { class: "hint" }, "There is nothing to show.");
  const joined = spec.kind === "lines";
  const counts = joined && all.every((mark) => Number.isInteger(mark.y));
  let y = heights(all, spec.level !== null ? [spec.level] : counts ? [0] : []);
  let x = spec.names.length ? [-0.5, spec.names.length - 0.5] : reach(all.map((mark) => mark.x));
  if (spec.diagonal) x = y = [Math.min(x[0], y[0]), Math.max(x[1], y[1])];
  const { frame, area, toX, toY } = axes(box, spec, x, y, 340);
  if (spec.level !== null) frame.append(line(area.left, toY(spec.level), area.right, toY(spec.level), "level"));
  if (spec.diagonal) frame.append(line(toX(x[0]), toY(x[0]), toX(x[1]), toY(x[1]), "level"));
  const clip = (value) => Math.min(area.bottom, Math.max(area.top, toY(value)));
  const marks = [];
  const dodge = !joined && spec.names.length && spec.series.length > 1 ? 0.7 / spec.series.length : 0;
  const groups = spec.series.map((series, which) => {
    const group = svg("g", { class: "series" });
    const aside = dodge * (which - (spec.series.length - 1) / 2);
    const known = series.marks.filter((mark) => mark.y !== null);
    if (joined) {
      const points = known.map((mark) => `${toX(mark.x).toFixed(1)},${toY(mark.y).toFixed(1)}`).join(" ");
      group.append(svg("polyline", { points, class: "casing" }), svg("polyline", { points, stroke: series.colour, class: "joined" }));
    }
    const dense = joined && known.length > 60;
    for (const mark of known) {
      const [cx, cy] = [toX(mark.x + aside), toY(mark.y)];
      const parts = [];
      if (mark.low !== null) parts.push(line(cx, clip(mark.low), cx, clip(mark.high), "interval"));
      parts.push(svg("circle", { cx, cy, r: dense ? 1.5 : joined ? 3.5 : 4, fill: series.colour }));
      const node = mark.href
        ? svg("a", { href: mark.href, "aria-label": mark.text }, ...parts)
        : svg("g", { role: "img", "aria-label": mark.text }, ...parts);
      node.classList.add("mark");
      group.append(node);
      marks.push({ node, cx, cy, which, x: mark.x, text: mark.text, href: mark.href });
    }
    frame.append(group);
    return group;
  });
  const nearest = (among, far) => {
    let best = null;
    marks.forEach((mark, place) => {
      const away = far(mark);
      if (among(mark) && (best === null || away < best[0])) best = [away, place];
    });
    return best;
  };
  const next = (at, key) => {
    const here = marks[at];
    if (key === "ArrowRight") return at + 1 < marks.length ? at + 1 : null;
    if (key === "ArrowLeft") return at ? at - 1 : null;
    if (key === "Home") return 0;
    if (key === "End") return marks.length - 1;
    const by = { ArrowDown: 1, ArrowUp: -1 }[key];
    if (!by) return null;
    return nearest((mark) => mark.which === here.which + by, (mark) => Math.abs(mark.x - here.x))?.[1];
  };
  const dim = (mark) => {
    frame.classList.toggle("dimmed", mark !== null && spec.series.length > 1);
    groups.forEach((group, which) => group.classList.toggle("kept", mark?.which === which));
  };
  const { say, silent } = reachable(frame, marks, next, dim);
  let under = null;
  const point = (event) => {
    const { left, top, width } = frame.getBoundingClientRect();
    const scale = width / box.clientWidth || 1;
    const [px, py] = [(event.clientX - left) / scale, (event.clientY - top) / scale];
    const found = nearest(() => true, (mark) => Math.hypot(mark.cx - px, mark.cy - py));
    under = found && found[0] < 28 ? found[1] : null;
    frame.classList.toggle("pointed", under !== null && Boolean(marks[under].href));
    if (under === null) silent();
    else say(under);
  };
  frame.addEventListener("pointermove", point);
  frame.addEventListener("pointerdown", point);
  frame.addEventListener("pointerleave", silent);
  frame.addEventListener("click", (event) => {
    if (under === null || event.target.closest("a") || event.pointerType === "touch") return;
    if (marks[under].href) location.hash = marks[under].href;
  });
  return [frame, ...(spec.series.length > 1 ? [legend(spec, frame, groups)] : [])];
}

/** Return the names of the series; a click keeps one of them. */
function legend(spec, frame, groups) {
  const buttons = spec.series.map((series, which) => {
    const swatch = svg("svg", { width: 12, height: 12, "aria-hidden": "true" });
    swatch.append(svg("circle", { cx: 6, cy: 6, r: 5, fill: series.colour }));
    const button = html("button", { type: "button", "aria-pressed": "false" }, swatch, series.name);
    button.addEventListener("click", () => {
      const keep = button.getAttribute("aria-pressed") === "false";
      buttons.forEach((one) => one.setAttribute("aria-pressed", String(keep && one === button)));
      frame.classList.toggle("chosen", keep);
      groups.forEach((group, other) => group.classList.toggle("alone", keep && other === which));
    });
    return button;
  });
  return html("div", { class: "legend", role: "group", "aria-label": "Show one only" }, ...buttons);
}

/** Draw a histogram in a row for each layer, of the chosen category. */
function drawHistograms(box, spec, choice, again) {
  const { start, width: bin, rows, choices } = spec.bins;
  const band = 34;
  const count = rows[0].counts[0].length;
  const high = rows.length * band + 64;
  const named = Math.min(140, 14 + 6.4 * Math.max(...rows.map((row) => row.name.length)));
  const width = box.clientWidth;
  const area = { left: named, right: width - 12, bottom: high - 40 };
  const toX = (value) => area.left + ((value - start) / (bin * count)) * (area.right - area.left);
  const frame = svg("svg", { viewBox: `0 0 ${width} ${high}`, width, height: high, role: "group", "aria-label": `${spec.title}: ${choices[choice]}` });
  for (const [value, text] of ticks(start, start + bin * count)) {
    frame.append(line(toX(value), 4, toX(value), area.bottom, "grid-line"));
    frame.append(label(toX(value), area.bottom + 15, text, { class: "tick", "text-anchor": "middle" }));
  }
  frame.append(label((area.left + area.right) / 2, high - 6, spec.x, { class: "axis-name", "text-anchor": "middle" }));
  const marks = [];
  rows.forEach((row, place) => {
    const counts = row.counts[choice];
    const most = Math.max(1, ...counts);
    const base = (place + 1) * band + 6;
    frame.append(label(area.left - 8, base - 3, row.name, { class: "tick", "text-anchor": "end" }));
    frame.append(line(area.left, base, area.right, base, "grid-line"));
    counts.forEach((units, k) => {
      if (!units) return;
      const [from, to] = [start + k * bin, start + (k + 1) * bin];
      const tall = Math.max(2, (band - 6) * Math.sqrt(units / most));
      const text = `${row.name}, ${choices[choice]}: ${units} unit${units === 1 ? "" : "s"} from ${two(from)} to ${two(to)}`;
      const bar = svg("rect", { x: toX(from) + 0.5, width: Math.max(1, toX(to) - toX(from) - 1), y: base - tall, height: tall });
      const node = svg("g", { role: "img", "aria-label": text, class: from >= spec.level - 1e-9 ? "mark bar above" : "mark bar" }, bar);
      frame.append(node);
      marks.push({ node, text, place, k, cx: (toX(from) + toX(to)) / 2, base });
    });
  });
  frame.append(line(toX(spec.level), 4, toX(spec.level), area.bottom, "level"));
  if (marks.length) {
    const next = (at, key) => {
      const here = marks[at];
      const by = { ArrowDown: 1, ArrowUp: -1 }[key];
      if (key === "ArrowRight") return at + 1;
      if (key === "ArrowLeft") return at - 1;
      if (key === "Home") return 0;
      if (key === "End") return marks.length - 1;
      if (!by) return null;
      const row = marks.filter((mark) => mark.place === here.place + by);
      row.sort((a, b) => Math.abs(a.k - here.k) - Math.abs(b.k - here.k));
      return row.length ? marks.indexOf(row[0]) : null;
    };
    const { say, silent } = reachable(frame, marks, next);
    frame.addEventListener("pointermove", (event) => {
      const { left, top } = frame.getBoundingClientRect();
      const [px, py] = [event.clientX - left, event.clientY - top];
      const near = marks
        .filter((mark) => py <= mark.base && py > mark.base - band && Math.abs(mark.cx - px) < 9)
        .sort((a, b) => Math.abs(a.cx - px) - Math.abs(b.cx - px))[0];
      if (near) say(marks.indexOf(near));
      else silent();
    });
    frame.addEventListener("pointerleave", silent);
  }
  const select = html("select", {}, ...choices.map((name, k) => html("option", { value: k }, name)));
  select.value = String(choice);
  select.addEventListener("change", () => again(Number(select.value), true));
  return [html("label", { class: "choice" }, "category ", select), frame];
}

/** Draw all plots of the page, and again when their width changes. */
function drawPlots(list) {
  for (const box of document.querySelectorAll("[data-plot]")) {
    const spec = list[Number(box.dataset.plot)];
    let [drawn, choice] = [0, 0];
    const draw = (chosen = choice, focus = false) => {
      choice = chosen;
      const parts =
        spec.kind === "histograms" ? drawHistograms(box, spec, choice, draw) : drawMarks(box, spec);
      box.replaceChildren(...[parts].flat());
      if (focus) box.querySelector("select").focus();
    };
    new ResizeObserver(() => {
      const width = box.clientWidth;
      if (!width || width === drawn) return;
      drawn = width;
      draw();
    }).observe(box);
  }
}
