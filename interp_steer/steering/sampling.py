"""The next token of every row: greedy, or sampled from a generator of the row's own."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import TopPLogitsWarper


class Sampler:
    """Chooses tokens; a row's random numbers depend on its seed and step alone.

    Sampling inverts the cumulative distribution: one uniform number per row and step, however large the vocabulary.
    """

    def __init__(self, seeds: Sequence[int], temperature: float, top_p: float) -> None:
        """Prepare one generator per row.

        Args:
            seeds: Seed of each row.
            temperature: 0 decodes greedily.
            top_p: Mass of the nucleus.
        """
        self._temperature = temperature
        self._nucleus = TopPLogitsWarper(top_p) if top_p < 1 else None
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds] if temperature > 0 else []

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
        mass = scaled.softmax(dim=-1).cumsum(dim=-1, dtype=torch.float64)
        total = mass[:, -1:]
        uniform = torch.stack([torch.rand(1, generator=self._generators[row]) for row in rows]).to(mass)
        tokens = torch.searchsorted(mass, uniform * total, right=True)  # never a token without mass
        return tokens.masked_fill(total.isnan(), -1).squeeze(1)
