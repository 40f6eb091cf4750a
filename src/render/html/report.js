// The page of one profile.
const FIGURES = [["peak", "At peak"], ["live", "Live"], ["allocated", "Allocated"], ["freed", "Freed"], ["count", "Count"]];
// What is freed is not known by type.
const TYPE_FIGURES = FIGURES.filter(([key]) => key !== "freed");
const BARS = [["allocated", "Allocated"], ["freed", "Freed"], ["live", "Live"], ["peak", "At peak"]];
const METRICS = { peak: "In use at the peak", live: "Live at the end", allocated: "Allocated", temporary: "Temporary" };

const state = { sort: "peak", down: true, period: null, asked: null, sorted: null, search: "", file: null, table: null, metric: "peak", chosen: 0, line: null, context: null };

function header() {
  const about = data.about;
  by("program").append(about.program || "unknown program", make("small", "", about.who + ", " + about.date));
  for (const note of data.notes) by("notes").append(make("p", "", note));
  themes();
}
// The figures of the whole process, or of the context that is chosen.
function stats() {
  const about = data.about, part = data.contexts[state.context]?.total;
  const blocks = (count) => "allocated in " + count.toLocaleString("en") + " blocks";
  const shownOnes = state.period ? [["live", state.period.live, state.period.words]] : part ? [["peak", part.peak, "in use at the peak"], ["live", part.live, "in use at the end"],
    ["allocated", part.allocated, blocks(part.count)], ["freed", part.freed, "freed"]] :
    [["peak", about.peak, "peak, at " + about.peak_at], ["live", about.heap, about.heap_when],
    ["allocated", about.allocated, blocks(about.blocks)], ["freed", about.freed, "freed"]];
  document.querySelectorAll(".stat").forEach((stat) => stat.remove());
  for (const [name, value, words] of shownOnes) {
    const stat = make("div", "stat " + name);
    stat.append(make("b", "", bytes(value)), make("span", "", words));
    by("of").before(stat);
  }
}
// Everything below the timeline is of the whole process, or of one context.
const whole = { tables: data.tables, trees: data.trees, types: data.types };
function contexts() {
  const option = (text, value) => { const option = make("option", "", text); option.value = value; return option; };
  by("context").append(option("all", ""));
  const groups = new Map();
  data.contexts.forEach((part, number) => {
    if (!groups.has(part.key)) {
      const group = document.createElement("optgroup");
      group.label = part.key;
      groups.set(part.key, group);
      by("context").append(group);
    }
    groups.get(part.key).append(option(`${part.key}: ${part.value ?? "(none)"} (${bytes(part.total.peak)})`, number));
  });
  by("of").hidden = !data.contexts.length;
  by("context").addEventListener("change", () => show(by("context").value === "" ? null : Number(by("context").value)));
}
function show(context) {
  state.context = context;
  if (state.period) state.sort = state.sorted;
  state.period = null;
  by("all").hidden = true;
  by("metric").disabled = false;
  const part = data.contexts[context];
  data.tables = part ? part.tables.map(([number, total, lines]) => {
    const table = whole.tables[number], figures = new Map(lines);
    return { ...table, total, lines: table.lines.map(([line, text], at) => [line, text, figures.get(at) ?? null]) };
  }) : whole.tables;
  data.trees = (part ?? whole).trees;
  data.types = (part ?? whole).types;
  state.table = data.tables.length ? 0 : null;
  state.file = data.tables[0]?.file ?? null;
  stats(); choose(0); types();
}
function types() {
  by("types").hidden = !whole.types.length || state.period !== null;
  const head = make("tr");
  head.append(make("th", "name", "Type"), ...TYPE_FIGURES.map(([, words]) => make("th", "", words)));
  document.querySelector("#types thead").replaceChildren(head);
  const rows = data.types.map((type) => {
    const row = make("tr"), name = named(type.name);
    name.title = type.title;
    row.append(name, ...TYPE_FIGURES.map(([key]) => {
      const noise = type.figures.noise?.includes(key);
      return make("td", noise ? "noise" : "", (noise ? "~" : "") + shown(key, type.figures[key]));
    }));
    return row;
  });
  document.querySelector("#types tbody").replaceChildren(...rows);
}

