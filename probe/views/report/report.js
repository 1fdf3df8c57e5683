"use strict";

/* Builds the pages of a run's cells and units from its data. Names are only ever set as text. */

const nth = (rank) => `${rank}${["th", "st", "nd", "rd"][rank] ?? "th"}`;
const address = (layer, place) => `#${encodeURIComponent(layer)}/${encodeURIComponent(place)}`;

/** Return one scale for several values: a function to pixels of a strip, with its numbers. */
const WIDTH = innerWidth < 700 ? 180 : 340;
function scale(values) {
  const known = values.filter((value) => value !== null);
  const low = Math.min(0, ...known);
  const high = Math.max(0.1, ...known);
  const x = (value) => (8 + ((WIDTH - 16) * (value - low)) / (high - low)).toFixed(1);
  const [from, to] = [low, high].map((end) => end + (end === 0 ? 0 : (5 / WIDTH) * (high - low) * Math.sign(end)));
  const marks = ticks(from, to).flatMap(([value, text]) => [
    svg("line", { x1: x(value), x2: x(value), y1: 13, y2: 16, class: "axis" }),
    svg("text", { x: x(value), y: 10, class: "tick", "text-anchor": "middle" }, text),
  ]);
  const box = { class: "strip", viewBox: `0 0 ${WIDTH} 16`, width: WIDTH, height: 16, "aria-hidden": "true" };
  x.numbers = svg("svg", box, ...marks);
  return x;
}

function strip(label, ...parts) {
  const box = { class: "strip", viewBox: `0 0 ${WIDTH} 16`, width: WIDTH, height: 16, role: "img" };
  return svg("svg", { ...box, "aria-label": label }, svg("title", {}, label), ...parts);
}

const upright = (x, name) => svg("line", { x1: x, x2: x, y1: 1, y2: 15, class: name });
const level = (a, b, name) => svg("line", { x1: a, x2: b, y1: 8, y2: 8, class: name });

function overview(run) {
  const table = document.getElementById("heat");
  let measure = run.measures[0];
  const cell = (row, column) => measure.cells[Number(row.dataset.place)][column];
  sortable(
    table,
    (row, column) => (column ? cell(row, column - 1).value : Number(row.dataset.place)),
    0,
  );
  const buttons = [...document.querySelectorAll("[data-measure]")];
  for (const button of buttons) {
    button.addEventListener("click", () => {
      measure = run.measures[Number(button.dataset.measure)];
      for (const one of buttons) one.setAttribute("aria-pressed", String(one === button));
      document.getElementById("measure-note").textContent = measure.note;
      for (const row of table.tBodies[0].rows) {
        [...row.cells].slice(1).forEach((node, column) => {
          const { text, below, shade } = cell(row, column);
          const link = node.querySelector("a");
          if (!link) return;
          node.className = `s${shade}`;
          link.replaceChildren(html("span", {}, text), html("small", {}, below));
        });
      }
    });
  }
  // One cell at a time can be reached by Tab, the others from there by the arrow keys.
  const links = () => [...table.tBodies[0].rows].map((row) => [...row.cells].slice(1).map((node) => node.querySelector("a")));
  const choose = (link) => {
    for (const one of links().flat()) one?.setAttribute("tabindex", one === link ? "0" : "-1");
  };
  choose(links().flat().find((link) => link));
  table.addEventListener("focusin", (event) => event.target.closest("tbody") && choose(event.target));
  table.addEventListener("keydown", (event) => {
    const [down, right] = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] }[event.key] ?? [0, 0];
    if (!(down || right) || !event.target.closest("tbody")) return;
    event.preventDefault();
    const all = links();
    let row = all.findIndex((one) => one.includes(event.target));
    let column = all[row].indexOf(event.target);
    do [row, column] = [row + down, column + right];
    while (all[row]?.[column] === null); // no regions, no link
    all[row]?.[column]?.focus();
  });
  // Beside a cell that is pointed at or has the focus: all that is known of it.
  const last = run.layers.length - 1;
  for (const row of table.tBodies[0].rows) {
    const place = last - Number(row.dataset.place);
    [...row.cells].slice(1).forEach((node, column) => {
      const link = node.querySelector("a");
      if (!link) return;
      const title = `${run.layers[place]}, ${run.categories[column].name}`;
      const say = () => tip.show(link, [title, ...run.facts[place][column]]);
      link.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && say());
      link.addEventListener("pointerleave", () => tip.hide());
      link.addEventListener("focus", () => link.matches(":focus-visible") && say());
      link.addEventListener("blur", () => tip.hide());
    });
  }
}

