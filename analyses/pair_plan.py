"""How many pairs are needed, which of them to look at again, and what besides the behavior separates their sides?

With c_w the weighted consistency (share of the differences' energy that all pairs have in common):

- *pairs needed* for stability s, the cosine between the vectors of two halves: ``n >= 2 s (1 - c_w) / (c_w (1 - s))``,
  Spearman-Brown turned round; its interval is that of c_w (jackknife, 95 %) put through the same formula;
- *influence* of a pair: the angle by which the mean turns without it;
- a pair *looks mislabelled* where the mean of the other pairs would swap its sides at more than half of the layers
  whose pairs agree (c_w above 0 beyond its interval);
- *length* and *single words*: exact tests within pairs, for words with Holm's correction (:mod:`analyses.confounds`).

What it does not show: that more pairs of the same kind make a better vector (they make the same one more precisely,
confounds included), nor that a flagged pair is wrong or a flagged word an accident. Read them.

Source: Spearman-Brown; Braun et al., arXiv:2505.22637 (consistency of difference vectors).
"""

import math
from collections.abc import Sequence

import numpy as np

from analyses.command import main
from analyses.confound_tables import confounds_in_words, length_table, words_table
from analyses.confounds import length_apart, words_apart
from analyses.gram import Gram, consistency, gram_at
from analyses.measure import Measure, show, table_by_layer, values
from analyses.need import Need, expected_stability
from analyses.pair_quality import length_correlation
from analyses.resampling import influence, leave_one_out_margins
from analyses.subject import run_pairs, studied_layer
from interp_steer.activations.artifact import Activations, read_activations
from interp_steer.behaviors import Pair
from interp_steer.findings import AnalysisResult, Figure, Mark, Series, Table
from interp_steer.run import Run

TARGETS = (0.8, 0.9, 0.95)
TOP = 5  # pairs, by influence


def pair_plan(run: Run) -> AnalysisResult:
    """Plan the collection of pairs from those of a run.

    Raises:
        RunError: If the run holds no activations.
        AnalysisError: If an activation is NaN or Inf.
    """
    activations = read_activations(run.activations_path)
    layer, why = studied_layer(run, activations.n_layers)
    grams = [gram_at(activations, index) for index in range(activations.n_layers)]
    needs = [Need.of(gram) for gram in grams]
    pairs = run_pairs(run, activations.n_pairs)
    against = swapped_shares(grams, needs)
    words = None if pairs is None else words_apart(pairs)
    suspects = [pair for pair, share in enumerate(against) if share is not None and share > 0.5]
    positive, negative = activations.positive_tokens.astype(float), activations.negative_tokens.astype(float)
    lengths, carried = length_apart(positive, negative), length_correlation(grams[layer], positive - negative)
    return AnalysisResult(
        name="pair_plan",
        title="Pair plan",
        question="How many pairs are needed, which deserve a second look, and what else separates their sides?",
        finding=" ".join(
            [
                _needed(needs[layer], layer, activations.n_pairs),
                _suspected(suspects, against),
                confounds_in_words(lengths, words),
            ]
        ),
        caveats=(
            "More pairs of the same kind make the same vector more precise, with whatever confound they share.",
            "A pair that looks mislabelled may show the behavior in its own way; a word that separates the sides may "
            "be how the behavior shows. Read them before you drop or rewrite anything.",
            "Spearman-Brown takes pairs as a random sample; near copies promise more stability than they give.",
        ),
        tables=(
            _pairs_table(grams[layer], pairs, against, activations, f"{layer} ({why})", suspects),
            words_table(words),
            length_table(lengths, carried, layer),
            table_by_layer("Pairs needed by layer", _columns(grams, needs), _COLUMN_NOTES),
        ),
        figures=(_curve(needs[layer], layer, activations.n_pairs),),
    )


def swapped_shares(grams: Sequence[Gram], needs: Sequence[Need]) -> list[float | None]:
    """Return, for each pair, at which share of layers the mean of the others would swap its sides.

    Only layers whose pairs agree are asked; None for every pair if there is none, or where the others cancel out.
    """
    margins = [leave_one_out_margins(gram) for gram, need in zip(grams, needs, strict=True) if need.agrees]
    if not margins:
        return [None] * grams[0].n
    columns = np.array(margins).T
    return [float((column[known] < 0).mean()) if (known := ~np.isnan(column)).any() else None for column in columns]


_COLUMN_NOTES = (
    "shared, low, high: weighted consistency with its 95 % interval; stability: what it promises of these pairs",
    "for 0.8, ...: pairs that this stability takes; at best, at worst: at the ends of the interval",
)


