"""Where the pairs of a behavior are written: a new folder, one that is there, or a copy of a built-in one."""

import shutil
from pathlib import Path

from interp_steer.errors import BehaviorError, RunError
from interp_steer.pair_import.naming import check_name
from interp_steer.pair_writer.instructions import TRAIT_FILE
from interp_steer.pairs import BUILTIN
from interp_steer.traits import Trait, read_trait


def writing_folder(behavior: str, out: Path) -> tuple[Path, bool]:
    """Return the folder that pairs are added to, and whether it holds a behavior yet; nothing is written.

    A folder with a ``behavior.toml`` is extended where it is; a name is looked for in ``out``.

    Raises:
        BehaviorError: If a new behavior would have a name that is none.
    """
    for folder in (out / behavior, Path(behavior)):
        if (folder / "behavior.toml").is_file():
            return folder, True
    check_name(behavior)
    return out / behavior, False


def copy_builtin(folder: Path) -> bool:
    """Make the folder a copy of the built-in behavior of its name; False if there is none.

    Raises:
        RunError: If it cannot be written.
    """
    source = BUILTIN / folder.name
    if not (source / "behavior.toml").is_file():
        return False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("train.jsonl", "dev.jsonl", "test.jsonl", "behavior.toml"):  # last, what makes it a behavior
            shutil.copyfile(source / name, folder / name)
    except OSError as error:
        raise RunError(f"cannot write to {folder}: {error.strerror or error}; choose another --out") from error
    return True


def check_trait(folder: Path, trait: Trait) -> None:
    """Refuse to extend a behavior by another trait than the one it was made from.

    Raises:
        BehaviorError: Naming both.
    """
    path = folder / TRAIT_FILE
    held = read_trait(path) if path.exists() else None
    if held is None or (held.instructions, held.questions) != (trait.instructions, trait.questions):
        raise BehaviorError(
            f"{folder} is there already, and was not made from this trait file; leave --trait out, or choose another "
            "name"
        )