function trail(...steps) {
  const links = steps.map(([text, href]) =>
    html("li", {}, href ? html("a", { href }, text) : html("span", { "aria-current": "page" }, text)),
  );
  return html("nav", { class: "trail", "aria-label": "Where you are" }, html("ol", {}, ...links));
}

const heading = (text) => html("h2", { tabindex: "-1" }, text);
const pairs = (list) =>
  html(
    "dl",
    { class: "numbers" },
    ...list.map(([name, value]) => html("div", {}, html("dt", {}, name), html("dd", {}, value))),
  );

function cellPage(run, place, category) {
  const layer = run.layers[place];
  const at = run.categories.findIndex((one) => one.slug === category.slug);
  return load(`layer-${place}`).then((data) => {
    const units = data.cells[category.slug];
    const named = units.some((unit) => "name" in unit);
    const x = scale(units.flatMap((u) => [u.mean, u.mean_low, u.mean_high, u.shuffled, run.threshold]));
    const dissected = units.some((unit) => "iou" in unit);
    const columns = ["unit", ...(named ? ["name"] : []), "NSS", "95\u00a0% interval", "contrast", "q"];
    columns.push("chance", "sd", "regions", ...(dissected ? ["IoU"] : []));
    const head = columns.map((name) => {
      const plain = name === "95\u00a0% interval" || name === "name";
      const inner = plain ? name : html("button", { type: "button" }, name);
      const drawn = name === "95\u00a0% interval" ? [inner, x.numbers] : [inner];
      return html("th", { scope: "col", ...(plain ? { class: "drawn" } : { "aria-sort": "none" }) }, ...drawn);
    });
    const rows = units.map((unit) => {
      const ends = `${two(unit.mean_low)} to ${two(unit.mean_high)}`;
      const label = `NSS ${two(unit.mean)}, ${ends}; chance ${two(unit.shuffled)}`;
      const parts = [upright(x(0), "axis"), upright(x(run.threshold), "threshold")];
      if (unit.shuffled !== null) parts.push(upright(x(unit.shuffled), "chance"));
      if (unit.mean_low !== null) parts.push(level(x(unit.mean_low), x(unit.mean_high), "interval"));
      parts.push(svg("circle", { cx: x(unit.mean), cy: 8, r: 3.5 }));
      const contrast =
        unit.contrast_low === null
          ? two(unit.contrast)
          : `${two(unit.contrast)} [${two(unit.contrast_low)}, ${two(unit.contrast_high)}]`;
      const number = String(unit.unit);
      const link = run.units ? html("a", { href: address(layer, unit.unit) }, number) : number;
      const values = [
        ...(named ? [[unit.name, null]] : []),
        [two(unit.mean), unit.mean],
        [strip(label, ...parts), null],
        [contrast, unit.contrast],
        [small(unit.contrast_q), unit.contrast_q],
        [two(unit.shuffled), unit.shuffled],
        [two(unit.sd), unit.sd],
        [String(unit.n), unit.n],
        ...(dissected ? [[unit.iou == null ? "–" : unit.iou.toFixed(3), unit.iou]] : []),
      ];
      const row = html(
        "tr",
        {},
        html("th", { scope: "row" }, link),
        ...values.map(([shown]) => html("td", {}, shown)),
      );
      row.values = [unit.unit, ...values.map(([, value]) => value)];
      return row;
    });
    const table = html(
      "table",
      {},
      html("thead", {}, html("tr", {}, ...head)),
      html("tbody", {}, ...rows),
    );
    sortable(table, (row, column) => row.values[column], 0);
    return [
      trail(["overview", "#"], [`${layer}, ${category.name}`]),
      heading(`${layer}: ${category.name}`),
      pairs(run.facts[place][at]),
      html("h3", {}, "The best units"),
      html(
        "p",
        { class: "hint" },
        "The intervals allow for these units being selected from all of the layer's. Dashed: T\u00a0=\u00a0" +
          `${run.threshold}; dotted: chance, the NSS at regions of the category from other stimuli.` +
          (dissected ? " IoU: with the category, where the network was dissected." : ""),
      ),
      html("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Units" }, table),
    ];
  });
}

