"use strict";
(function () {
  const table = document.getElementById("measures");
  if (!table) return;
  const body = table.tBodies[0], rows = Array.from(body.rows), first = 40;
  const controls = document.getElementById("controls"), more = document.getElementById("more");
  const text = document.getElementById("filter"), group = document.getElementById("group"), word = document.getElementById("word");
  const shown = document.getElementById("shown");
  const words = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  let all = rows.length <= first + 10;

  function update() {
    const parts = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let matching = 0, visible = 0;
    for (const row of body.rows) {
      const fits = parts.every((part) => words.get(row).includes(part)) &&
        (!group.value || row.dataset.group === group.value) && (!word.value || row.dataset.word === word.value);
      if (fits) matching += 1;
      const later = fits && !all && matching > first;
      row.hidden = !fits;
      row.classList.toggle("later", later);
      if (fits && !later) visible += 1;
    }
    more.hidden = visible === matching;
    more.textContent = "Show all " + matching;
    const most = document.createElement("span");
    most.className = "screen";
    most.textContent = visible < matching ? ", the first " + visible + " shown" : "";
    shown.replaceChildren((matching < rows.length ? matching + " of " + rows.length + " measures match" :
      rows.length + " measures"), most, ".");
  }

  function key(row, column, kind) {
    const cell = row.cells[column];
    const own = cell.dataset.key === undefined ? cell.textContent.toLowerCase() : cell.dataset.key;
    if (own === "") return null;
    return kind === "number" || cell.dataset.key !== undefined ? Number(own) : own;
  }

  function sort(button) {
    const head = button.closest("th"), column = Number(button.dataset.column), kind = button.dataset.kind;
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const keyed = rows.map((row, place) => [key(row, column, kind), place, row]);
    keyed.sort((a, b) => {
      if (a[0] === null || b[0] === null) return (a[0] === null) - (b[0] === null) || a[1] - b[1];
      const order = typeof a[0] === "number" ? a[0] - b[0] : a[0].localeCompare(b[0]);
      return (down ? -order : order) || a[1] - b[1];
    });
    body.append(...keyed.map((entry) => entry[2]));
    update();
  }

  table.tHead.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) sort(button);
  });
  controls.addEventListener("submit", (event) => event.preventDefault());
  for (const input of [text, group, word]) input.addEventListener("input", update);
  addEventListener("beforeprint", () => { for (const part of document.querySelectorAll("details")) part.open = true; });
  more.addEventListener("click", () => { all = true; update(); text.focus(); });
  controls.hidden = false;
  update();
})();
