"""Hooks for a batch in which every row has interventions of its own."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp_steer.model.protocol import ResidualHook
from interp_steer.steering.steps import Gates, Interventions, Slot, Step, Wanted, by_slot


class BatchSteering:
    """Does at each layer what the rows of a batch ask for, each something of its own.

    Additions at a layer are summed: ``h + ||h|| * sum(alpha * direction)``. Other operations of a row, and gated ones,
    follow in the order it names them, each on what the one before left. ``||h||`` is the norm of each token's residual
    as it arrives, in float32: with several layers, of the stream the earlier ones already steered. Rows whose
    interventions do nothing are not touched at all, and a layer no row steers or reads gets no hook.

    Every pass steers the rows that :meth:`assign` was last called with. What the vectors are is settled at
    the start; reassigning rows moves a few indices.
    """

    def __init__(self, choices: Iterable[Interventions], device: torch.device) -> None:
        """Gather every vector that a row may ask for.

        Args:
            choices: The interventions that rows will be assigned, all of them.
            device: Where the rows are computed; a layer elsewhere gets its tensors at the first call.
        """
        self._device = device
        self._choices = list(choices)  # they are known by identity, so they must live as long as this
        self._bank_rows: dict[tuple[int, ...], dict[Slot, int]] = {(): {}}
        bank: list[Wanted] = []
        for interventions in self._choices:
            if _key(interventions) in self._bank_rows:
                continue
            wanted = by_slot(interventions)
            self._bank_rows[_key(interventions)] = {slot: len(bank) + i for i, slot in enumerate(wanted)}
            bank.extend(wanted.values())
        self._bank = torch.tensor(np.stack([one.vector for one in bank]), device=device) if bank else None
        self._amounts = torch.tensor([one.amount for one in bank], dtype=torch.float32, device=device)
        self._gates = [one.gate for one in bank]
        slots = {slot for places in self._bank_rows.values() for slot in places}
        self._layers = sorted(set(map(_first, slots)) | {slot.layer for slot in slots})
        self._now: dict[int, list[Step]] = {}
        self._gates_now: dict[int, list[Gates]] = {}
        self._positions: Bool[Tensor, "batch pos"] | None = None
        self._captured: dict[int, Tensor] | None = None

    def functions(self) -> dict[int, ResidualHook]:
        """Return the hook of each layer that some row may steer, or read for a gate."""
        return {layer: self._hook(layer) for layer in self._layers}

    def assign(self, rows: Sequence[Interventions], positions: Bool[Tensor, "batch pos"] | None = None) -> None:
        """Say what each row of the next passes is steered by.

        Args:
            rows: The interventions of each row, in the order of the batch; empty leaves a row alone.
            positions: Which positions are steered; all of them if not given.
        """
        self._positions = positions
        self._now, self._gates_now = {}, {}
        if self._bank is None:
            return
        members: dict[Slot, tuple[list[int], list[int]]] = {}
        for row, interventions in enumerate(rows):
            for slot, place in self._bank_rows[_key(interventions)].items():
                steered, places = members.setdefault(slot, ([], []))
                steered.append(row)
                places.append(place)
        flat = [index for both in members.values() for part in both for index in part]
        indices = torch.tensor(flat, dtype=torch.long).to(self._device, non_blocking=True)
        start, steps = 0, list[tuple[Slot, Step]]()
        for slot, (steered, places) in members.items():
            middle, end = start + len(steered), start + 2 * len(steered)
            step = Step(
                operation=slot.operation,
                rows=indices[start:middle],
                vectors=self._bank[indices[middle:end]],
                amounts=None if slot.operation == "add" else self._amounts[indices[middle:end]],
                gates=self._gates_of(slot, indices[start:middle], places),
            )
            steps.append((slot, step))
            start = end
        for slot, step in sorted(steps, key=lambda one: one[0].turn):
            self._now.setdefault(slot.layer, []).append(step)

    def _gates_of(self, slot: Slot, rows: Int[Tensor, " row"], places: Sequence[int]) -> Gates | None:
        if slot.gate_layer is None:
            return None
        found = [gate for place in places if (gate := self._gates[place]) is not None]
        weights = torch.tensor(np.stack([gate.weight for gate in found]), dtype=torch.float32, device=self._device)
        biases = torch.tensor([gate.bias for gate in found], dtype=torch.float32, device=self._device)
        gates = Gates(rows=rows, weights=weights, biases=biases)
        self._gates_now.setdefault(slot.gate_layer, []).append(gates)
        return gates

    @contextmanager
    def capturing(self, *, keep: bool) -> Iterator[dict[int, Float[Tensor, "batch pos d_model"]]]:
        """Steer nothing inside the block.

        Args:
            keep: Whether to keep the residual stream at every layer that has a hook.
        """
        captured: dict[int, Tensor] = {}
        self._now, self._gates_now = {}, {}
        self._captured = captured if keep else None
        try:
            yield captured
        finally:
            self._captured = None

    def first_layer(self, interventions: Interventions) -> int | None:
        """Return the lowest layer that interventions read or change, or None if they change nothing."""
        return min(map(_first, self._bank_rows[_key(interventions)]), default=None)

    def apply(self, layer: int, resid: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"] | None:
        """Return the residual stream after a layer as the assigned rows change it; None if none does."""
        for gates in self._gates_now.get(layer, ()):
            gates.read(resid)
        steps = self._now.get(layer)
        if steps is None:
            return None
        for step in steps:
            step.to(resid.device)
            before = resid.index_select(0, step.rows)
            after = step.changed(before.float()).to(resid.dtype)
            if self._positions is not None:
                here = self._positions.to(resid.device)[step.rows].unsqueeze(-1)
                after = torch.where(here, after, before)
            if step.gates is not None:
                if step.gates.open is None:
                    raise AssertionError(f"layer {layer} is steered by a gate that has not read this pass")
                after = torch.where(step.gates.open.to(resid.device).unsqueeze(-1), after, before)
            resid = resid.index_copy(0, step.rows, after)
        return resid

    def _hook(self, layer: int) -> ResidualHook:
        def steer(resid: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"] | None:
            if self._captured is not None:
                self._captured[layer] = resid
                return None
            return self.apply(layer, resid)

        return steer


def _first(slot: Slot) -> int:
    return slot.layer if slot.gate_layer is None else min(slot.layer, slot.gate_layer)


def _key(interventions: Interventions) -> tuple[int, ...]:
    """Rows of one cell share their interventions, so identity finds them."""
    return tuple(id(one) for one in interventions)
