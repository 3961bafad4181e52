"""Several rows that go on from one cache."""

import copy
from typing import Any

from jaxtyping import Int
from torch import Tensor


def tile(cache: Any, rows: Int[Tensor, " row"]) -> Any:
    """Return a cache of its own whose rows are copies of those given, in any number; the first is left as it is.

    Args:
        cache: What a forward pass returned.
        rows: Which of its rows to take, in order; a row may occur many times.
    """
    tiled = copy.copy(cache)
    tiled.layers = [copy.copy(layer) for layer in cache.layers]
    for layer in tiled.layers:
        for states in ("conv_states", "recurrent_states"):
            if hasattr(layer, states):
                setattr(layer, states, dict(getattr(layer, states)))
    tiled.reorder_cache(rows)
    return tiled
