"""Every analysis that needs activations only, on a model the size of Qwen3.5-9B: seconds, one by one and together."""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import measuring
import typer
from measuring import Quick, Rounds, Threads, say

LIMIT = 10.0  # seconds of all of them together
NAMES = (  # those that need nothing but activations
    "magnitude", "explained_variance", "probe_accuracy", "pair_quality", "pair_plan", "adjacent_similarity",
    "separation", "recommender",
)  # fmt: skip
app = typer.Typer(add_completion=False)


@app.command()
def main(
    layers: Annotated[int, typer.Option(min=2, help="Layers.")] = 32,
    pairs: Annotated[int, typer.Option(min=5, help="Contrastive pairs.")] = 100,
    d_model: Annotated[int, typer.Option(min=8, help="Width of the residual stream.")] = 4096,
    rounds: Rounds = 5,
    threads: Threads = 2,
    quick: Quick = False,
) -> None:
    """Analyze random activations of every layer, as `interp-steer analyze` does it: read, compute, write.

    Every fourth block is of full attention, so that the test for hybrid models runs as well. The libraries are imported
    before the clock. The exit code is 1 if all analyses together take more than 10 seconds (with `--quick`, never).

    Try:

        python benchmarks/analyze.py > analyze.json

        python benchmarks/analyze.py --quick
    """
    measuring.begin(threads)
    from threadpoolctl import threadpool_limits

    from interp_steer.analysis import analyze, find_analyses

    if quick:
        layers, pairs, d_model, rounds = 8, 24, 256, 2
    find_analyses()  # imports all of them
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(threads):
        run = _run(Path(folder) / "run", layers, pairs, d_model)
        size = run.activations_path.stat().st_size
        say(f"{layers} layers x {pairs} pairs x 2 sides x {d_model}: {size / 1e6:.0f} MB")
        found: dict[str, list[float]] = {name: [] for name in NAMES}
        for one in range(rounds):
            for name in NAMES:
                started = time.perf_counter()
                analyze(run, [name])
                found[name].append(time.perf_counter() - started)
            total = sum(each[-1] for each in found.values())
            say(f"round {one + 1}/{rounds}  all of them {total:6.2f} s")
    totals = [sum(each) for each in zip(*found.values(), strict=True)]
    medians: dict[str, Any] = {name: statistics.median(each) for name, each in found.items()}
    medians["all"] = statistics.median(totals)
    measuring.table("Seconds", ["analysis", "median"], list(medians.items()))
    measuring.emit(
            "analyze",
        {
            "layers": layers, "pairs": pairs, "d_model": d_model, "rounds": rounds, "threads": threads, "quick": quick,
        },
        medians={"seconds": medians},
        ratios={},
        megabytes=size / 1e6,
        ok=quick or medians["all"] <= LIMIT,
        rounds=totals,
    )  # fmt: skip
    if not quick and medians["all"] > LIMIT:
        raise typer.Exit(1)


def _run(path: Path, layers: int, pairs: int, d_model: int) -> Any:
    """Write a run that holds random activations: a direction that grows toward the middle, topics, and noise."""
    import numpy as np

    from interp_steer.activations.artifact import Activations, save_activations
    from interp_steer.files import write_json
    from interp_steer.records import ActivationCard, ModelCard, to_json
    from interp_steer.run import Run

    rng = np.random.default_rng(0)
    kinds = tuple("full_attention" if layer % 4 == 3 else "linear_attention" for layer in range(layers))
    card = ModelCard(
        name="numbers", revision="0", fingerprint="0" * 16, dtype="float32", n_layers=layers, d_model=d_model,
        layer_types=kinds, template="0",
    )  # fmt: skip
    topics, shared = rng.standard_normal((pairs, d_model)), rng.standard_normal(d_model) / np.sqrt(d_model)
    strength = 5 * np.exp(-((np.arange(layers) / layers - 0.5) ** 2) / 0.1)[:, None, None]
    sides = [
        (topics + sign * strength * shared + rng.standard_normal((layers, pairs, d_model))).astype(np.float32)
        for sign in (1, -1)
    ]
    lengths = [rng.integers(5, 60, pairs).astype(np.float32) for _ in sides]
    run = Run(path)
    save_activations(
        Activations(
            positive=sides[0], negative=sides[1], positive_norms=np.linalg.norm(sides[0], axis=2),
            negative_norms=np.linalg.norm(sides[1], axis=2), positive_tokens=lengths[0], negative_tokens=lengths[1],
            card=ActivationCard(model=card, behavior="numbers", pairs_sha256="0", read_position="mean_response"),
        ),
        run.activations_path,
    )  # fmt: skip
    write_json(run.manifest_path, {"model": to_json(card)})
    return run


if __name__ == "__main__":
    app()
