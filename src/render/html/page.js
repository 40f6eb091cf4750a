"use strict";
// What the pages share. All text comes from files that strangers may have written: it is only ever set as text.
const data = JSON.parse(document.getElementById("data").textContent);
const by = (id) => document.getElementById(id);
const make = (tag, name, text) => {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
};
function bytes(number) {
  const size = Math.abs(number), units = ["B", "KiB", "MiB", "GiB", "TiB"];
  if (size < 1024) return number + " B";
  let unit = 0, value = size;
  while (value >= 1023.95 && unit < 4) { value /= 1024; unit += 1; }
  return (number < 0 ? "-" : "") + value.toFixed(1) + " " + units[unit];
}
// The cell of a function's name. A long one is cut in its middle: its end tells it from others.
const END = 16;
function named(text) {
  const cell = make("td", "name"), name = make("div"), at = Math.max(text.length - END, 0);
  name.append(make("span", "start", text.slice(0, at)), make("span", "end", text.slice(at)));
  cell.append(name);
  return cell;
}
const shown = (key, value) => value === undefined ? "" : key === "count" ? value.toLocaleString("en") : bytes(value);
function themes() {
  by("toggle").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
}
// The head of a table that is sorted by a click on a column; `show` shows it anew.
function sorted(columns, state, show) {
  const head = make("tr");
  for (const [key, words] of columns) {
    const cell = make("th", key === "name" ? "name" : "", words);
    cell.dataset.sort = key; cell.tabIndex = 0;
    if (state.sort === key) cell.setAttribute("aria-sort", state.down ? "descending" : "ascending");
    const sort = () => { state.down = state.sort === key ? !state.down : key !== "name"; state.sort = key; show(); };
    cell.addEventListener("click", sort);
    cell.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
    head.append(cell);
  }
  by("functions").tHead.replaceChildren(head);
}
const ordered = (rows, value, down) => rows.sort((a, b) => { const x = value(a), y = value(b); return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1); });
// Long tables take a browser long: so many rows at first, and one that shows the others.
const FIRST = 300;
function fill(rows, row, state, show) {
  const made = (state.all ? rows : rows.slice(0, FIRST)).map(row);
  if (made.length < rows.length) {
    const more = make("tr", "more"), cell = make("td", "", `Show all ${rows.length.toLocaleString("en")} functions`);
    cell.colSpan = 9;
    more.append(cell);
    more.addEventListener("click", () => { state.all = true; show(); });
    made.push(more);
  }
  by("functions").tBodies[0].replaceChildren(...made);
}
// The files of `paths` (path to number of functions) as a tree of folders; a click on one opens it. Folders with nothing
// but one folder in them are one row with it, so what all files share is one row at most: `crates/app/src/`.
function fileTree(paths, opened, open) {
  const box = by("files"), root = { folders: new Map(), files: [] };
  box.replaceChildren();
  for (const path of [...paths.keys()].sort()) {
    const parts = path.split("/"), name = parts.pop();
    let folder = root;
    for (const part of parts) {
      if (!folder.folders.has(part)) folder.folders.set(part, { folders: new Map(), files: [] });
      folder = folder.folders.get(part);
    }
    folder.files.push([name, path]);
  }
  const row = (name, depth, texts) => {
    const row = make("div", name);
    row.append(...texts.map((text) => make("span", "", text)));
    row.style.paddingLeft = 12 + depth * 14 + "px";
    box.append(row);
    return row;
  };
  const show = (folder, depth) => {
    for (let [name, inner] of folder.folders) {
      while (!inner.files.length && inner.folders.size === 1) {
        const [[more, only]] = inner.folders;
        name += "/" + more;
        inner = only;
      }
      row("folder", depth, [name + "/"]);
      show(inner, depth + 1);
    }
    for (const [name, path] of folder.files) {
      const count = paths.get(path) + (paths.get(path) === 1 ? " function" : " functions");
      row("file" + (opened === path ? " open" : ""), depth, [name, count]).addEventListener("click", () => open(path));
    }
  };
  show(root, 0);
  if (!paths.size) box.append(make("div", "empty", "Nothing is called that."));
}
