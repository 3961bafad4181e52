"""How a run begins and goes on: what it must be told, what may not change, how long each stage took.

The model is loaded at the first stage that needs it, so a finished run costs no model at all.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from interp_steer.behaviors import Behavior
from interp_steer.errors import BehaviorError, ModelError, RunError
from interp_steer.pairs import behavior_folder, pairs_sha256, read_behavior, read_pairs, read_prompts
from interp_steer.records import to_json
from interp_steer.run import Run
from interp_steer.terms import Split

if TYPE_CHECKING:
    from interp_steer.model.protocol import Model
    from interp_steer.sweeps.answers import Engine

VERSIONED = ("interp-steer", "numpy", "torch", "transformers", "transformer-lens", "scikit-learn")


@dataclass
class Source:
    """A model that is loaded when it is first needed.

    Attributes:
        name: Name for the manifest, before anything is loaded.
        load: Loads it.
        options: Keyword arguments with which ``load_model`` loads it, in this process or another.
    """

    name: str
    load: "Callable[[], Model]"
    options: Mapping[str, str | None] = field(default_factory=dict)

    @cached_property
    def model(self) -> "Model":
        """The model itself."""
        return self.load()

    def release(self) -> None:
        """Forget the model; it is loaded again when it is next needed."""
        self.__dict__.pop("model", None)

    def engine(self, batch_size: int | None = None) -> "Engine":
        """Return the default engine: this model, in this process."""
        from interp_steer.sweeps.answers import LocalEngine

        return LocalEngine(self.model, batch_size=batch_size)


FORMAT = 1
SPLITS: tuple[Split, ...] = ("train", "dev", "test")


def begin_run(path: str | Path, behavior: str | Path, model: str) -> Run:
    """Open a run directory for one behavior on one model, or continue it.

    Args:
        path: The run directory; made if it does not exist.
        behavior: Name or folder of the behavior.
        model: Name of the model.

    Raises:
        BehaviorError: If the behavior does not exist or cannot be read.
        PairsError: If a line of its pairs or prompts is malformed: before a model is loaded, not hours after.
        RunError: If the directory holds a run of another behavior, other pairs, or another model.
    """
    run = Run(Path(path))
    found = read_behavior(behavior)
    for split in SPLITS[1:]:
        read_prompts(behavior, split)
    if run.manifest():
        if (held := run.manifest().get("model_name")) != model:
            raise RunError(f"{run.path} was made with another model: {held} there, {model} here; choose another --out")
        check_unchanged(run, behavior)
        run.update_manifest(behavior=to_json(found))
        return run
    run.update_manifest(
        format=FORMAT,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=" ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        git_commit=_git_commit(),
        versions={name: version(name) for name in VERSIONED},
        model_name=model,
        behavior=to_json(found),
        behavior_source=str(behavior),
        pairs=_pairs_entry(behavior),
        stages={},
    )
    return run


@contextmanager
def no_stub(run: Run) -> Iterator[None]:
    """Leave no directory behind where a new run breaks off because its model cannot be loaded."""
    new = not run.path.exists()
    try:
        yield
    except ModelError:
        if new and {path.name for path in run.path.iterdir()} <= {".lock", run.manifest_path.name}:
            shutil.rmtree(run.path)
        raise


def check_unchanged(run: Run, behavior: str | Path) -> None:
    """Refuse to continue a run whose pairs, prompts, or way of asking have changed since it began.

    Rubric, scorer and notes may change: the judge then judges again.

    Raises:
        RunError: Naming what changed.
    """
    manifest = run.manifest()
    if manifest.get("format") != FORMAT:
        raise RunError(f"{run.path} was made by another version of interp-steer; choose another --out")
    before, now = run.behavior(), read_behavior(behavior)
    held, found = manifest["pairs"], _pairs_entry(behavior)
    changes = [
        ("behavior", before.name, now.name),
        ("set of pairs", held["sha256"], found["sha256"]),
        ("set of prompts", held["prompts_sha256"], found["prompts_sha256"]),
    ]
    if run.generations_path.exists():
        changes += [
            ("system_prompt", before.system_prompt, now.system_prompt),
            ("coherence reference", before.coherence.reference, now.coherence.reference),
        ]
    for what, was, is_now in changes:
        if was != is_now:
            raise RunError(f"{run.path} was made with another {what}: {was} there, {is_now} here; choose another --out")


def current_behavior(run: Run) -> tuple[Behavior, str | None]:
    """Return a run's behavior with what may be edited after it has begun (rubric, gate, scorer, notes) as it is now.

    Returns:
        The behavior, and why it is the one that the run was made with; None if it is the one of now.

    Raises:
        BehaviorError: If its ``behavior.toml`` is there and malformed.
        PairsError: If a line of its pairs or prompts is.
    """
    source = run.manifest().get("behavior_source")
    if source is None:
        return run.behavior(), "the run does not say where its behavior was read"
    try:
        behavior_folder(source)
    except BehaviorError:
        return run.behavior(), f"there is no behavior.toml of {source!r} here"
    try:
        check_unchanged(run, source)
    except RunError as changed:
        return run.behavior(), str(changed).rpartition(";")[0]
    return read_behavior(source), None


def _pairs_entry(behavior: str | Path) -> dict[str, Any]:
    hashes = {split: pairs_sha256(behavior, split) for split in SPLITS}
    return {
        "n": len(read_pairs(behavior)),
        "sha256": hashes["train"],
        "prompts_sha256": hashes["dev"] + hashes["test"],
    }


@contextmanager
def timed(run: Run, stage: str) -> Iterator[None]:
    """Add the seconds of a stage to the manifest, also when it is left early."""
    started = perf_counter()
    try:
        yield
    finally:
        stages: dict[str, Any] = run.manifest().get("stages", {})
        seconds = stages.get(stage, {}).get("seconds", 0.0) + perf_counter() - started
        run.update_manifest(stages={**stages, stage: {"seconds": round(seconds, 2)}})


def _git_commit() -> str | None:
    """The commit of the working directory, if it is a git checkout: a run should say what code made it."""
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)  # noqa: S607
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()
