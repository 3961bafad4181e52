"""The alpha at which steering disturbs the model's predictions by a given amount, layer by layer (iso-KL).

Equal alphas are not equally strong: the same fraction of the norm changes what the model predicts much more at
one layer than at another. Here every layer gets the alpha at which ``KL(steered || unsteered)`` of the
next-token distribution, at its 95th percentile over positions, is the target. The texts are the unsteered
model's own greedy completions, read teacher-forced, so that nothing is decoded under steering.

For small alphas the KL is quadratic in alpha (half the Fisher information along the push); the search runs in
log KL over log alpha, where that is a line of slope 2. At large alphas the KL levels off and may even fall:
then the alpha found is one that reaches the target, not always the smallest.

It does not show that the disturbance is the wanted one: a random direction can be calibrated just as well.

Source:
    The quadratic law: Kullback, "Information Theory and Statistics", 1959, section 2.6. The bracketed secant:
    Dowell and Jarratt, "A modified regula falsi method", BIT 11, 1971 (the Illinois algorithm).
"""

import functools
import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

import numpy as np
import torch

from interp_steer.errors import SteeringError
from interp_steer.model.protocol import Model
from interp_steer.progress import progress
from interp_steer.records import ModelCard, digest
from interp_steer.steering.intervention import Intervention
from interp_steer.sweeps.disturbance import kl_from_steered, log_probabilities, own_answers
from interp_steer.sweeps.margins import vectors_digest
from interp_steer.sweeps.replay import TOKENS_PER_BATCH, Replay
from interp_steer.terms import Scope
from interp_steer.vectors.vector import SteeringVectors

VERSIONED = ("interp-steer", "torch", "transformers", "transformer-lens")
START = 0.1
MOST_PASSES = 20


@dataclass(frozen=True, kw_only=True)
class CalibrationSpec:
    """What is solved for.

    Attributes:
        layers: Blocks to steer, one at a time.
        target_kl: The KL to reach, in nats.
        scope: Positions that are steered.
        quantile: Which quantile over positions is held to the target.
        n_tokens: Longest completion that is read.
        least_alpha: Lower end of the search.
        most_alpha: Upper end of the search.
        tolerance: Largest relative error of the KL.
    """

    layers: tuple[int, ...]
    target_kl: float = 1.0
    scope: Scope = "response"
    quantile: float = 0.95
    n_tokens: int = 24
    least_alpha: float = 0.001
    most_alpha: float = 2.0
    tolerance: float = 0.01

    def check(self, vectors: SteeringVectors) -> None:
        """Refuse a specification that does not fit the vectors.

        Raises:
            SteeringError: Saying which value, and what was expected.
        """
        if not self.layers:
            raise SteeringError("a calibration needs at least one layer")
        for layer in self.layers:
            vectors.at(layer)
        for name, fits, expected in (
            ("target_kl", 0 < self.target_kl < math.inf, "a positive number of nats"),
            ("quantile", 0 < self.quantile <= 1, "a share above 0 and up to 1"),
            ("n_tokens", self.n_tokens >= 1, "at least 1"),
            ("least_alpha", 0 < self.least_alpha < START, f"a number between 0 and {START}"),
            ("most_alpha", START < self.most_alpha <= 10, f"a number between {START} and 10"),
            ("tolerance", 0 < self.tolerance < 1, "a share between 0 and 1"),
        ):
            if not fits:
                raise SteeringError(f"{name} is {getattr(self, name)}; expected {expected}")


@dataclass(frozen=True, kw_only=True)
class Solution:
    """Where a search ended.

    Attributes:
        alpha: Strength at which the target is reached; None if there is none within the search.
        kl: The KL measured at ``alpha``, in nats; None where that is.
        reason: Why there is none.
        tried: Every alpha measured, with its KL, in order.
    """

    alpha: float | None
    kl: float | None
    reason: str | None
    tried: tuple[tuple[float, float], ...]

    def nearest(self, target_kl: float, *, within: float) -> float | None:
        """Return the alpha whose KL came nearest to the target, if it is off by at most this share of it.

        In bfloat16 the KL jumps where a residual's rounding does: the target may lie between two alphas
        that can hardly be told apart.
        """
        alpha, kl = min(self.tried, key=lambda one: abs(one[1] - target_kl), default=(0.0, math.inf))
        return alpha if abs(kl - target_kl) <= within * target_kl else None


