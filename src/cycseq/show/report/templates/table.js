// Tables sort by their head buttons and filter by the fields above them; texts are copied; without JavaScript all stays readable.
document.querySelectorAll("table:not([data-rows]) button.sort").forEach((button) => {
  button.addEventListener("click", () => {
    const head = button.closest("th"), table = head.closest("table"), body = table.tBodies[0];
    const column = head.cellIndex, down = head.getAttribute("aria-sort") !== "descending" && head.dataset.first !== "up"
      || head.getAttribute("aria-sort") === "ascending";
    const key = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
    table.querySelectorAll("th[aria-sort]").forEach((th) => th.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...body.rows].filter((row) => !row.classList.contains("calibration"));
    const fixed = [...body.rows].filter((row) => row.classList.contains("calibration"));
    rows.sort((a, b) => {
      const x = key(a), y = key(b);
      if (x === "" || y === "") return (x === "") - (y === "");
      const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      return down ? -order : order;
    });
    body.append(...rows, ...fixed);
  });
});
document.querySelectorAll("input[data-filters]").forEach((field) => {
  field.addEventListener("input", () => {
    const table = document.getElementById(field.dataset.filters);
    const fields = [...document.querySelectorAll(`input[data-filters="${field.dataset.filters}"]`)];
    for (const row of table.tBodies[0].rows) {
      row.hidden = !fields.every((f) => row.cells[f.dataset.column].textContent.toLowerCase().includes(f.value.trim().toLowerCase()));
    }
  });
});
// What a metric is, beside the one that the keyboard or a finger is on; a pointer and screen readers have the title itself.
{
  const tip = document.createElement("div");
  let owner = null;
  tip.className = "tip";
  tip.setAttribute("aria-hidden", "true");
  const place = () => {
    if (!owner) return;
    const at = owner.getBoundingClientRect(), below = at.bottom + 6;
    tip.style.left = `${Math.max(8, Math.min(at.left, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${below + tip.offsetHeight < innerHeight ? below : at.top - tip.offsetHeight - 6}px`;
  };
  const hide = () => { owner = null; tip.remove(); };
  document.addEventListener("focusin", ({ target }) => {
    hide();
    if (!target.matches("button[title], .term[title]") || !(target.matches(":focus-visible") || matchMedia("(hover: none)").matches)) return;
    owner = target;
    tip.textContent = owner.title;
    document.body.append(tip);
    place();
  });
  document.addEventListener("focusout", hide);
  document.addEventListener("scroll", place, { capture: true, passive: true });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
}
// What is folded is printed too.
addEventListener("beforeprint", () => document.querySelectorAll("details.group:not([open])").forEach((group) => { group.open = true; group.dataset.folded = ""; }));
addEventListener("afterprint", () => document.querySelectorAll("details[data-folded]").forEach((group) => { group.open = false; delete group.dataset.folded; }));
document.querySelectorAll("button.copy").forEach((button) => {
  button.addEventListener("click", async () => {
    const place = document.getElementById(button.dataset.copies), said = button.textContent;
    try {
      await navigator.clipboard.writeText(place.innerText.trim());
      button.textContent = "Copied";
    } catch {  // a page opened from a file may not write there: the text is marked instead
      getSelection().selectAllChildren(place);
      button.textContent = "Marked: press Ctrl+C";
    }
    setTimeout(() => { button.textContent = said; }, 3000);
  });
});
