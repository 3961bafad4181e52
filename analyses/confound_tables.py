"""Confounds of pairs as tables, and in a sentence or two."""

from collections.abc import Sequence

from analyses.confounds import Length, Word
from analyses.measure import Measure
from interp_steer.findings import Table

WORDS = 10
"""Words that are shown."""

LEVEL = 0.05


def words_table(words: Sequence[Word] | None) -> Table:
    """Lay out the words that separate the sides most; None where the texts of the pairs are gone."""
    tested = words or ()
    return Table(
        title="Single words that separate the sides",
        columns=("word", "positive only", "negative only", "log-odds", "p (Holm)", "orders"),
        rows=tuple(
            (word.word, word.positive_only, word.negative_only, word.log_odds, word.p, word.orders)
            for word in tested[:WORDS]
        ),
        notes=(
            "positive only, negative only: pairs that have the word on that side alone; p: exact, Holm over "
            f"{len(tested)} words",
            "orders: share of pairs that the word alone puts in one order",
            *(() if words is not None else ("not tested: the file of the pairs is gone or has changed",)),
        ),
    )


def length_table(length: Length, carried: Measure, layer: int) -> Table:
    """Lay out how the sides differ in length, and how far the vector of a layer carries it.

    Args:
        length: The difference.
        carried: Correlation of the projections of the pairs with their difference in length.
        layer: The layer of the projections.
    """
    return Table(
        title="Length",
        columns=("quantity", "value"),
        rows=(
            ("mean tokens, positive", length.positive),
            ("mean tokens, negative", length.negative),
            ("share of pairs whose positive side is longer", length.longer),
            ("p of an even share (exact)", length.p),
            ("AUC of length", length.auc),
            (f"correlation of the projection with the difference in length, layer {layer}", carried.value),
        ),
        notes=() if carried.value is not None else (f"the correlation is undefined: {carried.reason}",),
    )


def confounds_in_words(length: Length, words: Sequence[Word] | None) -> str:
    """Say what separates the sides beyond chance; empty where there is nothing to say."""
    said = []
    if length.p < LEVEL:
        side, share = ("positive", length.longer) if length.longer > 0.5 else ("negative", 1 - length.longer)
        said.append(f"The {side} side is longer in {share:.0%} of the pairs.")
    apart = [word for word in words or () if word.p < LEVEL]
    if apart:
        first = ", ".join(
            f"{word.word!r} ({'+' if word.log_odds > 0 else '-'}, {word.orders:.0%})" for word in apart[:3]
        )
        said.append(f"{len(apart)} single words separate the sides beyond chance; first: {first}.")
    elif words is not None:
        said.append("No single word separates the sides beyond chance.")
    return " ".join(said)
