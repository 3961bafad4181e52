"""Token lists to padded batches with their masks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """Padded token ids and their mask; ``rows`` are the positions of the texts in the caller's list."""

    rows: list[int]
    input_ids: Int[Tensor, "text pos"]
    attention_mask: Int[Tensor, "text pos"]


def pad(texts: Sequence[Sequence[int]], side: Literal["left", "right"]) -> tuple[Tensor, Tensor]:
    """Pad token lists to one length.

    The padding id is 0: with a mask its value is never seen.

    Returns:
        Token ids and mask (1 real, 0 pad), both of shape ``[text, pos]``.
    """
    width = max(len(ids) for ids in texts)
    input_ids = torch.zeros(len(texts), width, dtype=torch.long)
    mask = torch.zeros(len(texts), width, dtype=torch.long)
    for row, ids in enumerate(texts):
        where = slice(width - len(ids), width) if side == "left" else slice(0, len(ids))
        input_ids[row, where] = torch.tensor(ids, dtype=torch.long)
        mask[row, where] = 1
    return input_ids, mask


def length_sorted_batches(
    texts: Sequence[Sequence[int]],
    tokens_per_batch: int,
    side: Literal["left", "right"] = "right",
    *,
    rows_per_batch: int | None = None,
) -> Iterator[Batch]:
    """Yield padded batches of texts of similar length, longest first.

    Every text is in exactly one batch. The longest come first, so that a lack of memory shows at once.

    Args:
        texts: Token ids of each text.
        tokens_per_batch: Most padded tokens of a batch; a longer text gets a batch of its own.
        side: Where the pads go.
        rows_per_batch: Most texts of a batch.
    """
    order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
    while order:
        n = min(max(1, tokens_per_batch // len(texts[order[0]])), rows_per_batch or len(order))
        rows, order = order[:n], order[n:]
        input_ids, mask = pad([texts[i] for i in rows], side)
        yield Batch(rows=rows, input_ids=input_ids, attention_mask=mask)
