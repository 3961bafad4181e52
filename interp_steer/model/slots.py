"""A cache with one slot a row: rows of any length side by side, each admitted and dismissed alone.

Hugging Face's growing cache appends one column for all rows, copying everything at every step, and cannot
take a new row in. Here each slot holds one row from its first token, in memory that is reserved once; a step
writes one position per row, and a row that is done gives its slot to the next.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from transformers.cache_utils import Cache, LinearAttentionLayer

from interp_steer.errors import ModelError
from interp_steer.model.readings import Prefix, Reading
from interp_steer.model.slot_layers import AttentionSlots, LinearSlots

COLUMNS = 16  # widths are rounded up to this: aligned masks, and few distinct shapes


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
        self._width = COLUMNS
        self._on_device: dict[torch.device, Tensor] = {}
        self._places: dict[tuple[int, torch.device], Tensor] = {}
        self._blocks = [self._block(one, n, capacity) for one in example.layers]
        super().__init__(layers=list(self._blocks))

    def _block(self, example: Any, n: int, capacity: int) -> "AttentionSlots | LinearSlots":
        if type(example) is LinearAttentionLayer:
            return LinearSlots(example, n)
        window = getattr(example, "sliding_window", None)
        known = getattr(example, "keys", None) is not None and not isinstance(example, LinearAttentionLayer)
        if not known or (window is not None and window < capacity):
            what = f"the last {window} tokens" if known else f"its state as {type(example).__name__}"
            raise ModelError(
                f"a block of this model keeps {what}, and {capacity} tokens are needed for prompt and completion; "
                "use shorter completions, or a model with full or linear attention"
            )
        return AttentionSlots(self, example, n, self._capacity)

    @property
    def n(self) -> int:
        """Number of rows in the batch."""
        return len(self._lengths)

    @property
    def width(self) -> int:
        """Columns that attention looks at in this pass."""
        return self._width

    @property
    def lengths(self) -> tuple[int, ...]:
        """Number of tokens each row has read."""
        return tuple(self._lengths)

    def places(self, heads: int, device: torch.device) -> Int[Tensor, " row_and_head"]:
        """Return where each head of each row writes next, counting the positions of all heads of all slots in turn."""
        if (heads, device) not in self._places:
            first = torch.arange(self.n * heads, device=device) * self._capacity
            lengths = self._lengths_on(device).repeat_interleave(heads)
            self._places[heads, device] = first + lengths
        return self._places[heads, device]

    def mask(self, device: torch.device) -> Int[Tensor, "row column"]:
        """Return the attention mask of the next pass, its own token included."""
        if max(self._lengths, default=0) >= self._capacity:  # it would be written into the next head, or the next slot
            raise AssertionError("a row has outgrown its slot")
        return (torch.arange(self.width, device=device) <= self._lengths_on(device).unsqueeze(1)).long()

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
        # New tensors: those made within a pass are inference tensors, which nothing outside of it may change in place.
        self._on_device = {key: lengths + 1 for key, lengths in self._on_device.items()}
        self._places = {key: places + 1 for key, places in self._places.items()}
        self._measure()

    def _changed(self) -> None:
        self._on_device.clear()
        self._places.clear()
        self._measure()
        for layer in self._blocks:
            layer.resize(self.n)

    def _measure(self) -> None:
        self._width = min(self._capacity, -(-(max(self._lengths, default=0) + 1) // COLUMNS) * COLUMNS)

    def _lengths_on(self, device: torch.device) -> Tensor:
        if device not in self._on_device:
            self._on_device[device] = torch.tensor(self._lengths, device=device)
        return self._on_device[device]


def bytes_per_slot(example: Any, capacity: int) -> int:
    """Return the memory one slot takes, from a cache the model made."""
    total, capacity = 0, -(-capacity // COLUMNS) * COLUMNS
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
