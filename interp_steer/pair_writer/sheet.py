"""What Claude says of a new behavior, as its ``behavior.toml``."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from interp_steer.behavior_toml import behavior_toml
from interp_steer.behaviors import Behavior, Checks, Gate, Rubric, ScorerSpec
from interp_steer.errors import JudgeError
from interp_steer.files import read_records, write_text
from interp_steer.judges.scorers import NO_SCORER
from interp_steer.pair_writer.asking import REPLIES, Answered, Asker
from interp_steer.pair_writer.briefs import gate_question, sheet_question
from interp_steer.pairs import read_behavior


def write_sheet(folder: Path, name: str, description: str, asker: Asker, model: str) -> Behavior:
    """Have Claude write the sheet of a new behavior, and keep it as ``behavior.toml``.

    Args:
        folder: The behavior's folder.
        name: Its name.
        description: How a person describes it.
        asker: Puts the question.
        model: Who is asked.

    Raises:
        JudgeError: If there is no usable answer.
    """
    ((_, reply),) = asker.ask("sheet", model, [sheet_question(name, description)])
    if reply.answer is None:
        raise JudgeError(
            f"{model} did not describe the behavior {name!r} ({reply.reason}); run again, or describe it otherwise"
        )
    behavior = behavior_of(name, reply.answer, notes=f"Pairs, prompts, rubric and gate were written by {model}.")
    write_text(folder / "behavior.toml", behavior_toml(behavior))
    return behavior


def write_gate(folder: Path, asker: Asker, model: str) -> None:
    """Have Claude write the obvious cases of a behavior that was made here and has none; others are left alone.

    Raises:
        JudgeError: If there is no usable answer.
    """
    behavior = read_behavior(folder.resolve())
    if behavior.gate.high or behavior.gate.low or behavior.gate.gibberish:
        return
    ((_, reply),) = asker.ask("sheet", model, [gate_question(behavior)])
    if reply.answer is None:
        raise JudgeError(
            f"{model} gave no obvious cases of {behavior.name!r} ({reply.reason}); run again, or write [gate] in "
            f"{folder / 'behavior.toml'} yourself"
        )
    _all_there(behavior.name, reply.answer)
    notes = f"{behavior.notes} The gate was written by {model}.".strip()
    write_text(folder / "behavior.toml", behavior_toml(replace(behavior, gate=_gate(reply.answer), notes=notes)))


def has_sheet(folder: Path) -> bool:
    """Return whether the behavior in a folder is one that Claude has described."""
    return any(line.purpose == "sheet" for line in read_records(folder / REPLIES, Answered))


def behavior_of(name: str, sheet: Mapping[str, Any], *, notes: str) -> Behavior:
    """Return the behavior that a sheet describes; it has no offline scorer yet.

    Raises:
        JudgeError: If a text of the sheet is empty.
    """
    _all_there(name, sheet)
    return Behavior(
        name=name,
        description=sheet["description"],
        positive=sheet["positive"],
        negative=sheet["negative"],
        system_prompt=sheet["system_prompt"],
        scorer=ScorerSpec(name=NO_SCORER),
        rubric=Rubric(version=1, text=sheet["rubric"]),
        gate=_gate(sheet),
        checks=Checks(allow=("length_imbalance",) if sheet["length_is_the_behavior"] else ()),
        notes=f"{notes} Known confounds, in its words: {sheet['confounds']}",
    )


def _all_there(name: str, sheet: Mapping[str, Any]) -> None:
    if empty := [key for key, value in sheet.items() if value in ("", [])]:
        raise JudgeError(f"Claude left {', '.join(empty)} of the behavior {name!r} empty; describe it in other words")


def _gate(sheet: Mapping[str, Any]) -> Gate:
    return Gate(
        prompt=sheet["gate_prompt"],
        high=tuple(sheet["gate_high"]),
        low=tuple(sheet["gate_low"]),
        gibberish=tuple(sheet["gate_gibberish"]),
    )
