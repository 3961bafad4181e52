"""Write pairs for a behavior: the one door to both writers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from interp_steer.errors import BehaviorError
from interp_steer.pair_import.importing import import_trait
from interp_steer.pair_writer.asking import Asker
from interp_steer.pair_writer.claude_writer import JUDGE, WRITER, write_with_claude
from interp_steer.pair_writer.collection import Collection, end_last_line, holding
from interp_steer.pair_writer.described import described, everyday_prompts
from interp_steer.pair_writer.folder import check_trait, copy_builtin, writing_folder
from interp_steer.pair_writer.instructions import TRAIT_FILE, instructions_of, prompts_of
from interp_steer.pair_writer.measured import measure
from interp_steer.pair_writer.sheet import has_sheet, write_gate, write_sheet
from interp_steer.pair_writer.written import Written
from interp_steer.pairs import BUILTIN
from interp_steer.traits import read_trait

if TYPE_CHECKING:
    from interp_steer.model.protocol import Model


@dataclass(frozen=True, kw_only=True)
class ByClaude:
    """Claude writes, and another of its models confirms.

    Attributes:
        model: Who writes.
        judge_model: Who confirms.
        batches: Whether to use message batches; by default for more than 50 questions at once.
        concurrency: Most direct questions under way.
        max_cost: Most dollars to spend on the behavior, earlier calls included.
    """

    model: str = WRITER
    judge_model: str = JUDGE
    batches: bool | None = None
    concurrency: int = 8
    max_cost: float | None = None


@dataclass(frozen=True, kw_only=True)
class BySelf:
    """The model that is to be steered writes, and is its own filter.

    Attributes:
        load: Loads it when it is first needed.
        seed: Seed of the sampling.
    """

    load: "Callable[[], Model]"
    seed: int = 0


def generate(
    behavior: str,
    by: ByClaude | BySelf,
    *,
    n: int = 100,
    out: Path = Path("pairs"),
    description: str | None = None,
    trait: Path | None = None,
) -> Written:
    """Write contrastive pairs until a behavior has ``n``; a new one is made whole, one that is there is extended.

    Args:
        behavior: Name, or folder of a behavior. The name of a built-in behavior that is not in ``out`` makes a copy.
        by: Who writes.
        n: Training pairs wanted, those that are there included.
        out: Folder of behaviors.
        description: What a new behavior is.
        trait: Trait file that a new behavior is made from.

    Returns:
        What was accepted and rejected, and why.

    Raises:
        BehaviorError: If a new behavior is not described, or one that is there cannot be used.
        PairsError: If a line of its pairs is malformed.
        JudgeError: If Claude does not answer, or the limit of cost is reached.
        RunError: If the folder cannot be written, or another process writes to it.
    """
    folder, exists = writing_folder(behavior, out)
    if trait is not None and exists:
        check_trait(folder, read_trait(trait))
    with holding(folder):
        if not exists:
            _begin(folder, by, description, trait)
        if isinstance(by, ByClaude) and _made_here(folder):
            write_gate(folder, _asker(folder, by), by.model)
        end_last_line(folder / "train.jsonl")
        collection = Collection(folder)
        written = _by_self(collection, by, n) if isinstance(by, BySelf) else _by_claude(collection, by, n)
        if _made_here(folder):
            measure(collection)
    return written


def _begin(folder: Path, by: ByClaude | BySelf, description: str | None, trait: Path | None) -> None:
    """Make a new behavior: from a trait file, a built-in behavior of its name, or its description."""
    if trait is not None:
        import_trait(read_trait(trait), folder, description)
    elif description is None:
        if not copy_builtin(folder):
            raise BehaviorError(
                f"no behavior {folder.name!r} in {folder.parent}; to make a new one, say what it is with --description"
                ", or give a --trait file"
            )
    elif (BUILTIN / folder.name).is_dir():
        raise BehaviorError(
            f"{folder.name!r} is a built-in behavior; leave --description out to extend a copy of it, or choose "
            "another name"
        )
    elif isinstance(by, ByClaude):
        write_sheet(folder, folder.name, description, _asker(folder, by), by.model)
    else:
        import_trait(described(folder.name, description), folder, description)


def _asker(folder: Path, by: ByClaude) -> Asker:
    return Asker(folder, batches=by.batches, concurrency=by.concurrency, max_cost=by.max_cost)


def _by_claude(collection: Collection, by: ByClaude, n: int) -> Written:
    asker = _asker(collection.folder, by)
    return write_with_claude(collection, asker, n=n, model=by.model, judge_model=by.judge_model)


def _by_self(collection: Collection, by: BySelf, n: int) -> Written:
    from interp_steer.pair_writer.self_writer import write_self  # brings torch

    instructions = instructions_of(collection.folder, collection.behavior)
    prompts, spare = prompts_of(collection.folder), everyday_prompts()
    return write_self(by.load(), collection, instructions, prompts, n=n, spare=spare, seed=by.seed)


def _made_here(folder: Path) -> bool:
    """Whether a behavior is one that a writer began; of others, no more than pairs is added to."""
    return (folder / TRAIT_FILE).exists() or has_sheet(folder)