function resident() {
  const { moments, parts } = data.resident;
  by("resident").hidden = !moments.length;
  const head = make("tr");
  head.append(make("th", "name", "Part"), ...moments.flatMap((moment) => [make("th", "", moment), make("th", "", "of RSS")]));
  document.querySelector("#resident thead").replaceChildren(head);
  const sums = moments.map((_, at) => parts.reduce((sum, [, values]) => sum + values[at], 0));
  const rows = [...parts, ["resident (RSS)", sums]].map(([label, values]) => {
    const row = make("tr");
    row.append(make("td", "name", label), ...values.flatMap((value, at) =>
      [make("td", "", bytes(value)), make("td", "", Math.round(100 * value / Math.max(sums[at], 1)) + " %")]));
    return row;
  });
  rows[rows.length - 1].className = "sum";
  document.querySelector("#resident tbody").replaceChildren(...rows);
}

function timeline() {
  const W = Math.max(by("timeline").clientWidth, 300), L = 76, R = 14, T = 22, ROW = 17;
  const { points, ticks, times, height, span, peak, peak_at, spans } = data.timeline;
  const H = 150 + spans.length * ROW, B = 20 + spans.length * ROW;
  const x = (t) => L + t / Math.max(span, 1) * (W - L - R), y = (v) => H - B - Math.max(v, 0) / height * (H - T - B);
  const svg = (tag, attributes, text) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const root = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": "Heap and RSS over time" });
  for (const [at, text] of ticks) root.append(svg("path", { class: "grid", d: `M${L} ${y(at)}H${W - R}` }), svg("text", { x: L - 8, y: y(at) + 4, "text-anchor": "end" }, text));
  for (const [at, text] of times) root.append(svg("text", { x: x(at), y: H - B + 15, "text-anchor": x(at) > W - 40 ? "end" : "middle" }, text));
  const path = (index) => points.filter((p) => p[index] !== null).map((p) => `${x(p[0]).toFixed(1)} ${y(p[index]).toFixed(1)}`).join("L");
  root.append(svg("path", { class: "heap", d: `M${x(0)} ${y(0)}L${path(1)}L${x(span)} ${y(0)}Z` }));
  if (path(3)) {
    // There along the RSS, and back below what may be the recorder's.
    const known = points.filter((p) => p[3] !== null), at = (p, index) => `${x(p[0]).toFixed(1)} ${y(p[index]).toFixed(1)}`;
    root.append(svg("path", { class: "own", d: "M" + [...known.map((p) => at(p, 2)), ...known.reverse().map((p) => at(p, 3))].join("L") + "Z" }));
  }
  if (path(2)) root.append(svg("path", { class: "rss", d: "M" + path(2) }));
  if (peak > 0) {
    const right = x(peak_at) > W / 2;
    root.append(svg("path", { class: "peakline", d: `M${x(peak_at)} ${T - 6}V${H - B}` }), svg("circle", { class: "peakdot", cx: x(peak_at), cy: y(peak), r: 3.5 }),
      svg("text", { class: "peak", x: x(peak_at) + (right ? -7 : 7), y: T - 7, "text-anchor": right ? "end" : "start" }, "peak " + bytes(peak)));
  }
  spans.forEach(([first, last, label], number) => {
    const top = H - B + 20 + number * ROW, right = x(first) > W * 0.6;
    const bar = svg("rect", { class: "span", x: x(first), y: top, width: Math.max(x(last) - x(first), 1.5), height: ROW - 3, rx: 2 });
    bar.append(svg("title", {}, label));
    root.append(bar, svg("text", { class: "span", x: right ? x(last) - 4 : x(first) + 4, y: top + 11, "text-anchor": right ? "end" : "start" }, label));
  });
  if (data.moments) chooseMoments(root, svg, { x, W, L, R, T, bottom: H - B, span });
  root.style.height = H + "px";
  by("timeline").replaceChildren(root);
}

