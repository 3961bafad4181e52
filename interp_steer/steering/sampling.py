"""The next token of every row: greedy, or sampled with random numbers of the row's own."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int, UInt64
from torch import Tensor
from transformers import TopPLogitsWarper


class Sampler:
    """Chooses tokens; a row's random numbers depend on its seed and step alone.

    Sampling inverts the cumulative distribution: one uniform number per row and step, however large the vocabulary.
    The numbers of all rows are made at once: the n-th of a row is the n-th of a SplitMix64 sequence, which begins at
    its seed, scattered.

    Source:
        Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, doi:10.1145/2660193.2660195.
    """

    def __init__(self, seeds: Sequence[int], temperature: float, top_p: float) -> None:
        """Begin the random numbers of every row.

        Args:
            seeds: Seed of each row.
            temperature: 0 decodes greedily.
            top_p: Mass of the nucleus.
        """
        self._temperature = temperature
        self._nucleus = TopPLogitsWarper(top_p) if top_p < 1 else None
        self._state = mixed(np.array([seed % 2**64 for seed in seeds], dtype=np.uint64))  # so that near seeds part

    def choose(self, logits: Float[Tensor, "row vocab"], rows: Sequence[int]) -> Int[Tensor, " row"]:
        """Return the next token of each row; -1 where the logits are not numbers.

        Args:
            logits: Of the rows still in the batch.
            rows: Which rows these are, in the order of the seeds.
        """
        if self._temperature == 0:
            largest = logits.max(dim=-1)  # the first of equals; faster than argmax in bfloat16
            return largest.indices.masked_fill(largest.values.isnan(), -1)
        scaled = logits.float() / self._temperature
        if self._nucleus is not None:
            scaled = self._nucleus(None, scaled)
        if scaled.device.type == "mps":  # which has no float64
            scaled = scaled.cpu()
        mass = scaled.softmax(dim=-1).cumsum(dim=-1, dtype=torch.float64)
        total = mass[:, -1:]
        uniform = torch.from_numpy(self._uniform(rows)).to(mass).unsqueeze(1)
        tokens = torch.searchsorted(mass, uniform * total, right=True)  # never a token without mass
        return tokens.masked_fill(total.isnan(), -1).squeeze(1).to(logits.device)

    def _uniform(self, rows: Sequence[int]) -> Float[np.ndarray, " row"]:
        """Draw one number in [0, 1) for each of some rows, none of them twice."""
        index = np.asarray(rows, dtype=np.int64)
        self._state[index] += STEP
        return (mixed(self._state[index]) >> np.uint64(11)) * 2.0**-53


STEP = np.uint64(0x9E3779B97F4A7C15)


def mixed(state: UInt64[np.ndarray, " row"]) -> UInt64[np.ndarray, " row"]:
    """Scatter the bits of each number over all 64: the output function of SplitMix64."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
