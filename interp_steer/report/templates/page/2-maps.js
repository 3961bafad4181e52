// The maps are in the page as SVG; here they learn to be pointed at, clicked, and walked over with the arrow keys.
let clicked = (key) => { early = key; }; // until the completions are there
let early = null;
let frames = () => {}; // outlines the chosen cell on every map
if (document.getElementById("maps")) {
  const { layers, alphas, keys, n, scores } = read("maps");
  const [tip, said] = ["map-tip", "map-said"].map((id) => document.getElementById(id));
  const maps = [...document.querySelectorAll("[data-grid]")];
  const fields = maps.map((map) => map.querySelector(".field"));
  const outline = (field, name) => {
    const box = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [key, value] of Object.entries({ class: name, width: 1, height: 1, visibility: "hidden" })) box.setAttribute(key, value);
    field.append(box);
    return box;
  };
  const place = (box, at) => {
    box.setAttribute("visibility", at ? "visible" : "hidden");
    if (!at) return;
    box.setAttribute("x", at.layer);
    box.setAttribute("y", alphas.length - 1 - at.alpha);
  };
  const where = (key) => {
    const alpha = keys.findIndex((row) => row.includes(key));
    return alpha < 0 ? null : { alpha, layer: keys[alpha].indexOf(key) };
  };
  const words = (name, { alpha, layer }) => {
    const { values, low, high } = scores[name];
    const place = `layer ${layers[layer]}, alpha ${alphas[alpha]}`;
    if (!n[alpha][layer]) return [place, "not swept"];
    const ends = low[alpha][layer] === null ? "" : ` [${fixed(low[alpha][layer])}, ${fixed(high[alpha][layer])}]`;
    return [place, `${name} ${fixed(values[alpha][layer])}${ends}`, `n = ${n[alpha][layer]}`];
  };
  function tell(map, at) {
    const field = map.querySelector(".field").getBoundingClientRect();
    tip.replaceChildren(...words(map.dataset.grid, at).map((line) => make("span", "", line)));
    tip.hidden = false;
    const left = field.left + (field.width * (at.layer + 0.5)) / layers.length - tip.offsetWidth / 2;
    const top = field.top + (field.height * (alphas.length - 1 - at.alpha)) / alphas.length - tip.offsetHeight - 8;
    tip.style.left = `${Math.max(8, Math.min(root.clientWidth - tip.offsetWidth - 8, left)) + scrollX}px`;
    tip.style.top = `${top + scrollY}px`;
  }
  const hush = () => { tip.hidden = true; };

  const bests = fields.map((field) => outline(field, "best"));
  const chosens = fields.map((field) => outline(field, "chosen"));
  frames = (best, chosen) => {
    for (const box of bests) place(box, best === chosen ? null : where(best));
    for (const box of chosens) place(box, where(chosen));
  };
  maps.forEach((map, number) => {
    const field = fields[number];
    const cursor = outline(field, "cursor");
    let at = null;
    const under = ({ clientX, clientY }) => {
      const box = field.getBoundingClientRect();
      const layer = Math.floor((layers.length * (clientX - box.left)) / box.width);
      const alpha = alphas.length - 1 - Math.floor((alphas.length * (clientY - box.top)) / box.height);
      return keys[alpha] && keys[alpha][layer] ? { alpha, layer } : null;
    };
    field.addEventListener("pointermove", (event) => { const cell = under(event); if (cell) tell(map, cell); else hush(); });
    field.addEventListener("pointerleave", hush);
    field.addEventListener("click", (event) => { const cell = under(event); if (cell) clicked(keys[cell.alpha][cell.layer]); });
    const move = () => {
      place(cursor, at);
      tell(map, at);
      said.textContent = words(map.dataset.grid, at).join(", ");
    };
    map.addEventListener("focus", () => {
      at = where(document.getElementById("cell").value) || { alpha: 0, layer: 0 };
      if (map.matches(":focus-visible")) move();
    });
    map.addEventListener("blur", () => { at = null; place(cursor, at); hush(); });
    const steps = { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    map.addEventListener("keydown", (event) => {
      const step = steps[event.key];
      if (!at || !(step || event.key === "Enter" || event.key === " ")) return;
      event.preventDefault();
      if (!step) { clicked(keys[at.alpha][at.layer]); return; }
      at = {
        alpha: Math.min(alphas.length - 1, Math.max(0, at.alpha + step[0])),
        layer: Math.min(layers.length - 1, Math.max(0, at.layer + step[1])),
      };
      move();
    });
  });
}
