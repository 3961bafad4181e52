"""Hooks for a batch in which every row has interventions of its own."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp_steer.model.protocol import ResidualHook
from interp_steer.steering.intervention import Intervention


@dataclass(frozen=True, kw_only=True, eq=False)
class _Push:
    """What one layer adds: ``push[i]`` is the sum of ``alpha * direction`` of batch row ``rows[i]``."""

    rows: Int[Tensor, " row"]
    push: Float[Tensor, "row d_model"]


class BatchSteering:
    """Adds ``||h|| * sum(alpha * direction)`` at the layers and rows that ask for it.

    ``||h||`` is the norm of each token's residual as it arrives at that layer, in float32: with several
    layers, of the stream the earlier ones already steered. Rows whose alpha is 0 are not touched at all,
    and a layer no row steers gets no hook.

    Set :attr:`positions` before every forward pass: which of its positions are steered, row by row.
    """

    positions: Bool[Tensor, "batch pos"]

    def __init__(self, rows: Sequence[Sequence[Intervention]], device: torch.device) -> None:
        """Gather the interventions of a batch, layer by layer.

        Args:
            rows: The interventions of each row.
            device: Where the rows are computed; a layer elsewhere gets its tensors at the first call.
        """
        self._pushes: dict[int, _Push] = {}
        by_layer: dict[int, dict[int, Tensor]] = {}
        for row, row_interventions in enumerate(rows):
            for one in row_interventions:
                if one.alpha == 0:
                    continue
                pushes = by_layer.setdefault(one.layer, {})
                push = one.alpha * torch.as_tensor(one.direction, dtype=torch.float32)
                pushes[row] = pushes[row] + push if row in pushes else push
        for layer, pushes in by_layer.items():
            self._pushes[layer] = _Push(
                rows=torch.tensor(list(pushes), device=device), push=torch.stack(list(pushes.values())).to(device)
            )

    def functions(self) -> dict[int, ResidualHook]:
        """Return the hook of each layer that steers at least one row."""
        return {layer: self._hook(layer) for layer in self._pushes}

    def keep(self, rows: Int[Tensor, " kept"]) -> None:
        """Follow the batch as it shrinks to the given rows, in their order."""
        place = {int(row): new for new, row in enumerate(rows.tolist())}
        for layer, old in self._pushes.items():
            held = [i for i, row in enumerate(old.rows.tolist()) if row in place]
            new_rows = torch.tensor([place[int(old.rows[i])] for i in held], dtype=torch.long, device=old.rows.device)
            self._pushes[layer] = _Push(rows=new_rows, push=old.push[held])

    def _hook(self, layer: int) -> ResidualHook:
        def steer(resid: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"] | None:
            one = self._pushes[layer]
            if one.rows.device != resid.device:
                one = _Push(rows=one.rows.to(resid.device), push=one.push.to(resid.device))
                self._pushes[layer] = one
            if one.rows.numel() == 0:
                return None
            here = self.positions.to(resid.device)[one.rows].unsqueeze(-1)
            before = resid[one.rows]
            wide = before.float()
            norm = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
            after = (wide + norm * one.push.unsqueeze(1)).to(resid.dtype)
            return resid.index_copy(0, one.rows, torch.where(here, after, before))

        return steer
