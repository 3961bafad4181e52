// Model text is untrusted: it enters the page through textContent only.
const root = document.documentElement;
const asked = new URLSearchParams(location.search).get("theme");
if (asked === "light" || asked === "dark") root.dataset.theme = asked;

const read = (id) => JSON.parse(document.getElementById(id).textContent);
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
// What a browser cannot read is said once, at the top; headline, maps and tables stand in the page itself.
function unreadable(why) {
  const note = document.getElementById("unreadable");
  note.textContent = `${why} What needs them is missing here: completions, figures and downloads. The headline, the maps and the tables are complete.`;
  note.hidden = false;
}
const unpacks = "DecompressionStream" in window;
if (!unpacks) {
  unreadable("This browser cannot unpack the compressed parts of this page (Chrome 80, Firefox 113, Safari 16.4 and newer can).");
}
// Compressed text of an element, which is emptied: it is read once.
async function unpacked(element) {
  const bytes = Uint8Array.from(atob(element.textContent), (letter) => letter.charCodeAt(0));
  element.textContent = "";
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")));
}
// The libraries of the figures are text until the first figure comes near: nobody waits for them before that.
const loading = new Map();
function library(name) {
  if (!loading.has(name)) loading.set(name, load(document.getElementById(`library-${name}`)));
  return loading.get(name);
}
async function load(holder) {
  const script = make("script");
  if (!holder.dataset.source) {
    script.textContent = await (await unpacked(holder)).text();
    document.head.append(script);
    return;
  }
  await new Promise((done, failed) => {
    script.addEventListener("load", done);
    script.addEventListener("error", () => failed(new Error(`${holder.dataset.source} is not beside this page.`)));
    script.src = holder.dataset.source;
    document.head.append(script);
  });
}
// Calls back once, when the element is about to be seen.
const waiting = new Map();
const near = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) if (isIntersecting) due(target);
}, { rootMargin: "700px 0px" });
function due(element) {
  const work = waiting.get(element);
  waiting.delete(element);
  near.unobserve(element);
  return work ? work() : undefined;
}
// Work that needs a library; it is shown as missing where the library cannot be had.
function whenSeen(element, name, work) {
  waiting.set(element, () => library(name).then(work, (error) => unreadable(error.message)));
  near.observe(element);
}
