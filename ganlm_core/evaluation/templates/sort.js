"use strict";
// Sorts a table by the column whose title is pressed; pressed again, the other way round. Rows without a value stay last.
const valueOf = (row, place) => {
  const cell = row.cells[place];
  return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
};
const isMissing = (value) => value === "" || value === "-" || Number.isNaN(value);
const compare = (one, other) => (typeof one === "number" && typeof other === "number"
  ? one - other
  : String(one).localeCompare(String(other), undefined, { numeric: true }));
for (const table of document.querySelectorAll("table.sortable")) {
  const titles = [...table.rows[0].cells];
  titles.forEach((title, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = title.textContent || "name";
    title.replaceChildren(button);
    button.addEventListener("click", () => {
      const way = title.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      titles.forEach((each) => each.removeAttribute("aria-sort"));
      title.setAttribute("aria-sort", way === 1 ? "ascending" : "descending");
      const rows = [...table.rows].slice(1);
      rows.sort((one, other) => {
        const [a, b] = [valueOf(one, place), valueOf(other, place)];
        if (isMissing(a) || isMissing(b)) return Number(isMissing(a)) - Number(isMissing(b));
        return way * compare(a, b);
      });
      table.tBodies[0].append(...rows);
    });
  });
}
