"""What makes a written side, or a pair of them, unfit: rules on text, no model.

They are those of ``pairs check``, held pair by pair, and stricter where a writer can simply write another: the sides
of one pair may not differ in length by more than the *means* of a split may.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from interp_steer.behaviors import Behavior, Pair, ScorerSpec
from interp_steer.errors import PairsError
from interp_steer.judges.coherence import measure
from interp_steer.judges.scorers import NO_SCORER
from interp_steer.judges.scorers.refusal import refusal
from interp_steer.pair_checks.check import MEAN_RATIO, content_words
from interp_steer.pairs import pair_of
from interp_steer.records import to_json
from interp_steer.terms import Split
from interp_steer.words import ngrams, words

LENGTH_RATIO = MEAN_RATIO
"""Most words of the longer side per word of the shorter one."""
LEAKED_WORDS = 6
"""Consecutive words of an instruction that a side may not repeat."""
MOST_REPEATED = 0.3
"""Share of 4-grams that occurred before, from where on a text repeats itself (as in the coherence of the judge)."""
LEAST_DISTINCT = 0.5
"""Share of 2-grams that are different, below which a text repeats itself."""

Reason = Literal[
    "unusable",
    "markup",
    "leak",
    "repetition",
    "unfinished",
    "refusal",
    "length_imbalance",
    "no_shared_content",
    "duplicate_prompt",
    "split_leakage",
    "duplicate_response",
    "off_behavior",
    "incoherent",
    "contrast",
    "no_answer",
]
"""Why a proposal is rejected:

``unusable``: a text is empty, or both are the same; ``markup``: labels or chat tokens stand in a side; ``leak``: a side
quotes its instruction; ``repetition``; ``unfinished``: no sentence is complete; ``refusal``: a side declines where
that is not the behavior; ``length_imbalance``, ``no_shared_content``, ``duplicate_prompt``, ``split_leakage``,
``duplicate_response``: as in ``pairs check``; ``off_behavior``: judge or scorer does not find the behavior on the
positive side alone; ``incoherent``: judge or likelihood say so; ``contrast``: the model does not tell which instruction
wrote it; ``no_answer``: the service gave none.
"""

_MARKUP = re.compile(
    r"<\||\|>|^\s*(?:positive|negative|assistant|user|human|response|answer|side [ab])\s*:", re.I | re.M
)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Why a proposal is rejected, and what shows it."""

    reason: Reason
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """A line of ``rejected.jsonl``: what was proposed, and why it was not kept."""

    prompt: str
    positive: str
    negative: str
    reason: Reason
    detail: str = ""
    topic: str = ""
    split: Split = "train"


def side_fault(text: str, *, prompt: str, instructions: Iterable[str] = ()) -> Fault | None:
    """Return what is wrong with one side, whichever it is.

    Args:
        text: The side.
        prompt: What it answers; repeating its words is no leak.
        instructions: What the writer was told, which a side must not quote.
    """
    if not words(text):
        return Fault(reason="unusable", detail="no words")
    if found := _MARKUP.search(text):
        return Fault(reason="markup", detail=repr(found.group().strip()))
    measured = measure(text)
    if (measured["rep4"] or 0) > MOST_REPEATED or (measured["distinct2"] or 1) < LEAST_DISTINCT:
        return Fault(reason="repetition", detail=f"rep4 {measured['rep4']}, distinct2 {measured['distinct2']}")
    if quoted := leaked(text, prompt, instructions):
        return Fault(reason="leak", detail=repr(quoted))
    return None


def leaked(text: str, prompt: str, instructions: Iterable[str]) -> str | None:
    """Return words of an instruction that the text repeats in a row and its prompt does not; None if there are none."""
    told = {run for instruction in instructions for run in ngrams(words(instruction), LEAKED_WORDS)}
    told.difference_update(ngrams(words(prompt), LEAKED_WORDS))
    return next((" ".join(run) for run in ngrams(words(text), LEAKED_WORDS) if run in told), None)


def rule_of(behavior: Behavior) -> ScorerSpec | None:
    """Return the scorer of a behavior, unless it has none or one that was learned from pairs: it would be no filter."""
    return None if behavior.scorer.name in (NO_SCORER, "lexicon") else behavior.scorer


def pair_fault(pair: Pair, behavior: Behavior) -> Fault | None:
    """Return what is wrong between the sides of a pair."""
    try:
        pair_of(to_json(pair))
    except PairsError as error:
        return Fault(reason="unusable", detail=str(error))
    refuses = [refusal(side) == 1.0 for side in (pair.positive, pair.negative)]
    rule = rule_of(behavior)
    if all(refuses) or (any(refuses) and rule is not None and rule.name not in ("refusal", "compliance")):
        sides = " and ".join(side for side, found in zip(("positive", "negative"), refuses, strict=True) if found)
        return Fault(reason="refusal", detail=sides)
    counts = [len(words(side)) for side in (pair.positive, pair.negative)]
    if "length_imbalance" not in behavior.checks.allow and max(counts) > LENGTH_RATIO * min(counts):
        return Fault(reason="length_imbalance", detail=f"{counts[0]} and {counts[1]} words")
    if "no_shared_content" not in behavior.checks.allow and not (
        content_words(pair.positive) & content_words(pair.negative)
    ):
        return Fault(reason="no_shared_content")
    return None
