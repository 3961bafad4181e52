"""Read heads token by token: in a text that is there, or while it is being generated.

A head at or below the lowest steered layer reads the same in both: what is added above it reaches it only
through the tokens that were chosen, which the text holds. Above that layer only the text read again without steering
says something about the behavior (:mod:`interp_steer.heads.head`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import expit
from torch import Tensor

from interp_steer.errors import SteeringError
from interp_steer.heads.head import Head
from interp_steer.model.protocol import Model, ResidualHook
from interp_steer.model.slots import Slots
from interp_steer.steering.batch import Batch, example_cache, new_member, not_numbers
from interp_steer.steering.hooks import BatchSteering
from interp_steer.steering.prefixes import read_prefixes
from interp_steer.steering.rows import Completion, DecodeRow, DecodeSettings


@dataclass(frozen=True, kw_only=True, eq=False)
class Reading:
    """What heads say of one response, token by token.

    Attributes:
        ids: The response's tokens.
        logits: Of each head, at each token that was read.
    """

    ids: tuple[int, ...]
    logits: Float[np.ndarray, "head token"]

    @property
    def token_probabilities(self) -> Float[np.ndarray, "head token"]:
        """Each token on the head's scale: good for comparing tokens, calibrated for whole responses only."""
        return expit(self.logits)

    @property
    def probabilities(self) -> Float[np.ndarray, " head"] | None:
        """The calibrated probability that the response shows each behavior, of the mean over its tokens.

        None where no token was read.
        """
        return expit(self.logits.mean(axis=1)) if self.logits.shape[1] else None


def read_text(model: Model, heads: Sequence[Head], prompt: str, response: str) -> Reading:
    """Read a response to a prompt without steering.

    Args:
        model: The model the heads were fitted on.
        heads: At any layers.
        prompt: What was asked.
        response: What was answered.

    Raises:
        VectorError: If a head belongs to another model.
        TemplateError: If tokens merge across the seam between prompt and response.
        SteeringError: If there are no heads, or the response is empty.
    """
    ids, n_prompt = model.chat.pair_ids(prompt, response)
    return read_tokens(model, heads, ids[:n_prompt], ids[n_prompt:])


def read_tokens(model: Model, heads: Sequence[Head], prompt: Sequence[int], response: Sequence[int]) -> Reading:
    """Read a response in tokens; see :func:`read_text`."""
    if not response:
        raise SteeringError("the response has no tokens; heads read responses")
    reader = _Reader(model, heads)
    input_ids = torch.tensor([[*prompt, *response]], device=model.device)
    with model.hooks(reader.hooks({})):
        model.forward(input_ids, torch.ones_like(input_ids), logits="none")
    return Reading(ids=tuple(response), logits=reader.last()[:, 0, len(prompt) :])


def decode_and_read(
    model: Model, rows: Sequence[DecodeRow], settings: DecodeSettings, heads: Sequence[Head]
) -> list[tuple[Completion, Reading]]:
    """Complete rows in one batch and read heads as they go, before anything is added at the layer itself.

    A token is read when the next one is made: the last token of a completion, which nothing follows, is not read.

    Args:
        model: The model the heads were fitted on.
        rows: Prompts and interventions; as many at once as there are, so keep them few.
        settings: How they are decoded.
        heads: Each at or below the lowest layer that a row steers.

    Returns:
        Completions in order, each with the reading of its tokens but the last.

    Raises:
        VectorError: If a head belongs to another model.
        SteeringError: If a head reads above a steered layer, or the logits of a row are not numbers.
    """
    _check_below(heads, rows)
    reader = _Reader(model, heads)
    steering = BatchSteering((row.interventions for row in rows), model.device)
    members = [new_member(row, settings) for row in rows]
    found: dict[int, list[Float[np.ndarray, " head"]]] = {id(one): [] for one in members}
    capacity = max(len(row.prompt_ids) for row in rows) + settings.max_new_tokens
    batch = Batch(model, Slots(example_cache(model), len(rows), capacity))
    with model.hooks(reader.hooks(steering.functions())):
        prefixes = dict(read_prefixes(model, rows, settings.scope, steering))
        batch.admit(members, [prefixes[place] for place in range(len(rows))])
        while len(batch):
            at_work = batch.members
            batch.step(steering)
            for slot, one in enumerate(at_work):
                found[id(one)].append(reader.last()[:, slot, -1])
    results = []
    for one in members:
        if one.finish is None:
            raise SteeringError(not_numbers(one.row))
        completion = Completion(ids=tuple(one.tokens), finish=one.finish)
        read = np.stack(found[id(one)][1:], axis=1) if len(found[id(one)]) > 1 else np.empty((len(heads), 0))
        results.append((completion, Reading(ids=completion.ids[:-1], logits=read)))
    return results


class _Reader:
    """The logits of heads at every position of the last pass."""

    def __init__(self, model: Model, heads: Sequence[Head]) -> None:
        if not heads:
            raise SteeringError("no head was given; name at least one")
        for head in heads:
            head.check_model(model.card)
        self._heads = list(heads)
        self._weights = [torch.tensor(head.weight, dtype=torch.float32) for head in heads]
        self._found: dict[int, Tensor] = {}

    def hooks(self, steering: dict[int, ResidualHook]) -> dict[int, ResidualHook]:
        """Return hooks that read, and then steer."""
        layers = {head.layer for head in self._heads}
        return {layer: self._hook(layer, steering.get(layer)) for layer in sorted({*steering, *layers})}

    def last(self) -> Float[np.ndarray, "head batch pos"]:
        """Return what the last pass read."""
        return np.stack([self._found[which].numpy() for which in range(len(self._heads))])

    def _hook(self, layer: int, steer: ResidualHook | None) -> ResidualHook:
        def read(resid: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"] | None:
            for which, head in enumerate(self._heads):
                if head.layer == layer:
                    weight = self._weights[which].to(resid.device)
                    self._found[which] = (resid.float() @ weight + head.bias).double().cpu()
            return None if steer is None else steer(resid)

        return read


def _check_below(heads: Sequence[Head], rows: Sequence[DecodeRow]) -> None:
    steered = [one.layer for row in rows for one in row.interventions if one.acts]
    for head in heads:
        if steered and head.layer > min(steered):
            raise SteeringError(
                f"the {head.behavior!r} head reads layer {head.layer}, above the steered layer {min(steered)}: it "
                "would see what was added, not what the text says; read the text again without steering"
            )
