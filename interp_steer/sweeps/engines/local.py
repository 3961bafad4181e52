"""The default engine: one model in this process, one batch after another."""

from collections.abc import Iterator, Sequence

from interp_steer.model.protocol import Model
from interp_steer.steering.decode import Completion, DecodeRow, DecodeSettings, decode


def local_engine(
    model: Model, rows: Sequence[DecodeRow], settings: DecodeSettings, batch_size: int
) -> Iterator[list[tuple[int, Completion]]]:
    """Yield the completions of each batch, each with its position in ``rows``, as soon as it is done.

    Rows that share a prompt are put side by side, so that a batch reads few prompts and pads little.
    An engine is any function of this shape; its completions do not depend on ``batch_size``.
    """
    order = sorted(range(len(rows)), key=lambda i: (len(rows[i].prompt_ids), rows[i].prompt_ids))
    for start in range(0, len(order), batch_size):
        places = order[start : start + batch_size]
        yield list(zip(places, decode(model, [rows[i] for i in places], settings), strict=True))
