"""What a push does to a model's predictions, read off texts that the model itself wrote without it."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp_steer.model.protocol import Model
from interp_steer.steering.decode import decode
from interp_steer.steering.rows import DecodeRow, DecodeSettings
from interp_steer.sweeps.replay import Measure
from interp_steer.sweeps.texts import Text

LogProbabilities = Float[Tensor, "place vocab"]


def own_answers(model: Model, prompts: Sequence[str], n_tokens: int) -> list[Text]:
    """Let the unsteered model answer greedily, at most ``n_tokens`` tokens a prompt."""
    rows = [DecodeRow(prompt_ids=tuple(model.chat.prompt_ids(prompt))) for prompt in prompts]
    completions = decode(model, rows, DecodeSettings(max_new_tokens=n_tokens))
    return [Text(prompt=row.prompt_ids, response=one.ids) for row, one in zip(rows, completions, strict=True)]


def log_probabilities(logits: Float[Tensor, "place vocab"], _: Int[Tensor, " place"]) -> LogProbabilities:
    """Return the log-probability of every token; a measure of a replay."""
    return logits.log_softmax(dim=1)


def kl_from_steered(unsteered: LogProbabilities) -> Measure:
    """Return the measure ``KL(steered || unsteered)``, in nats."""

    def measure(logits: Float[Tensor, "place vocab"], places: Int[Tensor, " place"]) -> Float[Tensor, " place"]:
        steered = logits.log_softmax(dim=1)
        return (steered.exp() * (steered - _at(unsteered, places, logits.device))).sum(dim=1)

    return measure


def kl_from_unsteered(unsteered: LogProbabilities) -> Measure:
    """Return the measure ``KL(unsteered || steered)``, in nats: what the unsteered predictions lose."""

    def measure(logits: Float[Tensor, "place vocab"], places: Int[Tensor, " place"]) -> Float[Tensor, " place"]:
        before = _at(unsteered, places, logits.device)
        return (before.exp() * (before - logits.log_softmax(dim=1))).sum(dim=1)

    return measure


def logits_moved(unsteered: LogProbabilities) -> Measure:
    """Return the measure ``||z(steered) - z(unsteered)||``, z the logits less their mean over the vocabulary.

    Centered, since adding one number to every logit predicts nothing else.
    """

    def measure(logits: Float[Tensor, "place vocab"], places: Int[Tensor, " place"]) -> Float[Tensor, " place"]:
        change = logits - _at(unsteered, places, logits.device)
        return torch.linalg.vector_norm(change - change.mean(dim=1, keepdim=True), dim=1)

    return measure


def _at(
    unsteered: Float[Tensor, "every vocab"], places: Int[Tensor, " place"], device: torch.device
) -> Float[Tensor, "place vocab"]:
    return unsteered[places.to(unsteered.device)].to(device)
