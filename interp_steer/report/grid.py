"""The sweep: which cells work, how they fail, and every text behind them."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from interp_steer.findings import Figure, Mark, Number, Series
from interp_steer.outcomes import UNSTEERED, Outcomes, Score
from interp_steer.records import Cell
from interp_steer.report.content import CellTexts, Grid, Sample, Sweep
from interp_steer.report.headline import shown_sample
from interp_steer.report.phrases import alpha, capital, cell_name, count, fixed, place, ranges, visible
from interp_steer.stats import Interval, paired_bootstrap

_SCORES: tuple[Score, ...] = ("combined", "behavior", "coherence")
_NEAR = 0.8  # "close to the best" in the heading


def build_sweep(outcomes: Outcomes) -> Sweep | None:
    """Return the sweep of a run; None if no cell with a positive alpha was scored on dev."""
    best = outcomes.best_cell("dev")
    if best is None or best.layer is None:
        return None
    grids = tuple(_grid(outcomes, score) for score in _SCORES)
    strength = _strength(outcomes, best.layer)
    depth = _depth(outcomes, grids[0].layers, best.layer)
    return Sweep(
        finding=_finding(outcomes, grids[0].layers, best),
        note=_random_note(outcomes),
        best=best,
        grids=grids,
        strength_finding=_strength_finding(outcomes, best),
        strength=strength,
        depth_finding=_depth_finding(depth),
        depth=depth,
        prompts=tuple(_prompts(outcomes).items()),
        cells=tuple(_cells(outcomes)),
    )


def _grid(outcomes: Outcomes, score: Score) -> Grid:
    cells = outcomes.cells("dev", "steered")
    layers = sorted({cell.layer for cell in cells if cell.layer is not None})
    alphas = sorted({cell.alpha for cell in cells})
    found = {cell.key: outcomes.outcome("dev", cell) for cell in cells}
    keys = [[Cell(control="steered", layer=layer, alpha=alpha).key for layer in layers] for alpha in alphas]
    rows = [[found.get(key) for key in row] for row in keys]
    return Grid(
        score=score,
        layers=tuple(layers),
        alphas=tuple(alphas),
        values=tuple(tuple(getattr(item, score) if item else None for item in row) for row in rows),
        n=tuple(tuple(item.n if item else 0 for item in row) for row in rows),
        keys=tuple(map(tuple, keys)),
    )


def _finding(outcomes: Outcomes, layers: Sequence[int], best: Cell) -> str:
    top = outcomes.outcome("dev", best).combined or 0.0
    near = []
    for layer in layers:
        cell = outcomes.best_cell("dev", layer=layer)
        score = outcomes.outcome("dev", cell).combined if cell else None
        if score is not None and score >= _NEAR * top:
            near.append(layer)
    others = [layer for layer in near if layer != best.layer]
    if top == 0:
        return "No cell scores above zero on the dev prompts"
    start = f"{capital(place(best))} scores highest on dev ({fixed(top)})"
    if not others:
        return f"{start}, and no other layer comes within 20 % of it"
    noun, verb = ("layer", "comes") if len(others) == 1 else ("layers", "come")
    return f"{start}; of the {len(layers)} layers swept, {noun} {ranges(others)} {verb} within 20 % of it"


def _random_note(outcomes: Outcomes) -> str:
    scores = [
        (score, cell)
        for cell in outcomes.cells("dev", "random")
        if (score := outcomes.outcome("dev", cell).combined) is not None
    ]
    if not scores:
        return ""
    top, cell = max(scores, key=lambda pair: pair[0])
    alphas = {cell.alpha for _, cell in scores}
    rivals = [outcomes.outcome("dev", one).combined for one in outcomes.cells("dev", "steered") if one.alpha in alphas]
    ours = max((score for score in rivals if score is not None), default=None)
    return (
        f"Searching always finds a best cell. The best of {count(len(scores), 'random-direction cell')} scores "
        f"{fixed(top)} ({place(cell)}); the best of as many steered cells, at the same strength, {fixed(ours)}."
    )


def _scored(outcomes: Outcomes, split: str, cell: Cell, score: Score) -> Interval | None:
    values = [value for value in outcomes.scores(split, cell, score).values() if value is not None]
    return paired_bootstrap(np.array(values)) if values else None


def _series(name: str, found: Sequence[Interval | None], role: str) -> Series:
    return Series(
        name=name,
        y=tuple(item.mean if item else None for item in found),
        low=tuple(item.low if item else None for item in found),
        high=tuple(item.high if item else None for item in found),
        role="reference" if role == "reference" else "other" if role == "other" else "main",
    )


def _strength(outcomes: Outcomes, layer: int) -> Figure:
    cells = {cell.alpha: cell for cell in outcomes.cells("dev", "steered") if cell.layer == layer}
    random = {cell.alpha: cell for cell in outcomes.cells("dev", "random") if cell.layer == layer}
    alphas = sorted({0.0, *cells, *random})

    def curve(at: Mapping[float, Cell], score: Score) -> list[Interval | None]:
        with_zero = {**at, 0.0: UNSTEERED}
        return [_scored(outcomes, "dev", with_zero[a], score) if a in with_zero else None for a in alphas]

    series = [
        _series("behavior", curve(cells, "behavior"), "main"),
        _series("coherence", curve(cells, "coherence"), "other"),
    ]
    if random:
        series += [
            _series("behavior, random direction", curve(random, "behavior"), "reference"),
            _series("coherence, random direction", curve(random, "coherence"), "reference"),
        ]
    return Figure(
        kind="lines",
        title=f"Scores against alpha at layer {layer}, dev prompts; bands are 95 % intervals over prompts",
        x_label="alpha (0 is unsteered)",
        y_label="mean score",
        x=tuple(alphas),
        series=tuple(series),
    )


def _strength_finding(outcomes: Outcomes, best: Cell) -> str:
    base, top = outcomes.outcome("dev", UNSTEERED), outcomes.outcome("dev", best)
    strongest = max(
        (cell for cell in outcomes.cells("dev", "steered") if cell.layer == best.layer), key=lambda cell: cell.alpha
    )
    text = (
        f"At layer {best.layer}, behavior goes from {fixed(base.behavior)} unsteered to {fixed(top.behavior)} "
        f"at alpha {alpha(best.alpha)}"
    )
    if strongest.alpha == best.alpha:
        return f"{text}, the strongest tried, and coherence from {fixed(base.coherence)} to {fixed(top.coherence)}"
    coherence = outcomes.outcome("dev", strongest).coherence
    return f"{text}; coherence is {fixed(top.coherence)} there and {fixed(coherence)} at {alpha(strongest.alpha)}"


def _depth(outcomes: Outcomes, layers: Sequence[int], best: int) -> Figure | None:
    chosen = [outcomes.best_cell("dev", layer=layer) for layer in layers]
    found = {
        score: [_scored(outcomes, "test", cell, score) if cell else None for cell in chosen]
        for score in ("behavior", "coherence")
    }
    if not any(found["behavior"]):
        return None
    base = _scored(outcomes, "test", UNSTEERED, "behavior")
    series = [_series("behavior", found["behavior"], "main"), _series("coherence", found["coherence"], "other")]
    if base is not None:
        series.append(Series(name="behavior, unsteered", y=(base.mean,) * len(layers), role="reference"))
    return Figure(
        kind="lines",
        title="Held-out scores of each layer at the alpha that dev chose for it; bands are 95 % intervals over prompts",
        x_label="layer",
        y_label="mean score on test prompts",
        x=tuple(layers),
        series=tuple(series),
        marks=(Mark(x=float(best), label=f"chosen on dev: {best}"),),
    )


def _depth_finding(depth: Figure | None) -> str:
    if depth is None:
        return ""
    values: Sequence[Number] = depth.series[0].y
    scored = [(value, layer) for value, layer in zip(values, depth.x, strict=True) if value is not None]
    value, layer = max(scored, key=lambda pair: pair[0])
    middle = float(np.median([value for value, _ in scored]))
    return (
        f"On held-out prompts behavior peaks at layer {layer} with {fixed(value)}; "
        f"the median layer reaches {fixed(middle)}"
    )


def _prompts(outcomes: Outcomes) -> dict[str, str]:
    return {
        item.generation.prompt_id: visible(item.generation.prompt)
        for split in ("dev", "test")
        for cell in outcomes.cells(split)
        for item in outcomes.judged(split, cell)
    }


def _cells(outcomes: Outcomes) -> Iterator[CellTexts]:
    order = {"unsteered": 0, "prompted": 1, "steered": 2, "random": 3}
    cells = {*outcomes.cells("dev"), *outcomes.cells("test")}
    for cell in sorted(cells, key=lambda c: (order.get(c.control, 4), c.control, c.layer or 0, c.alpha)):
        splits = tuple(
            (split, tuple(sorted(map(shown_sample, outcomes.judged(split, cell)), key=_prompt_number)))
            for split in ("dev", "test")
        )
        yield CellTexts(cell=cell, name=cell_name(cell), splits=tuple(pair for pair in splits if pair[1]))


def _prompt_number(sample: Sample) -> tuple[int, str]:
    return len(sample.prompt_id), sample.prompt_id  # test-2 before test-10
