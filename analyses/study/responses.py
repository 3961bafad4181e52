"""How do single prompts answer to a push: how steeply, which the wrong way, and do they agree on the layer?

- *slope*: least-squares slope of a dev pair's margin over alpha, 0 and a negative alpha included (its steerability);
  the same dev pairs chose the layer, so slopes are somewhat too steep, and too few pairs go the wrong way;
- *anti-steerable*: share of pairs with a negative slope;
- *own best layer*: the layer at which a test pair's own margin rises most, at each layer's alpha chosen on dev; its
  spread says how far one layer for all prompts is a compromise.

Doses are given in three units: alpha (fraction of the norm), natural doses (alpha over the magnitude ratio) and the
KL to the unsteered model on its own answers, median and 95th percentile over positions.

What it does not show: slopes of what is written. Where a curve bends, its slope is an average over doses.

Source: Tan et al., "Analyzing the Generalization and Reliability of Steering Vectors", arXiv:2407.12404.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from analyses.measure import interval_cells
from analyses.study.truths import Subject, subjects
from interp_steer.findings import AnalysisResult, Figure, Number, Series, Table
from interp_steer.run import Run
from interp_steer.stats import Interval, paired_bootstrap
from interp_steer.sweeps.doses import Dose, read_doses

_COLUMNS = (
    "behavior", "best layer", "alpha", "natural doses", "mean slope", "anti-steerable", "sd of slopes",
    "median own best layer", "sd of own best layers", "gain of own layers", "system prompt",
)  # fmt: skip


def responses(runs: Sequence[Run]) -> AnalysisResult:
    """Measure the response curves of single prompts.

    Raises:
        RunError: If a run lacks a stage of the study.
    """
    found = subjects(runs)
    rows = [_row(subject) for subject in found]
    wrong, spread = (
        [value for row in rows if isinstance(value := row[_COLUMNS.index(name)], float)]
        for name in ("anti-steerable", "sd of own best layers")
    )
    curves = {subject.name: _curve(subject) for subject in found}
    return AnalysisResult(
        name="responses",
        title="Prompt by prompt",
        question="Do all prompts answer to the push alike, and at the same layer?",
        finding=(
            f"At the best layer {np.mean(wrong):.0%} of the pairs are moved the wrong way (from {min(wrong):.0%} to "
            f"{max(wrong):.0%} over behaviors). The layers that single prompts answer to best have a standard "
            f"deviation of {np.mean(spread):.1f} of {found[0].n_layers} layers."
        ),
        caveats=(
            "A pair's own best layer is the largest of noisy numbers, which spreads the layers too far.",
            "The curves are those of the dev pairs that chose the layer, so they rise somewhat too steeply.",
        ),
        tables=(_response_table(rows), _dose_table(curves)),
        figures=(
            dose_figure(curves, "Alpha", "over alpha", lambda point: point.dose.alpha),
            dose_figure(
                curves, "Natural doses", "over alpha in units of the magnitude ratio", lambda point: point.natural
            ),
            dose_figure(
                curves,
                "KL, nats",
                "over the 95th percentile of the KL to the unsteered model",
                lambda point: point.dose.p95 if point.dose.alpha > 0 else None,  # a KL has no sign
            ),
            _histogram(found),
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Point:
    """One alpha at the best layer of a behavior: the dose in every unit, and the change of the margin of dev pairs."""

    dose: Dose
    positions: int
    natural: float
    change: Interval


def _curve(subject: Subject) -> list[Point]:
    """Return the points of a behavior's best layer, by alpha."""
    doses, spec = read_doses(subject.run.doses_path), subject.dev.card.spec
    layer = subject.best[0].layer
    changes = subject.dev.changes()[spec.layers.index(layer)]
    return [
        Point(
            dose=dose,
            positions=doses.n_positions,
            natural=subject.natural_dose(layer, alpha),
            change=paired_bootstrap(changes[at]),
        )
        for at, alpha in sorted(enumerate(spec.alphas), key=lambda item: item[1])
        if (dose := doses.at(layer, alpha)) is not None
    ]


