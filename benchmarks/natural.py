"""Completions that end by themselves: useful tokens per second, against ``generate`` in whole batches."""

import statistics
from typing import Any

import measuring
import ours
import plain as by_hand
from grid import Grid, agreement, upto_end
from measuring import Timed, say, timed

from interp_steer.model.protocol import Model
from interp_steer.steering.loops import loop_period

OURS, LOOPS, WHOLE = "interp-steer", "interp-steer, loops cut", "mixed hook, generate in whole batches"


def compare(model: Model, plain: Any, grid: Grid, *, batch: int, rounds: int) -> dict[str, Any]:
    """Complete a grid, once as a stream of rows and once in batches that wait for their longest row.

    Args:
        model: This library's side.
        plain: The plain model, steered row by row with hand-written hooks (scope ``response``).
        grid: What to complete; ``new_tokens`` is the longest completion.
        batch: Most rows at a time, on both sides.
        rounds: How often.
    """
    rows = [(cell, ids) for cell in grid.cells for ids in grid.prompts]
    said: dict[str, list[list[int]]] = {}

    def mine(name: str, *, loops: bool) -> int:
        options = {"batch": batch, "natural": True, "loops": loops}
        said[name] = ours.complete(model, grid.rows, grid.new_tokens, "response", **options)
        return sum(map(len, said[name]))

    def whole() -> int:
        said[WHOLE] = []
        for at in range(0, len(rows), batch):
            cells, prompts = zip(*rows[at : at + batch], strict=True)
            with by_hand.steered_by_row(plain, cells):
                found = by_hand.generate(plain, prompts, grid.new_tokens, forced=False)
            said[WHOLE] += [upto_end(ids, model.eos_ids) for ids in found]
        return sum(map(len, said[WHOLE]))

    found: dict[str, list[Timed]] = measuring.interleaved(
        {
            OURS: lambda: timed(lambda: mine(OURS, loops=False)),
            LOOPS: lambda: timed(lambda: mine(LOOPS, loops=True)),
            WHOLE: lambda: timed(whole),
        },
        rounds,
    )
    seconds = {name: statistics.median(one.seconds for one in each) for name, each in found.items()}
    cut = sum(loop_period(ids) is not None for ids in said[LOOPS])
    in_seconds = statistics.median(b.seconds / a.seconds for a, b in zip(found[OURS], found[WHOLE], strict=True))
    measuring.table(
        "Completions that end by themselves", ("side", "seconds", "tokens up to the end/s"),
        [(name, seconds[name], rate) for name, rate in measuring.rates(found).items()],
    )  # fmt: skip
    say(f"the grid: {in_seconds:.2f} times as long in whole batches; {cut} of {len(rows)} rows ended in a loop")
    return {
        "medians": {
            "seconds": seconds,
            "tokens_per_second_upto_end": measuring.rates(found),
        },
        "ratios": {
            "seconds_against_ours": in_seconds,
            "seconds_per_token_upto_end_against_ours": measuring.speedups(found, OURS),
            "seconds_with_loops_cut_against_seconds": seconds[LOOPS] / seconds[OURS],
        },
        "rows": len(rows),
        "rows_ended_in_a_loop": cut,
        "agreement": agreement(said[OURS], said[WHOLE]),
    }
