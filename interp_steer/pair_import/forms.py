"""The forms that pairs are kept in, how each is told from the others, and how a record of it becomes a pair.

- ``caa``: ``question``, ``answer_matching_behavior``, ``answer_not_matching_behavior``;
- ``steering-bench``: ``positive`` and ``negative``, each ``{"prompt", "response"}`` with one and the same prompt;
- ``persona``: a trait file (:mod:`interp_steer.traits`): system prompts and questions, no responses;
- ``texts``: texts without prompts, as ``{"positive": [...], "negative": [...]}`` or one ``{"positive", "negative"}`` a
  record; the prompt that all of them answer is given by hand;
- ``csv`` (and TSV), ``jsonl`` (and lists of JSON): three columns whose names can be given.

White space around a response is dropped: what stands between prompt and response is the chat template's business.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from interp_steer.behaviors import Pair
from interp_steer.errors import PairsError
from interp_steer.pair_import.documents import TABLES, Entry, read_document
from interp_steer.pair_import.letters import expanded, is_letter
from interp_steer.pairs import pair_of, text_of
from interp_steer.traits import Trait, trait_of

Form = Literal["caa", "persona", "steering-bench", "texts", "csv", "jsonl"]
FORMS: tuple[Form, ...] = get_args(Form)
_CAA = ("question", "answer_matching_behavior", "answer_not_matching_behavior")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a file is to be read.

    Attributes:
        form: Its form; None to find out.
        prompt_column: Key of the prompt in ``csv`` and ``jsonl``.
        positive_column: Key of the response that shows the behavior.
        negative_column: Key of the response that does not.
        letters: Whether answers such as ``(A)`` stay, or become the text of the choice.
        prompt: What all of the ``texts`` answer.
    """

    form: Form | None = None
    prompt_column: str = "prompt"
    positive_column: str = "positive"
    negative_column: str = "negative"
    letters: Literal["keep", "expand"] = "keep"
    prompt: str | None = None


@dataclass(frozen=True, kw_only=True)
class Material:
    """What a file holds: pairs, or the trait that pairs are to be written for.

    Attributes:
        form: Form of the file.
        pairs: The pairs; none in a trait file.
        trait: The trait, in a trait file.
        remarks: What the person who imports should know.
    """

    form: Form
    pairs: tuple[Pair, ...] = ()
    trait: Trait | None = None
    remarks: tuple[str, ...] = ()


def read_material(path: Path, reading: Reading) -> Material:
    """Read a file of any of the forms.

    Raises:
        PairsError: At the first record that is not understood, naming it and what was expected.
    """
    document = read_document(path)
    form = reading.form or _detected(path, document, reading)
    if form == "persona":
        return Material(form=form, trait=trait_of(_whole(path, document), path))
    entries = _text_entries(path, document) if form == "texts" else _entries(path, document)
    known, to_pair = _readers(reading)[form]
    if form in ("csv", "jsonl") and (absent := [column for column in known if column not in entries[0].record]):
        raise PairsError(
            f"{entries[0].where}: no {' and no '.join(map(repr, absent))} among "
            f"{', '.join(map(repr, entries[0].record))}; name the columns with --prompt-column, --positive-column and "
            "--negative-column"
        )
    pairs = []
    for entry in entries:
        try:
            pair = pair_of(_stripped(to_pair(entry.record)))
            pairs.append(expanded(pair) if reading.letters == "expand" else pair)
        except PairsError as error:
            raise PairsError(f"{entry.where}: {error}; read as {form!r}") from error
    remarks = []
    if others := sorted({str(key) for entry in entries for key in entry.record} - {*known, "topic"}):
        remarks.append(f"Keys that are not read: {', '.join(others)}.")
    if any(is_letter(pair.positive) and is_letter(pair.negative) for pair in pairs):
        remarks.append(
            "Answers are letters such as '(A)'. They stay as they are: the read position mean_response then pools the "
            "two or three tokens of the letter, and a steered model answers with a letter that no scorer here judges. "
            "With --letters expand, prompts lose their choices and responses are the texts of the choices."
        )
    return Material(form=form, pairs=tuple(pairs), remarks=tuple(remarks))


