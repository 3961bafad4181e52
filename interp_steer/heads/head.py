"""A probe head: a calibrated linear reading of one behavior at one layer, with its card (numpy, no torch).

The logit of a residual ``h`` at the head's layer is ``w . h + b``; its logistic is the probability of the behavior. The
head was fitted on the *mean* residual of whole responses and is calibrated for that: because it is linear, the
logit of the mean is the mean of the tokens' logits. Of a single token the number is a reading on the same scale,
good for comparing tokens and for a threshold, not a calibrated probability.

What it does not show: that the model uses the direction. And a head above the layer that is steered sees the very
vector that was added, which proves nothing; read it at or below that layer, or on the text read again unsteered.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from interp_steer.activations.artifact import read_arrays, write_arrays
from interp_steer.errors import RunError, VectorError
from interp_steer.records import ActivationCard, ModelCard, to_json
from interp_steer.run import Run


@dataclass(frozen=True, kw_only=True)
class HeldOutScores:
    """How good the probabilities of responses are that fitted nothing.

    Attributes:
        auc: Chance that a positive response reads higher than a negative one.
        accuracy: Share of responses on the right side of one half.
        brier: Mean squared error of the probability; a constant one half has 0.25.
        ece: Expected calibration error: mean gap of probability and frequency over ten bins of equal width.
        n: Number of responses.
    """

    auc: float
    accuracy: float
    brier: float
    ece: float
    n: int


@dataclass(frozen=True, kw_only=True)
class GeneratedScores:
    """How a head agrees with the judge on what the model wrote, read again without steering.

    Attributes:
        auc: Chance that a text that shows the behavior reads higher than one that does not; None where only one of
            both kinds occurs.
        correlation: Spearman's, of the reading and the behavior score; None where either is constant.
        n: Number of generations.
        n_shown: Those of them that show the behavior, by at least one half.
        reason: Why there is no AUC.
    """

    auc: float | None
    correlation: float | None
    n: int
    n_shown: int
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class HeadCard:
    """Where a head comes from and what it is worth.

    Attributes:
        activations: The pairs it was fitted on, and their model.
        layer: Block whose output it reads.
        n_pairs: Number of those pairs.
        seed: Seed of the folds.
        out_of_fold: Scores of the pairs, each read by a head that was fitted and calibrated without its group.
        unseen: Scores of prompts of another family: the ``dev`` and ``test`` pairs; None where there are none.
        generated: Agreement with the judge on the run's generations; None where none were judged.
    """

    activations: ActivationCard
    layer: int
    n_pairs: int
    seed: int
    out_of_fold: HeldOutScores
    unseen: HeldOutScores | None = None
    generated: GeneratedScores | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Head:
    """A calibrated linear reading.

    Attributes:
        weight: ``w``, in logits per unit of residual.
        bias: ``b``, in logits.
        card: Where it comes from.
    """

    weight: Float[np.ndarray, " d_model"]
    bias: float
    card: HeadCard

    @property
    def behavior(self) -> str:
        """The behavior it reads."""
        return self.card.activations.behavior

    @property
    def layer(self) -> int:
        """Block whose output it reads."""
        return self.card.layer

    def logits(self, resid: Float[np.ndarray, "*token d_model"]) -> Float[np.ndarray, "*token"]:
        """Return ``w . h + b`` of residuals at the head's layer."""
        return np.asarray(resid, dtype=np.float64) @ self.weight.astype(np.float64) + self.bias

    def check_model(self, model: ModelCard) -> None:
        """Refuse a model this head was not fitted on.

        Raises:
            VectorError: If the fingerprints differ, naming both models.
        """
        ours = self.card.activations.model
        if ours.fingerprint != model.fingerprint:
            raise VectorError(
                f"the {self.behavior!r} head belongs to {ours.name!r} (weights {ours.fingerprint}), not to "
                f"{model.name!r} (weights {model.fingerprint}); fit one with 'interp-steer heads fit'"
            )


def head_path(run: Run, layer: int) -> Path:
    """Return where a run keeps its head at a layer."""
    return run.path / "heads" / f"layer-{layer}.safetensors"


def held_heads(run: Run) -> list[Head]:
    """Return the heads of a run, lowest layer first.

    Raises:
        RunError: If there is none, or one cannot be read.
    """
    found = [read_head(path) for path in (run.path / "heads").glob("layer-*.safetensors")]
    if not found:
        raise RunError(f"{run.path} has no heads; fit one with 'interp-steer heads fit {run.path} --layer L'")
    return sorted(found, key=lambda head: head.layer)


def save_head(head: Head, path: Path) -> None:
    """Write a head to a safetensors file, its card in the header.

    Raises:
        RunError: If the file cannot be written.
    """
    arrays = {"weight": head.weight.astype(np.float32), "bias": np.array([head.bias])}
    write_arrays(path, arrays, json.dumps(to_json(head.card)))


def read_head(path: Path) -> Head:
    """Read a head from a safetensors file.

    Raises:
        RunError: If the file is missing or not one of ours.
    """
    arrays, card = read_arrays(path, ("weight", "bias"), HeadCard, "interp-steer heads fit")
    return Head(weight=arrays["weight"], bias=float(arrays["bias"][0]), card=card)
