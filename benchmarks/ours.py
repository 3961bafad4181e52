"""This library's side of the comparisons."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from measuring import synchronize

from interp_steer.likelihood import mean_nll
from interp_steer.model.protocol import Model
from interp_steer.steering.decode import decode
from interp_steer.steering.rows import DecodeRow, DecodeSettings
from interp_steer.terms import Scope


def complete(
    model: Model,
    rows: Sequence[DecodeRow],
    new_tokens: int,
    scope: Scope,
    *,
    batch: int,
    natural: bool = False,
    loops: bool = True,
) -> list[list[int]]:
    """Complete rows greedily, to full length unless ``natural``; without ``loops``, those do not end a row."""
    settings = DecodeSettings(scope=scope, max_new_tokens=new_tokens, stop_early=natural, stop_loops=loops)
    return [list(one.ids) for one in decode(model, rows, settings, batch_size=batch)]


def score(model: Model, rows: Sequence[DecodeRow], said: Sequence[Sequence[int]]) -> int:
    """Have the unsteered model say how likely each completion is, as a sweep does; return their tokens."""
    mean_nll(model, [row.prompt_ids for row in rows], [tuple(ids) for ids in said])
    return sum(map(len, said))


def step_seconds(model: Model, rows: Sequence[DecodeRow], steps: int, scope: Scope) -> list[float]:
    """Time single steered decode steps: from one step's forward pass to the next one's, all there is between."""
    with _ticking(model) as ticks:
        complete(model, rows, steps + 1, scope, batch=len(rows))
    # The first such pass of a row reads its last prompt token; before it, prompts are read and slots filled.
    return [after - before for before, after in zip(ticks[-steps - 1 :], ticks[-steps:], strict=False)]


@contextmanager
def _ticking(model: Any) -> Iterator[list[float]]:
    """Note when each forward pass of one token a row begins."""
    ticks: list[float] = []
    forward = model.forward

    def ticking(input_ids: Any, *args: Any, **options: Any) -> Any:
        if input_ids.shape[1] == 1:
            synchronize(model.device.type)
            ticks.append(time.perf_counter())
        return forward(input_ids, *args, **options)

    model.forward = ticking
    try:
        yield ticks
    finally:
        del model.forward