function card(run, data, shared, picture, unit, [id, nss]) {
  const region = shared.regions[id];
  const category = run.categories.find((one) => one.slug === region.category).name;
  const image = shared.images[region.image];
  const name = image ? image.name : `image ${region.image}`;
  const label = `NSS ${two(nss)}: ${category}, ${name}`;
  const caption = html("figcaption", {}, html("strong", {}, two(nss)), ` ${category}`);
  caption.append(html("small", {}, `${name}, region ${id}`));
  if (!image) return html("figure", {}, caption);
  const stimulus = svg("image", {
    href: picture(`${region.image}.webp`),
    width: image.width,
    height: image.height,
  });
  stimulus.addEventListener("error", () => caption.append(html("small", {}, `pictures/${region.image}.webp is missing`)));
  const whole = `0 0 ${image.width} ${image.height}`;
  const part = region.window.join(" ");
  const contour = data.units[unit].contours[region.image];
  const drawing = svg(
    "svg",
    { viewBox: part, role: "img", "aria-label": label },
    stimulus,
    svg("path", { d: contour, class: "contour-edge" }),
    svg("path", { d: contour, class: "contour" }),
    svg("path", { d: region.outline, class: "outline-edge" }),
    svg("path", { d: region.outline, class: "outline" }),
    svg("path", { d: image.looked, class: "looked-edge" }),
    svg("path", { d: image.looked, class: "looked" }),
  );
  const button = html("button", { type: "button", "aria-pressed": "false" }, drawing);
  button.addEventListener("click", () => {
    const wide = button.getAttribute("aria-pressed") === "false";
    button.setAttribute("aria-pressed", String(wide));
    drawing.setAttribute("viewBox", wide ? whole : part);
  });
  return html("figure", {}, button, caption);
}

function unitPage(run, place, unit) {
  const layer = run.layers[place];
  const needed = [load(`layer-${place}`), load("regions"), pictures()];
  return Promise.all(needed).then(([data, shared, picture]) => {
    const one = data.units[unit];
    if (!one) return missing(`Of ${layer}, only units among the best of a category have a page: not ${unit}.`);
    const ranks = run.categories.flatMap((category) => {
      const rank = data.cells[category.slug].findIndex((found) => found.unit === Number(unit));
      return rank < 0 ? [] : [[rank, category]];
    });
    ranks.sort(([a], [b]) => a - b);
    const among = html("p", {}, ranks.length ? "Among the best units of the layer for: " : "Not among the best units of the layer for any category.");
    ranks.forEach(([rank, category], k) => {
      const link = html("a", { href: address(layer, category.slug) }, category.name);
      among.append(k ? ", " : "", link, ` (${nth(rank + 1)})`);
    });
    const found = [];
    if (one.iou) {
      const [category, iou, detects] = one.iou;
      found.push(["highest IoU (dissection)", `${iou === null ? "–" : iou.toFixed(3)}, ${category}${detects ? "" : ": no detector"}`]);
    }
    const others = one.others ?? [];
    const elsewhere = others.flatMap((means) => Object.values(means));
    const x = scale([...Object.values(one.scores).flat(), ...elsewhere, run.threshold]);
    const rows = run.categories
      .filter((category) => category.slug in one.scores)
      .map((category) => {
        const [p5, p25, p50, p75, p95, mean] = one.scores[category.slug];
        const label = `${category.name}: mean ${two(mean)}, median ${two(p50)}, 90 % from ${two(p5)} to ${two(p95)}`;
        const drawn = strip(
          label,
          upright(x(0), "axis"),
          upright(x(run.threshold), "threshold"),
          level(x(p5), x(p95), "reach"),
          level(x(p25), x(p75), "middle"),
          upright(x(p50), "median"),
          ...others
            .filter((means) => means[category.slug] != null)
            .map((means) => svg("circle", { cx: x(means[category.slug]), cy: 8, r: 3, class: "other" })),
          svg("circle", { cx: x(mean), cy: 8, r: 3.5 }),
        );
        const name = html("a", { href: address(layer, category.slug) }, category.name);
        return html(
          "tr",
          {},
          html("th", { scope: "row" }, name),
          html("td", {}, two(mean)),
          ...others.map((means) => html("td", {}, two(means[category.slug]))),
          html("td", {}, drawn),
        );
      });
    const title = ranks.length ? data.cells[ranks[0][1].slug][ranks[0][0]].name : null;
    const cards = (list) =>
      html("div", { class: "grid" }, ...list.map((pair) => card(run, data, shared, picture, unit, pair)));
    const columns = ["category", "mean NSS", ...others.map((_, k) => `in ${run.others[k]}`)];
    const head = columns.map((name) => html("th", { scope: "col" }, name));
    head.push(html("th", { scope: "col", class: "drawn" }, "regions' scores", x.numbers));
    const legend = run.pictures
      ? `White: the region. Orange: where a fixation would score above T\u00a0=\u00a0${run.threshold}. Dots: where people looked. A click shows the whole stimulus.`
      : "This report was made without pictures.";
    return [
      trail(
        ["overview", "#"],
        ...ranks.slice(0, 1).map(([, first]) => [`${layer}, ${first.name}`, address(layer, first.slug)]),
        [`unit ${unit}`],
      ),
      heading(`${layer}, unit ${unit}${title ? `: ${title}` : ""}`),
      among,
      ...(found.length ? [pairs(found)] : []),
      html("h3", {}, "Scores by category"),
      html(
        "p",
        { class: "hint" },
        "Line: 90 % of the category's regions; bar: the middle half; upright: the median; dot: the mean. " +
          `Dashed: T\u00a0=\u00a0${run.threshold}.` +
          (others.length ? " Hollow: the mean of the same unit in the other run." : ""),
      ),
      html(
        "div",
        { class: "wide", tabindex: "0", role: "region", "aria-label": "Scores by category" },
        html(
          "table",
          {},
          html("thead", {}, html("tr", {}, ...head)),
          html("tbody", {}, ...rows),
        ),
      ),
      html("h3", {}, "Where it scores highest"),
      html("p", { class: "hint" }, legend),
      cards(one.best),
      html("h3", {}, "Where it scores lowest"),
      cards(one.worst),
      ...(Array.isArray(one.sheet) ? sheet(picture, one.sheet, `${layer}, unit ${unit}`) : []),
    ];
  });
}

