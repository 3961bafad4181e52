from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from analyses.study.truths import Subject
from interp_steer.behaviors import Pair
from interp_steer.findings import AnalysisResult
from interp_steer.records import ModelCard
from interp_steer.run import Run
from interp_steer.sweeps.heldout import HeldOut, HeldOutCell, held_out_card
from interp_steer.sweeps.margins import Propensity, PropensityCard, PropensitySpec

LAYERS, PAIRS, ALPHA = 10, 24, 0.3
TOKENS = np.full((2, PAIRS), 5.0)


def card() -> ModelCard:
    return ModelCard(
        name="synthetic",
        revision="0",
        fingerprint="f",
        dtype="float32",
        n_layers=LAYERS,
        d_model=4,
        layer_types=("full_attention",) * LAYERS,
        template="t",
    )


def sides(changes: np.ndarray) -> np.ndarray:
    """Log-likelihoods whose margins per token are these."""
    positive = changes * TOKENS[0]
    return np.stack([positive, np.zeros_like(positive)])


@pytest.fixture
def make_subject(tmp_path) -> Callable[..., Subject]:
    """A behavior whose layers are worth what is said, prompt by prompt, with some noise."""

    def make(
        name: str,
        worth: Sequence[float],
        *,
        heuristics: Mapping[str, Sequence[float | None]] | None = None,
        noise: float = 0.1,
        random: float = 0.0,
        others: Mapping[str, float] | None = None,
        seed: int = 0,
        family: str | None = None,
    ) -> Subject:
        rng = np.random.default_rng(seed)
        truth = np.asarray(worth, dtype=float)[:, None] + noise * rng.standard_normal((LAYERS, PAIRS))
        best = int(np.argmax(worth))
        cells = [
            *(HeldOutCell(role="chosen", layer=layer, alpha=ALPHA) for layer in range(LAYERS)),
            *(HeldOutCell(role="equal_kl", layer=layer, alpha=0.2) for layer in range(LAYERS)),
            HeldOutCell(role="minus", layer=best, alpha=-ALPHA),
            *(HeldOutCell(role="random", layer=best, alpha=ALPHA, name=str(i)) for i in range(4)),
            *(HeldOutCell(role="other", layer=3, alpha=ALPHA, name=other) for other in others or {}),
        ]
        wild = random + noise * rng.standard_normal((4, PAIRS))
        changes = np.concatenate(
            [truth, truth, -truth[best : best + 1], wild, *(np.full((1, PAIRS), v) for v in (others or {}).values())]
        )
        spec = PropensitySpec(layers=tuple(range(LAYERS)), alphas=(-0.2, 0.1, ALPHA))
        dev = np.asarray(worth)[:, None, None] * np.array([-0.5, 0.5, 1.0])[:, None] + np.zeros((LAYERS, 3, PAIRS))
        pairs = [Pair(prompt=f"{i}?", positive="yes", negative="no") for i in range(PAIRS)]
        return Subject(
            run=Run(tmp_path / name),
            name=name,
            family=family or name,
            n_layers=LAYERS,
            dev=Propensity(
                unsteered=np.zeros((2, PAIRS)),
                steered=sides(dev),
                random=np.zeros((2, LAYERS, 0, PAIRS)),
                tokens=TOKENS,
                card=PropensityCard(model=card(), behavior=name, pairs="p", vectors="v", spec=spec),
            ),
            test=HeldOut(
                unsteered=np.zeros((2, PAIRS)),
                prompted=sides(np.full(PAIRS, 0.4)),
                steered=sides(changes),
                tokens=TOKENS,
                card=held_out_card(card(), name, pairs, "s", "response", cells, np.zeros((len(cells), 4))),
            ),
            analyses=(
                AnalysisResult(
                    name="made_up",
                    title="t",
                    question="q",
                    finding="f",
                    scores={key: tuple(values) for key, values in (heuristics or {}).items()},
                ),
            ),
        )

    return make