def _detected(path: Path, document: list[Entry] | dict[str, Any], reading: Reading) -> Form:
    if path.suffix.lower() in TABLES:
        return "csv"
    first = document if isinstance(document, dict) else document[0].record
    columns = (reading.prompt_column, reading.positive_column, reading.negative_column)
    if "instruction" in first and "questions" in first:
        return "persona"
    if _CAA[1] in first or _CAA[2] in first:
        return "caa"
    if isinstance(first.get("positive"), dict) and isinstance(first.get("negative"), dict):
        return "steering-bench"
    if all(column in first for column in columns):
        return "jsonl"
    if columns[0] not in first and type(first.get("positive")) is type(first.get("negative")) in (str, list):
        return "texts"
    where = path if isinstance(document, dict) else document[0].where
    raise PairsError(
        f"{where}: no form that is known here has the keys {', '.join(map(repr, first)) or '(none)'}; expected "
        f"{', '.join(map(repr, columns))} (name other columns with --prompt-column, --positive-column, "
        f"--negative-column), or those of {', '.join(FORMS[:4])}"
    )


def _readers(reading: Reading) -> dict[Form, tuple[tuple[str, ...], Callable[[dict[str, Any]], dict[str, Any]]]]:
    """Return, for each form of records, the keys it reads and how a record becomes prompt, positive and negative."""
    columns = (reading.prompt_column, reading.positive_column, reading.negative_column)

    def renamed(keys: Sequence[str]) -> Callable[[dict[str, Any]], dict[str, Any]]:
        def rename(record: dict[str, Any]) -> dict[str, Any]:
            topic = record.get("topic")
            texts = {new: text_of(record, old) for new, old in zip(("prompt", *_SIDES), keys, strict=True)}
            return {**texts, "topic": topic if isinstance(topic, str) else ""}

        return rename

    def answered(record: dict[str, Any]) -> dict[str, Any]:
        if reading.prompt is None:
            raise PairsError(
                "texts without prompts, but a contrastive pair is one prompt and two responses; say with --prompt what "
                "all of them answer ('Write a short text.')"
            )
        return {"prompt": reading.prompt, **{side: text_of(record, side) for side in _SIDES}}

    return {
        "caa": (_CAA, renamed(_CAA)),
        "steering-bench": (_SIDES, _one_prompt),
        "texts": (_SIDES, answered),
        "csv": (columns, renamed(columns)),
        "jsonl": (columns, renamed(columns)),
    }


_SIDES = ("positive", "negative")


def _one_prompt(record: dict[str, Any]) -> dict[str, Any]:
    prompts, responses = [], []
    for side in _SIDES:
        value = record.get(side)
        if not isinstance(value, dict):
            raise PairsError(f"{side!r} must be an object with 'prompt' and 'response', found {type(value).__name__}")
        prompts.append(text_of(value, "prompt"))
        responses.append(text_of(value, "response"))
    if prompts[0] != prompts[1]:
        raise PairsError(
            f"the sides have different prompts ({prompts[0][:60]!r} and {prompts[1][:60]!r}); a contrastive pair is "
            "one prompt with two responses, or its difference is that of the prompts"
        )
    return {"prompt": prompts[0], **dict(zip(_SIDES, responses, strict=True))}


def _stripped(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, **{side: record[side].strip() for side in _SIDES}}


def _whole(path: Path, document: list[Entry] | dict[str, Any]) -> dict[str, Any]:
    if isinstance(document, list):
        raise PairsError(f"{path}: a trait file is one JSON object, found a list of records")
    return document


def _entries(path: Path, document: list[Entry] | dict[str, Any]) -> list[Entry]:
    return document if isinstance(document, list) else [Entry(where=str(path), record=document)]


def _text_entries(path: Path, document: list[Entry] | dict[str, Any]) -> list[Entry]:
    """Return one record per pair of texts, also of an object of two lists."""
    if isinstance(document, list) or not any(isinstance(document.get(side), list) for side in _SIDES):
        return _entries(path, document)
    positive, negative = (document.get(side) for side in _SIDES)
    if not isinstance(positive, list) or not isinstance(negative, list):
        raise PairsError(f"{path}: 'positive' and 'negative' must both be lists")
    if not positive or len(positive) != len(negative):
        raise PairsError(
            f"{path}: {len(positive)} positive and {len(negative)} negative texts; pairs are matched by position, so "
            "both lists must be of one length"
        )
    return [
        Entry(where=f"{path}: positive[{i}] and negative[{i}]", record=dict(zip(_SIDES, texts, strict=True)))
        for i, texts in enumerate(zip(positive, negative, strict=True))
    ]
