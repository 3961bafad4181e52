"""A logistic probe that cannot leak: folds are whole pairs, and everything is fitted inside the fold.

Two shortcuts look harmless and are not: centering each pair on its own midpoint (row i then tells row i's
partner), and choosing features or components on all rows. On pure noise each reaches 0.8 to 0.95.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import expit
from scipy.stats import rankdata

from analyses.gram import TOO_FEW, Gram
from analyses.measure import Measure, undefined

FOLDS = 5
RIDGE = 0.1
"""Inverse penalty per unit of squared row norm: rows of d standardized features get ``C = RIDGE / d``."""

FLIPS = 20
STEPS = 1000
LEAST_DEVIATION = 1e-12


@dataclass(frozen=True, kw_only=True)
class ProbeScores:
    """Held-out scores of a probe.

    Attributes:
        accuracy: Share of rows on the right side of the boundary; ties count one half.
        auc: Area under the ROC curve, averaged over the folds.
        margin: ``mean / sd`` of the signed logit of the true side; unlike the accuracy it does not
            saturate. None where every row has the same logit.
        null_accuracy: Accuracy when the labels within pairs were flipped at random before fitting.
    """

    accuracy: float
    auc: float
    margin: float | None
    null_accuracy: float

    @property
    def selectivity(self) -> float:
        """Accuracy above that of the same probe on flipped labels."""
        return self.accuracy - self.null_accuracy


def grouped_probe(
    positive: Float[np.ndarray, "pair d_model"],
    negative: Float[np.ndarray, "pair d_model"],
    *,
    flips: int = FLIPS,
    seed: int = 0,
) -> ProbeScores:
    """Cross-validate a ridge-penalized logistic probe over whole pairs.

    Inside each fold the features are standardized, and the probe is fitted in terms of the inner products of
    the training rows, where it is the same as in all d_model dimensions (representer theorem): a wide model
    costs no more than a narrow one, and the flipped labels hardly anything.

    Args:
        positive: Activations of the positive sides, one row per pair; at least ``FOLDS`` pairs.
        negative: Activations of the negative sides, in the same order.
        flips: Random flips of the labels within pairs for the null; the same ones at every call with ``seed``.
        seed: Seed of the flips.

    Source:
        Hewitt and Liang, "Designing and Interpreting Probes with Control Tasks", arXiv:1909.03368 (selectivity).
    """
    n, d_model = positive.shape
    rows = np.concatenate([positive, negative])
    true = np.repeat([1.0, -1.0], n)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(flips, n))
    labels = np.stack([true, *(true * np.tile(sign, 2) for sign in signs)], axis=1)
    logits = np.zeros_like(labels)
    fold_of = np.tile(np.arange(n) % FOLDS, 2)
    aucs = []
    for fold in range(FOLDS):
        test = fold_of == fold
        mean = rows[~test].mean(axis=0, dtype=np.float64)
        deviation = np.maximum(rows[~test].std(axis=0, dtype=np.float64), LEAST_DEVIATION)
        # float32 rounds an inner product by 1e-6 of itself, and takes half the time.
        scaled = ((rows - mean.astype(rows.dtype)) / deviation.astype(rows.dtype)).astype(np.float32)
        products = (scaled @ scaled[~test].T).astype(np.float64)
        weights, intercepts = ridge_logistic(products[~test], labels[~test], RIDGE / d_model)
        logits[test] = products[test] @ weights + intercepts
        aucs.append(area_under_curve(logits[test, 0], true[test] > 0))
    margins = logits[:, 0] * true
    spread = float(margins.std(ddof=1))
    accuracies = ((np.sign(logits) * labels + 1) / 2).mean(axis=0)
    return ProbeScores(
        accuracy=float(accuracies[0]),
        auc=float(np.mean(aucs)),
        margin=float(margins.mean()) / spread if spread > 0 else None,
        null_accuracy=float(accuracies[1:].mean()),
    )


def ridge_logistic(
    products: Float[np.ndarray, "row row"], labels: Float[np.ndarray, "row labeling"], inverse_penalty: float
) -> tuple[Float[np.ndarray, "row labeling"], Float[np.ndarray, " labeling"]]:
    """Fit ``min 1/2 ||w||^2 + C sum_i log(1 + exp(-y_i (w . x_i + b)))`` for several labelings at once.

    Steps by the upper bound 1/4 of the logistic curvature, so the objective falls at every step and one inverse
    serves every labeling.

    Args:
        products: Inner products of the rows, whose mean is zero (so that the intercept decouples).
        labels: 1 or -1 of every row, one column per labeling.
        inverse_penalty: C.

    Returns:
        Weights of the rows, ``w = sum_i a_i x_i``, and intercepts.

    Source:
        Boehning and Lindsay, "Monotonicity of quadratic-approximation algorithms", 1988.
    """
    n = len(products)
    step = np.linalg.inv(np.eye(n) + inverse_penalty / 4 * products)
    weights, intercepts = np.zeros_like(labels), np.zeros(labels.shape[1])
    for _ in range(STEPS):
        pull = labels * expit(-labels * (products @ weights + intercepts))
        change = step @ (inverse_penalty * pull - weights)
        shift = 4 * pull.mean(axis=0)
        weights += change
        intercepts += shift
        if np.abs(change).max() <= 1e-8 * np.abs(weights).max() and np.abs(shift).max() <= 1e-8:
            break
    return weights, intercepts


def area_under_curve(scores: Float[np.ndarray, " row"], positive: np.ndarray) -> float:
    """Return the chance that a positive row scores above a negative one, ties counting half."""
    ranks, n = rankdata(scores), int(positive.sum())
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(scores) - n)))


def transfer_accuracy(gram: Gram, topics: Sequence[str]) -> Measure:
    """Does the mean difference of the *other topics* point from a pair's negative to its positive side?

    As the paired leave-one-out accuracy, but with the whole topic of the pair left out: what only holds within a topic
    does not help. Pairs without a topic are left out; undefined with fewer than two topics.
    """
    names = np.array(topics)
    named = np.flatnonzero(names != "")
    if len(set(names[named])) < 2:
        return undefined("the pairs name fewer than two topics")
    if gram.n_kept < 2:
        return undefined(TOO_FEW)
    inside = gram.matrix[np.ix_(named, named)]
    scores = (inside * (names[named, None] != names[named])).sum(axis=1)
    return Measure(float(((np.sign(scores) + 1) / 2).mean()))