def _columns(grams: Sequence[Gram], needs: Sequence[Need]) -> dict[str, list[Measure]]:
    n = grams[0].n
    columns = {
        "consistency": [consistency(gram) for gram in grams],
        "shared": [need.shared for need in needs],
        "low": [need.low for need in needs],
        "high": [need.high for need in needs],
        "stability": [need.shared.map(lambda c: expected_stability(c, n)) for need in needs],
    }
    for target in TARGETS:
        columns[f"for {target:g}"] = [need.pairs(target)[0] for need in needs]
    columns["0.9 at best"] = [need.pairs(0.9)[1] for need in needs]
    columns["0.9 at worst"] = [need.pairs(0.9)[2] for need in needs]
    return columns


def _degrees(lost: float) -> float:
    return math.degrees(math.acos(min(1.0, max(-1.0, 1 - lost))))


def _pairs_table(
    gram: Gram,
    pairs: Sequence[Pair] | None,
    against: Sequence[float | None],
    activations: Activations,
    layer: str,
    suspects: Sequence[int],
) -> Table:
    turns = values(pull.map(_degrees) for pull in influence(gram))
    order = sorted(range(gram.n), key=lambda pair: -(turns[pair] or 0.0))
    shown = [*suspects, *(pair for pair in order[:TOP] if pair not in suspects)]
    return Table(
        title=f"Pairs to look at, layer {layer}",
        columns=("pair", "prompt", "turns by", "swapped at", "tokens, positive", "tokens, negative"),
        rows=tuple(
            (
                pair,
                pairs[pair].prompt if pairs else None,
                turns[pair],
                against[pair],
                int(activations.positive_tokens[pair]),
                int(activations.negative_tokens[pair]),
            )
            for pair in shown
        ),
        notes=(
            "pair: counted from 0, in the order of train.jsonl",
            "turns by: angle between the vectors with and without the pair, in degrees",
            "swapped at: share of layers where the mean of the other pairs would swap its sides; above 0.5 the pair "
            "looks mislabelled",
            *(() if pairs else ("prompts are not shown: the file of the pairs is gone or has changed",)),
        ),
    )


def _curve(need: Need, layer: int, n: int) -> Figure:
    reach = [value for value in values(need.pairs(TARGETS[-1])) if value is not None]
    counts = sorted({n, *np.linspace(2, max(n, min(max(reach, default=n), 8 * n)), 40).astype(int).tolist()})

    def stabilities(shared: Measure) -> tuple[float | None, ...]:
        if shared.value is None:
            return (None,) * len(counts)
        bound = min(1.0, max(0.0, shared.value))  # below 0 there is nothing to be stable about
        return tuple(expected_stability(bound, count) for count in counts)

    return Figure(
        kind="lines",
        title=f"Stability that more pairs would give, layer {layer}",
        x_label="Pairs",
        y_label="Expected cosine between halves",
        x=tuple(counts),
        series=(
            Series(
                name="expected stability",
                y=stabilities(need.shared),
                low=stabilities(need.low),
                high=stabilities(need.high),
            ),
        ),
        marks=(Mark(x=n, label="now"),),
    )


def _needed(need: Need, layer: int, n: int) -> str:
    if need.shared.value is None:
        return f"There are {n} pairs; what they share at layer {layer} is undefined: {need.shared.reason}."
    start = (
        f"There are {n} pairs; at layer {layer} they share {show(need.shared.value)} "
        f"[{show(need.low.value)}, {show(need.high.value)}] of their energy, an expected stability of "
        f"{show(expected_stability(need.shared.value, n))}."
    )
    parts = []
    for target in TARGETS:
        estimate, best, worst = values(need.pairs(target))
        if estimate is None:
            return f"{start} No number of pairs like these makes the vector stable: rewrite them."
        verdict = "enough" if estimate <= n else f"{estimate - n} more"
        at_worst = "no bound" if worst is None else worst
        parts.append(f"{target:g} takes {estimate} [{best}, {at_worst}] ({verdict})")
    return f"{start} A stability of {', '.join(parts[:-1])}, {parts[-1]}."


def _suspected(suspects: Sequence[int], against: Sequence[float | None]) -> str:
    if all(share is None for share in against):
        return "No layer has pairs that agree, so none can look mislabelled."
    if not suspects:
        return "No pair looks mislabelled."
    if len(suspects) == 1:
        return f"Pair {suspects[0]} looks mislabelled."
    return f"{len(suspects)} pairs look mislabelled: {', '.join(map(str, suspects))}."


if __name__ == "__main__":
    main(pair_plan)
