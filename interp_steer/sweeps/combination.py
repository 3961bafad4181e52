"""Several layers at once against one, at equal KL: what does each schedule do to held-out pairs?

Every schedule (:mod:`interp_steer.sweeps.schedules`) has one number to choose, its scale. It is solved so that the
95th percentile of ``KL(steered || unsteered)``, over the model's own greedy answers to a few prompts, is the same for
all: what they then do to the margin of the test pairs (:mod:`interp_steer.sweeps.margins`) they do at an equal side
effect. Layers are ranked on the dev pairs, each at its own alpha of that KL; the test pairs choose nothing.

It does not show what the model would write, nor that the order is the same at another KL: curves may cross.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from interp_steer.findings import AnalysisResult, Figure, Series, Table, Value
from interp_steer.stats import Interval, paired_bootstrap
from interp_steer.steering.effect import Effect
from interp_steer.sweeps.calibration import CalibrationSpec
from interp_steer.sweeps.schedules import Schedule

NAME = "combination"
CAVEATS = (
    "Teacher-forced: how likely given responses become, not what the model would write.",
    "Equal at one KL, on one set of prompts; at another target the order may differ.",
    "Layers are ranked on the dev pairs, each alone: layers that only work together are not found.",
    "Each schedule is compared with the best layer by itself, without correction for their number.",
    "The interval is over test pairs only; that the vectors come from one set of pairs is not in it.",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """One schedule at the target KL.

    Attributes:
        schedule: What was done.
        scale: Root sum of squares of the amounts, as additions; None if no scale reaches the target.
        kl: The KL reached, in nats; None where ``scale`` is.
        reason: Why there is none.
        effects: Median angle and norm ratio at each layer, on the last token of the prompts.
        change: By how much it changes the margin of each test pair, in nats per token; None where ``scale`` is.
    """

    schedule: Schedule
    scale: float | None
    kl: float | None
    reason: str | None = None
    effects: tuple[Effect, ...] = ()
    change: Float[np.ndarray, " pair"] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Combination:
    """Schedules at one KL.

    Attributes:
        spec: Candidate layers, target, scope and the ends of the search.
        ranking: Layers that reach the target, best first by the mean change of the dev pairs' margin.
        dev_change: That mean, by rank, in nats per token.
        outcomes: The schedules, the best single layer first.
        random: Random directions at the best layer, each at its own alpha of the same KL.
        n_positions: Positions at which the KL was measured.
    """

    spec: CalibrationSpec
    ranking: tuple[int, ...]
    dev_change: tuple[float, ...]
    outcomes: tuple[Outcome, ...]
    random: tuple[Outcome, ...]
    n_positions: int


def combination_result(found: Combination) -> AnalysisResult:
    """Return what a report shows of schedules at equal KL."""
    best, spec = found.outcomes[0], found.spec
    rows: list[tuple[Value, ...]] = []
    shown: list[tuple[str, Interval]] = []
    for one in found.outcomes:
        change = _interval(one.change)
        against = None if one is best else _interval(_difference(one.change, best.change))
        angle = f"{max(e.angle for e in one.effects):.1f}" if one.effects else None
        ratio = f"{one.effects[-1].norm_ratio:.2f}" if one.effects else None
        layers = ", ".join(map(str, sorted(one.schedule.weights)))
        name, scale = one.schedule.name, one.scale
        rows.append((name, layers, scale, one.kl, angle, ratio, _written(change), _written(against)))
        if change:
            shown.append((name, change))
    controls = [one.change for one in found.random if one.change is not None]
    if controls:
        change = _interval(np.mean(controls, axis=0))
        scales = [one.scale for one in found.random if one.scale is not None]
        name = f"{len(controls)} random directions, mean"
        layer = ", ".join(map(str, best.schedule.weights))
        rows.append((name, layer, float(np.mean(scales)), spec.target_kl, None, None, _written(change), None))
        if change:
            shown.append((name, change))
    notes = [f"{one.schedule.name}: {one.reason}" for one in found.outcomes if one.reason]
    table = Table(
        title=f"At p{100 * spec.quantile:g} of KL(steered || unsteered) = {spec.target_kl:g} nats, scope {spec.scope}",
        columns=("schedule", "layers", "scale", "KL", "largest angle", "norm x at the last layer", "change on test",
                 "against the best layer"),
        rows=tuple(rows),
        notes=(
            "Change of log p(positive) - log p(negative) per token, mean over test pairs, paired bootstrap, 95 %. "
            "Angles in degrees, medians over the prompts' last tokens.",
            *notes,
        ),
    )  # fmt: skip
    ranked = Table(
        title="Single layers at that KL, ranked on the dev pairs",
        columns=("layer", "change on dev"),
        rows=tuple(zip(found.ranking, found.dev_change, strict=True)),
    )
    return AnalysisResult(
        name=NAME,
        title="Several layers, and other operations, at equal KL",
        question="Does spreading the push over layers, or doing something else than adding, buy more at the same KL?",
        finding=_finding(found),
        caveats=CAVEATS,
        tables=(table, ranked),
        figures=(_figure(shown, spec),) if shown else (),
    )


def _finding(found: Combination) -> str:
    best, *others = found.outcomes
    alone = _interval(best.change)
    if alone is None:
        return f"The best single layer reaches no KL of {found.spec.target_kl:g} nats: {best.reason}."
    text = (
        f"At equal KL {best.schedule.name} changes the margin of the test pairs by {_written(alone)} nats per token. "
    )
    apart = {"more": [], "less": []}  # type: dict[str, list[str]]
    for one in others:
        against = _interval(_difference(one.change, best.change))
        if against is not None and (against.low > 0 or against.high < 0):
            apart["more" if against.low > 0 else "less"].append(f"{one.schedule.name} ({against.mean:+.2f})")
    parts = [f"{how} with {' and with '.join(names)}" for how, names in apart.items() if names]
    return text + (f"It is {'; '.join(parts)}." if parts else "No other schedule differs from it beyond its interval.")


def _figure(shown: list[tuple[str, Interval]], spec: CalibrationSpec) -> Figure:
    series = Series(
        name="change on test",
        y=tuple(interval.mean for _, interval in shown),
        low=tuple(interval.low for _, interval in shown),
        high=tuple(interval.high for _, interval in shown),
    )
    return Figure(
        kind="bars",
        title=f"Change of the test pairs' margin at a KL of {spec.target_kl:g} nats",
        x_label="schedule",
        y_label="nats per token",
        x=tuple(name for name, _ in shown),
        series=(series,),
    )


def _difference(one: np.ndarray | None, other: np.ndarray | None) -> np.ndarray | None:
    return None if one is None or other is None else one - other


def _interval(changes: np.ndarray | None) -> Interval | None:
    return None if changes is None else paired_bootstrap(changes)


def _written(interval: Interval | None) -> str | None:
    return None if interval is None else f"{interval.mean:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"
