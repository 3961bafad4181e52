"""The steps a layer takes for the rows of a batch: what is done, to which rows, and where it is let through."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp_steer.steering.gate import Gate
from interp_steer.steering.intervention import Intervention
from interp_steer.steering.operations import OPERATION, add
from interp_steer.terms import Operation

Interventions = tuple[Intervention, ...]


class Slot(NamedTuple):
    """Where in a layer something is done: ungated additions first, all at once, then everything else one by one."""

    layer: int
    turn: int
    operation: Operation
    gate_layer: int | None


class Wanted(NamedTuple):
    """What one row wants done in a slot; of an addition, the vector is the push and has its amount for its length."""

    vector: np.ndarray
    amount: float
    gate: Gate | None


def by_slot(interventions: Interventions) -> dict[Slot, Wanted]:
    """Return what interventions do that do anything."""
    found: dict[Slot, Wanted] = {}
    for one in interventions:
        if not one.acts:
            continue
        push = np.float32(one.alpha) * np.asarray(one.direction, dtype=np.float32)
        if one.operation == "add" and one.gate is None:
            slot = Slot(one.layer, 0, "add", None)
            found[slot] = Wanted(found[slot].vector + push if slot in found else push, 1.0, None)
            continue
        turn = 1 + sum(slot.layer == one.layer and slot.turn > 0 for slot in found)
        if one.operation != "add":
            exact = np.asarray(one.direction, dtype=np.float64)
            push = (exact / np.linalg.norm(exact)).astype(np.float32)
        gate_layer = None if one.gate is None else one.gate.layer
        found[Slot(one.layer, turn, one.operation, gate_layer)] = Wanted(push, one.alpha, one.gate)
    return found


@dataclass(kw_only=True, eq=False)
class Gates:
    """The gates of some rows: ``weights[i]`` and ``biases[i]`` are those of batch row ``rows[i]``."""

    rows: Int[Tensor, " row"]
    weights: Float[Tensor, "row d_model"]
    biases: Float[Tensor, " row"]
    open: Bool[Tensor, "row pos"] | None = None

    def read(self, resid: Float[Tensor, "batch pos d_model"]) -> None:
        """See which tokens of these rows are let through."""
        device = resid.device
        h = resid.index_select(0, self.rows.to(device)).float()
        reading = (h * self.weights.to(device).unsqueeze(1)).sum(dim=-1)
        self.open = reading + self.biases.to(device).unsqueeze(1) < 0


@dataclass(kw_only=True, eq=False)
class Step:
    """What one operation does at one layer: ``vectors[i]`` and ``amounts[i]`` are those of batch row ``rows[i]``.

    An addition needs no amount.
    """

    operation: Operation
    rows: Int[Tensor, " row"]
    vectors: Float[Tensor, "row d_model"]
    amounts: Float[Tensor, " row"] | None
    gates: Gates | None

    def to(self, device: torch.device) -> None:
        """Move it to where the layer computes."""
        if self.rows.device != device:
            self.rows, self.vectors = self.rows.to(device), self.vectors.to(device)
            self.amounts = None if self.amounts is None else self.amounts.to(device)

    def changed(self, h: Float[Tensor, "row pos d_model"]) -> Float[Tensor, "row pos d_model"]:
        """Return what becomes of its rows, in float32, gates aside."""
        if self.amounts is None:
            return add(h, self.vectors.unsqueeze(1))
        return OPERATION[self.operation](h, self.vectors.unsqueeze(1), self.amounts[:, None, None])
