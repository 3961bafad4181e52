"""A contest in pictures: mean regrets, regrets behavior by behavior, and where each behavior is steered."""

from collections.abc import Mapping

import numpy as np

from analyses.study.contest import Contest
from analyses.study.selectors import RANDOM
from interp_steer.findings import Figure, Series
from interp_steer.outcomes import mean
from interp_steer.stats import Interval


def regret_figure(one: Contest, regrets: Mapping[str, Interval | None]) -> Figure:
    """Draw the mean regret of every selector, smallest first, beside a random layer's and the system prompt's."""
    known = {name: interval for name, interval in regrets.items() if interval is not None and name != RANDOM}
    names = sorted(known, key=lambda name: known[name].mean)
    # A system prompt has a disturbance of its own, so it is not compared where that is held equal.
    asked = None if one.kind == "equal KL" else mean([truth.prompted_regret for truth in one.truths])
    return Figure(
        kind="bars",
        title=f"Mean normalized regret of the first pick, by {one.kind}",
        x_label="Selector",
        y_label="Normalized regret (0 best, 1 random)",
        x=tuple(names),
        series=(
            Series(
                name="regret",
                y=tuple(known[name].mean for name in names),
                low=tuple(known[name].low for name in names),
                high=tuple(known[name].high for name in names),
            ),
            Series(name=RANDOM, y=(1.0,) * len(names), role="reference"),
            *((Series(name="system prompt", y=(asked,) * len(names), role="reference"),) if asked is not None else ()),
        ),
    )


def regret_map(one: Contest) -> Figure:
    """Draw the regret of every selector on every behavior."""
    names = sorted(one.names, key=lambda name: mean(one.regrets(name)) or 0.0)
    return Figure(
        kind="heatmap",
        title=f"Regret of each first pick, behavior by behavior, by {one.kind}",
        x_label="Behavior",
        y_label="Normalized regret",
        x=tuple(truth.behavior for truth in one.truths),
        series=tuple(Series(name=name, y=tuple(one.regrets(name))) for name in names),
    )


def truth_map(one: Contest) -> Figure:
    """Draw what each layer is worth to each behavior."""
    layers = sorted({layer for truth in one.truths for layer in truth.layers})
    rows = []
    for truth in one.truths:
        scaled = (truth.mean - truth.mean.min()) / max(float(np.ptp(truth.mean)), 1e-12)
        by_layer = dict(zip(truth.layers, scaled.tolist(), strict=True))
        rows.append(Series(name=truth.behavior, y=tuple(by_layer.get(layer) for layer in layers)))
    return Figure(
        kind="heatmap",
        title=f"Where each behavior is steered, by {one.kind}: each row from its worst layer (0) to its best (1)",
        x_label="Layer",
        y_label="Scaled truth",
        x=tuple(layers),
        series=tuple(rows),
    )
