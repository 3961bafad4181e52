// Tokens, drawn by circuitsvis; a fresh element each time, since it makes a new React root.
function tokens(projections) {
  const slider = document.getElementById("layer");
  const frames = [...document.querySelectorAll("[data-text]")];
  const seen = new Set();
  function color(number, index) {
    const { tokens: pieces, cosines } = projections.texts[number];
    const fresh = make("div");
    fresh.id = `tokens-${number}`;
    document.getElementById(fresh.id).replaceWith(fresh);
    CircuitsVis.render(fresh.id, CircuitsVis.ColoredTokens, {
      tokens: pieces, values: cosines[index], minValue: -projections.bound, maxValue: projections.bound,
      negativeColor: "#f0a868", positiveColor: "#7fb8e6", paddingBottom: 0,
    });
  }
  function showLayer(index) {
    const layer = projections.layers[index];
    slider.setAttribute("aria-valuetext", `layer ${layer}`);
    document.getElementById("layer-value").textContent = layer;
    for (const element of document.querySelectorAll(".at-layer")) element.textContent = layer;
    projections.texts.forEach(({ cosines }, number) => {
      if (seen.has(number)) color(number, index);
      const cells = document.querySelectorAll(`[data-cosines="${number}"] td:last-child`);
      cells.forEach((cell, token) => { cell.textContent = fixed(cosines[index][token]); });
    });
    for (const list of document.querySelectorAll("[data-promoted]")) {
      list.replaceChildren(...projections.promoted[index][list.dataset.promoted].map(([piece, value]) => {
        const item = make("li");
        const token = make("span", "token", piece);
        token.dir = "auto";
        item.append(token, " ", make("span", "by", value.toFixed(1).replace("-", "−")));
        return item;
      }));
    }
  }
  frames.forEach((frame, number) => whenSeen(frame, "circuitsvis", () => { seen.add(number); color(number, +slider.value); }));
  slider.addEventListener("input", () => showLayer(+slider.value));
}
