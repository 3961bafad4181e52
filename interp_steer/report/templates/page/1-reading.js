// Model text is untrusted: it enters the page through textContent only.
const root = document.documentElement;
const asked = new URLSearchParams(location.search).get("theme");
if (asked === "light" || asked === "dark") root.dataset.theme = asked;

const read = (id) => JSON.parse(document.getElementById(id).textContent);
async function unpacked() {
  const bytes = Uint8Array.from(atob(document.getElementById("packed").textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
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
// Calls back once, when the element is about to be seen, or printed.
const waiting = new Map();
const near = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) if (isIntersecting) due(target);
}, { rootMargin: "700px 0px" });
function due(element) {
  const work = waiting.get(element);
  waiting.delete(element);
  near.unobserve(element);
  if (work) work();
}
function whenSeen(element, work) {
  waiting.set(element, work);
  near.observe(element);
}
addEventListener("beforeprint", () => [...waiting.keys()].forEach(due));
