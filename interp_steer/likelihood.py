"""How likely a completion is under the unsteered model: the fluency that coherence is made of."""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp_steer.batches import pad
from interp_steer.model.protocol import Model
from interp_steer.steering.decode import out_of_memory
from interp_steer.steering.prefixes import tiled_prefix

LOGITS_PER_BATCH = 2**26
TOKENS_PER_BATCH = 8192
ROWS_PER_BATCH = 64


def mean_nll(
    model: Model, prompts: Sequence[tuple[int, ...]], completions: Sequence[tuple[int, ...]]
) -> list[float | None]:
    """Mean negative log-likelihood per token of each completion given its prompt, without steering.

    The end-of-turn token is not counted: whether a text stops is not how fluent it is. Where memory runs out,
    fewer texts are read at a time.

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
    most = ROWS_PER_BATCH
    while order:
        width = max(len(prompts[i]) + len(texts[i]) for i in order)
        rows = order[: max(1, min(most, TOKENS_PER_BATCH // width))]
        try:
            values = _batch_nll(model, [prompts[i] for i in rows], [texts[i] for i in rows])
        except (RuntimeError, MemoryError) as error:
            if len(rows) == 1 or not out_of_memory(error):
                raise
            most = len(rows) // 2
            continue
        order = order[len(rows) :]
        for row, value in zip(rows, values.tolist(), strict=True):
            found[row] = value
    return found


def _batch_nll(
    model: Model, prompts: Sequence[tuple[int, ...]], texts: Sequence[tuple[int, ...]]
) -> Float[Tensor, " row"]:
    """Run the blocks on all rows together, and unembed a few of their tokens at a time."""
    cache, prefix_mask = tiled_prefix(model, prompts)
    read = [(prompt[-1], *text[:-1]) for prompt, text in zip(prompts, texts, strict=True)]
    input_ids, mask = (part.to(model.device) for part in pad(read, "right"))
    final: list[Tensor] = []
    last = model.card.n_layers - 1

    def keep(resid: Float[Tensor, "row pos d_model"]) -> None:
        final.append(resid)

    with model.hooks({last: keep}):
        model.forward(input_ids, torch.cat([prefix_mask, mask], dim=1), logits="none", cache=cache)
    here = mask.bool()
    resid = final[0][here.to(final[0].device)]
    targets = pad(texts, "right")[0].to(model.device)[here]
    nll = torch.zeros(mask.shape, device=model.device)
    nll[here] = torch.cat([_nll(logits, targets[part]) for part, logits in unembedded(model, resid)]).to(model.device)
    return nll.sum(dim=1) / mask.sum(dim=1)


def _nll(logits: Float[Tensor, "token vocab"], targets: Int[Tensor, " token"]) -> Float[Tensor, " token"]:
    return logits.logsumexp(dim=-1) - logits.gather(1, targets.to(logits.device).unsqueeze(1)).squeeze(1)


def unembedded(
    model: Model, resid: Float[Tensor, "token d_model"]
) -> Iterator[tuple[slice, Float[Tensor, "token vocab"]]]:
    """Unembed what left the last block, some tokens at a time: each a text of its own that enters above it.

    Yields:
        Which tokens, and their logits in float32.
    """
    size = max(1, LOGITS_PER_BATCH // model.vocab_size)
    for at in range(0, len(resid), size):
        part = slice(at, at + size)
        one = torch.ones(len(resid[part]), 1, dtype=torch.long, device=model.device)
        logits = model.forward(one, one, logits="all", start=(model.card.n_layers, resid[part].unsqueeze(1))).logits
        if logits is None:
            raise AssertionError("unembedding asked for logits and got none")
        yield part, logits[:, 0].float()
