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
const drawn = new Set();
// Paper is narrower than the screen, and asks for no more height than a figure needs.
const PAPER = 670; // px: what A4 and Letter have between margins of 15 mm
const LOWER = 0.8; // of the height on the screen
let paper = false;
// On a phone: smaller letters, no color bar; the labels of several marks have no room, and stand in a list above.
function compact({ data, layout }, listed) {
  layout.font.size = 11;
  for (const trace of data) if (trace.colorbar) trace.showscale = false;
  const title = layout.xaxis.title;
  if (title && title.text) title.text = title.text.replace(/<br>/g, " ").replace(/(.{1,24})(?: |$)/g, "$1<br>").replace(/<br>$/, "");
  if (!listed) return;
  layout.annotations = [];
  layout.height += 12 - layout.margin.t;
  layout.margin.t = 12;
}
function onPaper(layout) {
  Object.assign(layout, { width: PAPER, height: LOWER * layout.height });
  for (const text of [layout, layout.xaxis.title, layout.yaxis.title, ...(layout.annotations || [])]) {
    if (text.font) text.font.size = 11;
  }
}
function draw(element) {
  const known = new Map();
  const colors = (name) => known.get(name) ?? known.set(name, color(name)).get(name);
  const spec = resolved(specs[element.dataset.figure], colors);
  if (window.innerWidth < 560) compact(spec, "listed" in element.dataset);
  if (paper) onPaper(spec.layout);
  element.style.minHeight = `${spec.layout.height}px`;
  drawn.add(element);
  Plotly.react(element, spec.data, spec.layout, { responsive: !paper, displayModeBar: false });
}
function repaint() {
  const [r, g, b] = color("--paper").match(/[\d.]+/g).map(Number);
  root.classList.toggle("dark", r + g + b < 384);
  for (const element of drawn) draw(element);
}
for (const element of document.querySelectorAll("[data-figure]")) {
  element.style.minHeight = `${specs[element.dataset.figure].layout.height}px`;
  if (unpacks) whenSeen(element, "plotly", () => draw(element));
}
repaint();
for (const query of ["(prefers-color-scheme: dark)", "print", "(max-width: 559px)"]) {
  matchMedia(query).addEventListener("change", repaint);
}
// Paper shows what a reader would open. Printed before they were drawn, figures are the tables of their numbers.
const opened = [];
addEventListener("beforeprint", () => {
  paper = true;
  repaint();
  for (const details of document.querySelectorAll("details[data-paper]:not([open])")) {
    details.open = true;
    opened.push(details);
  }
  for (const figure of document.querySelectorAll("figure:has([data-figure])")) {
    const numbers = figure.querySelector("details");
    if (drawn.has(figure.querySelector("[data-figure]")) || numbers.open) continue;
    numbers.open = true;
    opened.push(numbers);
  }
});
addEventListener("afterprint", () => {
  paper = false;
  repaint();
  for (const details of opened.splice(0)) details.open = false;
});
