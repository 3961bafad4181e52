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
function draw(element) {
  const known = new Map();
  const colors = (name) => known.get(name) ?? known.set(name, color(name)).get(name);
  const spec = resolved(specs[element.dataset.figure], colors);
  if (window.innerWidth < 560) compact(spec, "listed" in element.dataset);
  drawn.add(element);
  Plotly.react(element, spec.data, spec.layout, { responsive: true, displayModeBar: false });
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
// Printed before they were drawn, figures are the tables of their numbers.
const opened = [];
addEventListener("beforeprint", () => {
  for (const figure of document.querySelectorAll("figure:has([data-figure])")) {
    const numbers = figure.querySelector("details");
    if (drawn.has(figure.querySelector("[data-figure]")) || numbers.open) continue;
    numbers.open = true;
    opened.push(numbers);
  }
});
addEventListener("afterprint", () => { for (const numbers of opened.splice(0)) numbers.open = false; });
