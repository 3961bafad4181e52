"""The obvious cases of a behavior, put to a language model before it is paid for the rest.

Every answer of the gate is scored exactly as a completion would be, with the first ``low`` answer as the baseline. The
model must put every high answer above every low one in behavior, and every gibberish below all of those in coherence.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from interp_steer.behaviors import Behavior
from interp_steer.claude.questions import Question, Reply
from interp_steer.errors import JudgeError
from interp_steer.files import append_records, read_records
from interp_steer.judges.comparison import Comparison
from interp_steer.judges.instrument import Instrument, ask, asked, scored
from interp_steer.records import Verdict
from interp_steer.run import Run

KINDS = ("high", "low", "gibberish")


def gate_comparisons(behavior: Behavior) -> dict[str, Comparison]:
    """Return the obvious cases by name, e.g. ``high-1``, each beside the first low answer."""
    return {
        f"{kind}-{number}": Comparison(prompt=behavior.gate.prompt, baseline=behavior.gate.low[0], completion=text)
        for kind in KINDS
        for number, text in enumerate(getattr(behavior.gate, kind), start=1)
    }


def gate_path(run: Run, instrument: Instrument) -> Path:
    """Return the file with what an instrument said of the obvious cases of a run."""
    return run.judging_path / f"gate-{instrument.digest}.jsonl"


def gate_questions(path: Path, behavior: Behavior, instrument: Instrument) -> list[Question]:
    """Return the questions about the obvious cases that have no score in a file yet."""
    known = _known(path)
    return [
        ask(instrument, comparison, key)
        for comparison in gate_comparisons(behavior).values()
        if (key := asked(instrument, comparison).question) not in known
    ]


def check_gate_is_there(behavior: Behavior) -> None:
    """Refuse a behavior without obvious cases.

    Raises:
        JudgeError: If one of the three kinds is missing.
    """
    if missing := [kind for kind in KINDS if not getattr(behavior.gate, kind)]:
        raise JudgeError(
            f"behavior {behavior.name!r} has no {', '.join(missing)} answers in [gate] of its behavior.toml; "
            "a judge must order obvious cases before it is paid for the rest: write at least one of each kind"
        )


def pass_gate(
    path: Path,
    behavior: Behavior,
    instrument: Instrument,
    replies: Callable[[Iterable[Question]], Iterator[Reply]],
) -> None:
    """Have the instrument score the obvious cases, unless it has, and stop if it does not order them.

    Its verdicts are kept, so that what was paid for once is not paid for again, whether it passed or not.

    Args:
        path: File of its verdicts.
        behavior: Whose obvious cases.
        instrument: What scores them.
        replies: Asks.

    Raises:
        JudgeError: If it does not order them, quoting what it said, or could not score one of them.
    """
    check_gate_is_there(behavior)
    cases = gate_comparisons(behavior)
    identities = {name: asked(instrument, comparison) for name, comparison in cases.items()}
    names = {what.question: name for name, what in identities.items()}
    known = _known(path)
    if todo := gate_questions(path, behavior, instrument):
        for reply in replies(todo):
            name = names[reply.key]
            known[reply.key] = scored(instrument, identities[name], f"gate/{name}", reply)
            append_records(path, [known[reply.key]])
    for name, what in identities.items():
        if known[what.question].combined is None:
            raise JudgeError(
                f"the gate of {behavior.name!r} could not be asked: {_quoted(name, cases)} has no score "
                f"({known[what.question].reason}); nothing was judged, run again"
            )
    if problem := disorder({name: known[what.question] for name, what in identities.items()}, cases):
        raise JudgeError(
            f"{instrument.model} does not order the obvious cases of {behavior.name!r}, so nothing was judged: "
            f"{problem}. Sharpen [rubric] or [gate] in its behavior.toml, or choose another --judge-model"
        )


def _known(path: Path) -> dict[str, Verdict]:
    """Return the scores of obvious cases that a file holds, by question; those without a score are asked again."""
    held = read_records(path, Verdict)
    return {verdict.question: verdict for verdict in held if verdict.combined is not None}


def disorder(found: Mapping[str, Verdict], cases: Mapping[str, Comparison]) -> str | None:
    """Return what is wrong with the scores of the obvious cases, with the judge's own words; None if nothing is."""
    for name, verdict in found.items():
        if verdict.combined is None:
            return f"{_quoted(name, cases)} has no score ({verdict.reason})"
    high, low, gibberish = ([name for name in found if name.startswith(kind)] for kind in KINDS)
    wrong = [("behavior", above, below) for above in high for below in low]
    wrong += [("coherence", above, below) for above in high + low for below in gibberish]
    for scale, above, below in wrong:
        more, less = found[above].measures[scale], found[below].measures[scale]
        if more is None or less is None or more <= less:
            return (
                f'it gives {_quoted(above, cases)} {more:g} of 10 in {scale} ("{found[above].explanation}"), '
                f'not more than {less:g} for {_quoted(below, cases)} ("{found[below].explanation}")'
            )
    return None


def _quoted(name: str, cases: Mapping[str, Comparison]) -> str:
    text = cases[name].completion
    return f"the {name.partition('-')[0]} answer {text if len(text) <= 60 else text[:57] + '...'!r}"
