"""A run directory: its paths, its manifest, its JSON lines in and out.

One run is one behavior on one model. Stages meet here and nowhere else, so each can be rerun, resumed or inspected
alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from interp_steer.behaviors import Behavior
from interp_steer.errors import RunError
from interp_steer.files import parsed, read_records, record_of, write_json
from interp_steer.findings import AnalysisResult
from interp_steer.records import Generation, ModelCard, Verdict

Record = TypeVar("Record")


@dataclass(frozen=True)
class Run:
    """A run directory, e.g. ``runs/refusal-smollm2-135m``."""

    path: Path

    @property
    def manifest_path(self) -> Path:
        """What made the run: behavior, model, versions, seeds, seconds by stage."""
        return self.path / "manifest.json"

    @property
    def activations_path(self) -> Path:
        """Pooled activations of every pair at every layer."""
        return self.path / "activations.safetensors"

    @property
    def vectors_path(self) -> Path:
        """One steering vector per layer."""
        return self.path / "vectors.safetensors"

    @property
    def propensity_path(self) -> Path:
        """How likely the responses of held-out pairs are under steering."""
        return self.path / "propensity.safetensors"

    @property
    def pushes_path(self) -> Path:
        """How far one small push at each layer moves the predictions."""
        return self.path / "pushes.safetensors"

    @property
    def held_out_path(self) -> Path:
        """How likely the responses of the test pairs are under what dev chose, and under controls."""
        return self.path / "held_out.safetensors"

    @property
    def calibration_path(self) -> Path:
        """The alpha of equal disturbance at each layer."""
        return self.path / "calibration.json"

    @property
    def doses_path(self) -> Path:
        """How strongly the best layer's pushes disturb the predictions."""
        return self.path / "doses.json"

    @property
    def generations_path(self) -> Path:
        """One line per completion."""
        return self.path / "generations.jsonl"

    @property
    def verdicts_path(self) -> Path:
        """One line per judged completion."""
        return self.path / "verdicts.jsonl"

    @property
    def judging_path(self) -> Path:
        """What judges leave beside their verdicts: gates, retests, batches under way, human scores."""
        return self.path / "judging"

    @property
    def projections_path(self) -> Path:
        """Cosines of tokens with the direction, for the colored texts."""
        return self.path / "projections.json"

    @property
    def report_path(self) -> Path:
        """The page people open."""
        return self.path / "report.html"

    def analysis_path(self, name: str) -> Path:
        """Return where the result of one analysis is kept."""
        return self.path / "analyses" / f"{name}.json"

    def manifest(self) -> dict[str, Any]:
        """Return the manifest; empty if the run has not begun.

        Raises:
            RunError: If the file is damaged.
        """
        if not self.manifest_path.exists():
            return {}
        where, remedy = str(self.manifest_path), "choose another --out, or delete the run to start over"
        return record_of(dict, parsed(self.manifest_path.read_bytes(), where, remedy), where, remedy)

    def update_manifest(self, **entries: Any) -> None:
        """Add or replace entries of the manifest."""
        write_json(self.manifest_path, {**self.manifest(), **entries})

    def behavior(self) -> Behavior:
        """Return the behavior as it was when the run was made."""
        return self._entry("behavior", Behavior)

    def model_card(self) -> ModelCard:
        """Return the card of the model the run was made with."""
        return self._entry("model", ModelCard)

    def _entry(self, name: str, kind: type[Record]) -> Record:
        manifest = self.manifest()
        if name not in manifest:
            raise RunError(
                f"{self.path} holds no {name!r} in its manifest.json; expected a run directory made by "
                "'interp-steer run' or 'interp-steer extract'"
            )
        return record_of(kind, manifest[name], f"{self.manifest_path}: {name!r}", "choose another --out")

    def generations(self) -> list[Generation]:
        """Return every generation, in the order written."""
        return list(read_records(self.generations_path, Generation))

    def verdicts(self) -> list[Verdict]:
        """Return every verdict, in the order written."""
        return list(read_records(self.verdicts_path, Verdict))

    def analysis(self, name: str) -> AnalysisResult:
        """Return the stored result of one analysis.

        Raises:
            RunError: If it was not run, or the file is damaged.
        """
        path = self.analysis_path(name)
        remedy = f"run 'interp-steer analyze {name} {self.path}'"
        if not path.exists():
            raise RunError(f"{path} does not exist; {remedy} first")
        return record_of(AnalysisResult, parsed(path.read_bytes(), str(path), remedy), str(path), remedy)

    def analyses(self) -> list[str]:
        """Return the names of the analyses that were run, sorted."""
        return sorted(path.stem for path in (self.path / "analyses").glob("*.json"))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for writing.

        Raises:
            RunError: If another process holds it, or the directory cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / ".lock", timeout=0)
            lock.acquire()
        except Timeout as error:
            raise RunError(
                f"{self.path} is being written by another process; wait for it or choose another --out"
            ) from error
        except OSError as error:
            raise RunError(f"cannot write to {self.path}: {error.strerror or error}; choose another --out") from error
        try:
            yield
        finally:
            lock.release()


def open_run(path: str | Path) -> Run:
    """Return an existing run directory.

    Raises:
        RunError: If there is none at ``path``.
    """
    run = Run(Path(path))
    if not run.manifest_path.exists():
        raise RunError(
            f"{run.path} is not a run directory (no manifest.json); make one with 'interp-steer run BEHAVIOR'"
        )
    return run
