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
        picks: The swept layer it chooses; several when they tie, none when it has no score or nothing near was swept.
        wanted: What it would choose among all layers.
        scores: Its score of every layer, None for a baseline that has none.
    """

    name: str
    picks: tuple[int, ...]
    wanted: tuple[int, ...]
    scores: tuple[Number, ...] | None = None


def heuristics(run: Run, n_layers: int, swept: Sequence[int]) -> list[Selector]:
    """Collect the per-layer scores that the stored analyses offer; only layers that were swept compete.

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
            competing = [scores[layer] if layer in swept else None for layer in range(n_layers)]
            found.append(
                Selector(
                    name=name.replace("_", " "),
                    picks=tuple(top_layers(competing)),
                    wanted=tuple(top_layers(scores)),
                    scores=scores,
                )
            )
    return found


def baselines(n_layers: int, truth: GroundTruth) -> list[Selector]:
    """Return the fixed depths, and a random layer as all swept layers tied: its exact expectation."""

    def fixed(name: str, layer: int) -> Selector:
        nearest = truth.nearest(layer)
        return Selector(name=name, picks=() if nearest is None else (nearest,), wanted=(layer,))

    depths = [fixed(f"{10 * tenths} % depth", tenths * n_layers // 10) for tenths in (8, 6, 5, 4)]
    random = Selector(name="random layer", picks=truth.layers, wanted=truth.layers)
    return [*depths, fixed("last layer", n_layers - 1), random]


def sweep_pick(truth: GroundTruth) -> list[Selector]:
    """Return the pick of the whole sweep on dev; nothing where dev is the truth as well and it could not lose."""
    if truth.split == "dev" or truth.chosen.layer is None:
        return []
    return [Selector(name="sweep on dev", picks=(truth.chosen.layer,), wanted=(truth.chosen.layer,))]
