"""Find everything that is wrong, or suspicious, in the files of a behavior.

Reading stops at the first malformed line; checking goes on and reports every one. Errors make the behavior unusable or
its result wrong; warnings are for its author to judge.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from interp_steer.errors import BehaviorError, PairsError
from interp_steer.pairs import behavior_folder, numbered_lines, pair_of, read_behavior, record_of, text_of
from interp_steer.terms import Split
from interp_steer.words import words

NEAR_DUPLICATE = 0.6  # Jaccard overlap of character 4-grams; prompts that only share "How do I ..." stay below 0.5
MEAN_RATIO = 1.5  # between the mean words of the two sides of a split
PAIR_RATIO = 4.0  # between the words of the two sides of one pair
MINIMUM: Mapping[Split, tuple[int, int]] = {
    "train": (2, 60),
    "dev": (1, 12),
    "test": (1, 24),
}  # error below, warning below

_SIDES = ("positive", "negative")
_KEYS = ("prompt", *_SIDES, "topic")
_STOP_WORDS = frozenset(
    words(
        "the and for are but not you all any can had her was one our out has him his how its may new now see two way "
        "who did get let put say she too use that with have this will your from they know want been good much some "
        "time very when come here just like long make many more only over such take than them well were what would "
        "there their which about into then also could should because while where these those does each even most other"
    )
)

Kind = Literal[
    "behavior",
    "file",
    "malformed_line",
    "bad_field",
    "unknown_key",
    "identical_sides",
    "duplicate_prompt",
    "near_duplicate_prompt",
    "duplicate_response",
    "split_leakage",
    "length_imbalance",
    "no_shared_content",
    "too_few",
    "gate",
]


@dataclass(frozen=True, kw_only=True)
class Issue:
    """One problem of a behavior's files.

    Attributes:
        severity: ``error``: unusable, or the result would be wrong; ``warning``: for the author to judge.
        kind: What kind of problem it is.
        where: File, with the line from 1 where there is one: ``pairs/refusal/train.jsonl:17``.
        message: What is wrong, what was expected, what to do.
    """

    severity: Literal["error", "warning"]
    kind: Kind
    where: str
    message: str


@dataclass(frozen=True, kw_only=True)
class _Line:
    """What could be read of one line; the responses are None where a prompt stands alone."""

    where: str
    split: Split
    prompt: str
    positive: str | None
    negative: str | None

    @property
    def sides(self) -> tuple[str, str] | None:
        return None if self.positive is None or self.negative is None else (self.positive, self.negative)


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
    lines: list[_Line] = []
    for split in get_args(Split):
        found, problems = _read(folder / f"{split}.jsonl", split)
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
    messages = [f"{key!r} is empty; judges and reports need it" for key, text in texts.items() if not text.strip()]
    if behavior.name != folder.resolve().name:
        messages.append(f"'name' is {behavior.name!r}, but the folder is {folder.resolve().name!r}; make them the same")
    issues = [Issue(severity="error", kind="behavior", where=where, message=message) for message in messages]
    return issues, behavior.checks.allow


def _read(path: Path, split: Split) -> tuple[list[_Line], list[Issue]]:
    try:
        numbered = numbered_lines(path)
    except PairsError as error:
        message = str(error).removeprefix(f"{path}").removeprefix(":").strip()
        return [], [Issue(severity="error", kind="file", where=str(path), message=message)]
    lines: list[_Line] = []
    issues: list[Issue] = []
    for number, text in numbered:
        line, problems = _read_line(f"{path}:{number}", split, text)
        issues += problems
        if line:
            lines.append(line)
    too_few, few = MINIMUM[split]
    if len(lines) < few:
        message = f"{len(lines)} usable lines; expected at least {few}, and no fewer than {too_few} will do"
        severity: Literal["error", "warning"] = "error" if len(lines) < too_few else "warning"
        issues.append(Issue(severity=severity, kind="too_few", where=str(path), message=message))
    return lines, issues


def _read_line(where: str, split: Split, text: str) -> tuple[_Line | None, list[Issue]]:
    try:
        record = record_of(text)
    except PairsError as error:
        return None, [Issue(severity="error", kind="malformed_line", where=where, message=str(error))]
    issues: list[Issue] = []
    if unknown := [key for key in record if key not in _KEYS]:
        message = f"unknown keys {unknown}; a line has {', '.join(_KEYS)}"
        issues.append(Issue(severity="warning", kind="unknown_key", where=where, message=message))
    paired = split == "train" or any(side in record for side in _SIDES)  # other splits may hold prompts alone
    texts: dict[str, str] = {}
    for key in ("prompt", *_SIDES) if paired else ("prompt",):
        try:
            texts[key] = text_of(record, key)
        except PairsError as error:
            issues.append(Issue(severity="error", kind="bad_field", where=where, message=str(error)))
    if all(side in texts for side in ("prompt", *_SIDES)):
        try:
            pair_of(record)
        except PairsError as error:
            issues.append(Issue(severity="error", kind="identical_sides", where=where, message=str(error)))
    if any(issue.severity == "error" for issue in issues):
        return None, issues
    positive, negative = (texts.get(side) for side in _SIDES)
    return _Line(where=where, split=split, prompt=texts["prompt"], positive=positive, negative=negative), issues


def _check_prompts(lines: Sequence[_Line]) -> Iterator[Issue]:
    """Compare each prompt with all before it; the closest one is named."""
    seen: list[tuple[_Line, str, frozenset[str]]] = []
    for line in lines:
        key = _key(line.prompt)
        grams = frozenset(key[start : start + 4] for start in range(max(1, len(key) - 3)))
        overlap, index = max(((_jaccard(grams, other[2]), -at) for at, other in enumerate(seen)), default=(0.0, 0))
        if overlap >= NEAR_DUPLICATE:
            other, other_key, _ = seen[-index]
            yield _repeated_prompt(line, other, exact=key == other_key)
        seen.append((line, key, grams))


def _repeated_prompt(line: _Line, other: _Line, *, exact: bool) -> Issue:
    how = "the same prompt as" if exact else "nearly the same prompt as"
    leaks = line.split != other.split
    kind: Kind = "split_leakage" if leaks else "duplicate_prompt" if exact else "near_duplicate_prompt"
    why = "the splits must not share prompts, or the result is not held out" if leaks else "it counts twice"
    message = f"{how} {other.where} ({line.prompt!r} and {other.prompt!r}); {why}"
    return Issue(severity="error" if leaks and exact else "warning", kind=kind, where=line.where, message=message)


def _check_responses(lines: Sequence[_Line]) -> Iterator[Issue]:
    first: dict[str, str] = {}
    for line in lines:
        for side, text in zip(_SIDES, line.sides or (), strict=False):
            here = f"{side!r} of {line.where}"
            before = first.setdefault(_key(text), here)
            if before != here:
                message = f"{side!r} is the same text as {before}; write a response of its own for each prompt"
                yield Issue(severity="warning", kind="duplicate_response", where=line.where, message=message)


def _check_lengths(lines: Sequence[_Line], path: Path) -> Iterator[Issue]:
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
        longer = _SIDES[total[1] > total[0]]
        message = (
            f"the {longer} sides are {_ratio(total):.2f} times as long in words as the others, expected at most "
            f"{MEAN_RATIO:g}: the vector will carry length; make them alike, or allow 'length_imbalance' under [checks]"
        )
        yield Issue(severity="warning", kind="length_imbalance", where=str(path), message=message)


def _check_content(lines: Sequence[_Line]) -> Iterator[Issue]:
    for line in lines:
        if line.sides is not None and not _content(line.sides[0]) & _content(line.sides[1]):
            message = (
                "the two sides share no content word: the vector will carry the difference in topic; rewrite one, or "
                "allow 'no_shared_content' under [checks]"
            )
            yield Issue(severity="warning", kind="no_shared_content", where=line.where, message=message)


def _key(text: str) -> str:
    """Case, spacing and punctuation aside; the text itself if it is nothing but these."""
    return " ".join(words(text)) or text.strip()


def _jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    smaller, larger = sorted((len(first), len(second)))
    if smaller < NEAR_DUPLICATE * larger:  # cannot reach it: spares most intersections
        return 0.0
    return len(first & second) / len(first | second)


def _ratio(counts: Sequence[int]) -> float:
    return max(counts) / max(1, min(counts))


def _content(text: str) -> set[str]:
    """First four letters of each content word, so that "boil" and "boiling" count as shared."""
    return {word[:4] for word in words(text) if word not in _STOP_WORDS and (len(word) > 2 or not word.isascii())}
