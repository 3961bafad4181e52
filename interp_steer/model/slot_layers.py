"""What one block keeps of the rows in their slots: keys and values, or the states of linear attention."""

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from transformers.cache_utils import CacheLayerMixin, LinearAttentionLayer


@runtime_checkable
class Rows(Protocol):
    """What a block must know of the batch."""

    @property
    def n(self) -> int:
        """Number of rows."""
        ...

    @property
    def width(self) -> int:
        """Columns that attention looks at."""
        ...

    def places(self, heads: int, device: torch.device) -> Tensor:
        """Return where each head of each row writes next, counting the positions of all heads of all slots in turn."""
        ...


class AttentionSlots(CacheLayerMixin):  # type: ignore[no-untyped-call]
    """Keys and values of one block, ``[slot, head, position, dim]``: what a head reads in a step lies together."""

    is_sliding = False
    keys: Tensor
    values: Tensor

    def __init__(self, slots: Rows, example: Any, n: int, capacity: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._slots = slots
        self.keys, self.values = (
            one.new_zeros(n, one.shape[1], capacity, one.shape[3]) for one in (example.keys, example.values)
        )
        self.is_initialized = True

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Nothing to do: the memory is reserved at the start."""

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Write one position per row, and return what the rows see."""
        n, width = self._slots.n, self._slots.width
        places = self._slots.places(self.keys.shape[1], key_states.device)
        for ours, new in ((self.keys, key_states), (self.values, value_states)):
            ours.flatten(0, 2).index_copy_(0, places, new.flatten(0, 2))
        return self.keys[:n, :, :width], self.values[:n, :, :width]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:  # noqa: ARG002
        """Return how many columns the mask has, and the first of them."""
        return self._slots.width, 0

    def get_seq_length(self) -> int:
        """Return a position from which every column is in the past; the mask says which are real."""
        return self._slots.width - 1

    def get_max_length(self) -> int:
        """Return the number of positions a slot holds."""
        return int(self.keys.shape[2])

    def admit(self, slots: Tensor, layer: Any, rows: Tensor, pads: Tensor) -> None:
        """Write what rows of another cache hold into slots."""
        width = layer.keys.shape[2]
        columns = (torch.arange(width, device=rows.device) + pads.unsqueeze(1)).clamp(max=width - 1)
        for ours, theirs in ((self.keys, layer.keys), (self.values, layer.values)):
            ours[slots, :, :width] = theirs[rows.unsqueeze(1), :, columns].transpose(1, 2)

    def clear(self, slots: Tensor) -> None:
        """Forget what slots held."""
        self.keys[slots] = 0
        self.values[slots] = 0

    def move(self, to: Tensor, frm: Tensor) -> None:
        """Copy slots to other places."""
        self.keys[to] = self.keys[frm]
        self.values[to] = self.values[frm]

    def resize(self, n: int) -> None:
        """Nothing to do: views are cut at every update."""


class LinearSlots(LinearAttentionLayer):
    """Convolution and recurrent states of one linear-attention block, ``[slot, ...]``."""

    def __init__(self, example: Any, n: int) -> None:
        super().__init__(number_of_states=example.number_of_states)
        self.dtype, self.device = example.dtype, example.device
        self._full: list[tuple[dict[int, Tensor | None], int, Tensor]] = []
        for i in range(example.number_of_states):
            for ours, theirs, ready in (
                (self.conv_states, example.conv_states, self.is_conv_states_initialized),
                (self.recurrent_states, example.recurrent_states, self.is_recurrent_states_initialized),
            ):
                if theirs[i] is not None:
                    full = theirs[i].new_zeros(n, *theirs[i].shape[1:])
                    self._full.append((ours, i, full))
                    ours[i], ready[i] = full, True
            self.conv_kernel_size[i] = example.conv_kernel_size[i]
            self.has_previous_state[i] = True

    def admit(self, slots: Tensor, layer: Any, rows: Tensor, pads: Tensor) -> None:  # noqa: ARG002
        """Write what rows of another cache hold into slots."""
        for ours, i, full in self._full:
            theirs = layer.conv_states if ours is self.conv_states else layer.recurrent_states
            full[slots] = theirs[i][rows]

    def clear(self, slots: Tensor) -> None:
        """Forget what slots held."""
        for _, _, full in self._full:
            full[slots] = 0

    def move(self, to: Tensor, frm: Tensor) -> None:
        """Copy slots to other places."""
        for _, _, full in self._full:
            full[to] = full[frm]

    def resize(self, n: int) -> None:
        """Show the model the first ``n`` slots."""
        for ours, i, full in self._full:
            ours[i] = full[:n]
