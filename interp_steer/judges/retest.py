"""The same question asked twice: how much of a difference between two scores is the judge's own unrest.

The second answers are kept apart from the verdicts; no outcome rests on them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from interp_steer.claude.questions import Question, Reply
from interp_steer.errors import JudgeError
from interp_steer.files import append_records, read_records
from interp_steer.judges.instrument import SCALES, Asked, Instrument, ask, asked, scored
from interp_steer.judges.plan import comparison_of, read_baselines
from interp_steer.records import Generation, Verdict
from interp_steer.run import Run
from interp_steer.stats import rank_correlation


@dataclass(frozen=True, kw_only=True)
class Retest:
    """How well the second answers of a judge repeat its first ones, on one scale of 0 to 10.

    Attributes:
        scale: ``behavior``, ``coherence`` or ``instruction``.
        n: Questions answered both times.
        sd: Standard deviation of a single score around its own mean: ``sqrt(mean(difference^2) / 2)``.
        spearman: Rank correlation; None with fewer than three, or where either side is constant.
        within_one: Share of questions whose two scores differ by 1 at most.
    """

    scale: str
    n: int
    sd: float
    spearman: float | None
    within_one: float


@dataclass(frozen=True, kw_only=True)
class Retested:
    """What asking again came to.

    Attributes:
        scales: How well each scale was repeated; one without a pair of scores is left out.
        unscored: Questions of the sample that got no second score, by reason. The next retest asks them again.
    """

    scales: Sequence[Retest]
    unscored: Mapping[str, int]


def retest(
    run: Run, instrument: Instrument, n: int, replies: Callable[[Iterable[Question]], Iterator[Reply]]
) -> Retested:
    """Ask a sample of the questions again, unless they were, and compare.

    Args:
        run: A judged run.
        instrument: What judged it.
        n: Size of the sample: the distinct questions whose hashes are lowest, so a larger sample holds a smaller one.
        replies: Asks.

    Raises:
        JudgeError: If there are no scores to repeat.
    """
    path = run.judging_path / f"retest-{instrument.digest}.jsonl"
    first = _sample(run, instrument, n)
    if not first:
        raise JudgeError(f"{run.path} holds no scores by {instrument.model} with this rubric; judge it first")
    second = {
        verdict.question: verdict
        for verdict in read_records(path, Verdict)
        if verdict.question in first and verdict.combined is not None
    }
    todo = {question for question in first if question not in second}
    identities: dict[str, Asked] = {}

    def again() -> Iterator[Question]:
        baselines = read_baselines(run)
        for generation in read_records(run.generations_path, Generation):
            comparison = comparison_of(generation, baselines)
            if comparison is None:
                continue
            what = asked(instrument, comparison)
            if what.question in todo and what.question not in identities:
                identities[what.question] = what
                yield ask(instrument, comparison, what.question)

    for reply in replies(again()) if todo else ():
        second[reply.key] = scored(instrument, identities[reply.key], first[reply.key].generation, reply)
        append_records(path, [second[reply.key]])
    unscored = Counter(each.reason or "no reason given" for each in second.values() if each.combined is None)
    if gone := len(first) - len(second):
        unscored["its texts are in the run no more"] = gone
    return Retested(scales=repeated(first, second), unscored=dict(unscored))


def repeated(first: Mapping[str, Verdict], second: Mapping[str, Verdict]) -> list[Retest]:
    """Compare two sets of verdicts question by question; a scale without a pair of scores is left out."""
    found = []
    for scale in SCALES:
        pairs = [
            (one, other)
            for question, verdict in first.items()
            if question in second
            and (one := verdict.measures.get(scale)) is not None
            and (other := second[question].measures.get(scale)) is not None
        ]
        if pairs:
            a, b = np.array(pairs).T
            found.append(
                Retest(
                    scale=scale,
                    n=len(pairs),
                    sd=float(np.sqrt(np.mean((a - b) ** 2) / 2)),
                    spearman=rank_correlation(a.tolist(), b.tolist()),
                    within_one=float(np.mean(np.abs(a - b) <= 1)),
                )
            )
    return found


def _sample(run: Run, instrument: Instrument, n: int) -> dict[str, Verdict]:
    def scored_ones() -> Iterator[Verdict]:
        for verdict in read_records(run.verdicts_path, Verdict):
            if verdict.judge_digest == instrument.digest and verdict.question and verdict.combined is not None:
                yield verdict

    chosen = set(sorted({verdict.question for verdict in scored_ones()})[:n])  # digests: an order that says nothing
    return {verdict.question: verdict for verdict in scored_ones() if verdict.question in chosen}
