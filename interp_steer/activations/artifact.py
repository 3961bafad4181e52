"""Pooled activations of every pair, both sides, every layer: the artifact (numpy, no torch)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from interp_steer.errors import AnalysisError, RunError
from interp_steer.records import ActivationCard, from_json, to_json

Card = TypeVar("Card")


@dataclass(frozen=True, kw_only=True, eq=False)
class Activations:
    """Residual stream at ``blocks.<l>.hook_resid_post``, pooled at the read position.

    Attributes:
        positive: Pooled activations of the positive responses, float32.
        negative: The same of the negative responses; row i is the same pair.
        positive_norms: Mean L2 norm of the single-token activations in each positive response.
        negative_norms: The same for the negative responses.
        positive_tokens: Number of response tokens of each positive side.
        negative_tokens: The same for the negative sides.
        card: Where they come from.
    """

    positive: Float[np.ndarray, "layer pair d_model"]
    negative: Float[np.ndarray, "layer pair d_model"]
    positive_norms: Float[np.ndarray, "layer pair"]
    negative_norms: Float[np.ndarray, "layer pair"]
    positive_tokens: Float[np.ndarray, " pair"]
    negative_tokens: Float[np.ndarray, " pair"]
    card: ActivationCard

    @property
    def n_layers(self) -> int:
        """Number of blocks."""
        return int(self.positive.shape[0])

    @property
    def n_pairs(self) -> int:
        """Number of contrastive pairs."""
        return int(self.positive.shape[1])

    @property
    def activation_norm(self) -> Float[np.ndarray, " layer"]:
        """Mean over all responses of the mean norm of their tokens; sink and pads excluded."""
        return np.concatenate([self.positive_norms, self.negative_norms], axis=1).mean(axis=1, dtype=np.float64)

    def differences(self, layer: int) -> Float[np.ndarray, "pair d_model"]:
        """Return ``positive - negative`` of every pair at one layer, float64.

        Raises:
            AnalysisError: If a difference is NaN or Inf, naming layer and pair.
        """
        found = self.positive[layer].astype(np.float64) - self.negative[layer].astype(np.float64)
        bad = np.flatnonzero(~np.isfinite(found).all(axis=1))
        if bad.size:
            raise AnalysisError(
                f"layer {layer}, pair {bad[0]}: the activation is NaN or Inf; extract again in float32 or bfloat16"
            )
        return found


_ARRAYS = ("positive", "negative", "positive_norms", "negative_norms", "positive_tokens", "negative_tokens")


def save_activations(activations: Activations, path: Path) -> None:
    """Write activations to a safetensors file, their card in the header.

    Raises:
        RunError: If the file cannot be written.
    """
    arrays = {name: np.ascontiguousarray(getattr(activations, name)) for name in _ARRAYS}
    write_arrays(path, arrays, json.dumps(to_json(activations.card)))


def read_activations(path: Path) -> Activations:
    """Read activations from a safetensors file.

    Raises:
        RunError: If the file is missing or not one of ours.
    """
    arrays, card = read_arrays(path, _ARRAYS, ActivationCard, "interp-steer extract")
    return Activations(card=card, **arrays)


def write_arrays(path: Path, arrays: dict[str, np.ndarray], card: str) -> None:
    """Write arrays and a JSON card to a safetensors file, replacing it whole.

    Raises:
        RunError: If the file cannot be written.
    """
    beside = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(arrays, beside, metadata={"card": card})
        beside.replace(path)
    except (OSError, SafetensorError) as error:
        raise RunError(f"cannot write {path}: {error}; free space or choose another folder") from error


def read_arrays(path: Path, names: Sequence[str], kind: type[Card], made_by: str) -> tuple[dict[str, np.ndarray], Card]:
    """Read the named arrays and the card of a safetensors file.

    Raises:
        RunError: If the file is missing, damaged, or of another kind; the message names ``made_by``.
    """
    if not path.exists():
        raise RunError(f"{path} does not exist; make it with '{made_by}'")
    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} cannot be read as safetensors ({error}); make it again with '{made_by}'") from error
    try:
        return {name: arrays[name] for name in names}, from_json(kind, json.loads(header["card"]))
    except (KeyError, ValueError) as error:
        raise RunError(f"{path} was not written by '{made_by}': its arrays and card are not those expected") from error
