"use strict";
// Model text is untrusted: it enters the page through textContent only.
(() => {
  const root = document.documentElement;
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const asked = new URLSearchParams(location.search).get("theme");
  if (asked === "light" || asked === "dark") root.dataset.theme = asked;

  // ---- figures: colors are CSS variables, resolved when painted
  const specs = read("figures");
  const probe = document.body.appendChild(document.createElement("i"));
  probe.hidden = true;
  const color = (name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const painted = (value) => {
    if (typeof value === "string") {
      const variable = /^var\((--[\w-]+)\)$/.exec(value);
      return variable ? color(variable[1]) : value;
    }
    if (Array.isArray(value)) return value.map(painted);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, painted(item)]));
  };
  const plots = [...document.querySelectorAll("[data-figure]")];
  const narrow = () => window.innerWidth < 560;
  // On a phone: smaller letters, no color bar, and a row for each label of a mark.
  function compact({ data, layout }) {
    layout.font.size = 11;
    for (const trace of data) if (trace.colorbar) trace.showscale = false;
    const labels = layout.annotations || [];
    if (labels.length < 2) return;
    labels.forEach((label, row) => { label.yshift = 2 + 14 * row; label.font.size = 11; });
    const top = 12 + 14 * labels.length;
    layout.height += top - layout.margin.t;
    layout.margin.t = top;
  }
  function paint() {
    const [r, g, b] = color("--paper").match(/[\d.]+/g).map(Number);
    root.classList.toggle("dark", r + g + b < 384);
    for (const element of plots) {
      const spec = painted(specs[element.dataset.figure]);
      if (narrow()) compact(spec);
      if (element.dataset.grid) spec.layout.shapes = outlines();
      Plotly.react(element, spec.data, spec.layout, { responsive: true, displayModeBar: false });
    }
  }

  // ---- cells: the maps, their table and the list all choose one
  const generations = read("generations");
  let chosen = generations && generations.best;
  const outline = (layer, alpha, width, dash) => ({
    type: "rect", x0: layer - 0.5, x1: layer + 0.5, y0: alpha - 0.5, y1: alpha + 0.5,
    line: { color: color("--series-2"), width, dash },
  });
  function outlines() {
    const found = [];
    generations.keys.forEach((row, alpha) => row.forEach((key, layer) => {
      if (key === chosen) found.push(outline(layer, alpha, 2.5, "solid"));
      else if (key === generations.best) found.push(outline(layer, alpha, 1.5, "dot"));
    }));
    return found;
  }
  const make = (tag, name, text) => {
    const element = document.createElement(tag);
    if (name) element.className = name;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const fixed = (value) => (value === null ? "undefined" : value.toFixed(2).replace("-", "−"));
  const mean = (rows, field) => {
    const values = rows.map((row) => row[field]).filter((value) => value !== null);
    return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
  };
  const [PROMPT, TEXT, BEHAVIOR, COHERENCE, COMBINED, REASON] = [0, 1, 2, 3, 4, 5];
  function answer(name, row, steered) {
    const box = make("div", steered ? "answer steered" : "answer");
    const text = make("p", "text", row[TEXT] || "(empty)");
    text.dir = "auto";
    const scores = make("p", "scores");
    if (row[COMBINED] === null) scores.append(`unscored${row[REASON] ? `: ${row[REASON]}` : ""}`);
    else scores.append("behavior ", make("b", "", fixed(row[BEHAVIOR])), " · coherence ", make("b", "", fixed(row[COHERENCE])));
    box.append(make("p", "name", name), text, scores);
    return box;
  }
  function completions(split, rows, name) {
    const group = make("details");
    group.open = true;
    const scores = `behavior ${fixed(mean(rows, BEHAVIOR))}, coherence ${fixed(mean(rows, COHERENCE))}`;
    const label = split === "test" ? "Held-out test prompts" : "Dev prompts";
    group.append(make("summary", "", `${label}: ${rows.length} completions, ${scores}`));
    const base = new Map(((generations.cells.unsteered || { splits: {} }).splits[split] || []).map((row) => [row[PROMPT], row]));
    for (const row of rows) {
      const item = make("article", "example");
      const prompt = make("p", "prompt");
      const quote = make("q", "", generations.prompts[row[PROMPT]]);
      quote.dir = "auto";
      prompt.append(quote);
      const columns = make("div", "columns");
      if (base.has(row[PROMPT]) && chosen !== "unsteered") columns.append(answer("Unsteered", base.get(row[PROMPT]), false));
      columns.append(answer(name, row, true));
      item.append(prompt, columns);
      group.append(item);
    }
    return group;
  }
  function choose(key, scroll) {
    const cell = generations.cells[key];
    if (!cell) return;
    chosen = key;
    document.getElementById("cell").value = key;
    const heading = document.getElementById("texts-heading");
    heading.textContent = `${cell.name}: what it wrote`;
    const order = ["test", "dev"].filter((split) => cell.splits[split]);
    const groups = order.map((split) => completions(split, cell.splits[split], cell.name));
    groups.slice(1).forEach((group) => { group.open = false; });
    document.getElementById("completions").replaceChildren(...groups);
    for (const button of document.querySelectorAll(".cells button")) {
      button.setAttribute("aria-pressed", String(button.dataset.key === key));
    }
    const shapes = outlines();
    for (const element of plots) if (element.dataset.grid) Plotly.relayout(element, { shapes });
    if (!scroll) return;
    document.getElementById("texts").scrollIntoView();
    heading.focus({ preventScroll: true });
  }
  function listen() {
    const select = document.getElementById("cell");
    for (const [key, cell] of Object.entries(generations.cells)) {
      const option = make("option", "", cell.name);
      option.value = key;
      select.append(option);
    }
    select.addEventListener("change", () => choose(select.value, false));
    for (const button of document.querySelectorAll(".cells button")) {
      button.addEventListener("click", () => choose(button.dataset.key, true));
    }
    for (const element of plots) {
      if (!element.dataset.grid) continue;
      element.on("plotly_click", ({ points: [{ pointIndex: [alpha, layer] }] }) => choose(generations.keys[alpha][layer], true));
    }
    choose(chosen, false);
  }

  // ---- tokens, drawn by circuitsvis; a fresh element each time, since it makes a new React root
  const projections = read("projections");
  function showLayer(index) {
    const layer = projections.layers[index];
    document.getElementById("layer-value").textContent = layer;
    for (const element of document.querySelectorAll(".at-layer")) element.textContent = layer;
    projections.texts.forEach(({ tokens, cosines }, number) => {
      const fresh = make("div");
      fresh.id = `tokens-${number}`;
      document.getElementById(fresh.id).replaceWith(fresh);
      CircuitsVis.render(fresh.id, CircuitsVis.ColoredTokens, {
        tokens, values: cosines[index], minValue: -projections.bound, maxValue: projections.bound,
        negativeColor: "#f0a868", positiveColor: "#7fb8e6", paddingBottom: 0,
      });
      const cells = document.querySelectorAll(`[data-cosines="${number}"] td:last-child`);
      cells.forEach((cell, token) => { cell.textContent = fixed(cosines[index][token]); });
    });
  }

  paint();
  if (generations) listen();
  if (projections) {
    const slider = document.getElementById("layer");
    slider.addEventListener("input", () => showLayer(+slider.value));
    showLayer(+slider.value);
  }
  for (const query of ["(prefers-color-scheme: dark)", "print", "(max-width: 560px)"]) {
    matchMedia(query).addEventListener("change", paint);
  }
  const links = new Map([...document.querySelectorAll(".contents a")].map((link) => [link.hash.slice(1), link]));
  const seen = new IntersectionObserver((entries) => {
    const entry = entries.find((item) => item.isIntersecting);
    if (!entry) return;
    for (const link of links.values()) link.removeAttribute("aria-current");
    const link = links.get(entry.target.id);
    link.setAttribute("aria-current", "true");
    const list = link.closest("ol");
    list.scrollTo({ left: link.offsetLeft - list.offsetLeft - 20 });
  }, { rootMargin: "-15% 0px -75% 0px" });
  for (const id of links.keys()) seen.observe(document.getElementById(id));
})();
