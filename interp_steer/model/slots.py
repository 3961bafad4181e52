"""A cache with one slot a row: rows of any length side by side, each admitted and dismissed alone.

Hugging Face's growing cache appends one column for all rows, copying everything at every step, and cannot
take a new row in. Here each slot holds one row from its first token, in memory that is reserved once; a step
writes one position per row, and a row that is done gives its slot to the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin, LinearAttentionLayer

from interp_steer.errors import ModelError

COLUMNS = 16  # widths are rounded up to this: aligned masks, and few distinct shapes


@dataclass(frozen=True, kw_only=True, eq=False)
class Reading:
    """What a forward pass over prompts left behind.

    Attributes:
        cache: Its cache; entries below ``first_layer`` are empty.
        pads: Number of pads on the left of each of its rows.
        first_layer: The block it entered first.
    """

    cache: Any
    pads: tuple[int, ...]
    first_layer: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Prefix:
    """What one row has read before it decodes.

    Attributes:
        length: Number of tokens.
        sources: Readings and the row in each; a block takes its part from the last that entered below it.
    """

    length: int
    sources: tuple[tuple[Reading, int], ...] = ()

    def source(self, layer: int) -> tuple[Reading, int] | None:
        """Return the reading that holds a layer's part."""
        found = [source for source in self.sources if source[0].first_layer <= layer]
        return found[-1] if found else None


