"""Both responses of contrastive pairs read once, and then how likely they are under any push."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp_steer.behaviors import Pair
from interp_steer.errors import SteeringError
from interp_steer.model.protocol import Model
from interp_steer.steering.intervention import Intervention
from interp_steer.steering.steps import Interventions
from interp_steer.sweeps.replay import TOKENS_PER_BATCH, Replay
from interp_steer.sweeps.texts import Text
from interp_steer.terms import Scope


class SidesReplay:
    """Log-likelihoods of the positive (side 0) and the negative (side 1) response of every pair, in nats.

    Teacher-forced: the model reads each response and is asked how likely its tokens were. The end-of-turn token
    is not scored.

    Attributes:
        n_texts: Responses read, two for each pair.
        tokens: Number of tokens of each response.
    """

    def __init__(
        self,
        model: Model,
        pairs: Sequence[Pair],
        layers: Sequence[int],
        scope: Scope,
        *,
        system: str | None = None,
        tokens_per_batch: int = TOKENS_PER_BATCH,
    ) -> None:
        """Read every pair without steering.

        Args:
            model: The model to read with.
            pairs: Contrastive pairs.
            layers: The layers that will be steered.
            scope: Which positions are steered.
            system: A system prompt before each prompt.
            tokens_per_batch: Most padded tokens of one forward pass; bounds the memory.

        Raises:
            TemplateError: If tokens merge across the seam between a prompt and its response.
        """
        texts = [
            _text(model, pair.prompt, response, system) for pair in pairs for response in (pair.positive, pair.negative)
        ]
        lengths = [len(text.response) for text in texts]
        self.n_texts = len(texts)
        self.tokens: Float[np.ndarray, "side pair"] = np.array([lengths[0::2], lengths[1::2]], dtype=np.float64)
        self._targets = torch.tensor([token for text in texts for token in text.response], device=model.device)
        self._starts = np.cumsum([0, *lengths])[:-1]
        self._replay = Replay(model, texts, layers, scope, tokens_per_batch=tokens_per_batch)

    def unsteered(self) -> Float[np.ndarray, "side pair"]:
        """Return the log-likelihoods without steering."""
        return self._by_side(self._replay.unsteered(self._measure))

    def steered(
        self, pushes: Sequence[Intervention], advance: Callable[[int], None] = lambda _: None
    ) -> Float[np.ndarray, "side push pair"]:
        """Return the log-likelihoods under each of several pushes at one layer.

        Args:
            pushes: Interventions at the same layer, one of those the pairs were read for.
            advance: Told how many rows (one response under one push) were read.

        Raises:
            SteeringError: If a likelihood is not finite, naming the layer.
        """
        return self._finite(self._replay.steered(pushes, self._measure, advance), pushes[0].layer)

    def steered_by_sets(self, choices: Sequence[Interventions]) -> Float[np.ndarray, "side set pair"]:
        """Return the log-likelihoods under each of several sets of interventions, at any layers.

        Args:
            choices: Each steers every response; the lowest layer of all is one of those the pairs were read for.

        Raises:
            SteeringError: If a likelihood is not finite, naming the lowest layer.
        """
        lowest = min(one.layer for choice in choices for one in choice)
        return self._finite(self._replay.steered_by_sets(choices, self._measure), lowest)

    def _finite(self, values: Float[Tensor, "push place"], layer: int) -> Float[np.ndarray, "side push pair"]:
        found = self._by_side(values)
        if not np.isfinite(found).all():
            raise SteeringError(
                f"layer {layer}: a steered likelihood is NaN or Inf; load the model in float32 or bfloat16, or steer "
                "less"
            )
        return found

    def _measure(self, logits: Float[Tensor, "place vocab"], places: Int[Tensor, " place"]) -> Float[Tensor, " place"]:
        chosen = self._targets.to(logits.device)[places].unsqueeze(1)
        return logits.gather(1, chosen).squeeze(1) - logits.logsumexp(dim=1)

    def _by_side(self, values: Float[Tensor, "*cell place"]) -> Float[np.ndarray, "side *cell pair"]:
        sums = np.add.reduceat(values.cpu().double().numpy(), self._starts, axis=-1)
        return np.stack([sums[..., 0::2], sums[..., 1::2]])


def _text(model: Model, prompt: str, response: str, system: str | None) -> Text:
    ids, n_prompt = model.chat.pair_ids(prompt, response, system)
    return Text(prompt=tuple(ids[:n_prompt]), response=tuple(ids[n_prompt:]))
