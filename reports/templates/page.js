"use strict";
(() => {
  const grids = [...document.querySelectorAll(".grid")];
  const controls = document.querySelector(".controls");
  const zoom = document.getElementById("zoom");
  const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

  // One seed and one direction for the whole grid: all columns change together.
  function select() {
    const chosen = new FormData(controls);
    if (chosen.has("direction")) {
      for (const grid of grids) grid.hidden = grid.dataset.direction !== chosen.get("direction");
    }
    if (chosen.has("seed")) {
      for (const picture of document.querySelectorAll(".picture[data-seed]")) {
        picture.hidden = picture.dataset.seed !== chosen.get("seed");
      }
    }
    for (const row of document.querySelectorAll(".grid tr.more")) row.hidden = !chosen.has("all");
    for (const grid of grids) oneTabStop(grid);
  }

  function visibleButton(cell) {
    if (!cell || cell.hidden || cell.parentElement.hidden) return null;
    return cell.querySelector(".picture:not([hidden]) button");
  }

  // Tab enters a grid once; inside it the arrow keys move.
  function oneTabStop(grid, wanted = null) {
    const buttons = [...grid.querySelectorAll("tr:not([hidden]) > :not([hidden]) > .picture:not([hidden]) button")];
    for (const button of grid.querySelectorAll("button")) button.tabIndex = -1;
    const stop = wanted ?? buttons[0];
    if (stop) stop.tabIndex = 0;
  }

  // The next picture that way; cells that hold a status text are passed over.
  function neighbour(button, [down, right]) {
    const cell = button.closest("th, td");
    const rows = [...cell.closest("tbody").rows];
    let row = rows.indexOf(cell.parentElement) + down;
    let column = cell.cellIndex + right;
    while (rows[row]?.cells[column]) {
      const found = visibleButton(rows[row].cells[column]);
      if (found) return found;
      row += down;
      column += right;
    }
    return null;
  }

  function enlarge(button) {
    zoom.current = button;
    const inRow = [...button.closest("tr").cells].map(visibleButton).filter(Boolean);
    const shown = inRow.filter((other) => other === button || other.dataset.kind !== "method");
    zoom.querySelector(".large").replaceChildren(
      ...shown.map((other) => {
        const figure = document.createElement("figure");
        const caption = document.createElement("figcaption");
        const image = other.querySelector("img").cloneNode();
        caption.textContent = [image.alt, image.dataset.shown].filter(Boolean).join(", ");
        figure.append(image, caption);
        return figure;
      })
    );
    if (!zoom.open) zoom.showModal();
  }

  function move(event) {
    const way = MOVES[event.key];
    const from = zoom.open ? zoom.current : event.target.closest(".grid button");
    if (!way || !from || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const next = neighbour(from, way);
    if (!next) return;
    oneTabStop(next.closest(".grid"), next);
    if (zoom.open) enlarge(next);
    else next.focus();
  }

  if (controls) {
    controls.addEventListener("change", select);
    controls.addEventListener("submit", (event) => event.preventDefault());
    document.addEventListener("keydown", move);
    for (const grid of grids) {
      grid.addEventListener("click", (event) => {
        const button = event.target.closest("button");
        if (button) enlarge(button);
      });
    }
    zoom.querySelector(".close").addEventListener("click", () => zoom.close());
    zoom.addEventListener("click", (event) => { if (event.target === zoom) zoom.close(); });
    zoom.addEventListener("close", () => zoom.current?.focus());
    select();
  }
  window.addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details")) details.open = true;
  });
  window.addEventListener("load", () => {
    const images = [...document.images];
    document.documentElement.dataset.images = images.length;
    document.documentElement.dataset.broken = images.filter((image) => !image.naturalWidth).length;
    document.documentElement.dataset.ready = "true";
  });
})();
