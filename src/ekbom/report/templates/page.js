/* Sort a table by a column: numbers by their exact value, words by the alphabet. */
(function () {
  "use strict";
  const key = cell => cell.dataset.v !== undefined
    ? (cell.dataset.v === "" ? Infinity : parseFloat(cell.dataset.v)) : cell.textContent.trim();
  for (const table of document.querySelectorAll("table")) {
    const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
    heads.forEach((head, n) => {
      head.tabIndex = 0;
      const sort = () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach(h => h.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        [...body.rows].map(row => [key(row.cells[n]), row]).sort(([a], [b]) =>
          (up ? 1 : -1) * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", {numeric: true}))
        ).forEach(([, row]) => body.append(row));
      };
      head.addEventListener("click", sort);
      head.addEventListener("keydown", e => { if (e.key === "Enter") sort(); });
    });
  }
  for (const button of document.querySelectorAll("[data-open]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      for (const d of document.querySelectorAll("#" + button.dataset.open + " > details")) d.open = true;
    });
  }
  // A link into a folded part opens it.
  const reveal = () => { const d = document.getElementById(location.hash.slice(1)); if (d && d.closest("details")) d.closest("details").open = true; };
  addEventListener("hashchange", reveal); reveal();
  // The contents follow the reader.
  const links = new Map([...document.querySelectorAll("nav a")].map(a => [a.hash.slice(1), a]));
  if ("IntersectionObserver" in window) {
    const seen = new IntersectionObserver(all => { for (const e of all) if (e.isIntersecting) {
      links.forEach(a => a.classList.remove("here")); const a = links.get(e.target.id); if (a) a.classList.add("here"); } },
      {rootMargin: "0px 0px -75% 0px"});
    links.forEach((a, id) => { const t = document.getElementById(id); if (t) seen.observe(t); });
  }
})();
