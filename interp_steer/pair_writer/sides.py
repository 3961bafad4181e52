"""Sides the model wrote, and the best pair of them for a prompt."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from interp_steer.behaviors import Pair
from interp_steer.pair_writer.filters import Fault, Reason

SAMPLES = 3
"""Samples of each side of a prompt in one round."""
ROUNDS = 4
"""Most rounds of samples for a prompt."""

SideName = Literal["positive", "negative", "plain"]


@dataclass(frozen=True, kw_only=True)
class Side:
    """A line of ``sides.jsonl``: one answer of the model, measured.

    Attributes:
        basis: Digest of what decides it besides the fields here: model, instructions, sampling.
        prompt: What it answers.
        side: Which instruction it was written under; ``plain`` is none.
        instruction: Which of the instruction pairs.
        sample: Number of the sample, from 0.
        text: The answer, up to its last complete sentence.
        reason: Why it is unfit; None if it may be half of a pair.
        detail: What shows that.
        nll: Mean negative log-likelihood given the prompt alone, nats per token; None where not measured.
        contrast: See :mod:`interp_steer.pair_writer.contrast`; None where not measured.
    """

    basis: str
    prompt: str
    side: SideName
    instruction: int
    sample: int
    text: str
    reason: Reason | None = None
    detail: str = ""
    nll: float | None = None
    contrast: float | None = None

    @property
    def key(self) -> tuple[str, str, int]:
        """Identity among the sides of one basis."""
        return self.prompt, self.side, self.sample

    @property
    def strength(self) -> float:
        """How clearly its own instruction wrote it; low where that was not measured."""
        if self.contrast is None:
            return float("-inf")
        return self.contrast if self.side == "positive" else -self.contrast


def best_pair(
    prompt: str, sides: Sequence[Side], fault: Callable[[Pair], Fault | None], *, topic: str = ""
) -> tuple[Pair, Fault | None]:
    """Choose the pair of a prompt: of all combinations of fit sides that pass, the widest gap between contrasts.

    Args:
        prompt: The prompt.
        sides: What was written for it, at least one text of each side.
        fault: What is wrong with a pair.
        topic: For the pair.

    Returns:
        The pair and None; or, where no combination passes, the one of the widest gap (of unfit sides, if a side has no
        fit one) with its fault.
    """
    both = [[one for one in sides if one.side == name] for name in ("positive", "negative")]
    fit = [[one for one in group if one.reason is None] for group in both]
    first: tuple[Pair, Fault] | None = None
    for positive, negative in sorted(
        ((one, other) for one in fit[0] for other in fit[1]), key=lambda two: -(two[0].strength + two[1].strength)
    ):
        pair = Pair(prompt=prompt, positive=positive.text, negative=negative.text, topic=topic)
        if (found := fault(pair)) is None:
            return pair, None
        first = first or (pair, found)
    if first:
        return first
    chosen = [max(group or every, key=lambda one: one.strength) for group, every in zip(fit, both, strict=True)]
    unfit = next(one for one, group in zip(chosen, fit, strict=True) if not group)
    counts = Counter(one.reason for one in sides if one.side == unfit.side)
    told = ", ".join(f"{n} {reason}" for reason, n in counts.most_common())
    most = counts.most_common(1)[0][0] or "unusable"
    pair = Pair(prompt=prompt, positive=chosen[0].text, negative=chosen[1].text, topic=topic)
    return pair, Fault(reason=most, detail=f"no fit {unfit.side} side: {told}")
