// Sorting and filtering of the board; without it the page is a plain, complete table.
"use strict";

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
