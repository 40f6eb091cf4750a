// The page of two profiles compared.
const METRICS = { peak: "In use at the peak", live: "Live at the end", allocated: "Allocated", freed: "Freed", increment: "Increment",
  temporary: "Temporary", reallocated: "Reallocated", count: "Blocks" };
const WHOLE = [["peak", "peak"], ["live", "live at the end"], ["allocated", "allocated"], ["freed", "freed"], ["count", "blocks"]];
const state = { sort: "change", down: true, search: "", file: null, function: null, metric: data.metric };
const none = [0, 0, false];
const of = (figures) => figures[state.metric] ?? none;
const change = ([base, now]) => now - base;
const signed = (key, value) => (value > 0 ? "+" : "") + shown(key, value);
const grew = (value) => value > 0 ? "grew" : value < 0 ? "shrank" : "same";

function header() {
  const side = (it) => (it.program || "unknown program") + ", " + it.who + ", " + it.date;
  by("program").append(data.new.program || "unknown program", make("small", "", "compared with " + side(data.base)));
  by("program").title = "Base: " + side(data.base) + "\nNew: " + side(data.new);
  for (const [key, words] of WHOLE) {
    const values = data.whole[key], stat = make("div", "stat " + grew(change(values)));
    stat.dataset.metric = key;
    stat.append(make("b", "", change(values) ? signed(key, change(values)) : "="), make("span", "", `${words}: ${shown(key, values[0])} → ${shown(key, values[1])}`));
    by("theme").before(stat);
  }
  for (const note of data.notes) by("notes").append(make("p", "", note));
  for (const panel of ["grown", "contexts", "types"]) {
    if (data[panel]) { by(panel).hidden = false; by(panel).querySelector("pre").textContent = data[panel].join("\n"); }
  }
  themes();
}
function found() {
  const wanted = state.search.toLowerCase(), text = (it) => [it.name, it.file, ...(it.was ?? [])].join(" ").toLowerCase();
  return data.functions.map((it, index) => [it, index]).filter(([it]) => !wanted || text(it).includes(wanted));
}
function open(file, index) { state.file = file; state.function = index; files(); functions(); source(); }
function files() {
  const paths = new Map();
  for (const [it] of found()) paths.set(it.file, (paths.get(it.file) ?? 0) + 1);
  fileTree(paths, state.file, (path) => open(path, null));
}
function functions() {
  sorted([["name", "Function"], ["base", "Base"], ["new", "New"], ["change", "Change"]], state, functions);
  const value = ([it]) => ({ name: it.name, base: of(it.total)[0], new: of(it.total)[1], change: Math.abs(change(of(it.total))) })[state.sort];
  fill(ordered(found(), value, state.down), ([it, index]) => {
    const row = make("tr", state.function === index ? "open" : ""), name = named(it.name);
    name.title = it.name + "\n" + it.file + (it.was ? "\nwas " + it.was[1] + " in " + it.was[0] : "");
    if (it.state) name.firstChild.append(make("small", "", it.state));
    row.append(name, ...cells(it.total));
    row.addEventListener("click", () => open(it.file, index));
    return row;
  }, state, functions);
}
function cells(figures) {
  const values = of(figures), difference = change(values), cell = make("td", "c-" + grew(difference), difference ? (values[2] ? "~" : "") + signed(state.metric, difference) : values[0] ? "=" : "");
  if (values[2]) cell.classList.add("noise");
  return [make("td", "", values[0] ? shown(state.metric, values[0]) : ""), make("td", "", values[1] ? shown(state.metric, values[1]) : ""), cell];
}
function source() {
  const box = by("source");
  box.replaceChildren();
  by("shown").textContent = state.file ?? "No source";
  const shownOnes = state.function !== null ? [data.functions[state.function]] :
    data.functions.filter((it) => it.file === state.file).sort((a, b) => (a.lines[0]?.number ?? 0) - (b.lines[0]?.number ?? 0));
  for (const it of shownOnes) {
    const title = make("h3", "", it.name), total = of(it.total);
    title.append(make("small", "", `${METRICS[state.metric]}: ${shown(state.metric, total[0])} → ${shown(state.metric, total[1])}${it.state ? ", " + it.state : ""}`));
    box.append(title);
    if (it.was) box.append(make("p", "note", "was " + it.was[1] + " in " + it.was[0]));
    const grid = make("table"), head = make("tr"), top = make("thead"), body = make("tbody");
    head.append(...["Line", "(base)", "Base", "New", "Change"].map((words) => make("th", "", words)), make("th", "code", "Source"));
    const highest = Math.max(1, ...it.lines.map((line) => Math.abs(change(of(line.figures)))));
    for (const line of it.lines) {
      const row = make("tr", { "+": "added", "-": "gone", "~": "edited" }[line.mark] ?? ""), figures = cells(line.figures), difference = change(of(line.figures));
      if (difference) {
        const bar = make("i"), filled = make("b");
        filled.style.width = Math.abs(difference) / highest * 100 + "%";
        bar.append(filled); figures[2].append(bar);
      }
      const code = make("td", "code", line.mark + " " + line.text);
      row.append(make("td", "number", line.number ?? ""), make("td", "number", line.base_number ?? ""), ...figures, code);
      body.append(row);
      if (line.was === null) continue;
      const was = make("tr", "was");
      was.append(...Array.from({ length: 5 }, () => make("td")), make("td", "code", "  was " + line.was.trim()));
      body.append(was);
    }
    top.append(head); grid.append(top, body); box.append(grid);
  }
  if (!shownOnes.length) box.append(make("div", "empty", "No function changed in any figure."));
}

header();
for (const key of Object.keys(METRICS)) { const option = make("option", "", METRICS[key]); option.value = key; by("metric").append(option); }
by("metric").value = state.metric;
by("metric").addEventListener("change", () => { state.metric = by("metric").value; functions(); source(); });
by("search").addEventListener("input", () => { state.search = by("search").value; files(); functions(); });
open(data.functions[0]?.file ?? null, data.functions.length ? 0 : null);
document.documentElement.dataset.ready = "yes";