// Moments: what was live at one, of what was allocated after another. A drag over the timeline chooses both.
function chooseMoments(root, svg, { x, W, L, R, T, bottom, span }) {
  const { times, names } = data.moments;
  times.forEach((time, at) => {
    if (names[at] === null) return;
    const line = svg("path", { class: "mark", d: `M${x(time).toFixed(1)} ${T - 6}V${bottom}` });
    line.append(svg("title", {}, names[at] + ", at " + seconds(time)));
    root.append(line);
  });
  const area = svg("rect", { class: "chosen", y: T - 6, height: bottom - T + 6, x: 0, width: 0 });
  const show_area = () => {
    if (!state.period) return area.setAttribute("width", 0);
    area.setAttribute("x", x(state.period.from));
    area.setAttribute("width", Math.max(x(state.period.to) - x(state.period.from), 1));
  };
  const time = (event) => {
    const box = root.getBoundingClientRect();
    return ((event.clientX - box.left) * W / Math.max(box.width, 1) - L) / (W - L - R) * span;
  };
  let start = null;
  root.append(area);
  root.classList.add("choosing");
  root.addEventListener("pointerdown", (event) => {
    start = event.clientX;
    root.dataset.from = time(event);
    if (event.pointerId && root.setPointerCapture) try { root.setPointerCapture(event.pointerId); } catch { /* made by a script */ }
  });
  root.addEventListener("pointermove", (event) => {
    if (start === null || Math.abs(event.clientX - start) < 4) return;
    const from = Number(root.dataset.from), to = time(event);
    if (state.asked === null) requestAnimationFrame(() => { const [first, last] = state.asked; period(first, last); show_area(); state.asked = null; });
    state.asked = [Math.min(from, to), Math.max(from, to)];
  });
  root.addEventListener("pointerup", (event) => {
    if (start !== null && Math.abs(event.clientX - start) < 4 && state.period) { by("context").value = ""; show(null); show_area(); }
    start = null;
  });
  show_area();
}
const seconds = (ns) => (ns / 1e9).toFixed(3) + " s";
// The number of the latest moment up to a time, from 1; 0 is the beginning.
function momentUpTo(time) {
  const { times } = data.moments;
  let count = 0;
  while (count < times.length && times[count] <= time) count += 1;
  return count;
}
function period(from, to) {
  const { times, names } = data.moments, span = data.timeline.span, end = times.length + 1;
  const since = momentUpTo(from);
  // Where a drag ends at the edge, it is the end that is meant.
  const at = Math.max(to >= span * 0.99 ? end : momentUpTo(to), since + 1);
  const named = (number) => number === end ? "the end" : number === 0 ? "the start" : (names[number - 1] === null ? "" : names[number - 1] + ", ") + seconds(times[number - 1]);
  const { tree, sums } = liveAt(since, at);
  if (!state.period) state.sorted = state.sort;
  state.period = {
    live: tree[0][2], from: since === 0 ? 0 : times[since - 1], to: at === end ? span : times[at - 1],
    words: (since === 0 ? "" : "allocated after " + named(since) + " and ") + "live at " + named(at),
  };
  data.trees = { live: tree };
  state.metric = "live"; by("metric").value = "live"; by("metric").disabled = true;
  state.context = null; by("context").value = "";
  state.sort = state.sort === "name" ? "name" : "live";
  by("all").hidden = false;
  const figures = (value) => value === undefined ? null : { live: value };
  data.tables = whole.tables.filter((table) => sums.has(table.file + "\n" + table.name)).map((table) => ({
    ...table, total: figures(sums.get(table.file + "\n" + table.name)),
    lines: table.lines.map(([line, text]) => [line, text, line === null ? null : figures(sums.get(table.file + "\n" + line))]),
  }));
  state.table = data.tables.length ? 0 : null;
  state.file = data.tables[0]?.file ?? null;
  stats(); choose(0); types();
}
// The nodes as numbers, and for each frame what tells its function and its line from others.
let prepared = null;
function prepare() {
  const { nodes, cohorts } = data.moments, count = nodes.length / 2;
  const keys = new Map(), number = (key) => { if (!keys.has(key)) keys.set(key, keys.size); return keys.get(key); };
  const functions = new Int32Array(data.frames.length), lines = new Int32Array(data.frames.length);
  data.frames.forEach(([name, file, line], at) => { functions[at] = number(file + "\n" + name); lines[at] = number(file + "\n" + line); });
  const frames = new Int32Array(count), parents = new Int32Array(count);
  for (let i = 0; i < count; i++) { frames[i] = nodes[2 * i]; parents[i] = nodes[2 * i + 1]; }
  prepared = { frames, parents, functions, lines, keys: [...keys.keys()], cohorts: Float64Array.from(cohorts), sums: new Float64Array(count), path: new Int32Array(count) };
}
const SHOWN = 4000, NARROW = 0.0002;
function liveAt(since, at) {
  if (!prepared) prepare();
  const { frames, parents, functions, lines, keys, cohorts, sums, path } = prepared, count = frames.length;
  sums.fill(0);
  for (let i = 0; i < cohorts.length; i += 4) {
    if (cohorts[i + 1] >= since && cohorts[i + 1] < at && cohorts[i + 2] >= at) sums[cohorts[i]] += cohorts[i + 3];
  }
  for (let i = count - 1; i > 0; i--) sums[parents[i]] += sums[i];
  // Each function and line once, by its outermost frame.
  const of = new Float64Array(keys.length), open = new Int32Array(keys.length), seen = new Uint8Array(keys.length);
  let depth = 0;
  for (let i = 1; i < count; i++) {
    while (depth > 0 && path[depth - 1] !== parents[i]) {
      const closed = frames[path[--depth]];
      open[functions[closed]] -= 1; open[lines[closed]] -= 1;
    }
    const frame = frames[i];
    for (const key of [functions[frame], lines[frame]]) {
      if (open[key] === 0 && sums[i] !== 0) { of[key] += sums[i]; seen[key] = 1; }
      open[key] += 1;
    }
    path[depth++] = i;
  }
  const found = new Map();
  for (let key = 0; key < keys.length; key++) if (seen[key]) found.set(keys[key], of[key]);
  return { tree: widest(sums), sums: found };
}
// The nodes that are wide enough to see, children by size, a subtree in one piece.
function widest(sums) {
  const { frames, parents } = prepared, children = new Map();
  let least = Math.max(sums[0] * NARROW, 1), wide = [];
  for (let i = 1; i < sums.length; i++) if (sums[i] >= least) wide.push(i);
  if (wide.length > SHOWN) {
    least = Float64Array.from(wide, (i) => sums[i]).sort()[wide.length - SHOWN];
    wide = wide.filter((i) => sums[i] > least);
  }
  for (const i of wide) {
    if (!children.has(parents[i])) children.set(parents[i], []);
    children.get(parents[i]).push(i);
  }
  const tree = [], open = [[0, 0]];
  while (open.length) {
    const [node, parent] = open.pop(), here = tree.length;
    tree.push([frames[node], parent, sums[node]]);
    const below = (children.get(node) ?? []).sort((a, b) => sums[a] - sums[b]);
    for (const child of below) open.push([child, here]);
  }
  return tree;
}

