"""Does a vector steer only its own behavior?

Every behavior's vector, at the cell where it steers its own behavior best on dev, is measured on every other
behavior's test pairs. An entry is the change of the column's margin by the row's vector, in units of what the column's
own vector does to it at its own best cell: 1 is as much as the vector made for it, 0 nothing, below 0 the opposite.
Beside it stand the cosines between vectors at the same layer.

In writing the same is asked of the scorers: what each run wrote on its test prompts at the cell that dev chose, scored
by every behavior's offline scorer, minus what that scorer says of its unsteered answers to the same prompts.

What it does not show: side effects beyond these behaviors. And a behavior that its own vector hardly moves has a small
unit, which makes its column loud; the table has the changes themselves.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from analyses.study.truths import Subject, subjects
from interp_steer.findings import AnalysisResult, Figure, Number, Series, Table
from interp_steer.judges.scorers import score_behavior
from interp_steer.outcomes import UNSTEERED, Outcomes, read_outcomes
from interp_steer.records import Cell
from interp_steer.run import Run
from interp_steer.stats import Interval, paired_bootstrap
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
    written = written_changes(found)
    directions = {subject.name: read_vectors(subject.run.vectors_path).direction for subject in found}
    n_layers = found[0].n_layers
    layers = [round(depth * (n_layers - 1)) for depth in DEPTHS]
    return AnalysisResult(
        name="off_target",
        title="Off target",
        question="Does a vector steer only its own behavior, and how alike are the vectors?",
        finding=f"{_finding(names, relative, directions, layers[1])} {_written_finding(written)}".strip(),
        caveats=("Only these behaviors are asked about; a side effect elsewhere is not seen.",),
        tables=(
            Table(
                title="Change of the margin of each column's pairs by each row's vector, nats per token",
                columns=("vector of", *names),
                rows=tuple((row, *(changes[row][column] for column in names)) for row in names),
            ),
            _written_table(names, written),
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
            Figure(
                kind="heatmap",
                title="What the vector of each row changes in writing, by the scorer of each column",
                x_label="Behavior scored",
                y_label="Change of the behavior score",
                x=names,
                series=tuple(
                    Series(name=row, y=tuple(None if one is None else one.mean for one in written[row].values()))
                    for row in names
                ),
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


def written_changes(found: Sequence[Subject]) -> dict[str, dict[str, Interval | None]]:
    """Change of the score of the inner key's behavior in what was written under the outer key's vector.

    Over test prompts, each against its unsteered answer, with a 95 % paired interval; empty answers are left out. None
    where a run has no scored cell, or no prompt has both answers.
    """
    scorers = {subject.name: subject.run.behavior().scorer for subject in found}
    changes: dict[str, dict[str, Interval | None]] = {}
    for subject in found:
        outcomes = read_outcomes(subject.run)
        best = outcomes.best_cell("dev")
        steered, plain = (
            {} if cell is None else _texts(outcomes, cell) for cell in (best, None if best is None else UNSTEERED)
        )
        both = [prompt for prompt in steered if prompt in plain]
        changes[subject.name] = {
            name: paired_bootstrap(
                np.array([score_behavior(scorer, steered[p]) - score_behavior(scorer, plain[p]) for p in both])
            )
            if both
            else None
            for name, scorer in scorers.items()
        }
    return changes


def _texts(outcomes: Outcomes, cell: Cell) -> dict[str, str]:
    """Return the first answer to each test prompt that is not empty."""
    found: dict[str, str] = {}
    for item in outcomes.judged("test", cell):
        if item.generation.text.strip():
            found.setdefault(item.generation.prompt_id, item.generation.text)
    return found


def _written_finding(written: dict[str, dict[str, Interval | None]]) -> str:
    others = [
        (interval, row, column)
        for row, scored in written.items()
        for column, interval in scored.items()
        if row != column and interval is not None
    ]
    if not others:
        return ""
    apart = [one for one in others if one[0].low > 0 or one[0].high < 0]
    text = (
        f"In writing, {len(apart)} of {len(others)} scores of other behaviors move beyond their intervals (about one "
        "in twenty would by chance)"
    )
    if not apart:
        return f"{text}."
    interval, row, column = max(apart, key=lambda one: abs(one[0].mean))
    return (
        f"{text}; most, {row} moves {column} by {interval.mean:+.2f} [{interval.low:+.2f}, {interval.high:+.2f}] on "
        "its scale from 0 to 1."
    )


def _written_table(names: Sequence[str], written: dict[str, dict[str, Interval | None]]) -> Table:
    return Table(
        title="Change of each column's behavior score in what each row's vector writes",
        columns=("vector of", *names),
        rows=tuple(
            (row, *(None if one is None else one.mean for one in (written[row][column] for column in names)))
            for row in names
        ),
        notes=("on the row's own test prompts, minus the unsteered answers; scorers are lexical",),
    )


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
        f"does; most, {row} moves {column} {value:+.2f} times as far as {column}'s own. At layer {layer} the vectors' "
        f"cosines lie between {cosines.min():.2f} and {cosines.max():.2f}."
    )
