"""Completions that end by themselves: useful tokens per second, against ``generate`` in whole batches.

A token is useful if it comes no later than the end of its row; a batch of ``generate`` goes on until its longest row
has ended, and what it writes behind the others' ends is of no use.
"""

import statistics
from typing import Any

import measuring
import ours
import plain as by_hand
from grid import Grid, agreement, upto_end
from measuring import Timed, say, timed

from interp_steer.model.protocol import Model
from interp_steer.steering.loops import loop_period

OURS = "interp-steer"
SAME_PUSHES = "generate in whole batches, the same pushes by hand"
UNSTEERED = "generate in whole batches, unsteered"


def compare(model: Model, plain: Any, grid: Grid, *, batch: int, rounds: int) -> dict[str, Any]:
    """Complete a grid, once as a stream of rows and twice in batches that wait for their longest row.

    Loops run on to their end on every side; how many tokens cutting them off would spare is counted, not timed.

    Args:
        model: This library's side.
        plain: The plain model, steered row by row with hand-written hooks (scope ``response``), and unsteered.
        grid: What to complete; ``new_tokens`` is the longest completion.
        batch: Most rows at a time, on every side.
        rounds: How often.
    """
    rows = [(cell, ids) for cell in grid.cells for ids in grid.prompts]
    said: dict[str, list[list[int]]] = {}
    shares = {OURS: 1.0}

    def mine() -> int:
        said[OURS] = ours.complete(
            model, grid.rows, grid.new_tokens, "response", batch=batch, natural=True, loops=False
        )
        return sum(map(len, said[OURS]))

    def whole(name: str, *, steered: bool) -> int:
        said[name], steps = [], 0
        for at in range(0, len(rows), batch):
            cells, prompts = zip(*rows[at : at + batch], strict=True)
            with by_hand.steered_by_row(plain, cells if steered else ()):
                found = by_hand.generate(plain, prompts, grid.new_tokens, forced=False)
            steps += sum(map(len, found))
            said[name] += [upto_end(ids, model.eos_ids) for ids in found]
        useful = sum(map(len, said[name]))
        shares[name] = useful / steps
        return useful

    found: dict[str, list[Timed]] = measuring.interleaved(
        {
            OURS: lambda: timed(mine),
            SAME_PUSHES: lambda: timed(lambda: whole(SAME_PUSHES, steered=True)),
            UNSTEERED: lambda: timed(lambda: whole(UNSTEERED, steered=False)),
        },
        rounds,
    )
    rates, ratios = measuring.rates(found), measuring.speedups(found, OURS)
    looped, spared = _loops(said[OURS])
    measuring.table(
        "Completions that end by themselves", ("side", "useful tokens/s", "useful share", "times ours"),
        [(name, rate, shares[name], ratios.get(name, 1.0)) for name, rate in rates.items()],
    )  # fmt: skip
    say(f"{looped} of {len(rows)} rows fell into a loop; cutting them off would spare {spared:.1%} of our tokens")
    return {
        "medians": {
            "seconds": {name: statistics.median(one.seconds for one in each) for name, each in found.items()},
            "useful_tokens_per_second": rates,
        },
        "ratios": {"seconds_per_useful_token_against_ours": ratios, "tokens_spared_by_cutting_loops": spared},
        "useful_share": shares,
        "useful_tokens": {name: sum(map(len, each)) for name, each in said.items()},
        "rows_in_a_loop": looped,
        "agreement": agreement(said[OURS], said[SAME_PUSHES]),
    }


def _loops(said: list[list[int]]) -> tuple[int, float]:
    """Return how many rows the detector calls a loop, and the share of all tokens that come after."""
    fired = [next((n for n in range(1, len(ids) + 1) if loop_period(ids[:n]) is not None), None) for ids in said]
    after = sum(len(ids) - n for ids, n in zip(said, fired, strict=True) if n is not None)
    return sum(n is not None for n in fired), after / sum(map(len, said))
