"""How far the residual stream of each row points along directions, read while the rows decode.

Formula: the cosine of a token's residual at ``blocks.<l>.hook_resid_post`` with a unit direction, before what is added
at that very layer. What earlier layers and earlier tokens were pushed by has come through the model; a push does not
color the token it is added to. It shows where the stream carries the direction, not that the direction causes anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp_steer.model.protocol import ResidualHook


@dataclass(frozen=True, kw_only=True, eq=False)
class Watch:
    """A direction to read at a layer.

    Attributes:
        layer: Block after which the residual stream is read.
        direction: Unit vector.
    """

    layer: int
    direction: Float[np.ndarray, " d_model"]


class BatchWatch:
    """Reads one position a row, at the layers that somebody watches; who watches nothing costs nothing."""

    def __init__(self, watched: Sequence[tuple[Watch, ...]], device: torch.device) -> None:
        """Say what each row of the next passes is read for; see :meth:`assign`.

        Args:
            watched: What any row will be assigned.
            device: Where the rows are computed.
        """
        self._device = device
        self._layers = sorted({one.layer for row in watched for one in row})
        self._rows: list[tuple[Watch, ...]] = []
        self._places: dict[int, list[tuple[int, int]]] = {}
        self._now: dict[int, tuple[Tensor, Tensor]] = {}
        self._found: dict[int, Float[Tensor, " place"]] = {}

    def assign(self, rows: Sequence[tuple[Watch, ...]]) -> None:
        """Say what each row of the next pass is read for, in the order of the batch; empty is nothing."""
        self._found = {}
        if len(rows) == len(self._rows) and all(one is other for one, other in zip(rows, self._rows, strict=True)):
            return
        self._rows, self._places, self._now = list(rows), {}, {}
        directions: dict[int, list[np.ndarray]] = {}
        for row, watched in enumerate(rows):
            for number, one in enumerate(watched):
                self._places.setdefault(one.layer, []).append((row, number))
                directions.setdefault(one.layer, []).append(np.asarray(one.direction, dtype=np.float32))
        for layer, places in self._places.items():
            members = torch.tensor([row for row, _ in places], device=self._device)
            self._now[layer] = (members, torch.from_numpy(np.stack(directions[layer])).to(self._device))

    def hooked(self, steering: Mapping[int, ResidualHook]) -> dict[int, ResidualHook]:
        """Return hooks that read, and then steer.

        Args:
            steering: The hook of each layer that is steered.
        """
        return {layer: self._hook(layer, steering.get(layer)) for layer in sorted({*steering, *self._layers})}

    def cosines(self) -> list[tuple[float, ...]]:
        """Return what the last pass read in each row, in the order of what it watches."""
        found = [[0.0] * len(watched) for watched in self._rows]
        for layer, values in self._found.items():
            for (row, number), value in zip(self._places[layer], values.tolist(), strict=True):
                found[row][number] = value
        return [tuple(row) for row in found]

    def _hook(self, layer: int, steer: ResidualHook | None) -> ResidualHook:
        def read(resid: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"] | None:
            if layer in self._now:
                rows, directions = (tensor.to(resid.device) for tensor in self._now[layer])
                wide = resid[rows, -1].float()
                norm = torch.linalg.vector_norm(wide, dim=-1).clamp(min=torch.finfo(torch.float32).tiny)
                self._found[layer] = (wide * directions).sum(dim=-1) / norm
            return None if steer is None else steer(resid)

        return read
