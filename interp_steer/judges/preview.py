"""What judging a run with Claude would take, before anything is asked."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from interp_steer.behaviors import Behavior
from interp_steer.claude.estimate import estimate, thought_in_words
from interp_steer.claude.questions import Question
from interp_steer.claude.state import State, custom_id
from interp_steer.judges.account import account_path
from interp_steer.judges.claude_gate import check_gate_is_there, gate_path, gate_questions
from interp_steer.judges.claude_spec import ClaudeSpec
from interp_steer.judges.instrument import instrument_of
from interp_steer.judges.plan import make_plan, questions, read_baselines
from interp_steer.run import Run

ANSWER_TOKENS = 80
"""Of a typical answer: three numbers and a sentence."""


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What judging a run would take.

    Attributes:
        judge: The model.
        generations: Generations without a current verdict.
        questions: Questions that are still to be asked to decide them, each text asked about once.
        under_way: Questions in batches that were handed in before, or answered by one; they are not paid for again.
        gate: Questions about the obvious cases that come first.
        batches: Whether the questions go in message batches.
        input_tokens: Tokens of all questions; nothing is taken off for the cache.
        output_tokens: Tokens of typical answers.
        counted: Questions whose tokens the service counted, where there is a key; 0 where all is estimated.
        dollars: Their price; None for a model without a known one.
        prices_date: Day of the price table.
    """

    judge: str
    generations: int
    questions: int
    under_way: int
    gate: int
    batches: bool
    input_tokens: int
    output_tokens: int
    counted: int
    dollars: float | None
    prices_date: str

    def in_words(self) -> str:
        """Return a sentence."""
        price = "an unknown price" if self.dollars is None else f"about ${self.dollars:.2f}"
        how = f"counted on {self.counted} of them" if self.counted else "estimated from their length"
        waiting = f"{self.under_way} more wait in batches that are paid for; " if self.under_way else ""
        return (
            f"{self.generations} generations to score with {self.judge}: {self.questions} different questions "
            f"{'in batches' if self.batches else 'one by one'}, {self.gate} for the gate; {waiting}{self.input_tokens} "
            f"tokens in ({how}), about {self.output_tokens} out{thought_in_words(self.judge)}: {price} (prices of "
            f"{self.prices_date})"
        )


def preview(run: Run, spec: ClaudeSpec, behavior: Behavior | None = None) -> Preview:
    """Return what judging a run would take; nothing is asked and nothing is written.

    Args:
        run: A run whose sweep has written generations.
        spec: How Claude would judge.
        behavior: Whose rubric and gate would hold; by default those of the run's manifest.

    Raises:
        JudgeError: If there are no unsteered answers to compare with, or the service refuses the key.
    """
    behavior = behavior or run.behavior()
    instrument = instrument_of(behavior, spec.model)
    baselines = read_baselines(run)
    plan = make_plan(run, instrument, baselines, retry_unscored=spec.retry_unscored)
    check_gate_is_there(behavior)
    gate = gate_questions(gate_path(run, instrument), behavior, instrument) if plan.waiting else []
    paid = State(account_path(run)).paid("judge")
    found: Counter[bool] = Counter()

    def unpaid() -> Iterator[Question]:
        for question in questions(run, instrument, baselines, plan.waiting):
            under_way = custom_id("judge", spec.model, question) in paid
            found[under_way] += 1
            if not under_way:
                yield question

    rest = estimate(
        unpaid(),
        spec.model,
        batches=spec.batches,
        output_tokens=ANSWER_TOKENS,
    )
    first = estimate(gate, spec.model, batches=False, output_tokens=ANSWER_TOKENS, sample=0)
    dollars = None if rest.dollars is None or first.dollars is None else rest.dollars + first.dollars
    return Preview(
        judge=spec.model,
        generations=sum(len(each.generations) for each in plan.waiting.values()) + len(plan.ready),
        questions=rest.questions,
        under_way=found[True],
        gate=len(gate),
        batches=rest.batches,
        input_tokens=rest.usage.input_tokens + first.usage.input_tokens,
        output_tokens=rest.usage.output_tokens + first.usage.output_tokens,
        counted=rest.counted,
        dollars=dollars,
        prices_date=rest.prices_date,
    )
