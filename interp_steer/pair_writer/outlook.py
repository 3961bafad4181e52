"""What writing pairs would take, before anything is written or asked."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum
from pathlib import Path

from interp_steer.behaviors import Behavior, Gate, Rubric, ScorerSpec
from interp_steer.claude.estimate import Estimate
from interp_steer.claude.state import State
from interp_steer.errors import BehaviorError
from interp_steer.judges.scorers import NO_SCORER
from interp_steer.pair_checks.lines import MINIMUM
from interp_steer.pair_writer.asking import ACCOUNT
from interp_steer.pair_writer.collection import HELD_OUT, Collection
from interp_steer.pair_writer.folder import writing_folder
from interp_steer.pair_writer.forecast import forecast
from interp_steer.pair_writer.generate import ByClaude, BySelf
from interp_steer.pair_writer.sides import ROUNDS, SAMPLES
from interp_steer.pairs import BUILTIN
from interp_steer.traits import read_trait


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What writing pairs would take.

    Attributes:
        missing: Training pairs to be written.
        held_out: Held-out prompts that lack responses.
        steps: What each step asks of Claude; empty where the model writes itself.
        under_way: Questions in batches that were handed in before, which are paid for and in none of the steps.
        dollars: Their price; None if it is not known, or there is nothing to pay.
        samples: Sides the model samples at least, and if every prompt takes all its rounds; None with Claude.
    """

    missing: int
    held_out: int
    steps: Mapping[str, Estimate]
    under_way: int
    dollars: float | None
    samples: tuple[int, int] | None

    def __str__(self) -> str:
        """Say it in a few lines."""
        lines = [f"missing     {self.missing} pairs; {self.held_out} held-out prompts lack responses"]
        lines += [f"{step:<12}{found}" for step, found in self.steps.items()]
        if self.under_way:
            lines.append(f"under way   {self.under_way} questions in batches that are paid for")
        if self.samples is not None:
            lines.append(f"samples     {self.samples[0]:,} sides at least, {self.samples[1]:,} at most")
        if self.dollars is not None:
            lines.append(f"cost        about ${self.dollars:.2f}, if three proposals of four are accepted")
        elif self.steps:
            lines.append("cost        unknown: the price table does not hold a model")
        return "\n".join(lines)


def outlook(
    behavior: str,
    by: ByClaude | BySelf,
    *,
    n: int,
    out: Path = Path("pairs"),
    description: str | None = None,
    trait: Path | None = None,
) -> Outlook:
    """Say what :func:`~interp_steer.pair_writer.generate.generate` would take with the same arguments.

    Raises:
        BehaviorError: If a new behavior is not described, or one that is there cannot be used.
        PairsError: If a line of its pairs is malformed.
    """
    folder, exists = writing_folder(behavior, out)
    new = False
    if exists or (trait is None and (BUILTIN / behavior).is_dir()):
        there = Collection(folder if exists else BUILTIN / behavior)
        known, missing = there.behavior, max(0, n - len(there.pairs))
        held_out = sum(len(there.unanswered(split)) for split in HELD_OUT)
    elif trait is None and description is None:
        raise BehaviorError(f"no behavior {behavior!r} in {out}; to make a new one, say what it is with --description")
    else:
        new = trait is None
        known, missing = _stand_in(folder.name, description or ""), n
        held_out = (
            sum(MINIMUM[split][1] for split in HELD_OUT) if trait is None else len(read_trait(trait).questions) // 2
        )
    if isinstance(by, BySelf):
        least = 2 * SAMPLES * (missing + held_out)
        return Outlook(
            missing=missing, held_out=held_out, steps={}, under_way=0, dollars=None, samples=(least, ROUNDS * least)
        )
    state = State(folder / ACCOUNT)
    paid = Counter(batch.purpose for batch in state.batches for _ in batch.items)
    steps = forecast(
        known,
        n=missing,
        held_out=held_out,
        new=new,
        model=by.model,
        judge_model=by.judge_model,
        batches=by.batches,
        paid=paid,
    )
    prices = [found.dollars for found in steps.values() if found.dollars is not None]
    dollars = fsum(prices) if len(prices) == len(steps) else None
    return Outlook(
        missing=missing, held_out=held_out, steps=steps, under_way=paid.total(), dollars=dollars, samples=None
    )


def _stand_in(name: str, description: str) -> Behavior:
    """Return a behavior as long as the one that Claude would describe."""
    text = "word " * 20
    return Behavior(
        name=name,
        description=description,
        positive=text,
        negative=text,
        system_prompt=text,
        scorer=ScorerSpec(name=NO_SCORER),
        rubric=Rubric(version=1, text="word " * 160),
        gate=Gate(prompt="", high=(), low=(), gibberish=()),
    )
