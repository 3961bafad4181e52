"""Whether a completion still makes sense, measured without a judge.

Three measurements decide: ``rep4`` and ``distinct2`` see text that repeats itself, the likelihood under the
unsteered model sees text that falls apart. Neither is enough alone: a loop is very likely text.
What this does not see: a fluent answer that is wrong or off the topic.

Repetition is counted over words and punctuation marks, not over the model's tokens: the numbers are comparable across
models, and a loop of one punctuation mark is a loop.

Source:
    Welleck et al., arXiv:1908.04319 (seq-rep-4); Li et al., arXiv:1510.03055 (distinct-n).
"""

import unicodedata
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np

from interp_steer.errors import JudgeError
from interp_steer.records import Generation
from interp_steer.words import ngrams, tokens, words

Reference = Literal["plain", "prompted"]


@dataclass(frozen=True, kw_only=True)
class Ramp:
    """A score that falls linearly: 1 at ``full``, 0.5 at ``threshold``, 0 as far again beyond it.

    Where smaller is worse, ``full`` is above ``threshold``.
    """

    full: float
    threshold: float

    def score(self, value: float) -> float:
        """Return the score of a value, in [0, 1]; at the threshold it is 0.5 exactly."""
        return min(1.0, max(0.0, 0.5 + 0.5 * (self.threshold - value) / (self.threshold - self.full)))


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """What separates text that makes sense from text that does not, for one model and behavior.

    Attributes:
        rep4: Share of 4-grams that occurred before.
        distinct2: Share of 2-grams that are different.
        nll: Mean negative log-likelihood under the unsteered model, nats per token.
        reference: Context of that likelihood.
        n: Number of completions they were calibrated on.
    """

    rep4: Ramp
    distinct2: Ramp
    nll: Ramp
    reference: Reference
    n: int


def measure(text: str) -> dict[str, float | None]:
    """Measure one completion.

    Returns:
        ``n_words``; ``rep4`` and ``distinct2``, None with fewer than 5 or 3 words and marks (so few cannot
        repeat); ``longest_run`` of one word or mark; ``compression``, zlib size over UTF-8 size, which is low for
        loops of any period; ``non_latin``, the share of letters in other scripts. None where undefined.
    """
    items = tokens(text)
    distinct4 = distinct(items, 4)
    data = text.encode()
    letters = [character for character in text if character.isalpha()]
    foreign = sum(not unicodedata.name(character, "").startswith("LATIN") for character in letters)
    return {
        "n_words": len(words(text)),
        "rep4": None if distinct4 is None else 1 - distinct4,
        "distinct2": distinct(items, 2),
        "longest_run": max((len(list(run)) for _, run in groupby(items)), default=0),
        "compression": len(zlib.compress(data)) / len(data) if data else None,
        "non_latin": foreign / len(letters) if letters else None,
    }


def distinct(items: list[str], n: int) -> float | None:
    """Return distinct n-grams over n-grams; None with fewer than ``n + 1`` items, which hold one n-gram at most."""
    grams = ngrams(items, n)
    return len(set(grams)) / len(grams) if len(grams) > 1 else None


def coherence(
    measures: Mapping[str, float | None], nll: float | None, thresholds: Thresholds, *, looped: bool = False
) -> float | None:
    """Score a completion: the lowest of its ramps, so 0.5 or more means that it passes every threshold.

    Args:
        measures: What :func:`measure` found; what is None there is passed over.
        nll: Likelihood of the completion in the context of ``thresholds.reference``, nats per token.
        thresholds: From :func:`fit_thresholds`.
        looped: Whether the completion was cut short because it repeated itself without end, which scores 0: its
            other measurements would be worse had it gone on.

    Returns:
        A score in [0, 1], or None without a likelihood.
    """
    if nll is None:
        return None
    if looped:
        return 0.0
    scores = [thresholds.nll.score(nll)]
    for name, ramp in (("rep4", thresholds.rep4), ("distinct2", thresholds.distinct2)):
        value = measures[name]
        if value is not None:
            scores.append(ramp.score(value))
    return min(scores)


def likelihood(generation: Generation, reference: Reference) -> float | None:
    """Return the likelihood of a completion in the context that the behavior is measured under."""
    return generation.nll if reference == "plain" else generation.nll_prompted


def fit_thresholds(generations: Sequence[Generation], reference: Reference = "plain") -> Thresholds:
    """Calibrate the thresholds on what the unsteered model says to the dev prompts.

    The thresholds are ``rep4 = 0.3``, ``distinct2 = 0.5`` and the baseline's mean likelihood plus 2 nats. The full
    score reaches to the baseline's worse tenth (one answer in ten may be odd without setting the standard). The
    thresholds of repetition stay where they are however much the baseline loops: a loop is a loop; that of
    the likelihood gives way where less than a quarter of its ramp would be left.

    Args:
        generations: Completions of a run; those of other cells and splits are ignored.
        reference: ``plain`` calibrates the likelihood on the ``unsteered`` rows given the plain prompt;
            ``prompted`` on the ``prompted`` rows given the system prompt that asks for the behavior.

    Raises:
        JudgeError: If the sweep has not written these rows, or all of them are empty.
    """
    control = "unsteered" if reference == "plain" else "prompted"
    dev = [generation for generation in generations if generation.split == "dev" and generation.text.strip()]
    unsteered = [measure(generation.text) for generation in dev if generation.cell.control == "unsteered"]
    nlls = [
        nll
        for generation in dev
        if generation.cell.control == control and (nll := likelihood(generation, reference)) is not None
    ]
    if not unsteered or not nlls:
        lacking = "unsteered" if not unsteered else control
        raise JudgeError(
            f"no answer of the {lacking!r} control to a dev prompt, which coherence is calibrated on; "
            "run 'interp-steer sweep' first"
        )
    mean = float(np.mean(nlls))
    return Thresholds(
        rep4=_calibrated(Ramp(full=0.1, threshold=0.3), [row["rep4"] for row in unsteered], absolute=True),
        distinct2=_calibrated(Ramp(full=0.8, threshold=0.5), [row["distinct2"] for row in unsteered], absolute=True),
        nll=_calibrated(Ramp(full=mean + 1, threshold=mean + 2), nlls, absolute=False),
        reference=reference,
        n=len(unsteered),
    )


def _calibrated(ramp: Ramp, baseline: Sequence[float | None], *, absolute: bool) -> Ramp:
    """Move a ramp toward the baseline's worse tenth; an absolute threshold stays, with a quarter of its ramp."""
    values = [value for value in baseline if value is not None]
    if not values:
        return ramp
    rising = ramp.threshold > ramp.full
    worse, better = (max, min) if rising else (min, max)
    full = worse(ramp.full, float(np.percentile(values, 90 if rising else 10)))
    quarter = (ramp.threshold - ramp.full) / 4
    if absolute:
        return Ramp(full=better(full, ramp.threshold - quarter), threshold=ramp.threshold)
    return Ramp(full=full, threshold=worse(ramp.threshold, full + quarter))
