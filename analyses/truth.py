"""What the sweep says about each layer, and what a pick of layers is worth by it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from interp_steer.errors import AnalysisError
from interp_steer.outcomes import PROMPTED, Outcomes, steers
from interp_steer.records import Cell
from interp_steer.stats import Interval, detectable, score_interval


@dataclass(frozen=True, kw_only=True)
class LayerTruth:
    """How well a layer steers.

    Attributes:
        cell: The layer at the alpha that dev chose for it.
        score: Mean combined score of that cell over the prompts of the split, with a bootstrap interval.
        dev: The same mean on dev, where the alpha was chosen: too high by that choice.
    """

    cell: Cell
    score: Interval
    dev: float | None


@dataclass(frozen=True, kw_only=True)
class GroundTruth:
    """The truth of every layer that was swept and scored.

    Attributes:
        split: ``test``, or ``dev`` as long as the test prompts were not answered at every chosen cell.
        chosen: The best cell of all on dev.
        by_layer: Truth of each layer, ascending.
        unscored: Layers that were swept but have no score on this split.
    """

    split: str
    chosen: Cell
    by_layer: dict[int, LayerTruth]
    unscored: tuple[int, ...]

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers that compete."""
        return tuple(self.by_layer)

    @property
    def best(self) -> int:
        """The layer with the highest score; the earliest when several tie."""
        return max(self.by_layer, key=lambda layer: (self.by_layer[layer].score.mean, -layer))

    @property
    def mean(self) -> float:
        """Expected score of a layer drawn at random."""
        return float(np.mean([truth.score.mean for truth in self.by_layer.values()]))

    def nearest(self, layer: int) -> int | None:
        """Return the swept layer that stands for ``layer``; the earlier of two equally near.

        None if ``layer`` lies more than half a step of the sweep away: nobody steered there.
        """
        nearest = min(self.layers, key=lambda swept: (abs(swept - layer), swept))
        step = max(np.diff(self.layers), default=1)
        return nearest if abs(nearest - layer) <= step / 2 else None

    def expected(self, picks: Sequence[int]) -> float:
        """Return the mean score over tied picks, all of them swept."""
        return float(np.mean([self.by_layer[layer].score.mean for layer in picks]))

    def regret(self, picks: Sequence[int]) -> float:
        """Return how much score the picks give away against the best swept layer."""
        return self.by_layer[self.best].score.mean - self.expected(picks)

    def normalized_regret(self, picks: Sequence[int]) -> float | None:
        """Return the regret in units of a random layer's: 0 is the best layer, 1 no better than chance.

        None where all layers score the same: there is nothing to choose.
        """
        scale = self.by_layer[self.best].score.mean - self.mean
        return None if scale <= 1e-12 else self.regret(picks) / scale


@dataclass(frozen=True, kw_only=True)
class Effects:
    """Paired differences of the combined score, None where no prompt has both scores.

    Attributes:
        gain: The best cell minus unsteered.
        random: A random direction at that layer and alpha, minus unsteered.
        over_random: The best cell minus that random direction.
        prompted: The system prompt that asks for the behavior, minus unsteered.
        prompted_score: Its score.
        detectable: The smallest true gain that so many prompts would usually show, at a power of 0.8.
        steerable: Whether the best cell is shown to steer: above unsteered and above the random direction.
    """

    gain: Interval | None
    random: Interval | None
    over_random: Interval | None
    prompted: Interval | None
    prompted_score: Interval | None
    detectable: float | None
    steerable: bool


def ground_truth(outcomes: Outcomes) -> GroundTruth:
    """Return the combined score of each swept layer on test prompts, at the alpha that dev chose.

    Raises:
        AnalysisError: If no steered completion of the dev split was judged.
    """
    chosen = {
        layer: cell
        for layer in sorted({cell.layer for cell in outcomes.cells("dev", "steered") if cell.layer is not None})
        if (cell := outcomes.best_cell("dev", layer=layer)) is not None
    }
    best = outcomes.best_cell("dev")
    if best is None:
        raise AnalysisError(
            "the run holds no judged sweep, so there is no truth to compare layers with; "
            "run 'interp-steer sweep' and 'interp-steer judge' on it first"
        )
    tested = set(outcomes.cells("test", "steered"))
    split = "test" if tested.issuperset(chosen.values()) else "dev"
    found = {
        layer: LayerTruth(cell=cell, score=score, dev=outcomes.outcome("dev", cell).combined)
        for layer, cell in chosen.items()
        if (score := _score(outcomes, split, cell)) is not None
    }
    if not found:
        raise AnalysisError(
            f"no {split} completion of a cell that dev chose has a score; finish 'interp-steer sweep' and "
            "'interp-steer judge', and look at the reasons in verdicts.jsonl"
        )
    unscored = tuple(layer for layer in chosen if layer not in found)
    return GroundTruth(split=split, chosen=best, by_layer=found, unscored=unscored)


def effects_of(outcomes: Outcomes, truth: GroundTruth) -> Effects:
    """Return what the cell that dev chose does to the combined score, on the split of the truth."""
    best = truth.chosen
    random = Cell(control="random", layer=best.layer, alpha=best.alpha)
    return Effects(
        gain=outcomes.effect(truth.split, best, "combined"),
        random=outcomes.effect(truth.split, random, "combined"),
        over_random=outcomes.effect(truth.split, best, "combined", baseline=random),
        prompted=outcomes.effect(truth.split, PROMPTED, "combined"),
        prompted_score=_score(outcomes, truth.split, PROMPTED),
        detectable=detectable(outcomes.differences(truth.split, best, "combined")),
        steerable=steers(outcomes, truth.split, best),
    )


def _score(outcomes: Outcomes, split: str, cell: Cell) -> Interval | None:
    scores = [score for score in outcomes.scores(split, cell, "combined").values() if score is not None]
    return score_interval(np.array(scores)) if scores else None
