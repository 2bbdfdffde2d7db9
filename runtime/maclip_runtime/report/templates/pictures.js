"use strict";
(() => {
  const list = document.getElementById("pictures");
  if (!list) return;
  const by = (id) => document.getElementById(id);
  const rows = Array.from(list.children, (row) => ({
    row,
    name: row.dataset.n,
    find: row.dataset.n.toLowerCase(),
    figures: row.dataset.f.split(" ").map(Number),
    below: row.classList.contains("below"),
  }));

  function sort() {
    const key = by("sort").value;
    const sign = Number(by("order").value);
    const compare = key === "name"
      ? (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)
      : (a, b) => a.figures[key] - b.figures[key];
    rows.sort((a, b) => sign * compare(a, b));
    list.append(...rows.map((each) => each.row));
    filter();
  }

  function filter() {
    const text = by("text").value.toLowerCase();
    const key = by("sort").value === "name" ? 0 : by("sort").value;
    const low = by("low").value === "" ? -Infinity : Number(by("low").value);
    const high = by("high").value === "" ? Infinity : Number(by("high").value);
    const belowOnly = by("below")?.checked;
    let shown = 0;
    for (const each of rows) {
      const value = each.figures[key];
      const keep = each.find.includes(text) && value >= low && value <= high && (!belowOnly || each.below);
      each.row.hidden = !keep;
      shown += keep;
    }
    by("shown").value = shown === rows.length
      ? `${rows.length.toLocaleString("en")} pictures`
      : `${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")} pictures`;
  }

  by("tools").addEventListener("submit", (event) => event.preventDefault());
  by("sort").addEventListener("change", sort);
  by("order").addEventListener("change", sort);
  for (const id of ["text", "low", "high", "below"]) by(id)?.addEventListener("input", filter);
  by("maps").addEventListener("change", (event) => list.classList.toggle("maps", event.target.checked));
  list.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
  });
})();