class _AttentionSlots(CacheLayerMixin):  # type: ignore[no-untyped-call]
    """Keys and values of one block, ``[slot, head, position, dim]``."""

    is_sliding = False
    keys: Tensor
    values: Tensor

    def __init__(self, slots: "Slots", example: Any, n: int, capacity: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._slots = slots
        self.keys = example.keys.new_zeros(n, example.keys.shape[1], capacity, example.keys.shape[3])
        self.values = example.values.new_zeros(n, example.values.shape[1], capacity, example.values.shape[3])
        self.is_initialized = True

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Nothing to do: the memory is reserved at the start."""

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Write one position per row, and return what the rows see."""
        n, width = self._slots.n, self._slots.width
        where = (self._slots.rows(key_states.device), slice(None), self._slots.lengths(key_states.device))
        self.keys[where] = key_states.squeeze(2)
        self.values[where] = value_states.squeeze(2)
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
        width = layer.keys.shape[2]
        columns = (torch.arange(width, device=rows.device) + pads.unsqueeze(1)).clamp(max=width - 1)
        for ours, theirs in ((self.keys, layer.keys), (self.values, layer.values)):
            ours[slots, :, :width] = theirs[rows.unsqueeze(1), :, columns].transpose(1, 2)

    def clear(self, slots: Tensor) -> None:
        self.keys[slots] = 0
        self.values[slots] = 0

    def move(self, to: Tensor, frm: Tensor) -> None:
        self.keys[to] = self.keys[frm]
        self.values[to] = self.values[frm]

    def resize(self, n: int) -> None:
        """Nothing to do: views are cut at every update."""


class _LinearSlots(LinearAttentionLayer):
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
        for ours, i, full in self._full:
            theirs = layer.conv_states if ours is self.conv_states else layer.recurrent_states
            full[slots] = theirs[i][rows]

    def clear(self, slots: Tensor) -> None:
        for _, _, full in self._full:
            full[slots] = 0

    def move(self, to: Tensor, frm: Tensor) -> None:
        for _, _, full in self._full:
            full[to] = full[frm]

    def resize(self, n: int) -> None:
        for ours, i, full in self._full:
            ours[i] = full[:n]


class Slots(Cache):
    """The cache of rows in different places of different texts; pass it to ``Model.forward`` as any other.

    Each pass reads one token per row. Call :meth:`advance` after it.
    """

    def __init__(self, example: Any, n: int, capacity: int) -> None:
        """Reserve memory.

        Args:
            example: A cache the model made, for shapes, dtypes and devices.
            n: Most rows at a time.
            capacity: Most tokens of a row, prompt included.

        Raises:
            ModelError: If a block keeps less than ``capacity`` tokens, or something this cache does not know.
        """
        self._lengths: list[int] = []
        self._used = 0
        self._capacity = -(-capacity // COLUMNS) * COLUMNS
        self._on_device: dict[torch.device, tuple[Tensor, Tensor]] = {}
        self._blocks = [self._block(one, n, capacity) for one in example.layers]
        super().__init__(layers=list(self._blocks))

    def _block(self, example: Any, n: int, capacity: int) -> "_AttentionSlots | _LinearSlots":
        if type(example) is LinearAttentionLayer:
            return _LinearSlots(example, n)
        window = getattr(example, "sliding_window", None)
        known = getattr(example, "keys", None) is not None and not isinstance(example, LinearAttentionLayer)
        if not known or (window is not None and window < capacity):
            what = f"the last {window} tokens" if known else f"its state as {type(example).__name__}"
            raise ModelError(
                f"a block of this model keeps {what}, and {capacity} tokens are needed for prompt and completion; "
                "use shorter completions, or a model with full or linear attention"
            )
        return _AttentionSlots(self, example, n, self._capacity)

    @property
    def n(self) -> int:
        """Number of rows in the batch."""
        return len(self._lengths)

    @property
    def width(self) -> int:
        """Columns that attention looks at in this pass."""
        return min(self._capacity, -(-(max(self._lengths) + 1) // COLUMNS) * COLUMNS)

    @property
    def lengths_now(self) -> list[int]:
        """Number of tokens each row has read."""
        return list(self._lengths)

    def lengths(self, device: torch.device) -> Int[Tensor, " row"]:
        """Return the number of tokens each row has read: the position its next one is written to."""
        return self._tensors(device)[1]

    def rows(self, device: torch.device) -> Int[Tensor, " row"]:
        """Return ``0 .. n-1``."""
        return self._tensors(device)[0]

    def mask(self, device: torch.device) -> Int[Tensor, "row column"]:
        """Return the attention mask of the next pass, its own token included."""
        return (torch.arange(self.width, device=device) <= self.lengths(device).unsqueeze(1)).long()

    def admit(self, prefixes: Sequence[Prefix]) -> None:
        """Append rows that have read a prefix each."""
        slots = range(self.n, self.n + len(prefixes))
        self._lengths += [prefix.length for prefix in prefixes]
        stale = [slot for slot in slots if slot < self._used]
        self._used = max(self._used, self.n)
        for index, layer in enumerate(self._blocks):
            if stale:  # a NaN that the last row left would come through the mask
                layer.clear(torch.tensor(stale, device=_device(layer)))
            groups: dict[int, tuple[Reading, list[int], list[int]]] = {}
            for slot, prefix in zip(slots, prefixes, strict=True):
                source = prefix.source(index)
                if source is None:
                    continue
                group = groups.setdefault(id(source[0]), (source[0], [], []))
                group[1].append(slot)
                group[2].append(source[1])
            for reading, members, rows in groups.values():
                theirs = reading.cache.layers[index]
                device = _device(theirs)
                layer.admit(
                    torch.tensor(members, device=device),
                    theirs,
                    torch.tensor(rows, device=device),
                    torch.tensor([reading.pads[row] for row in rows], device=device),
                )
        self._changed()

    def dismiss(self, slots: Sequence[int]) -> list[int]:
        """Remove rows; the last ones take their places.

        Returns:
            For each slot that is left, in order, the slot its row was in.
        """
        gone = set(slots)
        left = self.n - len(gone)
        origin = list(range(left))
        movers = [slot for slot in range(left, self.n) if slot not in gone]
        for hole, mover in zip(sorted(slot for slot in gone if slot < left), movers, strict=True):
            origin[hole] = mover
            self._lengths[hole] = self._lengths[mover]
        moved = [slot for slot, was in enumerate(origin) if was != slot]
        if moved:
            for layer in self._blocks:
                device = _device(layer)
                to = torch.tensor(moved, device=device)
                layer.move(to, torch.tensor([origin[slot] for slot in moved], device=device))
        del self._lengths[left:]
        self._changed()
        return origin

    def advance(self) -> None:
        """Count the token that each row has just read."""
        self._lengths = [length + 1 for length in self._lengths]
        for _, lengths in self._on_device.values():
            lengths += 1

    def _changed(self) -> None:
        self._on_device.clear()
        for layer in self._blocks:
            layer.resize(self.n)

    def _tensors(self, device: torch.device) -> tuple[Tensor, Tensor]:
        if device not in self._on_device:
            lengths = torch.tensor(self._lengths, device=device)
            self._on_device[device] = (torch.arange(self.n, device=device), lengths)
        return self._on_device[device]


def bytes_per_slot(example: Any, capacity: int) -> int:
    """Return the memory one slot takes, from a cache the model made."""
    total = 0
    for layer in example.layers:
        keys = getattr(layer, "keys", None)
        if keys is not None:
            total += 2 * keys.shape[1] * keys.shape[3] * keys.element_size() * capacity
        for states in (getattr(layer, "conv_states", {}), getattr(layer, "recurrent_states", {})):
            total += sum(state[0].numel() * state.element_size() for state in states.values() if state is not None)
    return total


def _device(layer: Any) -> torch.device:
    keys = getattr(layer, "keys", None)
    device: torch.device = layer.device if keys is None else keys.device
    return device
