"""How the time of a sweep grows: with the rows, and with the size of the model."""

import statistics
from typing import Annotated, Any

import measuring
import typer
from measuring import Quick, Rounds, Threads, Timed, say, timed

BATCH = 128
SIZES = ((256, 6), (384, 8), (512, 12), (768, 16))
app = typer.Typer(add_completion=False)


@app.command()
def main(
    new_tokens: Annotated[
        int, typer.Option(min=1, help="Tokens of each completion; few, for the slope is what counts.")
    ] = 8,
    rounds: Rounds = 1,
    threads: Threads = 2,
    quick: Quick = False,
) -> None:
    """Time 32 to 2048 steered rows of SmolLM2-135M, and one sweep on random Llamas of four sizes, in under ten minutes.

    Beside every measurement stands unsteered `generate` of the plain model for as many rows, 128 at a time. Slopes are
    fitted in log-log: 1 is proportional. Below 128 rows a batch is not full, so a row costs more there.

    Try:

        python benchmarks/scale.py > scale.json

        python benchmarks/scale.py --quick
    """
    measuring.begin(threads)
    rounds = 1 if quick else rounds
    new_tokens = 4 if quick else new_tokens
    by_rows = _by_rows(new_tokens, rounds, (32, 64, 128, 256) if quick else (32, 64, 128, 256, 512, 1024, 2048))
    by_size = _by_size(new_tokens, rounds, 32 if quick else 128, SIZES[:3] if quick else SIZES)
    full = [one for one in by_rows if one["rows"] >= BATCH]
    for title, axis, found in (("Against rows", "rows", by_rows), ("Against model size", "parameters", by_size)):
        measuring.table(
            title,
            (axis, "ours, s", "unsteered, s", "ratio"),
            [(one[axis], one["seconds"], one["unsteered_seconds"], one["ratio"]) for one in found],
        )
    slopes = {
        "rows": _slope(by_rows, "rows"),
        "rows_from_128": _slope(full, "rows"),
        "parameters": _slope(by_size, "parameters"),
    }
    for name, slope in slopes.items():
        say(f"slope against {name}: ours {slope['ours']}, unsteered {slope['unsteered']}")
    measuring.emit(
        "scale",
        {"model": "smollm2-135m", "new_tokens": new_tokens, "batch": BATCH, "rounds": rounds, "quick": quick},
        medians={"rows": by_rows, "parameters": by_size},
        ratios={"slopes": slopes, "ours_against_unsteered": [one["ratio"] for one in (*by_rows, *by_size)]},
    )


def _slope(found: list[dict[str, float]], axis: str) -> dict[str, float | None]:
    x = [one[axis] for one in found]
    return {
        "ours": measuring.fitted_slope(x, [one["seconds"] for one in found]),
        "unsteered": measuring.fitted_slope(x, [one["unsteered_seconds"] for one in found]),
    }


def _by_rows(new_tokens: int, rounds: int, sizes: tuple[int, ...]) -> list[dict[str, float]]:
    from subjects import plain_smollm2

    from interp_steer.model.load import load_model

    model, plain = load_model("smollm2-135m", device="cpu", dtype="float32"), plain_smollm2()
    return [{"rows": n, **_pair(model, plain, n, new_tokens, rounds)} for n in sizes]


def _by_size(new_tokens: int, rounds: int, n_rows: int, sizes: tuple[tuple[int, int], ...]) -> list[dict[str, float]]:
    from subjects import n_parameters, random_llama, wrap_beside

    found = []
    for d_model, n_layers in sizes:
        plain = random_llama(d_model, n_layers)
        blocks, unembedding = n_parameters(plain)
        model = wrap_beside(plain, f"llama-{d_model}x{n_layers}")
        one = _pair(model, plain, n_rows, new_tokens, rounds)
        found.append({"parameters": blocks + unembedding, "d_model": d_model, "layers": n_layers, **one})
    return found


def _pair(model: Any, plain: Any, n_rows: int, new_tokens: int, rounds: int) -> dict[str, float]:
    """Time a sweep of so many rows, and unsteered rows of the same prompts, in turn."""
    import ours
    import plain as by_hand
    from grid import make_grid, spread

    n_layers = min(8, model.card.n_layers)
    grid = make_grid(
        model,
        layers=spread(n_layers, model.card.n_layers),
        alphas=[0.1 + 0.3 * i / max(1, n_rows // 32 - 1) for i in range(n_rows // 32)],
        n_prompts=4,
        new_tokens=new_tokens,
        scope="response",
    )
    rows = (grid.rows * (32 // (4 * n_layers) + 1))[:n_rows]

    def mine() -> int:
        return sum(map(len, ours.complete(model, rows, new_tokens, "response", batch=BATCH)))

    def unsteered() -> int:
        batches = [rows[at : at + BATCH] for at in range(0, len(rows), BATCH)]
        return sum(
            len(ids)
            for batch in batches
            for ids in by_hand.generate(plain, [row.prompt_ids for row in batch], new_tokens)
        )

    name = f"{model.card.name}, {len(rows)} rows"
    ours.complete(model, rows[:BATCH], 2, "response", batch=BATCH)
    found: dict[str, list[Timed]] = measuring.interleaved(
        {name: lambda: timed(mine), f"{name}, unsteered": lambda: timed(unsteered)}, rounds
    )
    (a, b) = found.values()
    return {
        "seconds": statistics.median(one.seconds for one in a),
        "unsteered_seconds": statistics.median(one.seconds for one in b),
        "ratio": statistics.median(x.seconds / y.seconds for x, y in zip(a, b, strict=True)),
    }


if __name__ == "__main__":
    app()
