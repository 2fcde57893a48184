"use strict";

for (const place of document.querySelectorAll("[data-figure]")) {
  const figure = JSON.parse(document.getElementById(place.dataset.figure).textContent);
  Plotly.newPlot(place, figure.data, figure.layout, { displayModeBar: false, responsive: true });
}

/* A recipe is one <tbody>, sorted by its first row; recipes without a value come last. */
function sortTable(table, column, descending) {
  const value = (body) => {
    const raw = body.rows[0].cells[column].dataset.value ?? "";
    return raw === "" ? null : Number.isNaN(Number(raw)) ? raw : Number(raw);
  };
  const bodies = [...table.tBodies].map((body) => [value(body), body]);
  bodies.sort(([one], [other]) => {
    if (one === null || other === null) return (one === null) - (other === null);
    const order = one < other ? -1 : one > other ? 1 : 0;
    return descending ? -order : order;
  });
  table.append(...bodies.map(([, body]) => body));
}

for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    heading.querySelector("button")?.addEventListener("click", () => {
      const descending = heading.getAttribute("aria-sort") === "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      sortTable(table, column, descending);
    });
  });
}
