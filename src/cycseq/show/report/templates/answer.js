  // The genes of one condition at a time: table, volcano and surest genes, drawn from the data of the page.
  const body = at("gene-table").tBodies[0], heads = [...at("gene-table").tHead.rows[0].cells], STEP = 100;
  const KEYS = ["gene", "effect", "width", "up", "lfsr"];
  const state = { column: 4, down: false, shown: STEP, gene: undefined };

  const all = () => {
    const [genes, effects, lower, upper, up, lfsr] = data.tables[at("condition").value];
    return genes.map((gene, i) => ({ index: gene, gene: data.genes[gene], effect: effects[i], lower: lower[i], upper: upper[i],
      width: upper[i] - lower[i], up: up[i], lfsr: lfsr[i] }));
  };
  const chosen = (rows) => {
    const word = at("gene").value.trim().toLowerCase(), sign = Number(at("direction").value), limit = Number(at("lfsr").value);
    const members = at("set") && at("set").value ? new Set(data.sets[at("set").value]) : null;
    return rows.filter((row) => (!word || row.gene.toLowerCase().includes(word)) && (!sign || Math.sign(row.effect) === sign)
      && row.lfsr <= limit && (!members || members.has(row.index)));
  };
  const sorted = (rows) => {
    const key = KEYS[state.column], turn = state.down ? -1 : 1;
    return rows.sort((a, b) => turn * (key === "gene" ? a.gene.localeCompare(b.gene) : a[key] - b[key]) || Math.abs(b.effect) - Math.abs(a.effect));
  };
  const table = (rows) => {
    body.replaceChildren(...rows.slice(0, state.shown).map((row) => {
      const tr = document.createElement("tr"), name = document.createElement("th"), button = document.createElement("button");
      name.scope = "row";
      button.type = "button";
      button.className = "gene";
      button.textContent = row.gene;
      button.addEventListener("click", () => look(row.index));
      name.append(button);
      tr.append(name, ...[number(row.effect), `${number(row.lower)} to ${number(row.upper)}`, row.up.toFixed(2), number(row.lfsr)].map((words) => {
        const cell = document.createElement("td");
        cell.className = "num";
        cell.textContent = words;
        return cell;
      }));
      return tr;
    }));
    at("more").hidden = rows.length <= state.shown;
    at("count").textContent = `${rows.length.toLocaleString("en")} gene${rows.length === 1 ? "" : "s"}`
      + (rows.length > state.shown ? `, ${state.shown} of them shown` : "");
  };
  const volcano = (rows, kept) => {
    const W = 420, H = 300, left = 40, low = H - 34, drawing = picture(W, H, "Volcano of the chosen condition");
    const far = Math.max(...rows.map((row) => Math.abs(row.effect)), 1e-6) * 1.05, height = (row) => -Math.log10(Math.max(row.lfsr, 1e-12));
    const high = Math.max(...rows.map(height), 2) * 1.05, x = (v) => left + ((v + far) / (2 * far)) * (W - left - 10), y = (v) => low - (v / high) * (low - 10);
    for (const tick of ticks(-far, far)) drawing.append(text(x(tick), low + 16, plain(tick)), line(x(tick), 10, x(tick), low, "var(--line)"));
    const sure = y(-Math.log10(0.05));
    drawing.append(line(left, sure, W - 10, sure, "var(--muted)", { "stroke-dasharray": "4 3" }), text(left - 4, sure + 4, "0.05", "end"));
    for (const tick of ticks(0, high).filter((v) => v % 1 === 0 && y(v) < sure - 14)) drawing.append(text(left - 4, y(tick) + 4, `1e\u2212${tick}`, "end"));
    drawing.append(text(left - 4, y(0) + 4, "1", "end"));
    drawing.append(text((W + left) / 2, H - 4, "effect"), text(left - 4, 10, "lfsr", "end"));
    const inside = new Set(kept.map((row) => row.index));
    for (const row of rows) {
      const is = inside.has(row.index), point = element("circle", { cx: x(row.effect).toFixed(1), cy: y(height(row)).toFixed(1), r: is ? 2.6 : 1.6,
        fill: is && row.lfsr <= 0.05 ? colour(row) : "var(--muted)", opacity: is ? 0.85 : 0.18 });
      point.append(element("title", {}, `${row.gene}: effect ${number(row.effect)}, lfsr ${number(row.lfsr)}`));
      if (is) point.addEventListener("click", () => look(row.index));
      drawing.append(point);
    }
    at("volcano").replaceChildren(drawing);
  };
  const top = (kept) => {
    const rows = [...kept].sort((a, b) => a.lfsr - b.lfsr || Math.abs(b.effect) - Math.abs(a.effect)).slice(0, 15).sort((a, b) => b.effect - a.effect);
    const W = 420, left = 96, H = 26 + 17 * Math.max(rows.length, 1), drawing = picture(W, H, "Surest genes with their intervals");
    const ends = rows.flatMap((row) => [row.lower, row.upper, 0]), first = Math.min(...ends, 0), span = Math.max(...ends, 0.001) - first;
    const x = (v) => left + ((v - first) / span) * (W - left - 30);
    for (const tick of ticks(first, first + span)) drawing.append(text(x(tick), H - 4, plain(tick)));
    drawing.append(line(x(0), 4, x(0), H - 18, "var(--muted)"));
    rows.forEach((row, i) => {
      const y = 12 + 17 * i;
      drawing.append(text(left - 8, y + 4, row.gene, "end"), line(x(row.lower), y, x(row.upper), y, colour(row), { "stroke-width": 2.4 }),
        element("circle", { cx: x(row.effect), cy: y, r: 4, fill: colour(row) }));
    });
    at("top").replaceChildren(drawing);
  };
  const draw = () => {
    const rows = all(), kept = sorted(chosen(rows));
    table(kept);
    volcano(rows, kept);
    top(kept);
    const surest = kept.reduce((best, row) => (!best || row.lfsr < best.lfsr ? row : best), undefined);
    drawGene(rows.some((row) => row.index === state.gene) ? state.gene : surest && surest.index, Number(at("condition").value));
    heads.forEach((head, i) => (i === state.column ? head.setAttribute("aria-sort", state.down ? "descending" : "ascending") : head.removeAttribute("aria-sort")));
  };
  const look = (gene) => { state.gene = gene; drawGene(gene, Number(at("condition").value)); };
  const again = () => { state.shown = STEP; draw(); };
  heads.forEach((head, i) => head.querySelector("button").addEventListener("click", () => {
    state.down = state.column === i ? !state.down : head.dataset.first !== "up";
    state.column = i;
    again();
  }));
  for (const id of ["condition", "direction", "lfsr", "set"]) at(id)?.addEventListener("change", again);
  at("gene").addEventListener("input", () => { state.gene = undefined; again(); });
  at("more").addEventListener("click", () => { state.shown += 5 * STEP; draw(); });
  draw();
