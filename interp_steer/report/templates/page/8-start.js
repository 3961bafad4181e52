const links = new Map([...document.querySelectorAll(".contents a")].map((link) => [link.hash.slice(1), link]));
const reading = new IntersectionObserver((entries) => {
  const entry = entries.find((item) => item.isIntersecting);
  if (!entry) return;
  for (const link of links.values()) link.removeAttribute("aria-current");
  const link = links.get(entry.target.id);
  link.setAttribute("aria-current", "true");
  const list = link.closest("ol");
  list.scrollTo({ left: link.offsetLeft - list.offsetLeft - 20 });
}, { rootMargin: "-15% 0px -75% 0px" });
for (const id of links.keys()) reading.observe(document.getElementById(id));

// The rest of the page is behind this script: the maps can be used before it has come.
async function start() {
  if (!unpacks) return;
  const data = await (await unpacked(document.getElementById("packed"))).json();
  if (data.generations) cells(data.generations);
  downloads(data.tables);
  if (data.projections) tokens(data.projections);
  root.dataset.ready = "yes";
  // What is far below is drawn while nothing else is to do, and not before a reader could have pressed something.
  const idle = window.requestIdleCallback || ((work) => setTimeout(work, 200));
  const next = () => {
    const [first] = waiting.keys();
    if (first) Promise.resolve(due(first)).then(() => idle(next));
  };
  setTimeout(() => idle(next), 2000);
}
addEventListener("DOMContentLoaded", () => {
  start().catch((error) => unreadable(`The compressed part of this page is damaged (${error.message}).`));
});
