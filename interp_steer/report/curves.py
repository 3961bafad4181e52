"""What strength and depth do: scores against alpha at one layer, at every layer, and by layer on held-out prompts."""

from collections.abc import Mapping, Sequence

import numpy as np

from interp_steer.findings import Figure, Mark, Number, Series
from interp_steer.outcomes import PROMPTED, UNSTEERED, Outcomes, Score
from interp_steer.records import Cell
from interp_steer.report.content import LayerCurves, Panel
from interp_steer.report.intervals import cell_interval
from interp_steer.report.phrases import alpha, count, fixed, ranges
from interp_steer.report.strengths import Strength
from interp_steer.stats import Interval

_SCORES: tuple[Score, ...] = ("behavior", "coherence", "combined")
_HALF = 0.5  # behavior and coherence that a layer must reach together to count as usable


def layer_curves(outcomes: Outcomes, layers: Sequence[int], unit: Strength) -> LayerCurves:
    """Return behavior and coherence against alpha at every layer, on the dev prompts."""
    cells = {(cell.layer, cell.alpha): cell for cell in outcomes.cells("dev", "steered")}
    alphas = tuple(sorted({0.0, *(strength for _, strength in cells)}))
    base = outcomes.outcome("dev", UNSTEERED)
    panels = []
    for layer in layers:
        found = [
            base if a == 0 else outcomes.outcome("dev", cells[layer, a]) if (layer, a) in cells else None
            for a in alphas
        ]
        best = outcomes.best_cell("dev", layer=layer)
        panels.append(
            Panel(
                layer=layer,
                behavior=tuple(item.behavior if item else None for item in found),
                coherence=tuple(item.coherence if item else None for item in found),
                best=alphas.index(best.alpha) if best else None,
            )
        )
    return LayerCurves(finding=_usable(panels), axis=unit.axis, alphas=alphas, panels=tuple(panels))


def _usable(panels: Sequence[Panel]) -> str:
    usable = [
        panel.layer
        for panel in panels
        if any(
            behavior is not None and coherence is not None and min(behavior, coherence) >= _HALF
            for behavior, coherence in zip(panel.behavior, panel.coherence, strict=True)
        )
    ]
    total = count(len(panels), "layer")
    if not usable:
        return f"None of {total} brings behavior and coherence to 0.5 together at any alpha"
    noun, verb = ("layer", "brings") if len(usable) == 1 else ("layers", "bring")
    return f"Of {total}, {noun} {ranges(usable)} {verb} behavior and coherence to 0.5 together"


def _series(name: str, found: Sequence[Interval | None], role: str) -> Series:
    return Series(
        name=name,
        y=tuple(item.mean if item else None for item in found),
        low=tuple(item.low if item else None for item in found),
        high=tuple(item.high if item else None for item in found),
        role="reference" if role == "reference" else "other" if role == "other" else "main",
    )


def _asked(outcomes: Outcomes, split: str, score: Score, n: int) -> list[Series]:
    """Return what asking for the behavior in the system prompt scores: the same wherever the push would be."""
    found = cell_interval(outcomes, split, PROMPTED, score)
    return [] if found is None else [_series(f"{score}, asked in the system prompt", [found] * n, "reference")]


def strength_curve(outcomes: Outcomes, layer: int, unit: Strength) -> Figure:
    """Return scores against alpha at one layer, beside a random direction and the system prompt, on the dev prompts.

    Args:
        outcomes: What the sweep showed.
        layer: The layer.
        unit: How alphas are written.
    """
    cells = {cell.alpha: cell for cell in outcomes.cells("dev", "steered") if cell.layer == layer}
    random = {cell.alpha: cell for cell in outcomes.cells("dev", "random") if cell.layer == layer}
    alphas = sorted({0.0, *cells, *random})

    def curve(at: Mapping[float, Cell], score: Score) -> list[Interval | None]:
        with_zero = {**at, 0.0: UNSTEERED}
        return [cell_interval(outcomes, "dev", with_zero[a], score) if a in with_zero else None for a in alphas]

    series = [
        _series("behavior", curve(cells, "behavior"), "main"),
        _series("coherence", curve(cells, "coherence"), "other"),
    ]
    if random:
        series += [
            _series("behavior, random direction", curve(random, "behavior"), "reference"),
            _series("coherence, random direction", curve(random, "coherence"), "reference"),
        ]
    series += _asked(outcomes, "dev", "behavior", len(alphas))
    return Figure(
        kind="lines",
        title=f"Scores at layer {layer} against alpha (0: unsteered), dev prompts; bands: 95 % intervals over prompts",
        x_label=unit.axis,
        y_label="mean score",
        x=tuple(alphas),
        series=tuple(series),
    )