def _response_table(rows: Sequence[tuple[str | Number, ...]]) -> Table:
    return Table(
        title="Response curves",
        columns=_COLUMNS,
        rows=tuple(rows),
        notes=(
            "slope in nats per token and unit of alpha",
            "gain of own layers: mean change with every test pair at its own best layer, minus the best cell's",
            "system prompt: mean change of the margin of test pairs without a push, nats per token",
        ),
    )


def _dose_table(curves: Mapping[str, Sequence[Point]]) -> Table:
    return Table(
        title="Doses",
        columns=("behavior", "layer", "alpha", "natural doses", "KL median", "KL p95", "positions",
                 "change", "low", "high"),
        rows=tuple(
            (name, point.dose.layer, point.dose.alpha, point.natural, point.dose.median, point.dose.p95,
             point.positions, *interval_cells(point.change))
            for name, curve in curves.items()
            for point in curve
        ),
        notes=(
            "KL(steered || unsteered) of the next-token distribution, in nats: median and 95th percentile over the "
            "positions of the model's own unsteered answers to the first dev prompts",
            "change: of the margin of dev pairs, nats per token, with its 95 % interval",
        ),
    )  # fmt: skip


def _row(subject: Subject) -> tuple[str | Number, ...]:
    cell, changes = subject.best
    at = subject.dev.card.spec.layers.index(cell.layer)
    slopes = subject.dev.slopes()[at]
    layers, by_layer = _own(subject)
    own = layers[by_layer.argmax(axis=0)]
    return (
        subject.name,
        cell.layer,
        cell.alpha,
        subject.natural_dose(cell.layer, cell.alpha),
        float(slopes.mean()),
        float((slopes < 0).mean()),
        float(slopes.std(ddof=1)),
        float(np.median(own)),
        float(own.std(ddof=1)),
        float(by_layer.max(axis=0).mean() - changes.mean()),
        float(subject.test.prompted_changes().mean()),
    )


def _own(subject: Subject) -> tuple[np.ndarray, np.ndarray]:
    """Return the layers, and the change of every test pair at each of them."""
    chosen = sorted(subject.test.of("chosen"), key=lambda item: item[0].layer)
    return np.array([cell.layer for cell, _ in chosen]), np.array([row for _, row in chosen])


def dose_figure(
    curves: Mapping[str, Sequence[Point]], unit: str, over: str, dose: Callable[[Point], float | None]
) -> Figure:
    """Draw the change of every behavior over the dose in one unit; points without a dose in it are left out."""
    points = {
        name: {0.0: 0.0, **{float(f"{at:.3g}"): one.change.mean for one in curve if (at := dose(one)) is not None}}
        for name, curve in curves.items()
    }
    x = sorted({at for by_dose in points.values() for at in by_dose})
    return Figure(
        kind="lines",
        title=f"Mean change of the margin of dev pairs at each behavior's best layer, {over}",
        x_label=unit,
        y_label="Nats per token",
        x=tuple(x),
        series=tuple(
            Series(name=name, y=tuple(by_dose.get(at) for at in x), joined=True) for name, by_dose in points.items()
        ),
    )


def _histogram(found: Sequence[Subject]) -> Figure:
    layers = sorted({int(layer) for subject in found for layer in _own(subject)[0]})
    rows = []
    for subject in found:
        swept, by_layer = _own(subject)
        own = swept[by_layer.argmax(axis=0)]
        rows.append(Series(name=subject.name, y=tuple(float((own == layer).mean()) for layer in layers)))
    return Figure(
        kind="heatmap",
        title="Share of the test pairs of each behavior whose own best layer this is",
        x_label="Layer",
        y_label="Share of pairs",
        x=tuple(layers),
        series=tuple(rows),
    )
