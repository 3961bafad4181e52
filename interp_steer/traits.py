"""Read trait files, the interchange format of persona-vector work.

A trait file is JSON: ``{"instruction": [{"pos", "neg"}, ...], "questions": [...], "eval_prompt": "..."}``. Each ``pos``
is a system prompt that asks for the trait, its ``neg`` one that asks for the opposite, ``questions`` are what the
model is asked under both. There are no responses: pairs are what a model answers under the two prompts.

Source:
    Chen et al., "Persona Vectors", arXiv:2507.21509.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interp_steer.errors import PairsError
from interp_steer.pairs import text_of


@dataclass(frozen=True, kw_only=True)
class Trait:
    """Contrastive system prompts and the questions to ask under them.

    Attributes:
        name: Stem of the file.
        instructions: System prompts ``(pos, neg)``; at least one.
        questions: User turns; at least one, none twice.
        eval_prompt: What a judge is told, with ``{question}`` and ``{answer}``; empty if the file has none.
    """

    name: str
    instructions: tuple[tuple[str, str], ...]
    questions: tuple[str, ...]
    eval_prompt: str = ""


def read_trait(path: str | Path) -> Trait:
    """Read a trait file.

    Raises:
        PairsError: If it is missing, not JSON in UTF-8, or not a trait; the message names file and entry.
    """
    path = Path(path)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise PairsError(f"{path}: cannot be read as UTF-8 text: {error}") from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise PairsError(f"{path}: not valid JSON: {error}") from error
    return trait_of(data, path)


def trait_of(data: object, path: Path) -> Trait:
    """Return the trait that the JSON of ``path`` holds.

    Raises:
        PairsError: If it is not one; the message names file and entry.
    """
    if not isinstance(data, dict):
        raise PairsError(f"{path}: expected a JSON object with 'instruction' and 'questions'")
    instructions = tuple(
        (_text(entry, "pos", f"{path}: instruction[{index}]"), _text(entry, "neg", f"{path}: instruction[{index}]"))
        for index, entry in enumerate(_list(data, "instruction", path))
    )
    questions = tuple(
        _text({"question": entry}, "question", f"{path}: questions[{index}]")
        for index, entry in enumerate(_list(data, "questions", path))
    )
    for index, question in enumerate(questions):
        if question in questions[:index]:
            raise PairsError(f"{path}: questions[{index}]: {question!r} is there twice; remove one")
    evaluation = data.get("eval_prompt", "")
    if not isinstance(evaluation, str):
        raise PairsError(f"{path}: 'eval_prompt' must be a text, found {type(evaluation).__name__}")
    return Trait(name=path.stem, instructions=instructions, questions=questions, eval_prompt=evaluation)


def _list(data: Mapping[str, Any], key: str, path: Path) -> list[Any]:
    value = data.get(key)
    if not isinstance(value, list) or not value:
        raise PairsError(f"{path}: {key!r} must be a list with at least one entry")
    return value


def _text(entry: object, key: str, where: str) -> str:
    if not isinstance(entry, dict):
        raise PairsError(f"{where}: expected an object with 'pos' and 'neg', found {type(entry).__name__}")
    try:
        return text_of(entry, key)
    except PairsError as error:
        raise PairsError(f"{where}: {error}") from error
