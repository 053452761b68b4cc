// Tables sort by a click on a column's head and filter by text; without this they are plain.
(() => {
  "use strict";
  const number = /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?%?$/i;

  // By what a cell is sorted: a number, words, or null where there is nothing.
  function key(cell) {
    if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
    const part = [...cell.childNodes].find((node) => !["SMALL", "I", "svg"].includes(node.nodeName));
    const words = part ? part.textContent.trim() : "";
    const plain = words.replace("−", "-");
    return number.test(plain) ? parseFloat(plain) : words === "–" || words === "" ? null : words;
  }

  // Numbers before words, in either direction; what is missing (or failed, among numbers) comes last.
  function sorted(rows, column, descending) {
    const keys = new Map(rows.map((row) => [row, key(row.cells[column])]));
    const numeric = [...keys.values()].some((value) => typeof value === "number");
    const last = (value) => value === null || (numeric && typeof value !== "number");
    return [...rows].sort((a, b) => {
      const [one, other] = [keys.get(a), keys.get(b)];
      if (last(one) || last(other)) return last(one) - last(other);
      const order = numeric ? one - other : one.localeCompare(other, "en", { numeric: true });
      return descending ? -order : order;
    });
  }

  function sortable(table) {
    const body = table.tBodies[0];
    const original = [...body.rows];
    if (original.length < 2) return;
    const heads = [...table.tHead.querySelectorAll('th[scope="col"]')];
    const both = ["ascending", "descending"];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      const turns = head.dataset.first === "descending" ? [both[1], both[0]] : both;
      button.addEventListener("click", () => {
        const next = turns[turns.indexOf(head.getAttribute("aria-sort")) + 1];
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        if (next) head.setAttribute("aria-sort", next);
        body.append(...(next ? sorted(original, column, next === "descending") : original));
      });
    });
  }

  function filterable(table) {
    const rows = [...table.tBodies[0].rows];
    if (rows.length <= 8) return;
    const title = table.closest(".scroll").getAttribute("aria-label");
    const bar = document.createElement("span");
    const field = document.createElement("input");
    const count = document.createElement("output");
    bar.className = "filter";
    field.type = "search";
    field.placeholder = "Filter rows";
    field.setAttribute("aria-label", `Filter rows: ${title}`);
    count.setAttribute("aria-live", "polite");
    bar.append(field, count);
    table.caption.append(bar);
    const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        row.hidden = !words.every((word) => texts.get(row).includes(word));
        shown += !row.hidden;
      }
      count.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
    });
  }

  for (const table of document.querySelectorAll(".table table")) {
    sortable(table);
    filterable(table);
  }
})();
