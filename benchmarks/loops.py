"""Is a loop for good? How often a completion goes on repeating itself after the detector has called it a loop.

Rows are decoded to full length whatever they say. A row counts if the detector fires before it ends its turn. It is
right if every later token repeats the same block, to the last.
"""

import statistics
from typing import Annotated, Any, Literal

import measuring
import typer
from measuring import Quick, Threads, say

Directions = Literal["both", "refusal", "random"]
app = typer.Typer(add_completion=False)


@app.command()
def main(
    directions: Annotated[Directions, typer.Option(help="What steers: fitted vectors, random ones, or both.")] = "both",
    new_tokens: Annotated[int, typer.Option(min=40, help="Length of every row.")] = 200,
    threads: Threads = 2,
    quick: Quick = False,
) -> None:
    """Measure the precision of loop detection on steered rows of SmolLM2-135M, and the tokens it saves.

    Layers x alphas x prompts, with alphas at which the model breaks: that is where loops are.

    Try:

        python benchmarks/loops.py > loops.json

        python benchmarks/loops.py --quick
    """
    measuring.begin(threads)
    import ours

    from interp_steer.model.load import load_model
    from interp_steer.stats import wilson_interval

    model = load_model("smollm2-135m", device="cpu", dtype="float32")
    new_tokens = 80 if quick else new_tokens
    seen: list[dict[str, Any]] = []
    for name in ("random", "refusal") if directions == "both" else (directions,):
        grid = _grid(model, name, new_tokens, quick)
        say(f"{name}: decoding {len(grid.rows)} rows of {new_tokens} tokens")
        said = ours.complete(model, grid.rows, new_tokens, "response", batch=128)
        cells = [cell for cell in grid.cells for _ in grid.prompts]
        seen += [
            {"direction": name, "alpha": cell.alpha, **_one(ids, model.eos_ids)}
            for cell, ids in zip(cells, said, strict=True)
        ]
    loops = [one for one in seen if one["fired_at"] is not None]
    stayed = [one for one in loops if one["left_after"] is None]
    # A loop that went over into another, or grew by a token, is still no text; it is counted apart.
    ended = [one for one in loops if one["loops_at_end"]]
    strict, lenient = (vars(wilson_interval(len(kept), len(loops))) if loops else None for kept in (stayed, ended))
    left = sorted(one["left_after"] for one in loops if one["left_after"] is not None)
    total = sum(one["length"] for one in seen)
    saved = sum(one["length"] - one["fired_at"] for one in loops)
    groups = sorted({(one["direction"], one["alpha"]) for one in seen})
    table = [_group([one for one in seen if (one["direction"], one["alpha"]) == key], *key) for key in groups]
    measuring.table("Rows that looped", tuple(table[0]), [tuple(row.values()) for row in table])
    say(f"{len(stayed)} of {len(loops)} loops stayed to the end, {len(ended)} ended in some loop; left after {left}")
    say(f"{saved} of {total} tokens saved")
    measuring.emit(
        "loops",
        {"model": model.card.name, "directions": directions, "new_tokens": new_tokens, "quick": quick},
        medians={
            "fired_at": statistics.median(one["fired_at"] for one in loops) if loops else None,
            "left_after": statistics.median(left) if left else None,
        },
        ratios={
            "precision_same_block_to_the_end": strict,
            "precision_some_loop_at_the_end": lenient,
            "tokens_saved": saved / total,
        },
        rows=len(seen),
        loops=len(loops),
        left_after=left,
        by_alpha=table,
    )


def _grid(model: Any, name: str, new_tokens: int, quick: bool) -> Any:
    from grid import Cell, Grid, make_grid, spread

    n_layers, alphas, n_prompts = (2, (0.3, 0.6), 2) if quick else (8, (0.3, 0.4, 0.5, 0.6), 6)
    layers = spread(n_layers, model.card.n_layers)
    laid = make_grid(model, layers=layers, alphas=alphas, n_prompts=n_prompts, new_tokens=new_tokens, scope="response")
    if name == "random":
        return laid
    from interp_steer.activations.extract import extract
    from interp_steer.pairs import read_pairs
    from interp_steer.vectors.fit import fit

    vectors = fit(extract(model, read_pairs(name)[: 8 if quick else None], behavior=name))
    cells = tuple(Cell(layer=one.layer, alpha=one.alpha, direction=vectors.at(one.layer)) for one in laid.cells)
    return Grid(prompts=laid.prompts, cells=cells, new_tokens=new_tokens)


def _one(ids: list[int], ends: frozenset[int]) -> dict[str, Any]:
    """Say where the detector fires in a row, and whether what follows is the same block."""
    from grid import upto_end

    from interp_steer.steering.loops import loop_period

    length = len(upto_end(ids, ends))
    fired, period = next(
        ((n, period) for n in range(1, length + 1) if (period := loop_period(ids[:n])) is not None), (None, None)
    )
    if fired is None or period is None:
        return {"length": length, "fired_at": None, "left_after": None, "loops_at_end": None}
    left = next((i - fired for i in range(fired, len(ids)) if ids[i] != ids[i - period]), None)
    return {
        "length": length,
        "fired_at": fired,
        "left_after": left,
        "loops_at_end": length == len(ids) and loop_period(ids) is not None,
    }


def _group(rows: list[dict[str, Any]], direction: str, alpha: float) -> dict[str, Any]:
    loops = [one for one in rows if one["fired_at"] is not None]
    return {
        "direction": direction,
        "alpha": alpha,
        "rows": len(rows),
        "loops": len(loops),
        "stayed": sum(one["left_after"] is None for one in loops),
        "some_loop_at_end": sum(one["loops_at_end"] for one in loops),
        "tokens_saved": sum(one["length"] - one["fired_at"] for one in loops),
    }


if __name__ == "__main__":
    app()
