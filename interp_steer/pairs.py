"""Read behaviors, contrastive pairs and evaluation prompts.

A behavior is a folder: ``behavior.toml``, ``train.jsonl`` (pairs that make the vector), ``dev.jsonl``
and ``test.jsonl`` (prompts that choose and that confirm a cell). A name is looked for in ``./pairs`` and
then among the built-in behaviors; a path is taken as it is.
"""

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from interp_steer.behaviors import Behavior, EvaluationPrompt, Pair
from interp_steer.errors import BehaviorError, PairsError
from interp_steer.records import from_json
from interp_steer.terms import Split

_PACKAGE = Path(__file__).parent
BUILTIN = next(folder for folder in (_PACKAGE / "builtin_pairs", _PACKAGE.parent / "pairs") if folder.is_dir())


def list_behaviors() -> list[str]:
    """Return the names of the built-in behaviors and of those in ``./pairs``, sorted."""
    found = {path.parent.name for root in (BUILTIN, Path("pairs")) for path in root.glob("*/behavior.toml")}
    return sorted(found)


def behavior_folder(behavior: str | Path) -> Path:
    """Find the folder of a behavior.

    Args:
        behavior: A name, or a path to a folder that holds ``behavior.toml``.

    Raises:
        BehaviorError: If there is none; the message lists those that exist.
    """
    candidates = [Path("pairs") / behavior, BUILTIN / behavior, Path(behavior)]
    for folder in candidates:
        if (folder / "behavior.toml").is_file():
            return folder
    raise BehaviorError(
        f"no behavior {str(behavior)!r}: expected one of {', '.join(list_behaviors())}, "
        "or a folder with a behavior.toml"
    )


def read_behavior(behavior: str | Path) -> Behavior:
    """Read ``behavior.toml``.

    Raises:
        BehaviorError: If it is missing, not TOML, or a key is missing, unknown or of the wrong type.
    """
    path = behavior_folder(behavior) / "behavior.toml"
    try:
        return from_json(Behavior, _with_scorer_options(tomllib.loads(path.read_text(encoding="utf-8"))))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BehaviorError(f"{path}: not valid TOML in UTF-8: {error}") from error
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors())
        raise BehaviorError(f"{path}: {'; '.join(problems)}; see pairs/refusal/behavior.toml for the keys") from error


def _with_scorer_options(data: dict[str, Any]) -> dict[str, Any]:
    """Gather what stands beside ``name`` in the scorer's table: its options."""
    scorer = data.get("scorer")
    if not isinstance(scorer, dict):
        return data
    options = {key: value for key, value in scorer.items() if key != "name"}
    return {**data, "scorer": {**{key: scorer[key] for key in ("name",) if key in scorer}, "options": options}}


def read_pairs(behavior: str | Path, split: Split = "train") -> list[Pair]:
    """Read the contrastive pairs of one split; a held-out prompt that stands alone is passed over.

    Raises:
        PairsError: If a line is malformed, naming file and line, or there are no pairs.
    """
    path = behavior_folder(behavior) / f"{split}.jsonl"
    pairs = []
    for number, line in numbered_lines(path):
        with _located(path, number):
            record = record_of(line)
            if split == "train" or "positive" in record or "negative" in record:
                pairs.append(pair_of(record))
    if not pairs:
        raise PairsError(f"{path}: holds no pairs; every line is {{'prompt', 'positive', 'negative'}}")
    return pairs


def read_prompts(behavior: str | Path, split: Split) -> list[EvaluationPrompt]:
    """Read the evaluation prompts of one split; responses on the same lines are ignored here.

    Raises:
        PairsError: If a line is malformed, naming file and line, or there are no prompts.
    """
    path = behavior_folder(behavior) / f"{split}.jsonl"
    prompts = []
    for i, (number, line) in enumerate(numbered_lines(path), start=1):
        with _located(path, number):
            prompts.append(EvaluationPrompt(id=f"{split}-{i}", split=split, text=text_of(record_of(line), "prompt")))
    if not prompts:
        raise PairsError(f"{path}: holds no prompts; every line is {{'prompt': ...}}")
    return prompts


def pairs_sha256(behavior: str | Path, split: Split = "train") -> str:
    """Return the SHA-256 of the lines that hold the pairs or prompts of a split.

    Raises:
        PairsError: If the file does not exist or is not UTF-8.
    """
    lines = numbered_lines(behavior_folder(behavior) / f"{split}.jsonl")
    return hashlib.sha256("".join(line + "\n" for _, line in lines).encode()).hexdigest()


def numbered_lines(path: Path) -> list[tuple[int, str]]:
    """Return the lines of a file that are not blank, each with its number from 1.

    Raises:
        PairsError: If the file is missing or not UTF-8.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise PairsError(f"{path} does not exist; a behavior has train.jsonl, dev.jsonl and test.jsonl") from error
    except UnicodeDecodeError as error:
        raise PairsError(f"{path}: not UTF-8 at byte {error.start}; save the file as UTF-8") from error
    # Not splitlines(): a JSON string may hold U+2028 and other separators as they are.
    return [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]


def record_of(line: str) -> dict[str, Any]:
    """Read one line as a JSON object.

    Raises:
        PairsError: If it is not one. Here and below the message leaves it to the caller to say where.
    """
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise PairsError(f"not valid JSON ({error.msg} at column {error.colno})") from error
    if not isinstance(record, dict):
        raise PairsError(f"expected a JSON object, found {type(record).__name__}")
    return record


def text_of(record: Mapping[str, Any], key: str) -> str:
    """Return a text of a line.

    Raises:
        PairsError: If it is missing, not a text, empty, or not Unicode.
    """
    value = record.get(key)
    if not isinstance(value, str):
        found = "nothing" if value is None else type(value).__name__
        raise PairsError(f"{key!r} must be a text, found {found}")
    if not value.strip():
        need = "every line needs a prompt" if key == "prompt" else "every pair needs both responses"
        raise PairsError(f"{key!r} is empty; {need}")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise PairsError(
            f"{key!r} holds half of a surrogate pair, which no tokenizer reads; write the character itself"
        )
    return value


def pair_of(record: Mapping[str, Any]) -> Pair:
    """Return the contrastive pair of a line.

    Raises:
        PairsError: If a text is missing or empty, or both sides are the same.
    """
    prompt, positive, negative = (text_of(record, key) for key in ("prompt", "positive", "negative"))
    if positive.strip() == negative.strip():
        raise PairsError("'positive' and 'negative' are the same text; a pair must differ in the behavior")
    return Pair(prompt=prompt, positive=positive, negative=negative, topic=str(record.get("topic", "")))


@contextmanager
def _located(path: Path, number: int) -> Iterator[None]:
    """Say where a line's problem is."""
    try:
        yield
    except PairsError as error:
        raise PairsError(f"{path}:{number}: {error}") from error
