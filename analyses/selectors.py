"""What chooses a layer: heuristics, fixed depths, chance, and the sweep itself."""

from collections.abc import Sequence
from dataclasses import dataclass

from analyses.measure import top_layers
from analyses.truth import GroundTruth
from interp_steer.errors import AnalysisError
from interp_steer.findings import Number
from interp_steer.run import Run


@dataclass(frozen=True, kw_only=True)
class Selector:
    """A way to choose a layer without steering, or a baseline.

    Attributes:
        name: What the report calls it.
        picks: The layer it chooses; several when they tie, none when it has no score.
        scores: Its score of every layer, None for a baseline that has none.
    """

    name: str
    picks: tuple[int, ...]
    scores: tuple[Number, ...] | None = None


def heuristics(run: Run, n_layers: int) -> list[Selector]:
    """Collect the per-layer scores that the stored analyses offer.

    Raises:
        AnalysisError: If a score has not one value per layer.
    """
    found = []
    for analysis in run.analyses():
        for name, scores in run.analysis(analysis).scores.items():
            if len(scores) != n_layers:
                raise AnalysisError(
                    f"{run.analysis_path(analysis)}: {name!r} has {len(scores)} scores, expected one for each of "
                    f"{n_layers} layers; run 'interp-steer analyze {analysis}' again"
                )
            found.append(Selector(name=name.replace("_", " "), picks=tuple(top_layers(scores)), scores=scores))
    return found


def baselines(n_layers: int, swept: Sequence[int]) -> list[Selector]:
    """Return the fixed depths, and a random layer as all swept layers tied: its exact expectation."""
    depths = [Selector(name=f"{10 * tenths} % depth", picks=(tenths * n_layers // 10,)) for tenths in (8, 6, 5, 4)]
    last = Selector(name="last layer", picks=(n_layers - 1,))
    return [*depths, last, Selector(name="random layer", picks=tuple(swept))]


def sweep_pick(truth: GroundTruth) -> list[Selector]:
    """Return the pick of the whole sweep on dev; nothing where dev is the truth as well and it could not lose."""
    if truth.split == "dev" or truth.chosen.layer is None:
        return []
    return [Selector(name="sweep on dev", picks=(truth.chosen.layer,))]
