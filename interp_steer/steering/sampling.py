"""The next token of every row: greedy, or sampled from a generator of the row's own."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import TopPLogitsWarper


class Sampler:
    """Chooses tokens; a row's random numbers depend on its seed and step alone.

    Sampling is by the Gumbel-max trick: adding standard Gumbel noise to ``logits / temperature`` and
    taking the argmax draws from the softmax, and the noise can come from one generator per row.
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
        """Return the next token of each row.

        Args:
            logits: Of the rows still in the batch.
            rows: Which rows these are, in the order of the seeds.
        """
        if self._temperature == 0:
            return logits.max(dim=-1).indices  # the first of equals; faster than argmax in bfloat16
        scaled = logits.float() / self._temperature
        if self._nucleus is not None:
            scaled = self._nucleus(None, scaled)
        uniform = torch.stack([torch.rand(scaled.shape[1], generator=self._generators[row]) for row in rows])
        gumbel = -torch.log(-torch.log(uniform.clamp(min=1e-20)))
        return (scaled + gumbel.to(scaled.device)).argmax(dim=-1)
