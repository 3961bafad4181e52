"""Learn a lexical scorer from contrastive pairs, and say how far it can be trusted.

A logistic regression on *differences* of pairs (the conditional model of matched pairs, without intercept): what
the prompt puts on both sides, its topic, cancels. Weights and bias are then scaled so that the score is a probability
on held-out texts. The scorer is its weights: they stand in ``behavior.toml``, to be read and edited.

What it does not know: meaning, word order, negation, and any word the pairs did not hold. If a word or the length
separates the sides by accident, it is learned as the behavior (``interp-steer pairs plan`` looks for these).
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold

from interp_steer.behaviors import Pair, ScorerSpec
from interp_steer.errors import PairsError
from interp_steer.stats import Interval, wilson_interval
from interp_steer.words import tokens

MINIMUM = 6
"""Pairs below which nothing is learned: no result could be told from chance."""

_WORDS = 200  # those that tell the sides of most pairs apart; the rest are rare
_FOLDS = 5
_C = 10.0  # inverse penalty; the features of a text have length 1 at most


@dataclass(frozen=True, kw_only=True)
class Lexicon:
    """A scorer learned from pairs.

    Attributes:
        spec: The scorer, with its weights.
        accuracy: Share of held-out pairs whose positive side scores higher (ties count half), with 95 % interval.
        auc: Chance that a held-out positive text scores higher than a negative one of any pair.
    """

    spec: ScorerSpec
    accuracy: Interval
    auc: float

    @property
    def tells_apart(self) -> bool:
        """Whether it orders held-out pairs better than chance, beyond doubt."""
        return self.accuracy.low > 0.5


def fit_lexicon(pairs: Sequence[Pair]) -> Lexicon:
    """Learn which words speak for the positive side, in five-fold cross-validation and then from all pairs.

    Raises:
        PairsError: If there are fewer than six pairs.
    """
    if len(pairs) < MINIMUM:
        raise PairsError(f"{len(pairs)} pairs are too few to learn a scorer from; expected at least {MINIMUM}")
    sides = [(frozenset(tokens(pair.positive)), frozenset(tokens(pair.negative))) for pair in pairs]
    held_out = np.zeros((len(sides), 2))
    for train, test in KFold(_FOLDS, shuffle=True, random_state=0).split(sides):
        weights = _weights([sides[i] for i in train])
        held_out[test] = [[_sum(weights, side) for side in sides[i]] for i in test]
    # Unpenalized, the calibration of separable scores would make every score 0 or 1.
    spread = float(held_out.std()) or 1.0
    labels = np.tile([1, 0], len(sides))
    calibration = LogisticRegression(C=1.0).fit(held_out.reshape(-1, 1) / spread, labels)
    slope, bias = max(0.0, float(calibration.coef_[0, 0])) / spread, float(calibration.intercept_[0])
    scaled = {word: round(slope * weight, 3) for word, weight in _weights(sides).items()}
    ordered = sorted(((word, weight) for word, weight in scaled.items() if weight), key=lambda item: -item[1])
    wins = float((np.sign(held_out[:, 0] - held_out[:, 1]) + 1).sum() / 2)
    return Lexicon(
        spec=ScorerSpec(name="lexicon", options={"bias": round(bias, 3), "weights": dict(ordered)}),
        accuracy=wilson_interval(wins, len(sides)),
        auc=float(roc_auc_score(labels, held_out.ravel())),
    )


def _weights(sides: Sequence[tuple[frozenset[str], frozenset[str]]]) -> dict[str, float]:
    """Return the weight of every word that tells apart the sides of two pairs or more."""
    decisive = Counter(word for positive, negative in sides for word in positive ^ negative)
    # By count, then by the word itself: no accident of hashing decides.
    words = sorted((word for word, n in decisive.items() if n >= 2), key=lambda word: (-decisive[word], word))[:_WORDS]
    if not words:
        return {}
    differences = _features(words, [side for side, _ in sides]) - _features(words, [side for _, side in sides])
    both = np.concatenate([differences, -differences])
    labels = np.repeat([1, 0], len(sides))
    model = LogisticRegression(C=_C, fit_intercept=False, max_iter=1000).fit(both, labels)
    return dict(zip(words, model.coef_[0].tolist(), strict=True))


def _features(words: Sequence[str], texts: Sequence[frozenset[str]]) -> Float[np.ndarray, "text word"]:
    present = np.array([[word in text for word in words] for text in texts], dtype=np.float64)
    return present / np.sqrt([[max(1, len(text))] for text in texts])


def _sum(weights: dict[str, float], text: frozenset[str]) -> float:
    return math.fsum(weights[word] for word in text if word in weights) / math.sqrt(len(text) or 1)
