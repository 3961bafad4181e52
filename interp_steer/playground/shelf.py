"""What can be played with: the runs of one model, and what their sweeps say of every layer."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from interp_steer.errors import RunError, ServingError
from interp_steer.model.protocol import Model
from interp_steer.outcomes import Outcomes, read_outcomes
from interp_steer.run import Run, open_run
from interp_steer.serving.catalog import Catalog, Steerable, read_catalog

COHERENT = 0.5
"""Mean coherence on the dev prompts from which a cell is called coherent."""

BOUND = 0.3  # of the colors, where a run holds no projections
N_PROMPTS = 4


@dataclass(frozen=True, kw_only=True)
class SweptPoint:
    """One cell of the sweep, averaged over the dev prompts; a score that could not be given is None."""

    alpha: float
    behavior: float | None
    coherence: float | None


@dataclass(frozen=True, kw_only=True)
class LayerRange:
    """What the sweep says of one layer.

    Attributes:
        layer: The layer.
        points: Its swept alphas, ascending.
        low: From 0 down, the last swept alpha up to which every cell is coherent; 0 if the first is not.
        high: The same upwards.
    """

    layer: int
    points: tuple[SweptPoint, ...]
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Playable:
    """A behavior to play with.

    Attributes:
        steerable: Its vectors, chosen cell and scope.
        path: Run directory.
        ranges: What the sweep says, by layer; layers that were not swept are absent, and all of them if it did not add.
        prompts: Held-out prompts of the run, to begin with.
        bounds: Cosine at which colors saturate, by layer.
    """

    steerable: Steerable
    path: Path
    ranges: dict[int, LayerRange]
    prompts: tuple[str, ...]
    bounds: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Shelf:
    """Everything there is to play with on one model, by behavior."""

    catalog: Catalog
    playables: dict[str, Playable]


def read_shelf(runs: Sequence[Path], model: Model) -> Shelf:
    """Read runs that were made on a model.

    Raises:
        RunError: If a run is missing or damaged.
        VectorError: If its vectors belong to another model.
        ServingError: If there is none, or two have the same behavior.
    """
    if not runs:
        raise ServingError(
            "there is no run to play with; make one with: interp-steer run refusal -m " + model.card.name
        )
    catalog = read_catalog(runs, model)
    steerables = list(catalog.steerables.values())
    playables = [_playable(open_run(path), one) for path, one in zip(runs, steerables, strict=True)]
    return Shelf(catalog=catalog, playables={one.steerable.behavior: one for one in playables})


def find_runs(folder: Path, model_name: str | None = None) -> tuple[str, list[Path]]:
    """Find the runs in a folder that have vectors of one model; of a behavior that is there twice, the newest.

    Args:
        folder: Where runs are.
        model_name: As the manifests have it; by default the model of the newest run.

    Returns:
        The model's name, and the runs.

    Raises:
        RunError: If there is none.
    """
    found = [Run(path.parent) for path in sorted(folder.glob("*/vectors.safetensors"))]
    found = sorted((run for run in found if run.manifest_path.exists()), key=_age)
    names = [str(run.manifest().get("model_name")) for run in found]
    wanted = model_name or (names[0] if names else None)
    chosen: dict[str, Path] = {}
    for run, name in zip(found, names, strict=True):
        if name == wanted:
            chosen.setdefault(run.behavior().name, run.path)
    if wanted is None or not chosen:
        of = f" of {model_name!r}" if model_name else ""
        raise RunError(f"no run{of} with vectors in {folder}; make one with 'interp-steer run', or name one with --run")
    return wanted, sorted(chosen.values())


def layer_ranges(outcomes: Outcomes) -> dict[int, LayerRange]:
    """Return what the steered cells of the dev prompts say of each swept layer."""
    points: dict[int, list[SweptPoint]] = {}
    for cell in outcomes.cells("dev", "steered"):
        if cell.layer is not None and not cell.more_layers:
            one = outcomes.outcome("dev", cell)
            point = SweptPoint(alpha=cell.alpha, behavior=one.behavior, coherence=one.coherence)
            points.setdefault(cell.layer, []).append(point)
    return {
        layer: LayerRange(
            layer=layer,
            points=tuple(sorted(some, key=lambda point: point.alpha)),
            low=-_reach([(-point.alpha, point.coherence) for point in some]),
            high=_reach([(point.alpha, point.coherence) for point in some]),
        )
        for layer, some in points.items()
    }


def _reach(points: Sequence[tuple[float, float | None]]) -> float:
    reach = 0.0
    for alpha, coherence in sorted(point for point in points if point[0] > 0):
        if coherence is None or coherence < COHERENT:
            break
        reach = alpha
    return reach


def _playable(run: Run, steerable: Steerable) -> Playable:
    outcomes = read_outcomes(run)
    asked = {one.prompt: None for one in run.generations() if one.split == "test"}
    return Playable(
        steerable=steerable,
        path=run.path,
        ranges=layer_ranges(outcomes) if steerable.operation == "add" else {},
        prompts=tuple(asked)[:N_PROMPTS],
        bounds=_bounds(run, steerable.vectors.n_layers),
    )


def _bounds(run: Run, n_layers: int) -> tuple[float, ...]:
    """Return the 99th percentile of the absolute cosines that the run's report shows, at every layer."""
    texts = []
    if run.projections_path.exists():
        texts = json.loads(run.projections_path.read_text(encoding="utf-8"))["texts"]
    if not texts:
        return (BOUND,) * n_layers
    values = np.abs(np.concatenate([np.array(one["cosines"], dtype=np.float64) for one in texts], axis=1))
    return tuple(round(max(0.01, float(bound)), 2) for bound in np.percentile(values, 99, axis=1))


def _age(run: Run) -> float:
    return -run.vectors_path.stat().st_mtime
