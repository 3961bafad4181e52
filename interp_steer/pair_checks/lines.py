"""What can be read of the lines of a split, and what is wrong with the rest."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from interp_steer.errors import PairsError
from interp_steer.pair_checks.issue import Issue
from interp_steer.pairs import numbered_lines, pair_of, record_of, text_of
from interp_steer.terms import Split

MINIMUM: Mapping[Split, tuple[int, int]] = {
    "train": (2, 60),
    "dev": (1, 12),
    "test": (1, 24),
}  # error below, warning below

SIDES = ("positive", "negative")
_KEYS = ("prompt", *SIDES, "topic")


@dataclass(frozen=True, kw_only=True)
class Line:
    """What could be read of one line; the responses are None where a prompt stands alone."""

    where: str
    split: Split
    prompt: str
    positive: str | None
    negative: str | None

    @property
    def sides(self) -> tuple[str, str] | None:
        """Both responses, if they are there."""
        return None if self.positive is None or self.negative is None else (self.positive, self.negative)


def read_lines(path: Path, split: Split) -> tuple[list[Line], list[Issue]]:
    """Return the usable lines of a split, and every problem of the others."""
    try:
        numbered = numbered_lines(path)
    except PairsError as error:
        message = str(error).removeprefix(f"{path}").removeprefix(":").strip()
        return [], [Issue(severity="error", kind="file", where=str(path), message=message)]
    lines: list[Line] = []
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


def _read_line(where: str, split: Split, text: str) -> tuple[Line | None, list[Issue]]:
    try:
        record = record_of(text)
    except PairsError as error:
        return None, [Issue(severity="error", kind="malformed_line", where=where, message=str(error))]
    issues: list[Issue] = []
    if unknown := [key for key in record if key not in _KEYS]:
        message = f"unknown keys {unknown}; a line has {', '.join(_KEYS)}"
        issues.append(Issue(severity="warning", kind="unknown_key", where=where, message=message))
    paired = split == "train" or any(side in record for side in SIDES)  # other splits may hold prompts alone
    texts: dict[str, str] = {}
    for key in ("prompt", *SIDES) if paired else ("prompt",):
        try:
            texts[key] = text_of(record, key)
        except PairsError as error:
            issues.append(Issue(severity="error", kind="bad_field", where=where, message=str(error)))
    if all(side in texts for side in ("prompt", *SIDES)):
        try:
            pair_of(record)
        except PairsError as error:
            issues.append(Issue(severity="error", kind="identical_sides", where=where, message=str(error)))
    if any(issue.severity == "error" for issue in issues):
        return None, issues
    positive, negative = (texts.get(side) for side in SIDES)
    return Line(where=where, split=split, prompt=texts["prompt"], positive=positive, negative=negative), issues
