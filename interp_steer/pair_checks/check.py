"""The checks themselves."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

from interp_steer.errors import BehaviorError
from interp_steer.pair_checks.issue import Issue, Kind
from interp_steer.pair_checks.likeness import key, repeats
from interp_steer.pair_checks.lines import SIDES, Line, read_lines
from interp_steer.pairs import behavior_folder, read_behavior
from interp_steer.terms import Split
from interp_steer.words import words

MEAN_RATIO = 1.5  # between the mean words of the two sides of a split
PAIR_RATIO = 4.0  # between the words of the two sides of one pair

_STOP_WORDS = frozenset(
    words(
        "the and for are but not you all any can had her was one our out has him his how its may new now see two way "
        "who did get let put say she too use that with have this will your from they know want been good much some "
        "time very when come here just like long make many more only over such take than them well were what would "
        "there their which about into then also could should because while where these those does each even most other"
    )
)


def check_behavior(behavior: str | Path) -> list[Issue]:
    """Check ``behavior.toml`` and the three splits of a behavior.

    Whether the offline scorer orders the gate is checked by :func:`interp_steer.judges.gate.check_gate`.

    Args:
        behavior: A name, or a path to a folder that holds ``behavior.toml``.

    Returns:
        Every issue, errors first; none of the kinds that the behavior allows under ``[checks]``.

    Raises:
        BehaviorError: If there is no such behavior.
    """
    folder = behavior_folder(behavior)
    issues, allowed = _check_toml(folder)
    lines: list[Line] = []
    for split in get_args(Split):
        found, problems = read_lines(folder / f"{split}.jsonl", split)
        lines += found
        issues += problems
        issues += _check_lengths(found, folder / f"{split}.jsonl")
    issues += _check_prompts(lines)
    issues += _check_responses(lines)
    issues += _check_content(lines)
    return sorted((issue for issue in issues if issue.kind not in allowed), key=lambda issue: issue.severity != "error")


def _check_toml(folder: Path) -> tuple[list[Issue], Sequence[str]]:
    where = str(folder / "behavior.toml")
    try:
        behavior = read_behavior(folder)
    except BehaviorError as error:
        message = str(error).removeprefix(f"{where}: ")
        return [Issue(severity="error", kind="behavior", where=where, message=message)], ()
    texts = {
        "description": behavior.description,
        "positive": behavior.positive,
        "negative": behavior.negative,
        "system_prompt": behavior.system_prompt,
        "rubric.text": behavior.rubric.text,
        "gate.prompt": behavior.gate.prompt,
        "gate.high": "".join(behavior.gate.high),
        "gate.low": "".join(behavior.gate.low),
    }
    messages = [f"{name!r} is empty; judges and reports need it" for name, text in texts.items() if not text.strip()]
    if behavior.name != folder.resolve().name:
        messages.append(f"'name' is {behavior.name!r}, but the folder is {folder.resolve().name!r}; make them the same")
    issues = [Issue(severity="error", kind="behavior", where=where, message=message) for message in messages]
    return issues, behavior.checks.allow


def _check_prompts(lines: Sequence[Line]) -> Iterator[Issue]:
    """Compare each prompt with all before it; the closest one is named."""
    for line, near in zip(lines, repeats([line.prompt for line in lines]), strict=True):
        if near:
            closest = max(near, key=lambda earlier: (near[earlier], -earlier))
            yield _repeated_prompt(line, lines[closest])


def _repeated_prompt(line: Line, other: Line) -> Issue:
    exact = key(line.prompt) == key(other.prompt)
    how = "the same prompt as" if exact else "nearly the same prompt as"
    leaks = line.split != other.split
    kind: Kind = "split_leakage" if leaks else "duplicate_prompt" if exact else "near_duplicate_prompt"
    why = "the splits must not share prompts, or the result is not held out" if leaks else "it counts twice"
    message = f"{how} {other.where} ({line.prompt!r} and {other.prompt!r}); {why}"
    return Issue(severity="error" if leaks and exact else "warning", kind=kind, where=line.where, message=message)


def _check_responses(lines: Sequence[Line]) -> Iterator[Issue]:
    first: dict[str, str] = {}
    for line in lines:
        for side, text in zip(SIDES, line.sides or (), strict=False):
            here = f"{side!r} of {line.where}"
            before = first.setdefault(key(text), here)
            if before != here:
                message = f"{side!r} is the same text as {before}; write a response of its own for each prompt"
                yield Issue(severity="warning", kind="duplicate_response", where=line.where, message=message)


def _check_lengths(lines: Sequence[Line], path: Path) -> Iterator[Issue]:
    total = [0, 0]
    for line in lines:
        if line.sides is None:
            continue
        counts = [len(words(text)) for text in line.sides]
        total = [sum(pair) for pair in zip(total, counts, strict=True)]
        if _ratio(counts) > PAIR_RATIO:
            message = (
                f"the sides have {counts[0]} and {counts[1]} words, more than {PAIR_RATIO:g} to 1; make them alike"
            )
            yield Issue(severity="warning", kind="length_imbalance", where=line.where, message=message)
    if _ratio(total) > MEAN_RATIO:
        longer = SIDES[total[1] > total[0]]
        message = (
            f"the {longer} sides are {_ratio(total):.2f} times as long in words as the others, expected at most "
            f"{MEAN_RATIO:g}: the vector will carry length; make them alike, or allow 'length_imbalance' under [checks]"
        )
        yield Issue(severity="warning", kind="length_imbalance", where=str(path), message=message)


def _check_content(lines: Sequence[Line]) -> Iterator[Issue]:
    for line in lines:
        if line.sides is not None and not content_words(line.sides[0]) & content_words(line.sides[1]):
            message = (
                "the two sides share no content word: the vector will carry the difference in topic; rewrite one, or "
                "allow 'no_shared_content' under [checks]"
            )
            yield Issue(severity="warning", kind="no_shared_content", where=line.where, message=message)


def _ratio(counts: Sequence[int]) -> float:
    return max(counts) / max(1, min(counts))


def content_words(text: str) -> set[str]:
    """Return the first four letters of each content word, so that "boil" and "boiling" count as shared."""
    return {word[:4] for word in words(text) if word not in _STOP_WORDS and (len(word) > 2 or not word.isascii())}
