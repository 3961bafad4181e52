"""One decode step: a batch in which every row is steered at a layer and strength of its own, against the bare model."""

import statistics
from typing import Annotated, Any

import measuring
import typer
from measuring import Quick, Threads, say

STEPS = 6
app = typer.Typer(add_completion=False)


@app.command()
def main(
    pairs: Annotated[int, typer.Option(min=2, help="How often both sides are timed, in turn.")] = 12,
    scope: Annotated[str, typer.Option(help="Positions steered: response, generated or all.")] = "response",
    threads: Threads = 2,
    quick: Quick = False,
) -> None:
    """Time a steered decode step of SmolLM2-135M in float32, and one of the plain Hugging Face model at equal batch.

    Both sides decode six tokens after the same prompts, in turn; a pair's ratio is that of its median steps. The
    result is the median over pairs with its quartiles: single pairs scatter by more than the difference.

    Try:

        python benchmarks/step.py > step.json

        python benchmarks/step.py --quick
    """
    measuring.begin(threads)
    from grid import make_grid, spread
    from subjects import plain_smollm2

    from interp_steer.model.load import load_model

    plain, model = plain_smollm2(), load_model("smollm2-135m", device="cpu", dtype="float32")
    grid = make_grid(
        model,
        layers=spread(8, model.card.n_layers),
        alphas=(0.1, 0.2, 0.3, 0.4),
        n_prompts=4,
        new_tokens=STEPS,
        scope=scope,  # type: ignore[arg-type]
    )
    pairs, sizes = (3, (1, 4)) if quick else (pairs, (1, 4, 32, 128))
    found = {n: _size(model, plain, grid.spread(n), scope, pairs) for n in sizes}
    measuring.table(
        "One decode step", ("batch", "ours, ms", "bare, ms", "ratio", "quartiles"),
        [(n, one["ours_ms"], one["bare_ms"], one["ratio"], f"{one['low']:.3f}-{one['high']:.3f}")
         for n, one in found.items()],
    )  # fmt: skip
    measuring.emit(
        "step",
        {"model": model.card.name, "scope": scope, "pairs": pairs, "steps": STEPS, "quick": quick},
        medians={n: {"ours_ms": one["ours_ms"], "bare_ms": one["bare_ms"]} for n, one in found.items()},
        ratios={n: {name: one[name] for name in ("ratio", "low", "high")} for n, one in found.items()},
    )


def _size(model: Any, plain: Any, rows: Any, scope: Any, pairs: int) -> dict[str, float]:
    """Time both sides in turn, so that what slows the machine slows both; who begins changes from pair to pair."""
    import ours
    import plain as by_hand

    def mine() -> list[float]:
        return ours.step_seconds(model, rows, STEPS, scope)

    def bare() -> list[float]:
        return by_hand.step_seconds(plain, [row.prompt_ids for row in rows], STEPS, lambda: None)

    mine(), bare()  # warm
    seconds: tuple[list[list[float]], list[list[float]]] = ([], [])
    for i in range(pairs):
        for side in (0, 1) if i % 2 else (1, 0):
            seconds[side].append((mine, bare)[side]())
    ratios = [statistics.median(a) / statistics.median(b) for a, b in zip(*seconds, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    say(f"decode step at batch {len(rows)}: {middle:.3f} times the bare model's [{low:.3f}, {high:.3f}]")
    ours_ms, bare_ms = (1e3 * statistics.median([one for each in side for one in each]) for side in seconds)
    return {"ours_ms": ours_ms, "bare_ms": bare_ms, "ratio": middle, "low": low, "high": high}


if __name__ == "__main__":
    app()
