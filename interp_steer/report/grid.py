"""The sweep: which cells work, how they fail, and every text behind them."""

from collections.abc import Iterator, Mapping, Sequence

from interp_steer.outcomes import Outcomes, Score
from interp_steer.records import Cell
from interp_steer.report.content import CellTexts, Grid, Sample, Sweep
from interp_steer.report.curves import depth_curve, depth_finding, layer_curves, strength_curve, strength_finding
from interp_steer.report.headline import shown_sample
from interp_steer.report.intervals import cell_interval
from interp_steer.report.phrases import capital, cell_name, count, fixed, interval, place, ranges, visible
from interp_steer.report.strengths import Strength
from interp_steer.stats import Interval

_SCORES: tuple[Score, ...] = ("combined", "behavior", "coherence")
_NEAR = 0.8  # "close to the best" in the heading


def build_sweep(outcomes: Outcomes, unit: Strength) -> Sweep | None:
    """Return the sweep of a run; None if no cell with a positive alpha was scored on dev.

    Args:
        outcomes: What the sweep showed.
        unit: How its alphas are written.
    """
    best = outcomes.best_cell("dev")
    if best is None or best.layer is None:
        return None
    grids = tuple(_grid(outcomes, score, unit.suffix) for score in _SCORES)
    by_layer = depth_curve(outcomes, grids[0].layers, best.layer)
    return Sweep(
        finding=_finding(outcomes, grids[0].layers, best, unit.suffix),
        note=_random_note(outcomes, unit.suffix),
        best=best,
        unit=unit,
        combined=_combined(outcomes, best),
        grids=grids,
        strength_finding=strength_finding(outcomes, best, unit),
        strength=strength_curve(outcomes, best.layer, unit),
        by_layer=layer_curves(outcomes, grids[0].layers, unit),
        depth_finding=depth_finding(by_layer),
        depth=by_layer,
        prompts=tuple(_prompts(outcomes).items()),
        cells=tuple(_cells(outcomes, unit.suffix)),
    )


def _combined(outcomes: Outcomes, best: Cell) -> str:
    three = any(item.verdict.instruction is not None for item in outcomes.judged("dev", best))
    parts = "behavior, coherence and instruction-following" if three else "behavior and coherence"
    return f"the harmonic mean of {parts}"


def _grid(outcomes: Outcomes, score: Score, unit: str) -> Grid:
    cells = outcomes.cells("dev", "steered")
    layers = sorted({cell.layer for cell in cells if cell.layer is not None})
    alphas = sorted({cell.alpha for cell in cells})
    found = {cell.key: cell_interval(outcomes, "dev", cell, score) for cell in cells}
    counted = {cell.key: len(outcomes.judged("dev", cell)) for cell in cells}
    keys = [[Cell(control="steered", layer=layer, alpha=alpha).key for layer in layers] for alpha in alphas]
    rows = [[found.get(key) for key in row] for row in keys]
    return Grid(
        score=score,
        finding=_extremes(score, {cell: found[cell.key] for cell in cells}, unit),
        layers=tuple(layers),
        alphas=tuple(alphas),
        values=tuple(tuple(item.mean if item else None for item in row) for row in rows),
        low=tuple(tuple(item.low if item else None for item in row) for row in rows),
        high=tuple(tuple(item.high if item else None for item in row) for row in rows),
        n=tuple(tuple(counted.get(key, 0) for key in row) for row in keys),
        keys=tuple(map(tuple, keys)),
    )


def _extremes(score: Score, found: Mapping[Cell, Interval | None], unit: str) -> str:
    scored = [(item.mean, cell) for cell, item in found.items() if item]
    if not scored:
        return f"no cell has a {score} score"
    low, high = min(scored, key=lambda pair: pair[0]), max(scored, key=lambda pair: pair[0])
    if low[0] == high[0]:
        return f"{fixed(high[0])} in every cell"
    end = high if score != "coherence" else low
    other = low if score != "coherence" else high
    word = "lowest" if score == "coherence" else "highest"
    rest = "highest" if score == "coherence" else "lowest"
    return f"{word} at {place(end[1], unit)} ({fixed(end[0])}); the {rest} is {fixed(other[0])}"


def _finding(outcomes: Outcomes, layers: Sequence[int], best: Cell, unit: str) -> str:
    found = cell_interval(outcomes, "dev", best, "combined")
    top = found.mean if found else 0.0
    near = []
    for layer in layers:
        cell = outcomes.best_cell("dev", layer=layer)
        score = outcomes.outcome("dev", cell).combined if cell else None
        if score is not None and score >= _NEAR * top:
            near.append(layer)
    others = [layer for layer in near if layer != best.layer]
    if top == 0:
        return "No cell scores above zero on the dev prompts"
    start = f"{capital(place(best, unit))} scores highest on the dev prompts (combined {interval(found)})"
    if not others:
        return f"{start}, and no other layer comes within 20 % of it"
    noun, verb = ("layer", "comes") if len(others) == 1 else ("layers", "come")
    return f"{start}; of the {len(layers)} layers swept, {noun} {ranges(others)} {verb} within 20 % of it"


def _random_note(outcomes: Outcomes, unit: str) -> str:
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
        f"{fixed(top)} ({place(cell, unit)}); the best of as many steered cells, at the same strength, {fixed(ours)}."
    )


def _prompts(outcomes: Outcomes) -> dict[str, str]:
    return {
        item.generation.prompt_id: visible(item.generation.prompt)
        for split in ("dev", "test")
        for cell in outcomes.cells(split)
        for item in outcomes.judged(split, cell)
    }


def _cells(outcomes: Outcomes, unit: str) -> Iterator[CellTexts]:
    order = {"unsteered": 0, "prompted": 1, "steered": 2, "random": 3}
    cells = {*outcomes.cells("dev"), *outcomes.cells("test")}
    for cell in sorted(cells, key=lambda c: (order.get(c.control, 4), c.control, c.layer or 0, c.alpha)):
        splits = tuple(
            (split, tuple(sorted(map(shown_sample, outcomes.judged(split, cell)), key=_prompt_number)))
            for split in ("dev", "test")
        )
        yield CellTexts(cell=cell, name=cell_name(cell, unit), splits=tuple(pair for pair in splits if pair[1]))


def _prompt_number(sample: Sample) -> tuple[int, str]:
    return len(sample.prompt_id), sample.prompt_id  # test-2 before test-10
