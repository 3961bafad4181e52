"""Fit a head on the pooled activations of pairs, and calibrate it on responses that did not fit it.

A ridge-penalized logistic regression on standardized features. Folds are whole groups (a pair, or a topic where
pairs name one), and everything is fitted inside the fold, or topics leak and a head looks perfect on noise. Platt
scaling of the out-of-fold logits sets scale and offset: ``p = sigmoid(slope * logit + offset)``, which is folded into
weight and bias. Its own figures are out of fold as well: each group is calibrated by the other groups.

Source:
    Platt, "Probabilistic outputs for support vector machines", 1999. Expected calibration error: Guo et al., "On
    Calibration of Modern Neural Networks", arXiv:1706.04599.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from interp_steer.activations.artifact import Activations
from interp_steer.errors import AnalysisError, SteeringError
from interp_steer.heads.head import Head, HeadCard, HeldOutScores

FOLDS = 5
RIDGE = 0.1
"""Inverse penalty per unit of squared row norm: rows of d standardized features get ``C = RIDGE / d``."""

LEAST_DEVIATION = 1e-6
BINS = 10
PLATT_PENALTY = 1.0

Rows = Float[np.ndarray, "row d_model"]


def fit_head(
    activations: Activations,
    layer: int,
    *,
    groups: Sequence[str] = (),
    unseen: Activations | None = None,
    seed: int = 0,
) -> Head:
    """Fit and calibrate the head of one behavior at one layer.

    Args:
        activations: Pooled activations of contrastive pairs; at least two groups.
        layer: Block whose output is read.
        groups: Group of each pair, e.g. its topic; by default each pair is its own.
        unseen: Activations of other prompts, which only show how well it transfers.
        seed: Seed of the folds.

    Raises:
        SteeringError: If the layer does not exist.
        AnalysisError: If there are fewer than two groups, or an activation is NaN or Inf.
    """
    if not 0 <= layer < activations.n_layers:
        name = activations.card.model.name
        raise SteeringError(f"layer {layer} does not exist: {name!r} has layers 0 to {activations.n_layers - 1}")
    rows, labels = _rows(activations, layer)
    names = list(groups) or [str(i) for i in range(activations.n_pairs)]
    if len(names) != activations.n_pairs:
        raise AnalysisError(f"there are {len(names)} groups for {activations.n_pairs} pairs; expected one each")
    folds = np.tile(_folds(names, seed), 2)
    raw = np.empty(len(rows))
    for fold in range(int(folds.max()) + 1):
        weight, bias = _logistic(rows[folds != fold], labels[folds != fold])
        raw[folds == fold] = rows[folds == fold] @ weight + bias
    calibrated = np.empty(len(rows))
    for fold in range(int(folds.max()) + 1):
        slope, offset = _platt(raw[folds != fold], labels[folds != fold])
        calibrated[folds == fold] = slope * raw[folds == fold] + offset
    weight, bias = _logistic(rows, labels)
    slope, offset = _platt(raw, labels)
    card = HeadCard(
        activations=activations.card,
        layer=layer,
        n_pairs=activations.n_pairs,
        seed=seed,
        out_of_fold=scores(calibrated, labels),
    )
    head = Head(weight=(slope * weight).astype(np.float32), bias=float(slope * bias + offset), card=card)
    if unseen is None:
        return head
    others, sides = _rows(unseen, layer)
    return replace(head, card=replace(card, unseen=scores(head.logits(others), sides)))


def scores(logits: Float[np.ndarray, " row"], labels: Int[np.ndarray, " row"]) -> HeldOutScores:
    """Compare logits with what the responses show.

    Args:
        logits: Logits of probabilities.
        labels: 1 where the behavior is shown, 0 where not; both must occur.
    """
    probability = expit(logits)
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    gaps = [abs(float((probability - labels)[bins == one].sum())) for one in range(BINS)]
    return HeldOutScores(
        auc=float(roc_auc_score(labels, logits)),
        accuracy=float(((logits > 0) == (labels == 1)).mean()),
        brier=float(np.square(probability - labels).mean()),
        ece=sum(gaps) / len(labels),
        n=len(labels),
    )


def _rows(activations: Activations, layer: int) -> tuple[Rows, Int[np.ndarray, " row"]]:
    """Return both sides of every pair, positive ones first, and their labels."""
    activations.differences(layer)  # refuses NaN and Inf, naming the pair
    rows = np.concatenate([activations.positive[layer], activations.negative[layer]]).astype(np.float64)
    return rows, np.repeat([1, 0], activations.n_pairs)


def _folds(groups: Sequence[str], seed: int) -> Int[np.ndarray, " pair"]:
    """Deal groups out to folds, whole.

    Raises:
        AnalysisError: If there is only one.
    """
    names = sorted(set(groups))
    if len(names) < 2:
        raise AnalysisError(f"a head needs at least two groups of pairs to be calibrated; there is {len(names)}")
    order = np.random.default_rng(seed).permutation(len(names)) % min(FOLDS, len(names))
    fold_of = dict(zip(names, order.tolist(), strict=True))
    return np.array([fold_of[name] for name in groups])


def _logistic(rows: Rows, labels: Int[np.ndarray, " row"]) -> tuple[Float[np.ndarray, " d_model"], float]:
    """Return weight and bias for rows as they are; features are standardized inside."""
    mean, deviation = rows.mean(axis=0), np.maximum(rows.std(axis=0), LEAST_DEVIATION)
    model = LogisticRegression(C=RIDGE / rows.shape[1], max_iter=1000).fit((rows - mean) / deviation, labels)
    weight = model.coef_[0] / deviation
    return weight, float(model.intercept_[0] - weight @ mean)


def _platt(logits: Float[np.ndarray, " row"], labels: Int[np.ndarray, " row"]) -> tuple[float, float]:
    """Return slope and offset; a weak penalty on the slope keeps it finite where the sides separate perfectly."""
    spread = max(float(logits.std()), LEAST_DEVIATION)
    model = LogisticRegression(C=PLATT_PENALTY, max_iter=1000).fit((logits / spread)[:, None], labels)
    return float(model.coef_[0, 0]) / spread, float(model.intercept_[0])
