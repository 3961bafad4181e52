"""A sheet for a person to score some completions by hand, without seeing what the judge said or where they come from.

The sheet names neither cell nor score; rows are in an order that says nothing. What the person fills in is read back as
the verdicts of a judge named ``human``, kept apart from the others: no outcome rests on a few dozen rows.
"""

import csv
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from io import StringIO
from pathlib import Path

from interp_steer.errors import JudgeError
from interp_steer.files import append_records, read_records, write_text
from interp_steer.judges.combine import harmonic_mean
from interp_steer.outcomes import UNSTEERED, Judged, judged_by
from interp_steer.records import Generation, Verdict, digest, text_sha256
from interp_steer.run import Run

HUMAN = "human"
COLUMNS = ("id", "prompt", "baseline", "completion", "human_behavior", "human_coherence", "notes")
BINS = 5
_FORMULA = ("=", "+", "-", "@", "|", "%", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def write_audit(run: Run, path: str | Path, n: int = 40) -> int:
    """Write a CSV of completions to be scored by hand, from 0 to 10.

    They are spread evenly over five ranges of the current judge's combined score and, within each, over the cells.
    Equal texts are asked about once. What a spreadsheet would take for a formula starts with an apostrophe.

    Args:
        run: A judged run.
        path: The file to write.
        n: Number of rows; fewer if there are fewer different texts.

    Returns:
        The number of rows.

    Raises:
        JudgeError: If nothing has a score yet, or the file exists: it may hold a person's work.
    """
    path = Path(path)
    if path.exists():
        raise JudgeError(f"{path} exists and may hold scores; choose another --out, or read it with --read {path}")
    items = judged_by(run)
    baselines = {
        (item.generation.prompt_id, item.generation.sample): item.generation.text
        for item in items
        if item.generation.cell == UNSTEERED
    }
    distinct = {
        (item.generation.prompt_id, item.generation.text): item
        for item in sorted(items, key=lambda item: _id(item.generation), reverse=True)  # of equals, the first id
        if item.verdict.combined is not None
    }
    if not distinct:
        raise JudgeError(
            f"{run.path} holds no scores to spread the rows over; run 'interp-steer judge {run.path}' first"
        )
    chosen = sorted((item.generation for item in spread(list(distinct.values()))[:n]), key=_id)
    rows = [
        (
            _id(generation),
            generation.prompt,
            baselines.get((generation.prompt_id, generation.sample), ""),
            generation.text,
            "",
            "",
            "",
        )
        for generation in chosen
    ]
    sheet = StringIO()
    csv.writer(sheet, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(
        [COLUMNS, *(map(safe_cell, row) for row in rows)]
    )
    write_text(path, sheet.getvalue())
    return len(rows)


def spread(items: Sequence[Judged]) -> list[Judged]:
    """Order judged generations so that any first ``n`` are spread over ranges of scores, and over cells within each."""
    ordered = sorted(items, key=lambda item: _id(item.generation))
    bins: dict[int, list[Judged]] = defaultdict(list)
    for item in ordered:
        bins[_bin(item)].append(item)
    by_cell = [item for each in bins.values() for item in _in_turn(each, lambda item: item.generation.cell.key)]
    return _in_turn(by_cell, _bin)


def _bin(item: Judged) -> int:
    return min(BINS - 1, int(BINS * (item.verdict.combined or 0.0)))


def _in_turn(items: Sequence[Judged], group: Callable[[Judged], Hashable]) -> list[Judged]:
    """Take one item of each group, then the next of each, until none is left."""
    taken: Counter[Hashable] = Counter()
    ranked = []
    for item in items:
        ranked.append((taken[group(item)], item))
        taken[group(item)] += 1
    return [item for _, item in sorted(ranked, key=lambda pair: pair[0])]


def safe_cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.lstrip().startswith(_FORMULA) or text[:1] in ("\t", "\r") else text


def read_audit(run: Run, path: str | Path) -> int:
    """Take over what a person filled in; rows without a number are passed over.

    Returns:
        The number of rows with at least one score. A row that was read before is replaced.

    Raises:
        JudgeError: Naming file and row, if a column is missing, a row is not of this run, or a score is not a number
            from 0 to 10.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise JudgeError(f"cannot read {path}: {error}; expected the CSV of 'interp-steer audit', in UTF-8") from error
    reader = csv.DictReader(StringIO(text, newline=""), delimiter=";" if text[:4].strip('"').startswith("id;") else ",")
    if lacking := [name for name in COLUMNS[:-1] if name not in (reader.fieldnames or ())]:
        raise JudgeError(f"{path}: no column {lacking[0]!r}; expected the columns {', '.join(COLUMNS)}")
    generations = {_id(generation): generation for generation in read_records(run.generations_path, Generation)}
    verdicts = []
    for number, row in enumerate(reader, start=2):
        where = f"{path}: row {number}"
        scores = {name: _score(row[f"human_{name}"], f"{where}: 'human_{name}'") for name in ("behavior", "coherence")}
        if all(score is None for score in scores.values()):
            continue
        generation = generations.get((row["id"] or "").strip())
        if generation is None:
            raise JudgeError(
                f"{where}: no completion of {run.path} has the id {row['id']!r}; was it made by another run?"
            )
        verdicts.append(_human(generation, scores))
    append_records(run.judging_path / "human.jsonl", verdicts)
    return len(verdicts)


def read_human(run: Run) -> dict[str, Verdict]:
    """Return a person's verdicts by generation, those about texts that the run still holds."""
    path = run.judging_path / "human.jsonl"
    if not path.exists():
        return {}
    latest = {verdict.generation: verdict for verdict in read_records(path, Verdict)}
    return {
        generation.key: latest[generation.key]
        for generation in read_records(run.generations_path, Generation)
        if generation.key in latest and latest[generation.key].text_sha256 == text_sha256(generation.text)
    }


def _human(generation: Generation, scores: Mapping[str, float | None]) -> Verdict:
    parts = {name: None if score is None else score / 10 for name, score in scores.items()}
    combined = harmonic_mean(list(parts.values()))
    return Verdict(
        generation=generation.key,
        text_sha256=text_sha256(generation.text),
        judge=HUMAN,
        judge_digest=HUMAN,
        behavior=parts["behavior"],
        coherence=parts["coherence"],
        combined=combined,
        reason=None if combined is not None else "not filled in",
        measures=dict(scores),
    )


def _score(cell: str | None, where: str) -> float | None:
    text = (cell or "").strip().replace(",", ".")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 10:
        raise JudgeError(f"{where} is {cell!r}; expected a number from 0 to 10, or nothing")
    return value


def _id(generation: Generation) -> str:
    """Name a row without saying where it is from; the letters keep spreadsheets from reading it as a number."""
    return f"row-{digest([generation.key, generation.text])}"