def strength_finding(outcomes: Outcomes, best: Cell, unit: Strength) -> str:
    """Return what more strength buys and costs at the best layer, on the dev prompts that chose it."""
    base, top = outcomes.outcome("dev", UNSTEERED), outcomes.outcome("dev", best)
    strongest = max(
        (cell for cell in outcomes.cells("dev", "steered") if cell.layer == best.layer), key=lambda cell: cell.alpha
    )
    n = len(outcomes.scores("dev", best, "behavior"))
    text = (
        f"At layer {best.layer}, on the {count(n, 'dev prompt')} that chose it, behavior goes from "
        f"{fixed(base.behavior)} unsteered to {fixed(top.behavior)} at alpha {alpha(best.alpha)}{unit.suffix}"
    )
    if strongest.alpha == best.alpha:
        return f"{text}, the strongest tried, and coherence from {fixed(base.coherence)} to {fixed(top.coherence)}"
    coherence = outcomes.outcome("dev", strongest).coherence
    end = f"{alpha(strongest.alpha)}{unit.suffix}"
    return f"{text}; coherence is {fixed(top.coherence)} there and {fixed(coherence)} at {end}"


def depth_curve(outcomes: Outcomes, layers: Sequence[int], best: int) -> Figure | None:
    """Return the test scores of each layer at the alpha dev chose for it; None where no test prompt was scored.

    The combined score is the main one: it is what cells are chosen by, and what heuristics are held against.
    """
    chosen = [outcomes.best_cell("dev", layer=layer) for layer in layers]
    found = {
        score: [cell_interval(outcomes, "test", cell, score) if cell else None for cell in chosen] for score in _SCORES
    }
    if not any(found["combined"]):
        return None
    base = cell_interval(outcomes, "test", UNSTEERED, "combined")
    series = [_series(score, found[score], "main" if score == "combined" else "other") for score in _SCORES]
    if base is not None:
        series.append(Series(name="combined, unsteered", y=(base.mean,) * len(layers), role="reference"))
    series += _asked(outcomes, "test", "combined", len(layers))
    return Figure(
        kind="lines",
        title="Held-out scores of each layer at the alpha that dev chose for it; bands are 95 % intervals over prompts",
        x_label="layer",
        y_label="mean score on test prompts",
        x=tuple(layers),
        series=tuple(series),
        marks=(Mark(x=float(best), label=f"chosen on dev: {best}"),),
    )


def combined_by_layer(depth: Figure) -> tuple[Number, ...]:
    """Return the held-out combined score of each layer of :func:`depth_curve`."""
    return next(series.y for series in depth.series if series.name == "combined")


def depth_finding(depth: Figure | None) -> str:
    """Return where the held-out combined score peaks, and what the chosen and the median layer reach."""
    if depth is None:
        return ""
    combined = next(series for series in depth.series if series.name == "combined")
    scored = {layer: value for layer, value in zip(depth.x, combined.y, strict=True) if value is not None}
    peak, chosen = max(scored, key=lambda layer: scored[layer]), round(depth.marks[0].x)

    def said(layer: float | int | str) -> str:
        at = depth.x.index(layer)
        low, high = (ends[at] if ends else None for ends in (combined.low, combined.high))
        return f"{fixed(scored[layer])} [{fixed(low)}, {fixed(high)}]"

    kept = f"; layer {chosen}, which dev chose, has {said(chosen)}" if chosen != peak and chosen in scored else ""
    if chosen == peak:
        kept = ", the one that dev chose"
    middle = float(np.median(list(scored.values())))
    return (
        f"On held-out prompts the combined score peaks at layer {peak} with {said(peak)}{kept}; "
        f"the median layer reaches {fixed(middle)}"
    )
