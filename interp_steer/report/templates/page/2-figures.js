// Figures: their colors are CSS variables, resolved when painted; painted when they come near.
const specs = read("figures");
const probe = document.body.appendChild(document.createElement("i"));
probe.hidden = true;
const color = (name) => {
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
};
const resolved = (value, colors) => {
  if (typeof value === "string") {
    const variable = /^var\((--[\w-]+)\)$/.exec(value);
    return variable ? colors(variable[1]) : value;
  }
  if (Array.isArray(value)) return value.map((item) => resolved(item, colors));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolved(item, colors)]));
};
const plots = [...document.querySelectorAll("[data-figure]")];
const drawn = new Set();
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
function draw(element) {
  const known = new Map();
  const colors = (name) => known.get(name) ?? known.set(name, color(name)).get(name);
  const spec = resolved(specs[element.dataset.figure], colors);
  if (window.innerWidth < 560) compact(spec);
  if (element.dataset.grid && outlines) spec.layout.shapes = outlines();
  Plotly.react(element, spec.data, spec.layout, { responsive: true, displayModeBar: false });
  if (!drawn.has(element)) {
    drawn.add(element);
    if (element.dataset.grid) element.on("plotly_click", ({ points: [{ pointIndex }] }) => clicked(...pointIndex));
  }
}
function repaint() {
  const [r, g, b] = color("--paper").match(/[\d.]+/g).map(Number);
  root.classList.toggle("dark", r + g + b < 384);
  for (const element of drawn) draw(element);
}
let outlines = null; // the frames on the maps, once the cells are known
let clicked = () => {};
for (const element of plots) {
  element.style.minHeight = `${specs[element.dataset.figure].layout.height}px`;
  whenSeen(element, () => draw(element));
}
repaint();
for (const query of ["(prefers-color-scheme: dark)", "print", "(max-width: 560px)"]) {
  matchMedia(query).addEventListener("change", repaint);
}
