"""What was read of prompts, and which part of it belongs to which row."""

from dataclasses import dataclass
from typing import Any


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
