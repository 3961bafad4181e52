"""Write a behavior as the TOML that :func:`interp_steer.pairs.read_behavior` reads."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from interp_steer.behaviors import Behavior
from interp_steer.records import to_json


def behavior_toml(behavior: Behavior) -> str:
    """Return the text of ``behavior.toml``.

    Reading it back gives the same behavior. Options of the scorer may be texts, numbers, lists of these, or a table of
    them; None has no form in TOML.
    """
    data = to_json(behavior)
    data["scorer"] = {"name": behavior.scorer.name, **dict(behavior.scorer.options)}
    return "\n".join(_table((), data))


def _table(path: Sequence[str], table: Mapping[str, Any]) -> list[str]:
    """Return the lines of a table: its values first, since every table below it opens with a header."""
    lines = [f"{_key(key)} = {_value(value)}" for key, value in table.items() if not isinstance(value, Mapping)]
    if path:
        lines.insert(0, f"[{'.'.join(map(_key, path))}]")
    for key, value in table.items():
        if isinstance(value, Mapping):
            lines += ["", *_table((*path, key), value)]
    return lines if path else [*lines, ""]


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list | tuple):
        if any(isinstance(item, str) for item in value):  # texts are long: one a line
            return "[" + "".join(f"\n  {_value(item)}," for item in value) + "\n]"
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, allow_nan=False)


def _text(text: str) -> str:
    if "\n" not in text:
        return _escaped(text)
    body = "\n".join(_escaped(line)[1:-1] for line in text.split("\n"))
    return f'"""\n{body}"""'


def _escaped(line: str) -> str:
    return json.dumps(line, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    return key if key and key.isascii() and key.replace("_", "").replace("-", "").isalnum() else _escaped(key)
