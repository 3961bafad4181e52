"""The records of a file, each with the place it stands at: JSON, JSON lines, CSV and TSV."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interp_steer.errors import PairsError
from interp_steer.pairs import numbered_lines

TABLES = {".csv": ",", ".tsv": "\t"}
_LINES = (".jsonl", ".ndjson")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One record, and where it stands: ``file:line``, or ``file[index]`` in a list of JSON."""

    where: str
    record: dict[str, Any]


def read_document(path: Path) -> list[Entry] | dict[str, Any]:
    """Read a file by its suffix, and by its content where that does not say.

    Returns:
        The records of a list, of lines, or of a table; an object of JSON as it is.

    Raises:
        PairsError: If the file is missing, empty, not UTF-8 or not what its suffix says, or a record is no object.
    """
    if not path.is_file():
        raise PairsError(f"{path} does not exist, or is no file")
    if path.suffix.lower() in TABLES:
        found: list[Entry] | dict[str, Any] = list(_table(path, TABLES[path.suffix.lower()]))
    else:
        found = _json(path)
    if not found:
        raise PairsError(f"{path}: holds no records")
    return found


def _json(path: Path) -> list[Entry] | dict[str, Any]:
    numbered = [(number, line.removeprefix("\ufeff")) for number, line in numbered_lines(path)]
    if path.suffix.lower() not in _LINES:
        try:
            whole = _loads("\n".join(line for _, line in numbered))
        except ValueError as error:
            if len(numbered) < 2 or not _is_object(numbered[0][1]):
                raise PairsError(f"{path}: not valid JSON: {error}") from error
        else:
            if not isinstance(whole, list):
                return _object(whole, str(path))
            return [Entry(where=f"{path}[{i}]", record=_object(item, f"{path}[{i}]")) for i, item in enumerate(whole)]
    entries = []
    for number, line in numbered:
        where = f"{path}:{number}"
        try:
            entries.append(Entry(where=where, record=_object(_loads(line), where)))
        except ValueError as error:
            raise PairsError(f"{where}: not valid JSON: {error}") from error
    return entries


def _is_object(line: str) -> bool:
    try:
        return isinstance(_loads(line), dict)
    except ValueError:
        return False


def _loads(text: str) -> Any:
    """Read JSON; a document too deep, or a number too long, is as invalid as a missing comma."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise PairsError(f"{where}: expected a JSON object, found {type(value).__name__}")
    return value


def _table(path: Path, delimiter: str) -> Iterator[Entry]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, delimiter=delimiter, strict=True)
            header = next(rows, [])
            if len(set(header)) < len(header):
                raise PairsError(f"{path}:1: a column is named twice: {header}")
            end = rows.line_num
            for row in rows:
                where, end = f"{path}:{end + 1}", rows.line_num
                if not row:
                    continue
                if len(row) != len(header):
                    raise PairsError(f"{where}: {len(row)} fields, but the header names {len(header)}")
                yield Entry(where=where, record=dict(zip(header, row, strict=True)))
    except UnicodeDecodeError as error:
        raise PairsError(f"{path}: not UTF-8 at byte {error.start}; save the file as UTF-8") from error
    except csv.Error as error:
        raise PairsError(f"{path}:{rows.line_num}: not a valid table: {error}") from error
