"""Hooks for a batch in which every row has interventions of its own."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp_steer.model.protocol import ResidualHook
from interp_steer.steering.intervention import Intervention

Interventions = tuple[Intervention, ...]


@dataclass(kw_only=True, eq=False)
class _Push:
    """What one layer adds: ``push[i]`` is the sum of ``alpha * direction`` of batch row ``rows[i]``."""

    rows: Int[Tensor, " row"]
    push: Float[Tensor, "row d_model"]

    def to(self, device: torch.device) -> None:
        if self.rows.device != device:
            self.rows, self.push = self.rows.to(device), self.push.to(device)


class BatchSteering:
    """Adds ``||h|| * sum(alpha * direction)`` at the layers and rows that ask for it.

    ``||h||`` is the norm of each token's residual as it arrives at that layer, in float32: with several
    layers, of the stream the earlier ones already steered. Rows whose alpha is 0 are not touched at all,
    and a layer no row steers gets no hook.

    Every pass steers the rows that :meth:`assign` was last called with. What the vectors are is settled at
    the start; reassigning rows moves a few indices.
    """

    def __init__(self, choices: Iterable[Interventions], device: torch.device) -> None:
        """Gather every push that a row may ask for.

        Args:
            choices: The interventions that rows will be assigned, all of them.
            device: Where the rows are computed; a layer elsewhere gets its tensors at the first call.
        """
        self._device = device
        self._choices = list(choices)  # they are known by identity, so they must live as long as this
        self._bank_rows: dict[tuple[int, ...], dict[int, int]] = {(): {}}
        pushes: list[np.ndarray] = []
        for interventions in self._choices:
            if _key(interventions) in self._bank_rows:
                continue
            by_layer: dict[int, np.ndarray] = {}
            for one in interventions:
                if one.alpha != 0:
                    push = one.alpha * np.asarray(one.direction, dtype=np.float32)
                    by_layer[one.layer] = by_layer[one.layer] + push if one.layer in by_layer else push
            self._bank_rows[_key(interventions)] = {layer: len(pushes) + i for i, layer in enumerate(by_layer)}
            pushes.extend(by_layer.values())
        self._bank = torch.tensor(np.stack(pushes), device=device) if pushes else None
        self._layers = sorted({layer for places in self._bank_rows.values() for layer in places})
        self._now: dict[int, _Push] = {}
        self._positions: Bool[Tensor, "batch pos"] | None = None
        self._captured: dict[int, Tensor] | None = None

    def functions(self) -> dict[int, ResidualHook]:
        """Return the hook of each layer that some row may steer."""
        return {layer: self._hook(layer) for layer in self._layers}

    def assign(self, rows: Sequence[Interventions], positions: Bool[Tensor, "batch pos"] | None = None) -> None:
        """Say what each row of the next passes is steered by.

        Args:
            rows: The interventions of each row, in the order of the batch; empty leaves a row alone.
            positions: Which positions are steered; all of them if not given.
        """
        self._positions = positions
        self._now = {}
        if self._bank is None:
            return
        by_layer: dict[int, tuple[list[int], list[int]]] = {}
        for row, interventions in enumerate(rows):
            for layer, place in self._bank_rows[_key(interventions)].items():
                members = by_layer.setdefault(layer, ([], []))
                members[0].append(row)
                members[1].append(place)
        flat = [index for members in by_layer.values() for part in members for index in part]
        indices = torch.tensor(flat, dtype=torch.long).to(self._device, non_blocking=True)
        start = 0
        for layer, (steered, _) in by_layer.items():
            middle, end = start + len(steered), start + 2 * len(steered)
            self._now[layer] = _Push(rows=indices[start:middle], push=self._bank[indices[middle:end]])
            start = end

    @contextmanager
    def capturing(self, *, keep: bool) -> Iterator[dict[int, Float[Tensor, "batch pos d_model"]]]:
        """Steer nothing inside the block.

        Args:
            keep: Whether to keep the residual stream at every layer that has a hook.
        """
        captured: dict[int, Tensor] = {}
        self._now = {}
        self._captured = captured if keep else None
        try:
            yield captured
        finally:
            self._captured = None

    def first_layer(self, interventions: Interventions) -> int | None:
        """Return the lowest layer that interventions change, or None if they change nothing."""
        return min(self._bank_rows[_key(interventions)], default=None)

    def apply(self, layer: int, resid: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"] | None:
        """Return the residual stream after a layer as the assigned rows change it; None if none does."""
        one = self._now.get(layer)
        if one is None:
            return None
        one.to(resid.device)
        before = resid.index_select(0, one.rows)
        wide = before.float()
        norm = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
        after = (wide + norm * one.push.unsqueeze(1)).to(resid.dtype)
        if self._positions is not None:
            here = self._positions.to(resid.device)[one.rows].unsqueeze(-1)
            after = torch.where(here, after, before)
        return resid.index_copy(0, one.rows, after)

    def _hook(self, layer: int) -> ResidualHook:
        def steer(resid: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"] | None:
            if self._captured is not None:
                self._captured[layer] = resid
                return None
            return self.apply(layer, resid)

        return steer


def _key(interventions: Interventions) -> tuple[int, ...]:
    """Rows of one cell share their interventions, so identity finds them."""
    return tuple(id(one) for one in interventions)
