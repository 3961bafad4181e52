"""Find the analyses that are installed, run them on a run directory, and store what they say."""

from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from interp_steer.errors import AnalysisError
from interp_steer.files import write_json
from interp_steer.findings import AnalysisResult
from interp_steer.records import to_json
from interp_steer.run import Run

GROUP = "interp_steer.analyses"

STUDY_GROUP = "interp_steer.study_analyses"
"""Questions that are asked of several runs at once: functions ``(runs) -> AnalysisResult``."""

READS_OTHERS = ("layer_selection",)
"""Analyses that read the stored results of the others, and hence run last."""


def find_analyses() -> dict[str, Callable[[Run], AnalysisResult]]:
    """Return the installed analyses by name, in the order they run: ours and those of other packages.

    A package adds one with an entry point of the group ``interp_steer.analyses``.

    Raises:
        AnalysisError: If one cannot be imported, naming it and its package.
    """
    return {entry.name: _load(entry) for entry in _entries()}


def analyze(run: Run, names: Sequence[str] | None = None) -> list[AnalysisResult]:
    """Run analyses and store each result as ``analyses/<name>.json``; a stored one is replaced.

    Results are written one by one: those before a failure stay.

    Args:
        run: The run directory.
        names: Which analyses; by default all. Those that read others run last whatever the order given.

    Returns:
        The results, in the order they ran.

    Raises:
        AnalysisError: If a name is unknown, an input is undefined, or a result holds NaN or Inf.
        RunError: If the run lacks what an analysis reads.
    """
    entries = {entry.name: entry for entry in _entries()}
    for name in names or ():
        if name not in entries:
            raise AnalysisError(f"no analysis {name!r}: expected one of {', '.join(entries)}")
    chosen = [entry for name, entry in entries.items() if names is None or name in names]
    return [_run_one(run, entry) for entry in chosen]


def analyze_study(runs: Sequence[Run], folder: Path) -> list[AnalysisResult]:
    """Ask every installed question of several runs on one model, and store each answer in ``folder/analyses``.

    Raises:
        AnalysisError: If an input is undefined, or a result holds NaN or Inf.
        RunError: If a run lacks what a question reads.
    """
    found = []
    for entry in sorted(entry_points(group=STUDY_GROUP), key=lambda entry: entry.name):
        result = _load(entry)(runs)
        _store(result, folder / "analyses" / f"{entry.name}.json", entry)
        found.append(result)
    return found


def _run_one(run: Run, entry: EntryPoint) -> AnalysisResult:
    result: AnalysisResult = _load(entry)(run)
    _store(result, run.analysis_path(entry.name), entry)
    return result


def _store(result: AnalysisResult, path: Path, entry: EntryPoint) -> None:
    try:
        write_json(path, to_json(result))
    except ValueError as error:
        raise AnalysisError(
            f"analysis {entry.name!r}: its result holds NaN or Inf; undefined values are None"
        ) from error


def _entries() -> list[EntryPoint]:
    return sorted(entry_points(group=GROUP), key=lambda entry: (entry.name in READS_OTHERS, entry.name))


def _load(entry: EntryPoint) -> Callable[..., AnalysisResult]:
    try:
        analysis: Callable[..., AnalysisResult] = entry.load()
    except (ImportError, AttributeError) as error:
        package = entry.dist.name if entry.dist else "unknown package"
        raise AnalysisError(f"analysis {entry.name!r} of {package} cannot be imported: {error}") from error
    return analysis