@dataclass(frozen=True, kw_only=True)
class CalibratedLayer(Solution):
    """The outcome at one layer."""

    layer: int


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Alphas of equal disturbance, and where they come from."""

    spec: CalibrationSpec
    layers: tuple[CalibratedLayer, ...]
    n_positions: int
    behavior: str
    prompts: str
    vectors: str
    model: ModelCard
    versions: Mapping[str, str] = field(default_factory=dict)


def calibrate(
    model: Model,
    vectors: SteeringVectors,
    prompts: Sequence[str],
    spec: CalibrationSpec,
    *,
    tokens_per_batch: int = TOKENS_PER_BATCH,
) -> Calibration:
    """Find the alpha of every layer at which steering reaches the target KL.

    Args:
        model: The model the vectors were made on.
        vectors: One direction per layer.
        prompts: What the unsteered model answers; a few neutral ones do.
        spec: Layers, target, scope and the ends of the search.
        tokens_per_batch: Most padded tokens of one forward pass; bounds the memory.

    Raises:
        SteeringError: If the specification does not fit, there are no prompts, or a KL is not finite.
        VectorError: If the vectors belong to another model.
    """
    vectors.check_model(model.card)
    spec.check(vectors)
    if not prompts:
        raise SteeringError("a calibration needs at least one prompt")
    texts = own_answers(model, prompts, spec.n_tokens)
    replay = Replay(model, texts, spec.layers, spec.scope, tokens_per_batch=tokens_per_batch)
    measure = kl_from_steered(replay.unsteered(log_probabilities))

    def reach(layer: int, alpha: float) -> float:
        push = Intervention(layer=layer, alpha=alpha, direction=vectors.at(layer))
        found = float(torch.quantile(replay.steered([push], measure)[0], spec.quantile))
        if not math.isfinite(found):
            raise SteeringError(
                f"layer {layer}, alpha {alpha:g}: the KL is NaN or Inf; load the model in float32 or bfloat16"
            )
        return found

    solved: list[CalibratedLayer] = []
    with progress("calibrate", len(spec.layers)) as advance:
        for layer in spec.layers:
            nearest = next((one.alpha for one in reversed(solved) if one.alpha), START)
            solution = solve(alpha_search(spec, nearest), functools.partial(reach, layer))
            solved.append(CalibratedLayer(layer=layer, **vars(solution)))
            advance(1, f"layer {layer}")
    return Calibration(
        spec=spec,
        layers=tuple(solved),
        n_positions=sum(len(text.response) for text in texts),
        behavior=vectors.card.activations.behavior,
        prompts=digest(list(prompts)),
        vectors=vectors_digest(vectors),
        model=model.card,
        versions={name: version(name) for name in VERSIONED},
    )


def suggested_alphas(calibration: Calibration) -> tuple[float, ...]:
    """Return strengths worth sweeping: the 10th, 50th and 90th percentile over layers, to two digits."""
    found = [one.alpha for one in calibration.layers if one.alpha is not None]
    if not found:
        return ()
    return tuple(sorted({float(f"{alpha:.2g}") for alpha in np.quantile(found, (0.1, 0.5, 0.9))}))


def solve(search: Generator[float, float, str | None], reach: Callable[[float], float]) -> Solution:
    """Measure what a search asks for until it ends.

    Args:
        search: :func:`alpha_search`.
        reach: From an alpha, or whatever one number scales, to the KL there.
    """
    tried: list[tuple[float, float]] = []
    alpha = next(search)
    while True:
        kl = reach(alpha)
        tried.append((alpha, kl))
        try:
            alpha = search.send(kl)
        except StopIteration as stopped:
            reason: str | None = stopped.value
            found = (None, None) if reason else (alpha, kl)
            return Solution(alpha=found[0], kl=found[1], reason=reason, tried=tuple(tried))


def alpha_search(spec: CalibrationSpec, start: float) -> Generator[float, float, str | None]:
    """Yield alphas, be sent the KL at each, and end at the last one; the return value says why it is no solution.

    Steps along slope 2 until the target lies between two alphas, then the secant between them; where one end
    stays, its weight is halved, so that both ends close in.
    """
    low, high = math.log(spec.least_alpha), math.log(spec.most_alpha)
    below: tuple[float, float] | None = None
    above: tuple[float, float] | None = None
    x, side = min(max(math.log(start), low), high), 0
    for _ in range(MOST_PASSES):
        alpha = min(math.exp(x), spec.most_alpha)
        kl = yield alpha
        off = math.log(max(kl, 1e-12) / spec.target_kl)
        if abs(off) <= math.log1p(spec.tolerance):
            return None
        if off < 0:
            if x >= high:
                return f"the KL is only {kl:.3g} at alpha {alpha:g}, the largest of the search"
            if side < 0 and above:
                above = (above[0], above[1] / 2)
            below, side = (x, off), -1
        else:
            if x <= low:
                return f"the KL is already {kl:.3g} at alpha {alpha:g}, the smallest of the search"
            if side > 0 and below:
                below = (below[0], below[1] / 2)
            above, side = (x, off), 1
        if below and above:
            x = above[0] - above[1] * (above[0] - below[0]) / (above[1] - below[1])
        else:  # a little further than the slope says, to have the target between two alphas
            x = min(max(x - side * max(0.6 * abs(off), 0.1), low), high)
    return f"the KL is {kl:.3g} at alpha {alpha:g} after {MOST_PASSES} passes, and the target lies in a jump"
