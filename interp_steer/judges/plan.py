"""What a language model is still to be asked about a run: each question once, however many generations it decides.

Completions repeat in a sweep: at small alphas greedy decoding gives the baseline's own text in cell after cell. Such
generations share a question, and its verdict is copied to each of them. The texts are not kept here: they are read
again when the questions are made.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from interp_steer.claude.questions import Question
from interp_steer.errors import JudgeError
from interp_steer.files import read_records
from interp_steer.judges.comparison import Comparison
from interp_steer.judges.instrument import Asked, Instrument, ask, asked, unasked, unscored
from interp_steer.outcomes import UNSTEERED
from interp_steer.records import Generation, Verdict
from interp_steer.run import Run

EMPTY = "empty answer"
NO_BASELINE = "no unsteered answer to compare with"
LASTING = ("refused", "truncated", "unparsable")
"""Beginnings of the reasons that asking once more is not expected to change; what else there is, is tried again."""

Baselines = Mapping[tuple[str, int], str]


@dataclass(kw_only=True)
class Waiting:
    """A question to ask, and the keys of the generations that it decides."""

    asked: Asked
    generations: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class Plan:
    """What is to be done for a run.

    Attributes:
        waiting: By question.
        ready: Verdicts that need no question: the answer is known, or there is nothing to ask about.
        skipped: Generations that have a current verdict.
    """

    waiting: dict[str, Waiting]
    ready: list[Verdict]
    skipped: int


def read_baselines(run: Run) -> Baselines:
    """Return the unsteered answers of a run, by prompt and sample.

    Raises:
        JudgeError: If there are none.
    """
    found = {
        (generation.prompt_id, generation.sample): generation.text
        for generation in read_records(run.generations_path, Generation)
        if generation.cell == UNSTEERED
    }
    if not found:
        raise JudgeError(
            f"{run.path} holds no unsteered answers, which the others are compared with; run 'interp-steer sweep' first"
        )
    return found


def comparison_of(generation: Generation, baselines: Baselines) -> Comparison | None:
    """Return what is compared, or None where there is no baseline."""
    baseline = baselines.get((generation.prompt_id, generation.sample))
    if baseline is None:
        return None
    return Comparison(prompt=generation.prompt, baseline=baseline, completion=generation.text)


def settled(verdict: Verdict, *, retry_unscored: bool = False) -> bool:
    """Whether a verdict stands: it has a score, or a reason that asking once more will not change."""
    if verdict.combined is not None or verdict.reason in (EMPTY, NO_BASELINE):
        return True
    return not retry_unscored and (verdict.reason or "").startswith(LASTING)


def make_plan(run: Run, instrument: Instrument, baselines: Baselines, *, retry_unscored: bool = False) -> Plan:
    """Work out what is to be asked.

    A verdict is current if it is the judge's latest on its generation and answers the very question that would be
    asked now: same rubric, model, prompt, baseline and completion.

    Args:
        run: The run.
        instrument: What scores it.
        baselines: From :func:`read_baselines`.
        retry_unscored: Whether to ask again where an earlier answer was refused, cut off or unreadable.
    """
    wanted: dict[str, Asked] = {}
    nothing_to_ask: dict[str, str] = {}
    for generation in read_records(run.generations_path, Generation):
        comparison = comparison_of(generation, baselines)
        nothing_to_ask.pop(generation.key, None)
        if comparison is None or not generation.text.strip():
            nothing_to_ask[generation.key] = NO_BASELINE if comparison is None else EMPTY
        wanted[generation.key] = asked(instrument, comparison) if comparison else unasked(generation.text)
    latest: dict[str, tuple[str, bool]] = {}
    for verdict in _verdicts(run, instrument):
        latest[verdict.generation] = (verdict.question, settled(verdict, retry_unscored=retry_unscored))
    todo = {key: what for key, what in wanted.items() if latest.get(key) != (what.question, True)}
    return _sorted_out(run, instrument, todo, nothing_to_ask, len(wanted), retry_unscored=retry_unscored)


def _sorted_out(
    run: Run,
    instrument: Instrument,
    todo: Mapping[str, Asked],
    nothing_to_ask: Mapping[str, str],
    total: int,
    *,
    retry_unscored: bool,
) -> Plan:
    """Part what is to be done into questions and verdicts that need none."""
    ready = [unscored(instrument, todo[key], key, reason) for key, reason in nothing_to_ask.items() if key in todo]
    waiting: dict[str, Waiting] = {}
    for key, what in todo.items():
        if key not in nothing_to_ask:
            waiting.setdefault(what.question, Waiting(asked=what)).generations.append(key)
    for known in _verdicts(run, instrument):
        if known.question in waiting and settled(known, retry_unscored=retry_unscored):
            ready += [replace(known, generation=key) for key in waiting.pop(known.question).generations]
    return Plan(waiting=waiting, ready=ready, skipped=total - len(todo))


def questions(
    run: Run, instrument: Instrument, baselines: Baselines, waiting: Mapping[str, Waiting]
) -> Iterator[Question]:
    """Yield the questions of a plan, each once, made as they are taken."""
    left = set(waiting)
    for generation in read_records(run.generations_path, Generation):
        comparison = comparison_of(generation, baselines)
        if comparison is not None and (key := asked(instrument, comparison).question) in left:
            left.remove(key)
            yield ask(instrument, comparison, key)


def _verdicts(run: Run, instrument: Instrument) -> Iterator[Verdict]:
    """Yield the verdicts of this judge, those by an earlier rubric too: the latest is the one that counts."""
    return (verdict for verdict in read_records(run.verdicts_path, Verdict) if verdict.judge == instrument.model)