// Stacks: nodes are [frame, parent, sum], parents before children, a subtree in one piece.
const tree = () => data.trees[state.metric];
function endOf(nodes, start) {
  let end = start + 1;
  const inside = new Set([start]);
  while (end < nodes.length && inside.has(nodes[end][1])) inside.add(end++);
  return end;
}
function flame() {
  const box = by("flame"), nodes = tree(), chosen = state.chosen, end = endOf(nodes, chosen);
  box.replaceChildren();
  const left = [], width = [], depth = [], used = [];
  const above = new Set();
  for (let at = chosen; at !== 0; at = nodes[at][1]) above.add(nodes[at][1]);
  const width_of = box.clientWidth || 1000;
  let deepest = 0;
  for (let i = 0; i < nodes.length; i++) {
    const [frame, parent, sum] = nodes[i];
    if (i === 0) depth[i] = 0; else depth[i] = (depth[parent] ?? 0) + 1;
    if (above.has(i)) { left[i] = 0; width[i] = 1; }
    else if (i === chosen) { left[i] = 0; width[i] = 1; }
    else if (i > chosen && i < end) { left[i] = left[parent] + (used[parent] ?? 0); width[i] = width[parent] * sum / Math.max(nodes[parent][2], 1); used[parent] = (used[parent] ?? 0) + width[i]; }
    else continue;
    if (width[i] * width_of < 1.5) continue;
    deepest = Math.max(deepest, depth[i]);
    const [name, file, line, own] = i === 0 ? [state.period?.words ?? METRICS[state.metric], "", null, false] : data.frames[frame];
    const node = make("button", "frame " + (i === 0 ? "root" : own ? "user" : "other") + (above.has(i) ? " above" : "") + (i === chosen && i !== 0 ? " chosen" : ""), own ? name + ":" + line : name);
    node.type = "button";
    if (width[i] * width_of < 12) node.classList.add("narrow");
    node.style.left = left[i] * 100 + "%"; node.style.width = `calc(${width[i] * 100}% - 1px)`; node.style.top = depth[i] * 20 + "px";
    const place = line === null ? "" : "  " + file + ":" + line;
    const words = `${name}${place}: ${bytes(sum)}, ${(sum / Math.max(nodes[0][2], 1) * 100).toFixed(1)} %`;
    node.title = words;
    node.addEventListener("mouseenter", () => { by("hover").textContent = words; });
    node.addEventListener("click", () => choose(i));
    box.append(node);
  }
  const spacer = make("div");
  spacer.style.height = (deepest + 1) * 20 + "px";
  box.append(spacer);
  by("reset").hidden = chosen === 0;
}
function choose(number) {
  state.chosen = number;
  selection = part();
  if (number !== 0) {
    const [name, file, line] = data.frames[tree()[number][0]];
    const at = data.tables.findIndex((table) => table.file === file && table.name === name);
    if (at >= 0) { state.table = at; state.file = file; state.line = line; }
  } else state.line = null;
  flame(); files(); functions(); source();
}
// What the chosen subtree has of every function and line: each once, by its outermost frame.
let selection = null;
function part() {
  if (state.chosen === 0) return null;
  const nodes = tree(), sums = new Map(), open = new Map(), path = [];
  const close = () => { for (const key of path.pop()[1]) open.set(key, open.get(key) - 1); };
  for (let i = state.chosen, end = endOf(nodes, state.chosen); i < end; i++) {
    const [frame, parent, sum] = nodes[i];
    while (path.length && path[path.length - 1][0] !== parent) close();
    const [name, file, line] = data.frames[frame];
    const keys = [file + "\n" + name, file + "\n" + line];
    for (const key of keys) {
      if (!open.get(key)) sums.set(key, (sums.get(key) ?? 0) + sum);
      open.set(key, (open.get(key) ?? 0) + 1);
    }
    path.push([i, keys]);
  }
  return sums;
}
const chosenOf = (table) => selection.get(table.file + "\n" + table.name);

