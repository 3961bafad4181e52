"""Import a file of pairs, or a trait file, as a behavior."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interp_steer.behavior_toml import behavior_toml
from interp_steer.behaviors import Behavior, Pair
from interp_steer.errors import BehaviorError, PairsError
from interp_steer.files import write_text
from interp_steer.pair_checks.likeness import NEAR_DUPLICATE, grams, key, overlap
from interp_steer.pair_import.division import Division, divide
from interp_steer.pair_import.forms import Form, Reading, read_material
from interp_steer.pair_import.naming import check_name
from interp_steer.pair_import.scaffold import Sheet, measured_by_pairs, scaffold
from interp_steer.pairs import BUILTIN, text_of
from interp_steer.records import to_json
from interp_steer.terms import Split
from interp_steer.traits import Trait


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What an import has written.

    Attributes:
        folder: The behavior's folder.
        form: Form of the file.
        counts: Lines of each split; no training lines where pairs are still to be written.
        behavior: The behavior.
        remarks: What the person who imports should know.
    """

    folder: Path
    form: Form
    counts: dict[Split, int]
    behavior: Behavior
    remarks: tuple[str, ...]


def import_pairs(
    path: str | Path,
    name: str,
    *,
    out: str | Path = "pairs",
    reading: Reading | None = None,
    division: Division | None = None,
    sheet: Sheet | None = None,
    prompts: Sequence[str] = (),
    force: bool = False,
) -> Imported:
    """Make a behavior of a file of pairs, or of a trait file. Nothing is written unless everything is understood.

    Args:
        path: The file.
        name: Name of the behavior, and of its folder in ``out``.
        out: Folder of behaviors.
        reading: How to read the file; by default its form is found out.
        division: Sizes of the held-out splits; by default 12 and 24 prompts, fewer of a small file.
        sheet: What is known of the behavior.
        prompts: Prompts to evaluate on: the first third is for dev, the rest for test, and all of the file for
            training; by default some of the file's own.
        force: Whether to overwrite a behavior of that name.

    Returns:
        What was written.

    Raises:
        PairsError: If the file is not understood, naming the first offending record, or holds too little.
        BehaviorError: If the name is none, is taken, or the scorer does not fit.
        RunError: If the folder cannot be written.
    """
    path, folder = Path(path), _free_folder(name, Path(out), force=force)
    if prompts and division:
        raise PairsError("evaluation prompts of their own are not divided; leave out --split, --dev and --test")
    material = read_material(path, reading or Reading())
    sizes = division or Division()
    if material.trait:
        return _write_trait(material.trait, folder, sheet or Sheet(), sizes, prompts, path.name)
    lines = _divided(material.pairs, sizes, prompts)
    train = [line for line in lines["train"] if isinstance(line, Pair)]
    plain = scaffold(name, sheet or Sheet(), origin=f"Imported from {path.name}, read as {material.form!r}.")
    behavior = measured_by_pairs(plain, train)
    _write(folder, behavior, {split: [_record(line) for line in found] for split, found in lines.items()})
    return Imported(
        folder=folder,
        form=material.form,
        counts={split: len(found) for split, found in lines.items()},
        behavior=behavior,
        remarks=(*material.remarks, *_shadowing(name)),
    )


def import_trait(trait: Trait, folder: Path, description: str | None = None) -> Imported:
    """Make a behavior of a trait: its system prompts are kept in ``trait.json``, its questions divided.

    There are no pairs yet: ``train.jsonl`` is for ``interp-steer pairs generate`` to write, from the questions that are
    neither in ``dev.jsonl`` nor in ``test.jsonl``. An existing behavior is overwritten.

    Raises:
        PairsError: If the trait has too few questions.
        RunError: If the folder cannot be written.
    """
    return _write_trait(trait, folder, Sheet(description=description), Division(), (), f"trait {trait.name!r}")


def _write_trait(
    trait: Trait,
    folder: Path,
    sheet: Sheet,
    division: Division,
    prompts: Sequence[str],
    origin: str,
) -> Imported:
    lines = _divided(trait.questions, division, prompts)
    behavior = scaffold(folder.name, sheet, origin=f"System prompts and questions are those of {origin}.", trait=trait)
    held_out: dict[Split, list[dict[str, Any]]] = {
        split: [_record(line) for line in found] for split, found in lines.items() if split != "train"
    }
    _write(folder, behavior, held_out, trait)
    return Imported(
        folder=folder,
        form="persona",
        counts={"train": 0, **{split: len(found) for split, found in held_out.items()}},
        behavior=behavior,
        remarks=(
            f"A trait file has no responses: {len(lines['train'])} questions are left to write pairs for, with "
            f"'interp-steer pairs generate {folder.name} --writer self'.",
            *_shadowing(folder.name),
        ),
    )


def _free_folder(name: str, out: Path, *, force: bool) -> Path:
    check_name(name)
    folder = out / name
    if not force and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BehaviorError(f"{folder} exists; choose another name, or overwrite it with --force")
    return folder


def _shadowing(name: str) -> tuple[str, ...]:
    if not (BUILTIN / name).is_dir():
        return ()
    return (f"{name!r} is also a built-in behavior: where both are found, a folder in ./pairs comes first.",)


Lines = dict[Split, list[Pair | str]]


def _divided(lines: Sequence[Pair | str], division: Division, prompts: Sequence[str]) -> Lines:
    """Return pairs or prompts by split; with evaluation prompts of their own, all lines are for training."""
    if not prompts:
        found: Lines = {"train": [], "dev": [], "test": []}
        for line, split in zip(lines, divide([_prompt(line) for line in lines], division), strict=True):
            found[split].append(line)
        return found
    if len(lines) < 2:
        raise PairsError("one pair gives no vector worth having; expected at least two")
    trained = [grams(key(_prompt(line))) for line in lines]
    for number, prompt in enumerate(prompts, start=1):
        text_of({"prompt": prompt}, "prompt")
        if any(overlap(grams(key(prompt)), other) >= NEAR_DUPLICATE for other in trained):
            raise PairsError(f"evaluation prompt {number} ({prompt[:60]!r}) is nearly one of the training prompts")
    if len(prompts) < 2:
        raise PairsError("one evaluation prompt cannot serve dev and test; expected at least two")
    dev = max(1, len(prompts) // 3)
    return {"train": list(lines), "dev": list(prompts[:dev]), "test": list(prompts[dev:])}


def _prompt(line: Pair | str) -> str:
    return line.prompt if isinstance(line, Pair) else line


def _record(line: Pair | str) -> dict[str, Any]:
    if isinstance(line, str):
        return {"prompt": line}
    return {key: value for key, value in to_json(line).items() if value or key != "topic"}


def _write(
    folder: Path, behavior: Behavior, lines: dict[Split, list[dict[str, Any]]], trait: Trait | None = None
) -> None:
    files = {
        f"{split}.jsonl": "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in found)
        for split, found in lines.items()
    }
    if trait:
        files["trait.json"] = _trait_json(trait)
    files["behavior.toml"] = behavior_toml(behavior)  # last: it is what makes the folder a behavior
    for name, text in files.items():
        write_text(folder / name, text)
    for name in {"train.jsonl", "trait.json"} - set(files):  # of what was overwritten
        (folder / name).unlink(missing_ok=True)


def _trait_json(trait: Trait) -> str:
    data = {
        "instruction": [{"pos": asks, "neg": forbids} for asks, forbids in trait.instructions],
        "questions": list(trait.questions),
        "eval_prompt": trait.eval_prompt,
    }
    return json.dumps(data, ensure_ascii=False, indent=1) + "\n"
