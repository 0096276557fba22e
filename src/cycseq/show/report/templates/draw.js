  // What all figures of the page are drawn with.
  const data = JSON.parse(document.getElementById("answer").textContent), at = (id) => document.getElementById(id);
  const number = (x) => (Math.abs(x) > 0 && Math.abs(x) < 0.001 ? x.toExponential(1) : x.toFixed(3)).replace("-", "\u2212");
  const plain = (x) => String(Number(x.toPrecision(6))).replace("-", "\u2212");
  const element = (name, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const picture = (width, height, label) => element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  const text = (x, y, words, anchor = "middle") => element("text", { x, y, "text-anchor": anchor, "font-size": 11, fill: "var(--muted)" }, words);
  const line = (x1, y1, x2, y2, stroke, more = {}) => element("line", { x1, y1, x2, y2, stroke, ...more });
  const colour = (row) => (row.effect > 0 ? "var(--orange)" : "var(--blue)");
  // Round numbers between two ends, three to seven of them.
  const ticks = (first, last) => {
    const power = 10 ** Math.floor(Math.log10((last - first) / 3 || 1)), step = [5, 2, 1].map((m) => m * power).find((s) => (last - first) / s >= 3) || power;
    const found = [];
    for (let i = Math.ceil(first / step - 1e-9); i * step <= last + step * 1e-9; i++) found.push(i * step);
    return found;
  };