/** Return what `probe unit` drew of a unit. */
function sheet(picture, [name, width, height], unit) {
  const image = html("img", { class: "figure", src: picture(name), width, height, alt: `Sheet of ${unit}` });
  const said =
    "The stimuli that drive it most, cut to its receptive field; below, what in them does, by two methods, " +
    "each above the same for shuffled weights.";
  return [html("h3", {}, "Its sheet"), html("p", { class: "hint" }, said), image];
}

function missing(text) {
  return [trail(["overview", "#"], ["nothing here"]), heading("Nothing here"), html("p", {}, text)];
}

/** Return the layer and the place in it of an address; no layer, if it has none. */
function parts(hash) {
  const cut = hash.lastIndexOf("/");
  try {
    return [decodeURIComponent(hash.slice(1, Math.max(1, cut))), decodeURIComponent(hash.slice(cut + 1))];
  } catch {
    return ["", ""];
  }
}

/** Return what an address names: a promise of nodes, or null for the first page. */
function page(run, hash) {
  if (hash.length < 2) return null;
  const [layer, place] = parts(hash);
  const at = run.layers.indexOf(layer);
  if (at < 0) return Promise.resolve(missing("This run has no such layer."));
  if (run.units && /^[0-9]+$/.test(place)) return unitPage(run, at, place);
  const category = run.categories.find((one) => one.slug === place);
  if (!category) return Promise.resolve(missing("This run has no such category."));
  return cellPage(run, at, category);
}

/** Show what the address names; after a step back from somewhere, the link there has the focus. */
async function show(run, from = null) {
  const hash = location.hash;
  tip.hide();
  document.querySelectorAll("a.run").forEach((link, k) => {
    link.hash = run.shared[k].includes(parts(hash)[0]) ? hash : "";
  });
  const first = document.getElementById("overview");
  const detail = document.getElementById("detail");
  let nodes = null;
  try {
    nodes = await page(run, hash);
  } catch (error) {
    nodes = missing(error.message);
  }
  if (hash !== location.hash) return; // gone on meanwhile
  first.hidden = nodes !== null;
  detail.hidden = nodes === null;
  detail.replaceChildren(...(nodes ?? []));
  const title = detail.querySelector("h2");
  const name = document.querySelector("h1").textContent;
  document.title = title ? `${title.textContent} – ${name}` : `${name}: salprobe`;
  const links = document.querySelectorAll("#heat tbody a, #detail tbody a");
  const left = from && [...links].find((link) => link.hash === from && link.offsetParent);
  if (!left) scrollTo(0, 0);
  left?.scrollIntoView({ block: "center" });
  (left || title)?.focus({ preventScroll: true });
}

load("plots").then(drawPlots);
sortTables();
if (document.getElementById("heat")) {
  load("run").then((run) => {
    overview(run);
    const visited = [location.hash];
    addEventListener("hashchange", () => {
      const back = visited.length > 1 && visited.at(-2) === location.hash;
      const from = back ? visited.pop() : null;
      if (!back) visited.push(location.hash);
      show(run, from);
    });
    show(run);
  });
}
