"use strict";
// Sorts the table by a column; a second press turns the order around.
(() => {
  const body = document.querySelector("tbody");
  if (!body) return;
  const heads = [...document.querySelectorAll("thead th")];
  const value = (row, name) => {
    const cell = row.querySelector(`[data-column="${name}"]`);
    return cell ? cell.dataset.value : "";
  };
  const names = heads.map((head) => head.textContent.trim());
  for (const row of body.rows) {
    let at = 0;
    for (const cell of row.cells) { cell.dataset.column = names[at]; at += cell.colSpan; }
  }
  const collator = new Intl.Collator("en", { numeric: true });
  for (const button of document.querySelectorAll("[data-sort]")) {
    button.addEventListener("click", () => {
      const head = button.closest("th");
      const numeric = button.dataset.sort === "number";
      const before = head.getAttribute("aria-sort");
      const up = before ? before === "descending" : !numeric; // numbers start with the largest
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const name = button.textContent.trim();
      const compare = numeric
        ? (a, b) => (parseFloat(value(a, name)) || 0) - (parseFloat(value(b, name)) || 0)
        : (a, b) => collator.compare(value(a, name), value(b, name));
      body.append(...[...body.rows].sort((a, b) => (up ? compare(a, b) : compare(b, a))));
    });
  }
})();
