"""What it would cost to have Claude write pairs, before anything is asked."""

from collections.abc import Mapping, Sequence
from math import ceil
from types import MappingProxyType

from interp_steer.behaviors import Behavior, Pair
from interp_steer.claude.estimate import Estimate, estimate
from interp_steer.claude.questions import Question
from interp_steer.judges.instrument import instrument_of
from interp_steer.pair_writer.briefs import (
    N_TOPICS,
    PER_TOPIC,
    pair_question,
    prompts_question,
    sheet_question,
    topics_question,
)
from interp_steer.pair_writer.confirmation import confirming_questions

ACCEPTED = 0.75
"""Share of proposals taken to be accepted: an assumption, no measurement."""
N_GATE = 12
"""Obvious cases of a behavior that Claude has described."""
WORDS = 35
"""Words of a typical side."""
TYPICAL: Mapping[str, int] = {"sheet": 1200, "topics": 200, "prompts": 300, "pairs": 130, "gate": 60, "judge": 60}
"""Tokens of a typical answer."""


def forecast(
    behavior: Behavior,
    *,
    n: int,
    held_out: int,
    new: bool,
    model: str,
    judge_model: str,
    batches: bool | None = None,
    paid: Mapping[str, int] = MappingProxyType({}),
) -> dict[str, Estimate]:
    """Estimate the questions of each step by stand-ins of typical length; nothing is asked.

    Args:
        behavior: The behavior; for a new one, a stand-in.
        n: Training pairs that are missing.
        held_out: Held-out prompts that lack responses.
        new: Whether the behavior has no sheet yet.
        model: Who writes.
        judge_model: Who confirms.
        batches: As for Claude; by default by the number of questions.
        paid: Questions in batches under way, by step.
    """
    proposals = ceil(n / ACCEPTED) + held_out
    rounds = max(1, ceil(ceil(n / ACCEPTED) / (N_TOPICS * PER_TOPIC["train"])))
    side = "word " * WORDS
    pair = Pair(prompt="word " * 12, positive=side, negative=f"{side}too")
    both = confirming_questions(pair, instrument_of(behavior, judge_model))
    steps: dict[str, tuple[str, Sequence[Question]]] = {
        "sheet": (model, [sheet_question(behavior.name, behavior.description)] if new else []),
        "topics": (model, [topics_question(behavior)] if n else []),
        "prompts": (model, [prompts_question(behavior, "word", ())] * (N_TOPICS * rounds) if n else []),
        "pairs": (model, [pair_question(behavior, pair.prompt)] * proposals),
        "gate": (judge_model, [both[0]] * N_GATE if proposals else []),
        "judge": (judge_model, both * proposals),
    }
    left = {step: (who, questions[paid.get(step, 0) :]) for step, (who, questions) in steps.items()}
    return {
        step: estimate(questions, who, batches=batches, output_tokens=TYPICAL[step])
        for step, (who, questions) in left.items()
        if questions
    }
