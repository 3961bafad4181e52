"""How do single prompts answer to a push: how steeply, which the wrong way, and do they agree on the layer?

- *slope*: least-squares slope of a dev pair's margin over alpha, 0 and a negative alpha included (its steerability);
  the same dev pairs chose the layer, so slopes are somewhat too steep, and too few pairs go the wrong way;
- *anti-steerable*: share of pairs with a negative slope;
- *own best layer*: the layer at which a test pair's own margin rises most, at each layer's alpha chosen on dev; its
  spread says how far one layer for all prompts is a compromise.

Doses are given in three units: alpha (fraction of the norm), natural doses (alpha over the magnitude ratio) and the
95th percentile of the KL to the unsteered model, read off the calibration of that layer in log KL over log alpha.

What it does not show: slopes of what is written. Where a curve bends, its slope is an average over doses.

Source: Tan et al., "Analyzing the Generalization and Reliability of Steering Vectors", arXiv:2407.12404.
"""

import math
from collections.abc import Sequence

import numpy as np

from analyses.study.truths import Subject, subjects
from interp_steer.files import parsed
from interp_steer.findings import AnalysisResult, Figure, Number, Series, Table
from interp_steer.run import Run
from interp_steer.vectors.vector import read_vectors


def responses(runs: Sequence[Run]) -> AnalysisResult:
    """Measure the response curves of single prompts.

    Raises:
        RunError: If a run lacks a stage of the study.
    """
    found = subjects(runs)
    rows = [_row(subject) for subject in found]
    wrong = [float(row[6]) for row in rows if isinstance(row[6], float)]
    spread = [float(row[9]) for row in rows if isinstance(row[9], float)]
    return AnalysisResult(
        name="responses",
        title="Prompt by prompt",
        question="Do all prompts answer to the push alike, and at the same layer?",
        finding=(
            f"At the best layer {np.mean(wrong):.0%} of the pairs are moved the wrong way (from {min(wrong):.0%} to "
            f"{max(wrong):.0%} over behaviors). The layers that single prompts answer to best have a standard "
            f"deviation of {np.mean(spread):.1f} of {found[0].n_layers} layers."
        ),
        caveats=("A pair's own best layer is the largest of noisy numbers, which spreads the layers too far.",),
        tables=(
            Table(
                title="Response curves",
                columns=(
                    "behavior", "best layer", "alpha", "natural doses", "KL p95", "mean slope", "anti-steerable",
                    "sd of slopes", "median own best layer", "sd of own best layers", "gain of own layers",
                ),
                rows=tuple(rows),
                notes=(
                    "slope in nats per token and unit of alpha",
                    "gain of own layers: mean change with every test pair at its own best layer, minus the best cell's",
                ),
            ),
        ),
        figures=(_curves(found), _histogram(found)),
    )  # fmt: skip


def _row(subject: Subject) -> tuple[str | Number, ...]:
    cell, changes = subject.best
    at = subject.dev.card.spec.layers.index(cell.layer)
    slopes = subject.dev.slopes()[at]
    layers, by_layer = _own(subject)
    own = layers[by_layer.argmax(axis=0)]
    ratio = float(read_vectors(subject.run.vectors_path).magnitude_ratio[cell.layer])
    return (
        subject.name,
        cell.layer,
        cell.alpha,
        cell.alpha / ratio,
        _kl_at(subject.run, cell.layer, cell.alpha),
        float(slopes.mean()),
        float((slopes < 0).mean()),
        float(slopes.std(ddof=1)),
        float(np.median(own)),
        float(own.std(ddof=1)),
        float(by_layer.max(axis=0).mean() - changes.mean()),
    )


def _own(subject: Subject) -> tuple[np.ndarray, np.ndarray]:
    """Return the layers, and the change of every test pair at each of them."""
    chosen = sorted(subject.test.of("chosen"), key=lambda item: item[0].layer)
    return np.array([cell.layer for cell, _ in chosen]), np.array([row for _, row in chosen])


def _kl_at(run: Run, layer: int, alpha: float) -> Number:
    """Read the KL at an alpha off the passes of the calibration; None outside of what it tried."""
    path = run.calibration_path
    solved = parsed(path.read_bytes(), str(path), f"run 'interp-steer calibrate {run.path}'")["layers"]
    tried = next((one["tried"] for one in solved if one["layer"] == layer), ())
    points = sorted((math.log(a), math.log(kl)) for a, kl in tried if kl > 0)
    if len(points) < 2 or not points[0][0] <= math.log(alpha) <= points[-1][0]:
        return None
    x, y = np.array(points).T
    return float(np.exp(np.interp(math.log(alpha), x, y)))


def _curves(found: Sequence[Subject]) -> Figure:
    alphas = sorted({0.0, *(alpha for subject in found for alpha in subject.dev.card.spec.alphas)})
    series = []
    for subject in found:
        spec, at = subject.dev.card.spec, subject.dev.card.spec.layers.index(subject.best[0].layer)
        by_alpha = {0.0: 0.0, **dict(zip(spec.alphas, subject.dev.mean_change()[at].tolist(), strict=True))}
        series.append(Series(name=subject.name, y=tuple(by_alpha.get(alpha) for alpha in alphas)))
    return Figure(
        kind="lines",
        title="Mean change of the margin of dev pairs at each behavior's best layer",
        x_label="Alpha",
        y_label="Nats per token",
        x=tuple(alphas),
        series=tuple(series),
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
