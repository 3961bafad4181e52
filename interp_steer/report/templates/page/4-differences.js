// What two texts have in common, word by word: the longest common subsequence, runs of at least two words.
const MOST = 4e6; // steps; longer texts are shown unmarked
const wordsOf = (text) => text.match(/\s+|[^\s]+/g) || [];
function commonWords(first, second) {
  const [a, b] = [first, second].map((pieces) => pieces.map((piece, at) => [piece, at]).filter(([piece]) => piece.trim()));
  if (a.length * b.length > MOST) return null;
  const width = b.length + 1;
  const longest = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      longest[i * width + j] = a[i][0] === b[j][0]
        ? longest[(i + 1) * width + j + 1] + 1
        : Math.max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
    }
  }
  const shared = [new Set(), new Set()];
  let run = [];
  const close = () => {
    if (run.length > 1) for (const [x, y] of run) { shared[0].add(x); shared[1].add(y); }
    run = [];
  };
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    if (a[i][0] === b[j][0]) run.push([a[i++][1], b[j++][1]]);
    else {
      close();
      if (longest[(i + 1) * width + j] >= longest[i * width + j + 1]) i++;
      else j++;
    }
  }
  close();
  return shared;
}
// The pieces of a text as nodes, those that are not shared inside <mark>.
function marked(pieces, shared) {
  const nodes = [];
  let [text, inside] = ["", null];
  const flush = () => { if (text) nodes.push(inside ? make("mark", "", text) : document.createTextNode(text)); text = ""; };
  pieces.forEach((piece, at) => {
    const differs = piece.trim() ? !shared.has(at) : inside && at + 1 < pieces.length && !shared.has(at + 1);
    if (differs !== inside) { flush(); inside = differs; }
    text += piece;
  });
  flush();
  return nodes;
}
