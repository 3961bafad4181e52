"""How likely a completion is under the unsteered model: the fluency that coherence is made of."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from interp_steer.batches import pad
from interp_steer.model.protocol import Model
from interp_steer.steering.prefixes import tiled_prefix

LOGITS_PER_BATCH = 2**26


def mean_nll(
    model: Model, prompts: Sequence[tuple[int, ...]], completions: Sequence[tuple[int, ...]]
) -> list[float | None]:
    """Mean negative log-likelihood per token of each completion given its prompt, without steering.

    The end-of-turn token is not counted: whether a text stops is not how fluent it is.

    Args:
        model: The model to read with.
        prompts: Tokens of each prompt, at least two each.
        completions: Tokens of each completion.

    Returns:
        Nats per token; None where nothing but the end-of-turn token was generated.
    """
    texts = [tuple(token for token in ids if token not in model.eos_ids) for ids in completions]
    found: list[float | None] = [None] * len(texts)
    order = sorted(
        (i for i, ids in enumerate(texts) if ids), key=lambda i: (len(prompts[i]), prompts[i], len(texts[i]))
    )
    while order:
        longest = max(len(texts[i]) for i in order)
        size = max(1, LOGITS_PER_BATCH // (longest * model.vocab_size))
        rows, order = order[:size], order[size:]
        values = _batch_nll(model, [prompts[i] for i in rows], [texts[i] for i in rows])
        for row, value in zip(rows, values.tolist(), strict=True):
            found[row] = value
    return found


def _batch_nll(
    model: Model, prompts: Sequence[tuple[int, ...]], texts: Sequence[tuple[int, ...]]
) -> Float[Tensor, " row"]:
    cache, prefix_mask = tiled_prefix(model, prompts)
    read = [(prompt[-1], *text[:-1]) for prompt, text in zip(prompts, texts, strict=True)]
    input_ids, mask = (part.to(model.device) for part in pad(read, "right"))
    targets = pad(texts, "right")[0].to(model.device)
    output = model.forward(input_ids, torch.cat([prefix_mask, mask], dim=1), logits="all", cache=cache)
    if output.logits is None:
        raise AssertionError("scoring asked for logits and got none")
    logits = output.logits.float()
    log_likelihood = logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1) - logits.logsumexp(dim=-1)
    return -(log_likelihood * mask).sum(dim=1) / mask.sum(dim=1)
