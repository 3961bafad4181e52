"""What separates the sides of pairs besides the behavior: their length, or single words.

Under the null the two sides of a pair are exchangeable, so every test here flips signs within pairs and is exact: of
the pairs whose sides differ in a word (or in length), each side has it in half. What a test finds may still be the
behavior itself ("cannot" in refusals): it says where to look, not that something is wrong.
"""

import functools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats as scipy_stats

from interp_steer.behaviors import Pair
from interp_steer.words import tokens

_FEWEST = 6
"""Pairs that must differ in a word: with fewer, no split of them is significant at 5 %."""


@dataclass(frozen=True, kw_only=True)
class Word:
    """How one word or punctuation mark is divided between the sides.

    Attributes:
        word: The word, case folded.
        positive_only: Pairs that have it on the positive side alone.
        negative_only: Pairs that have it on the negative side alone.
        log_odds: ``log((positive_only + 1/2) / (negative_only + 1/2))``, natural.
        p: Holm-adjusted over all words tested, two-sided, exact.
        orders: Share of pairs whose sides the word alone puts in one order, ties counting half; at least 0.5.
    """

    word: str
    positive_only: int
    negative_only: int
    log_odds: float
    p: float
    orders: float


def words_apart(pairs: Sequence[Pair]) -> list[Word]:
    """Test every word that tells apart the sides of at least six pairs, the smallest p-value first.

    Source:
        McNemar's exact test; Holm (1979) for the number of words.
    """
    positive, negative = Counter[str](), Counter[str]()
    for pair in pairs:
        sides = set(tokens(pair.positive)), set(tokens(pair.negative))
        positive.update(sides[0] - sides[1])
        negative.update(sides[1] - sides[0])
    counts = [(word, positive[word], negative[word]) for word in sorted(positive | negative)]
    counts = [(word, more, less) for word, more, less in counts if more + less >= _FEWEST]
    raw = [sign_test(more, less) for _, more, less in counts]
    found = [
        Word(
            word=word,
            positive_only=more,
            negative_only=less,
            log_odds=math.log((more + 0.5) / (less + 0.5)),
            p=adjusted,
            orders=0.5 + abs(more - less) / (2 * len(pairs)),
        )
        for (word, more, less), adjusted in zip(counts, holm(raw), strict=True)
    ]
    return sorted(found, key=lambda word: (word.p, -word.orders, word.word))


@dataclass(frozen=True, kw_only=True)
class Length:
    """How the sides differ in length.

    Attributes:
        positive: Mean length of the positive sides, in tokens.
        negative: Mean length of the negative sides.
        longer: Share of pairs whose positive side is longer, ties counting half.
        p: Of an even share, two-sided, exact.
        auc: Chance that a positive text is longer than a negative one of any pair, ties counting half.
    """

    positive: float
    negative: float
    longer: float
    p: float
    auc: float


def length_apart(positive: Float[np.ndarray, " pair"], negative: Float[np.ndarray, " pair"]) -> Length:
    """Compare the lengths of the sides of pairs."""
    more, less = int((positive > negative).sum()), int((positive < negative).sum())
    above = (positive[:, None] > negative).mean() + (positive[:, None] == negative).mean() / 2
    return Length(
        positive=float(positive.mean()),
        negative=float(negative.mean()),
        longer=0.5 + (more - less) / (2 * len(positive)),
        p=sign_test(more, less),
        auc=float(above),
    )


@functools.cache
def sign_test(more: int, less: int) -> float:
    """Two-sided exact p-value of a split of pairs; 1 where none differ."""
    return float(scipy_stats.binomtest(more, more + less).pvalue) if more + less else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number: the chance of any false finding stays below the level.

    Source:
        Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, largest = [1.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted
