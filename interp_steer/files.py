"""Files that survive a crash: replaced whole, or appended to line by line.

A file is replaced by writing beside it and renaming. A line torn by a crash is dropped when the file is next
opened for appending.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from interp_steer.errors import RunError
from interp_steer.records import from_json, to_json

Record = TypeVar("Record")


def write_text(path: Path, text: str) -> None:
    """Replace a file whole: readers see the old text or the new one, never half of it.

    Raises:
        RunError: If the file cannot be written (no space, no permission).
    """
    beside = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise RunError(
            f"cannot write {path}: {error.strerror or error}; free space or choose another folder"
        ) from error


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Replace a JSON file whole; NaN and Infinity are refused."""
    write_text(path, json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def read_records(path: Path, kind: type[Record]) -> Iterator[Record]:
    """Yield the records of a JSON-lines file; nothing if it does not exist.

    A last line without its newline was torn by a crash and is passed over.

    Raises:
        RunError: If another line is not a record, naming file and line.
    """
    if not path.exists():
        return
    remedy = "restore or delete the line"
    with path.open("rb") as file:  # not as text: a line may be torn within a character
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            where = f"{path}:{number}"
            yield record_of(kind, parsed(line, where, remedy), where, remedy)


def append_records(path: Path, records: Iterable[Any]) -> None:
    """Append records as JSON lines in one write, and flush them to the disk.

    A torn last line is cut off first, so that what follows it stays readable.

    Raises:
        RunError: If the file cannot be written.
    """
    lines = "".join(json.dumps(to_json(record), ensure_ascii=False, allow_nan=False) + "\n" for record in records)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file:
            _cut_torn_line(file)
            file.write(lines.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise RunError(
            f"cannot append to {path}: {error.strerror or error}; free space and run again to continue"
        ) from error


def _cut_torn_line(file: Any) -> None:
    size = file.seek(0, os.SEEK_END)
    position = size
    while position > 0:
        start = max(0, position - 65536)
        file.seek(start)
        newline = file.read(position - start).rfind(b"\n")
        if newline >= 0:
            position = start + newline + 1
            break
        position = start
    if position < size:
        file.truncate(position)
    file.seek(0, os.SEEK_END)


def parsed(text: bytes, where: str, remedy: str) -> Any:
    """Return the value of JSON in UTF-8.

    Raises:
        RunError: Naming the place and the remedy.
    """
    try:
        return json.loads(text.decode())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RunError(f"{where}: not valid JSON in UTF-8 ({error}); {remedy}") from error


def record_of(kind: type[Record], data: Any, where: str, remedy: str) -> Record:
    """Return the record that a value of JSON is.

    Raises:
        RunError: Naming the place, what does not fit, and the remedy.
    """
    try:
        return from_json(kind, data)
    except ValidationError as error:
        problems = "; ".join(".".join(map(str, one["loc"])) + ": " + one["msg"] for one in error.errors())
        raise RunError(f"{where}: not a {kind.__name__.lower()} ({problems.lstrip(': ')}); {remedy}") from error
