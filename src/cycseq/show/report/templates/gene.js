  // One gene: what is predicted, beside what was measured of the same perturbation in other contexts, or at other doses.
  const shownName = (label, here, oneContext) => {
    if (oneContext) return label[1].split("@").slice(1).join(" ") || label[1]; // dose and time tell the rows apart
    return label[1] === here[1] ? label[0] : `${label[0]}:${label[1]}`;
  };
  const points = (gene, condition) => {
    const here = data.conditions[condition], found = [];
    data.tables.forEach(([genes, effect, lower, upper], i) => {
      const label = data.conditions[i], place = label[0] === here[0] && label[3] === here[3] ? genes.indexOf(gene) : -1;
      if (place >= 0) found.push({ label, effect: effect[place], lower: lower[place], upper: upper[place], predicted: true, here: i === condition });
    });
    const place = data.tables[condition][0].indexOf(gene);
    for (const [context, treatment, dose, series, values] of data.measured[condition])
      if (values[place] !== undefined && values[place] !== null) found.push({ label: [context, treatment, dose, series], effect: values[place] / 100 });
    return found;
  };
  const dot = (cx, cy, point) => {
    const made = element("circle", { cx, cy, r: point.here ? 5 : 4, fill: point.predicted ? colour(point) : "var(--card)", stroke: point.predicted ? colour(point) : "var(--muted)", "stroke-width": 1.6 });
    made.append(element("title", {}, `${point.label[0]}:${point.label[1]}, ${point.predicted ? `predicted ${number(point.effect)} (${number(point.lower)} to ${number(point.upper)})` : `measured ${number(point.effect)}`}`));
    return made;
  };
  const besideContexts = (all, here) => {
    const rows = [...all.filter((point) => point.predicted), ...all.filter((point) => !point.predicted).sort((a, b) => b.effect - a.effect).slice(0, 16)];
    const W = 420, left = 130, H = 26 + 17 * rows.length, drawing = picture(W, H, "The gene in each condition");
    const ends = rows.flatMap((point) => [point.lower ?? point.effect, point.upper ?? point.effect, 0]), first = Math.min(...ends), span = Math.max(...ends) - first || 1;
    const x = (v) => left + ((v - first) / span) * (W - left - 14);
    for (const tick of ticks(first, first + span)) drawing.append(text(x(tick), H - 4, plain(tick)));
    drawing.append(line(x(0), 4, x(0), H - 18, "var(--muted)"));
    const oneContext = rows.every((point) => point.label[0] === here[0]);
    rows.forEach((point, i) => {
      const y = 12 + 17 * i, name = shownName(point.label, here, oneContext);
      drawing.append(text(left - 8, y + 4, name.length > 19 ? `${name.slice(0, 18)}\u2026` : name, "end"));
      if (point.predicted) drawing.append(line(x(point.lower), y, x(point.upper), y, colour(point), { "stroke-width": 2.4 }));
      drawing.append(dot(x(point.effect), y, point));
    });
    return drawing;
  };
  const doseCurve = (all) => {
    const W = 420, H = 240, left = 40, low = H - 34, drawing = picture(W, H, "The gene over the doses");
    const doses = [...new Map(all.map(({ label }) => [label[2], label[1].split("@")[1]])).entries()].sort((a, b) => a[0] - b[0]);
    const ends = all.flatMap((point) => [point.lower ?? point.effect, point.upper ?? point.effect, 0]), first = Math.min(...ends), span = Math.max(...ends) - first || 1;
    const from = doses[0][0], wide = doses[doses.length - 1][0] - from;
    const x = (v) => left + 14 + ((v - from) / wide) * (W - left - 34), y = (v) => low - 6 - ((v - first) / span) * (low - 16);
    for (const [place, name] of doses) drawing.append(text(x(place), low + 14, name));
    for (const tick of ticks(first, first + span)) drawing.append(text(left - 4, y(tick) + 4, plain(tick), "end"));
    drawing.append(line(left, y(0), W - 10, y(0), "var(--muted)"), text((W + left) / 2, H - 4, "dose"));
    const curve = [...all].sort((a, b) => a.label[2] - b.label[2]).map((point) => `${x(point.label[2]).toFixed(1)},${y(point.effect).toFixed(1)}`);
    drawing.append(element("polyline", { points: curve.join(" "), fill: "none", stroke: "var(--muted)" }));
    for (const point of all) {
      if (point.predicted) drawing.append(line(x(point.label[2]), y(point.lower), x(point.label[2]), y(point.upper), colour(point), { "stroke-width": 2.4 }));
      drawing.append(dot(x(point.label[2]), y(point.effect), point));
    }
    return drawing;
  };
  const drawGene = (gene, condition) => {
    const figure = at("one-gene"), here = data.conditions[condition], all = gene === undefined ? [] : points(gene, condition);
    const series = all.filter(({ label }) => label[0] === here[0] && label[3] === here[3] && label[2] !== null);
    const curve = new Set(series.map(({ label }) => label[2])).size > 1;
    figure.hidden = all.length < 2;
    if (figure.hidden) return;
    figure.querySelector("b").textContent = data.genes[gene];
    figure.querySelector("span").textContent = curve ? `over the doses in ${here[0]}: filled as predicted, open as measured` : "filled: predicted, with its 90 % interval; open: measured in other conditions";
    figure.querySelector("div").replaceChildren(curve ? doseCurve(series) : besideContexts(all, here));
  };
