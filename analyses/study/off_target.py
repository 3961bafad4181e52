"""Does a vector steer only its own behavior?

Every behavior's vector, at the cell where it steers its own behavior best on dev, is measured on every other
behavior's test pairs. An entry is the change of the column's margin by the row's vector, in units of what the column's
own vector does to it at its own best cell: 1 is as much as the vector made for it, 0 nothing, below 0 the opposite.
Beside it stand the cosines between vectors at the same layer.

What it does not show: side effects beyond these behaviors. And a behavior that its own vector hardly moves has a small
unit, which makes its column loud; the table has the changes themselves.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from analyses.study.truths import Subject, subjects
from interp_steer.findings import AnalysisResult, Figure, Number, Series, Table
from interp_steer.run import Run
from interp_steer.vectors.vector import read_vectors

DEPTHS = (0.25, 0.5, 0.75)


def off_target(runs: Sequence[Run]) -> AnalysisResult:
    """Measure every vector on every behavior, and the cosines between vectors.

    Raises:
        RunError: If a run lacks a stage of the study.
    """
    found = subjects(runs)
    names = tuple(subject.name for subject in found)
    changes = changes_of(found)
    own = [changes[name][name] for name in names]
    relative = {
        row: tuple(_over(changes[row][column], unit) for column, unit in zip(names, own, strict=True)) for row in names
    }
    directions = {subject.name: read_vectors(subject.run.vectors_path).direction for subject in found}
    n_layers = found[0].n_layers
    layers = [round(depth * (n_layers - 1)) for depth in DEPTHS]
    return AnalysisResult(
        name="off_target",
        title="Off target",
        question="Does a vector steer only its own behavior, and how alike are the vectors?",
        finding=_finding(names, relative, directions, layers[1]),
        caveats=("Only these behaviors are asked about; a side effect elsewhere is not seen.",),
        tables=(
            Table(
                title="Change of the margin of each column's pairs by each row's vector, nats per token",
                columns=("vector of", *names),
                rows=tuple((row, *(changes[row][column] for column in names)) for row in names),
            ),
            _cosine_table(names, directions),
        ),
        figures=(
            Figure(
                kind="heatmap",
                title="What the vector of each row does to the behavior of each column; its own vector does 1",
                x_label="Behavior measured",
                y_label="Share of its own vector's effect",
                x=names,
                series=tuple(Series(name=row, y=relative[row]) for row in names),
            ),
            *(_cosine_map(names, directions, layer) for layer in layers),
        ),
    )


def changes_of(found: Sequence[Subject]) -> dict[str, dict[str, float | None]]:
    """Mean change of the behavior of the inner key by the vector of the outer one."""
    changes: dict[str, dict[str, float | None]] = {one.name: {other.name: None for other in found} for one in found}
    for measured in found:
        changes[measured.name][measured.name] = float(measured.best[1].mean())
        for cell, row in measured.test.of("other"):
            if cell.name in changes:
                changes[cell.name][measured.name] = float(row.mean())
    return changes


def _over(change: float | None, unit: float | None) -> Number:
    return None if change is None or unit is None or unit <= 0 else change / unit


def _cosines(
    directions: dict[str, Float[np.ndarray, "layer d_model"]], layer: int
) -> Float[np.ndarray, "vector vector"]:
    stacked = np.stack([each[layer] for each in directions.values()]).astype(np.float64)
    return np.asarray(stacked @ stacked.T)


def _cosine_map(names: Sequence[str], directions: dict[str, Float[np.ndarray, "layer d_model"]], layer: int) -> Figure:
    cosines = _cosines(directions, layer)
    return Figure(
        kind="heatmap",
        title=f"Cosines between the vectors at layer {layer}",
        x_label="Behavior",
        y_label="Cosine",
        x=tuple(names),
        series=tuple(
            Series(name=name, y=tuple(None if i == j else float(value) for j, value in enumerate(row)))
            for i, (name, row) in enumerate(zip(names, cosines, strict=True))
        ),
    )


def _cosine_table(names: Sequence[str], directions: dict[str, Float[np.ndarray, "layer d_model"]]) -> Table:
    n_layers = len(next(iter(directions.values())))
    by_layer = [_cosines(directions, layer) for layer in range(n_layers)]
    pairs = [(i, j) for i in range(len(names)) for j in range(i + 1, len(names))]
    return Table(
        title="Cosines between vectors, by layer",
        columns=("layer", *(f"{names[i]} and {names[j]}" for i, j in pairs)),
        rows=tuple((layer, *(float(each[i, j]) for i, j in pairs)) for layer, each in enumerate(by_layer)),
    )


def _finding(
    names: Sequence[str],
    relative: dict[str, tuple[Number, ...]],
    directions: dict[str, Float[np.ndarray, "layer d_model"]],
    layer: int,
) -> str:
    others = [
        (value, row, column)
        for row in names
        for column, value in zip(names, relative[row], strict=True)
        if row != column and value is not None
    ]
    if not others:
        return "No vector was measured on another behavior."
    sizes = [abs(value) for value, _, _ in others]
    value, row, column = max(others, key=lambda item: abs(item[0]))
    cosines = _cosines(directions, layer)[np.triu_indices(len(names), 1)]
    return (
        f"In the median a vector moves another behavior by {np.median(sizes):.2f} of what that behavior's own vector "
        f"does; most, {row} moves {column} by {value:+.2f}. At layer {layer} the vectors' cosines lie between "
        f"{cosines.min():.2f} and {cosines.max():.2f}."
    )
