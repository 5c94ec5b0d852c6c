"use strict";
(() => {
  const tools = document.querySelector(".tools");
  const named = [...document.querySelectorAll("[data-method]")].filter((item) => item.matches("tr, .grid thead th"));

  // The number that a cell begins with; typographic minus signs are numbers' too.
  function firstNumber(cell) {
    const found = /[-−+]?\d[\d,]*(\.\d+)?/.exec(cell?.textContent ?? "");
    return found ? Number(found[0].replace("−", "-").replaceAll(",", "")) : NaN;
  }

  // Methods change places with each other; untrained and last rows stay where they are.
  function sort(table, place, order) {
    for (const body of table.tBodies) {
      const rows = [...body.rows];
      const movable = rows.filter((row) => !row.matches(".floor, .ceiling"));
      const sorted = [...movable].sort((a, b) => a.dataset.place - b.dataset.place);
      if (order) {
        const sign = order === "ascending" ? 1 : -1;
        const key = (row) => (place ? firstNumber(row.cells[place]) : row.dataset.method);
        sorted.sort((a, b) => {
          const [x, y] = [key(a), key(b)];
          if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
          return x < y ? -sign : x > y ? sign : 0;
        });
      }
      const next = sorted.values();
      body.replaceChildren(...rows.map((row) => (movable.includes(row) ? next.next().value : row)));
    }
  }

  function makeSortable(table) {
    for (const body of table.tBodies) [...body.rows].forEach((row, place) => { row.dataset.place = place; });
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.title = "sort by this column; a third time: the first order";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const first = place && !head.textContent.includes("↓") ? "descending" : "ascending";
        const second = first === "ascending" ? "descending" : "ascending";
        const order = { [first]: second, [second]: "" }[head.getAttribute("aria-sort") ?? ""] ?? first;
        for (const other of heads) other.removeAttribute("aria-sort");
        if (order) head.setAttribute("aria-sort", order);
        sort(table, place, order);
      });
    });
  }

  function columnChooser(table) {
    const heads = [...table.tHead.rows[0].cells].slice(1);
    if (heads.length < 3) return;
    const chooser = document.createElement("details");
    chooser.className = "columns";
    chooser.append(document.createElement("summary"), document.createElement("fieldset"));
    const count = () => heads.filter((head) => !head.hidden).length;
    const say = () => { chooser.firstChild.textContent = `columns (${count()} of ${heads.length})`; };
    for (const head of heads) {
      const label = document.createElement("label");
      const box = document.createElement("input");
      box.type = "checkbox";
      box.checked = true;
      box.autocomplete = "off";
      label.append(box, head.textContent);
      box.addEventListener("change", () => {
        for (const row of table.rows) {
          if (row.cells[head.cellIndex]) row.cells[head.cellIndex].hidden = !box.checked;
        }
        say();
      });
      chooser.lastChild.append(label);
    }
    say();
    table.closest(".scroll").before(chooser);
  }

  function find(text) {
    const wanted = text.trim().toLowerCase();
    const fits = (name) => name.toLowerCase().includes(wanted);
    for (const item of named) {
      const hidden = Boolean(wanted) && !fits(item.dataset.method);
      if (item.matches("tr")) item.hidden = hidden;
      else if (!["copy", "real"].includes(item.dataset.method)) {
        for (const row of item.closest("table").rows) row.cells[item.cellIndex].hidden = hidden;
      }
    }
    const found = new Set(named.map((item) => item.dataset.method).filter(fits)).size;
    tools.querySelector("[role=status]").textContent = wanted ? `${found} found` : "";
  }

  function unfoldTarget() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    const own = target.querySelector(":scope > details.fold");
    for (let fold = own ?? target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    target.scrollIntoView();
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    makeSortable(table);
    columnChooser(table);
  }
  tools.hidden = false;
  tools.querySelector("input").addEventListener("input", (event) => find(event.target.value));
  for (const button of tools.querySelectorAll("[data-fold]")) {
    button.addEventListener("click", () => {
      for (const fold of document.querySelectorAll("details.fold")) fold.open = button.dataset.fold === "open";
    });
  }
  window.addEventListener("hashchange", unfoldTarget);
  if (location.hash) unfoldTarget();
})();