function found() {
  const wanted = state.search.toLowerCase();
  return data.tables.map((table, index) => [table, index]).filter(([table]) =>
    (!wanted || (table.name + " " + table.file).toLowerCase().includes(wanted)) && (!selection || chosenOf(table) !== undefined));
}
function functions() {
  sorted([["name", "Function"], ...FIGURES], state, functions);
  const rows = found(), value = ([table]) => state.sort === "name" ? table.name : table.total[state.sort];
  fill(ordered(rows, value, state.down), ([table, index]) => {
    const row = make("tr", state.table === index ? "open" : "");
    const name = named(table.name);
    name.title = table.name + "\n" + table.file;
    row.append(name, ...FIGURES.map(([key]) => {
      const noise = table.total.noise?.includes(key);
      return make("td", noise ? "noise" : "", (noise ? "~" : "") + shown(key, table.total[key]));
    }));
    row.addEventListener("click", () => { state.table = index; state.file = table.file; state.line = null; files(); functions(); source(); });
    return row;
  }, state, functions);
}
function files() {
  const paths = new Map();
  for (const [table] of found()) paths.set(table.file, (paths.get(table.file) ?? 0) + 1);
  fileTree(paths, state.file, (path) => { state.file = path; state.table = null; state.line = null; files(); functions(); source(); });
}
function source() {
  const box = by("source");
  box.replaceChildren();
  const tables = state.table !== null ? [data.tables[state.table]] :
    data.tables.filter((table) => table.file === state.file).sort((a, b) => (a.lines[0]?.[0] ?? 0) - (b.lines[0]?.[0] ?? 0));
  by("shown").textContent = state.file ?? "No source";
  let here = null;
  for (const table of tables) {
    const title = make("h3", "", table.name);
    title.append(make("small", "", state.period ? `${bytes(table.total.live)} ${state.period.words}` :
      `${bytes(table.total.allocated)} allocated, ${bytes(table.total.peak)} at the peak`));
    box.append(title, ...table.notes.map((note) => make("p", "note", note)));
    const columns = selection ? [["chosen", "In selection"], ...BARS] : BARS;
    const grid = make("table"), head = make("tr"), body = make("tbody");
    head.append(make("th", "", "Line"), ...columns.map(([, words]) => make("th", "", words)), make("th", "code", "Source"));
    const highest = {};
    for (const [key] of columns) highest[key] = Math.max(1, ...table.lines.map((line) => Math.abs(figure(table, line, key) ?? 0)));
    for (const line of table.lines) {
      const row = make("tr");
      row.append(make("td", "number", line[0] ?? ""));
      for (const [key] of columns) {
        const value = figure(table, line, key), cell = make("td", "c-" + key);
        if (value) {
          cell.textContent = (line[2]?.noise?.includes(key) ? "~" : "") + bytes(value);
          if (line[2]?.noise?.includes(key)) cell.classList.add("noise");
          const bar = make("i"), filled = make("b");
          filled.style.width = Math.abs(value) / highest[key] * 100 + "%";
          bar.append(filled); cell.append(bar);
        }
        row.append(cell);
      }
      row.append(make("td", "code", line[1]));
      if (state.line !== null && line[0] === state.line) { row.className = "here"; here = row; }
      body.append(row);
    }
    const top = make("thead"); top.append(head); grid.append(top, body); box.append(grid);
  }
  if (!tables.length) box.append(make("div", "empty", "No line of the program's own source touched memory."));
  if (here) here.scrollIntoView({ block: "nearest" });
}
const figure = (table, line, key) => key === "chosen" ? (line[0] === null ? undefined : selection.get(table.file + "\n" + line[0])) : line[2]?.[key];

header(); contexts(); timeline(); resident();
by("hint").hidden = !data.moments;
for (const key of Object.keys(METRICS)) { const option = make("option", "", METRICS[key]); option.value = key; by("metric").append(option); }
by("metric").addEventListener("change", () => { state.metric = by("metric").value; choose(0); });
by("all").addEventListener("click", () => { by("context").value = ""; show(null); timeline(); });
by("reset").addEventListener("click", () => choose(0));
by("search").addEventListener("input", () => { state.search = by("search").value; files(); functions(); });
addEventListener("resize", () => { timeline(); flame(); });
show(null);
document.documentElement.dataset.ready = "yes";
