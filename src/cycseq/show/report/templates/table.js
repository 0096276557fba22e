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
