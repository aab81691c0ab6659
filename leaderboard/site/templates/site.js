// Sorting and filtering of the board, and the choice of two rows to compare; without it each page
// is plain and complete.
"use strict";

const pairs = [...document.querySelectorAll("[data-names]")];
if (pairs.length) {
  const selects = [...document.querySelectorAll("[data-pair]")];
  const known = new Map(pairs.map((section) => [section.dataset.names, section.id]));
  const names = [...new Set(pairs.flatMap((section) => JSON.parse(section.dataset.names)))];
  const place = (one, other) =>
    known.get(JSON.stringify([one, other])) ?? known.get(JSON.stringify([other, one]));

  function show() {
    const section = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const shown = JSON.parse((section?.dataset.names ? section : pairs[0]).dataset.names);
    selects.forEach((select, side) => { select.value = shown[side]; });
  }

  selects.forEach((select, side) => {
    names.forEach((name) => select.add(new Option(name, name)));
    select.addEventListener("change", () => {
      const other = selects[1 - side];
      if (other.value === select.value) other.value = names.find((name) => name !== select.value);
      location.hash = place(selects[0].value, selects[1].value);
    });
  });
  window.addEventListener("hashchange", show);
  document.querySelector(".tools").hidden = false;
  show();
}

const table = document.getElementById("board");
if (table) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const tools = document.querySelector(".tools");
  const select = tools.querySelector("select");
  const search = tools.querySelector("input[type=search]");
  const ranked = tools.querySelector("input[type=checkbox]");
  const count = tools.querySelector("[data-count]");

  const key = (row, column, kind) => {
    const value = row.cells[column].dataset.value ?? "";
    if (kind === "text") return value;
    return value === "" ? NaN : Number(value);
  };

  function sort(column, direction) {
    const kind = heads[column].dataset.sort;
    const sign = direction === "ascending" ? 1 : -1;
    const rows = original.map((row, place) => [key(row, column, kind), place, row]);
    rows.sort(([a, i], [b, j]) => {
      if (kind === "text") return sign * a.localeCompare(b) || i - j;
      if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b) || i - j;
      return sign * (a - b) || i - j;
    });
    body.append(...rows.map(([, , row]) => row));
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[column].setAttribute("aria-sort", direction);
    select.value = `${column} ${direction}`;
  }

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of original) {
      const text = `${row.cells[1].textContent} ${row.dataset.role}`.toLowerCase();
      const keep = words.every((word) => text.includes(word)) &&
        (!ranked.checked || row.dataset.role === "ranked");
      row.hidden = !keep;
      shown += keep;
    }
    count.textContent = `${shown} of ${original.length} rows`;
  }

  heads.forEach((head, column) => {
    if (!head.dataset.sort) return;
    const name = head.textContent;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () =>
      sort(column, head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending"));
    head.replaceChildren(button);
    for (const direction of ["ascending", "descending"]) {
      const arrow = direction === "ascending" ? "▲" : "▼";
      select.add(new Option(`${name} ${arrow}`, `${column} ${direction}`));
    }
  });
  select.addEventListener("change", () => {
    const [column, direction] = select.value.split(" ");
    sort(Number(column), direction);
  });
  search.addEventListener("input", filter);
  ranked.addEventListener("change", filter);
  tools.hidden = false;
  filter();
}
