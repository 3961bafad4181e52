"""Scores out of a language model's answer or its log-probabilities: pure functions, for any judge's output.

The harmonic mean of AxBench is :func:`interp_steer.judges.combine.harmonic_mean`.
"""

import math
import re
from collections.abc import Mapping, Sequence

from interp_steer.errors import JudgeError

_WHOLE = re.compile(r"\s*(0|[1-9][0-9]?|100)\s*", re.ASCII)


def logit_weighted_score(top_logprobs: Mapping[str, float], min_mass: float = 0.25) -> float | None:
    """Return the expected score ``sum(k p(k)) / sum(p(k))`` over the whole numbers 0 to 100 among the top tokens.

    Args:
        top_logprobs: Log-probability of each of the most likely first tokens of the answer (the source reads 20).
            Tokens that are not a whole number from 0 to 100, but for blanks around it, are passed over.
        min_mass: Least probability that must lie on such numbers; with less, the judge was about to say
            something else.

    Returns:
        A score from 0 to 100; None with no number among the tokens, or less than ``min_mass`` on them.

    Raises:
        JudgeError: If a log-probability is NaN or above 0.

    Source:
        Chen et al., "Persona Vectors", arXiv:2507.21509.
    """
    total = mass = 0.0
    for token, logprob in top_logprobs.items():
        probability = _probability(token, logprob)
        if number := _WHOLE.fullmatch(token):
            mass += probability
            total += int(number[1]) * probability
    return total / mass if mass > 0 and mass >= min_mass else None


def ab_probability(behavior: float, other: float) -> float | None:
    """Return ``p(behavior) / (p(behavior) + p(other))`` for the two letters that may answer an A/B question.

    Args:
        behavior: Log-probability of the letter that stands for the behavior. Score the very tokens that the context
            would hold: after ``(``, ``A`` is another token than ``(A``.
        other: Log-probability of the other letter.

    Returns:
        A probability; 0.5 if both are equal, None if both are impossible.

    Raises:
        JudgeError: If a log-probability is NaN or above 0.

    Source:
        Panickssery et al., "Contrastive Activation Addition", arXiv:2312.06681.
    """
    for name, logprob in (("behavior", behavior), ("other", other)):
        _probability(name, logprob)
    if behavior == other == -math.inf:
        return None
    difference = other - behavior  # exp of the smaller side only, which cannot overflow
    small = math.exp(-abs(difference))
    return 1 / (1 + small) if difference <= 0 else small / (1 + small)


def ab_mean(when_a: Sequence[float | None], when_b: Sequence[float | None]) -> float | None:
    """Average A/B probabilities so that a liking for one letter cancels: each letter counts half.

    Args:
        when_a: Probabilities of the items whose behavior is answered with A; None is left out.
        when_b: Those whose behavior is answered with B.

    Returns:
        The mean of both means; None if either letter has no item.
    """
    sides = [[value for value in side if value is not None] for side in (when_a, when_b)]
    return sum(sum(side) / len(side) for side in sides) / 2 if all(sides) else None


def _probability(name: str, logprob: float) -> float:
    if math.isnan(logprob) or logprob > 1e-6:  # services round, so a certain token may be a little above 0
        raise JudgeError(f"the log-probability of {name!r} is {logprob}; expected a number of at most 0")
    return math.exp(logprob)
