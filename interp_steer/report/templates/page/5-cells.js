// Cells: the maps, their table and the list all choose one; its completions stand beside the baseline's.
const [PROMPT, TEXT, BEHAVIOR, COHERENCE, COMBINED, REASON, FINISH] = [0, 1, 2, 3, 4, 5, 6];
const FIRST = 4; // completions shown before one asks for more
const FOLDED = 1500; // characters
const places = { test: "Held-out test prompts", dev: "Dev prompts" };
function cells(generations) {
  const $ = (id) => document.getElementById(id);
  let chosen = generations.best;

  function words(pieces, shared) {
    const box = make("div", "text");
    box.dir = "auto";
    const nodes = shared ? marked(pieces, shared) : [document.createTextNode(pieces.join(""))];
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (!length) box.append("(empty)");
    else if (length <= FOLDED) box.append(...nodes);
    else {
      const rest = make("details");
      const text = pieces.join("");
      rest.append(make("summary", "", `${(length - FOLDED).toLocaleString("en")} more characters`), text.slice(FOLDED));
      box.append(text.slice(0, FOLDED), rest);
    }
    return box;
  }
  function answer(name, row, pieces, shared, steered) {
    const box = make("div", steered ? "answer steered" : "answer");
    const scores = make("p", "scores");
    if (row[COMBINED] === null) scores.append(`unscored${row[REASON] ? `: ${row[REASON]}` : ""}`);
    else scores.append("behavior ", make("b", "", fixed(row[BEHAVIOR])), " · coherence ", make("b", "", fixed(row[COHERENCE])));
    if (row[COMBINED] !== null && row[REASON]) {
      const reason = make("span", "reason");
      const quote = make("q", "", row[REASON]);
      quote.dir = "auto";
      reason.append(quote);
      scores.append(reason);
    }
    box.append(make("p", "name", name), words(pieces, shared));
    if (row[FINISH]) box.append(make("p", "finish", `… ${row[FINISH]}`));
    box.append(scores);
    return box;
  }
  function example(row, base, name) {
    const item = make("article", "example");
    const prompt = make("p", "prompt");
    const quote = make("q", "", generations.prompts[row[PROMPT]]);
    quote.dir = "auto";
    prompt.append(quote);
    const columns = make("div", "columns");
    const pieces = wordsOf(row[TEXT]);
    const before = base && wordsOf(base[TEXT]);
    const common = base && $("mark").checked ? commonWords(before, pieces) : null;
    const shared = common && common[0].size ? common : [null, null];
    const apart = common && !common[0].size && row[TEXT] && base[TEXT];
    if (base) columns.append(answer("Unsteered", base, before, shared[0], false));
    columns.append(answer(apart ? `${name} · no wording in common` : name, row, pieces, shared[1], true));
    item.append(prompt, columns);
    return item;
  }
  const unsteered = (split) => (chosen === "unsteered" ? [] : (generations.cells.unsteered || { splits: {} }).splits[split] || []);
  function group(split, rows, name, open) {
    const box = make("details");
    const scores = `behavior ${fixed(mean(rows, BEHAVIOR))}, coherence ${fixed(mean(rows, COHERENCE))}`;
    box.append(make("summary", "", `${places[split]}: ${rows.length} completions, ${scores}`));
    const base = new Map(unsteered(split).map((row) => [row[PROMPT], row]));
    const show = (some) => some.map((row) => example(row, base.get(row[PROMPT]), name));
    const more = make("button", "more", `Show the other ${rows.length - FIRST}`);
    more.type = "button";
    more.dataset.paper = `The other ${rows.length - FIRST} are in the page, not on paper.`;
    more.addEventListener("click", () => {
      const added = show(rows.slice(FIRST));
      more.replaceWith(...added);
      added[0].tabIndex = -1;
      added[0].focus({ preventScroll: true });
    });
    const fill = () => {
      if (box.childElementCount === 1) box.append(...show(rows.slice(0, FIRST)), ...(rows.length > FIRST ? [more] : []));
    };
    box.addEventListener("toggle", () => box.open && fill());
    if (open) fill();
    box.open = open;
    return box;
  }
  function fillTexts() {
    const cell = generations.cells[chosen];
    const splits = ["test", "dev"].filter((split) => cell.splits[split]);
    $("completions").replaceChildren(...splits.map((split, at) => group(split, cell.splits[split], cell.name, at === 0)));
  }
  function choose(key, scroll) {
    const cell = generations.cells[key];
    if (!cell) return;
    chosen = key;
    $("cell").value = key;
    $("texts-heading").textContent = `${cell.name}: what it wrote`;
    fillTexts();
    for (const button of document.querySelectorAll(".cells button")) {
      button.setAttribute("aria-pressed", String(button.dataset.key === key));
    }
    frames(generations.best, chosen);
    if (!scroll) return;
    $("texts").scrollIntoView();
    $("texts-heading").focus({ preventScroll: true });
  }

  const select = $("cell");
  for (const [key, cell] of Object.entries(generations.cells)) {
    const option = make("option", "", cell.name);
    option.value = key;
    select.append(option);
  }
  select.addEventListener("change", () => choose(select.value, false));
  $("mark").addEventListener("change", fillTexts);
  for (const button of document.querySelectorAll(".cells button")) {
    button.addEventListener("click", () => choose(button.dataset.key, true));
  }
  clicked = (key) => choose(key, true);
  $("texts-csv").addEventListener("click", () => {
    const rows = Object.entries(generations.cells[chosen].splits).flatMap(([split, found]) => found.map((row) => [
      chosen, split, row[PROMPT], generations.prompts[row[PROMPT]], row[TEXT], row[FINISH], ...row.slice(BEHAVIOR, FINISH),
    ]));
    save(`completions ${chosen}`, ["cell", "split", "prompt_id", "prompt", "text", "finish", "behavior", "coherence", "combined", "reason"], rows);
  });
  choose(chosen, false);
  if (early) clicked(early);
}
