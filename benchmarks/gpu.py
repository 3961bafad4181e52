"""A sweep on a GPU at the true shape of Qwen3.5-9B, random weights: the one command for a machine that has one.

Against steering one row at a time, against unsteered ``generate`` of the plain model at the same batch, and against
the roofline: what a step must at least move and compute, at the bandwidth and peak measured on the device itself.
"""

import importlib.util
import statistics
from collections.abc import Callable
from typing import Annotated, Any

import measuring
import typer
from measuring import Quick, Threads, Timed, say, timed

OURS, ALONE, UNSTEERED = "interp-steer", "hook, one row at a time", "unsteered generate, same batch"
ALPHAS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
app = typer.Typer(add_completion=False)


@app.command()
def main(
    tiny: Annotated[
        bool, typer.Option("--tiny", help="The same on the CPU with a tiny Qwen3.5: does it work?")
    ] = False,
    batches: Annotated[str, typer.Option(help="Batch sizes to try, separated by commas.")] = "",
    new_tokens: Annotated[int | None, typer.Option(min=2, help="Tokens of each completion; 128.")] = None,
    threads: Threads = 2,
    quick: Quick = False,
) -> None:
    """Time 32 layers x 8 alphas x 4 prompts x 128 tokens in bfloat16 on the first GPU.

    First a few steps at each batch size choose the best; then the whole grid runs at that, and the other sides do
    a part of it. Needs 18 GB for the weights, and the memory of the batch.

    Try:

        python benchmarks/gpu.py > gpu.json

        python benchmarks/gpu.py --tiny
    """
    measuring.begin(threads)
    import torch

    if not tiny and not torch.cuda.is_available():
        raise SystemExit("error: torch sees no GPU; --tiny runs the same on the CPU")
    import ours
    import plain as by_hand
    from grid import make_grid
    from subjects import qwen_shaped, wrap_beside

    device = "cpu" if tiny else "cuda"
    say("making random weights")
    plain = qwen_shaped(device, tiny=tiny)
    model = wrap_beside(plain, "qwen3.5-tiny" if tiny else "qwen3.5-9b-shape")
    say(f"{sum(one.numel() for one in plain.parameters()) / 1e9:.3f} billion parameters in {plain.dtype} on {device}")
    sizes = [int(one) for one in batches.split(",")] if batches else [8, 16] if tiny else [64, 128, 256, 512]
    n_tokens = new_tokens or (6 if tiny else 32 if quick else 128)
    grid = make_grid(
        model,
        layers=range(model.card.n_layers),
        alphas=ALPHAS[:1] if tiny else ALPHAS[::4] if quick else ALPHAS,
        n_prompts=4,
        new_tokens=n_tokens,
        scope="response",
    )
    rows = grid.rows
    sizes = sorted({min(size, len(rows)) for size in sizes})

    say("measuring the device")
    peak = measuring.matmul_peak(512 if tiny else 8192, dtype=plain.dtype, device=device)
    bandwidth = measuring.copy_bandwidth(2**26 if tiny else 2**31, device=device)
    ours.complete(model, rows[:4], 4, "response", batch=4)
    by_hand.generate(plain, grid.prompts, 2)
    steps = {}
    for size in sizes:
        steps[size] = _step(model, plain, grid, size, 4 if tiny else 16, peak, bandwidth)
        say(f"batch {size}: {steps[size]['ours_ms']:.2f} ms a step, {steps[size]['tokens_per_second']:.0f} tokens/s")
    best = max(steps, key=lambda size: steps[size]["tokens_per_second"])

    cells = grid.some_cells(2)

    def unsteered() -> int:
        prompts = [rows[i % len(rows)].prompt_ids for i in range(best)]
        return sum(map(len, by_hand.generate(plain, prompts, n_tokens)))

    def alone() -> int:
        return sum(len(by_hand.generate_cell(plain, grid, grid.cells[at], grid.prompts[:1])[0]) for at in cells)

    def mine() -> int:
        return sum(map(len, ours.complete(model, rows, n_tokens, "response", batch=best)))

    memory: dict[str, float | None] = {}

    def watched(name: str, work: Callable[[], int]) -> Timed:
        _reset_memory(device)
        found = timed(work)
        memory[name] = _memory(device)
        return found

    sides = {
        name: lambda name=name, work=work: watched(name, work)
        for name, work in {OURS: mine, ALONE: alone, UNSTEERED: unsteered}.items()
    }
    found: dict[str, list[Timed]] = measuring.interleaved(sides, 1 if tiny or quick else 2)
    rates, ratios = measuring.rates(found), measuring.speedups(found, OURS)
    seconds = statistics.median(one.seconds for one in found[OURS])
    measuring.table(
        f"{len(rows)} rows of {n_tokens} tokens, batch {best}",
        ("side", "tokens/s", "times ours"),
        [(name, rate, ratios.get(name, 1.0)) for name, rate in rates.items()],
    )
    measuring.table(
        "One decode step",
        ("batch", "ours, ms", "bare, ms", "roofline, ms", "ours / bare", "ours / roofline"),
        [
            (size, one["ours_ms"], one["bare_ms"], one["roofline_ms"], one["against_bare"], one["against_roofline"])
            for size, one in steps.items()
        ],
    )
    measuring.emit(
        "gpu",
        {"model": model.card.name, "dtype": str(plain.dtype), "device": device, "rows": len(rows),
         "layers": model.card.n_layers, "new_tokens": n_tokens, "tiny": tiny, "quick": quick},
        medians={"tokens_per_second": rates, "interp_steer_seconds": seconds},
        ratios={
            "seconds_per_token_against_ours": ratios,
            "step_against_roofline": steps[best]["against_roofline"],
            "step_against_bare": steps[best]["against_bare"],
        },
        best_batch=best,
        scaled={ALONE: len(cells), UNSTEERED: best},
        step=steps,
        device={"matmul_tflops": peak / 1e12, "copy_gb_per_second": bandwidth / 1e9},
        peak_memory_gb={**memory, "weights": _weight_bytes(plain) / 1e9},
        kernels={name: importlib.util.find_spec(name) is not None for name in ("fla", "causal_conv1d", "flash_attn")},
    )  # fmt: skip


def _step(model: Any, plain: Any, grid: Any, size: int, steps: int, peak: float, bandwidth: float) -> dict[str, float]:
    """Time decode steps of ours and of the bare model, and say what a step must at least take."""
    import ours
    import plain as by_hand
    from subjects import n_parameters

    from interp_steer.batches import pad
    from interp_steer.model.slots import bytes_per_slot

    rows = grid.spread(size)
    device = model.device.type
    mine = statistics.median(ours.step_seconds(model, rows, steps, "response"))
    prompts = [row.prompt_ids for row in rows]
    bare = statistics.median(by_hand.step_seconds(plain, prompts, steps, lambda: measuring.synchronize(device)))
    blocks, unembedding = n_parameters(plain)
    element = plain.get_output_embeddings().weight.element_size()
    weights = (blocks + unembedding) * element
    ids, mask = pad(prompts[:1], "left")
    out = model.forward(ids.to(model.device), mask.to(model.device), logits="none", keep_cache=True)
    length = statistics.mean(len(one) for one in prompts) + steps / 2
    # Keys and values are read; recurrent states, all that a cache without columns holds, are written back as well.
    cache = size * (bytes_per_slot(out.cache, round(length)) + bytes_per_slot(out.cache, 0))
    moved, computed = (weights + cache) / bandwidth, 2 * (blocks + unembedding) * size / peak
    bound = max(moved, computed)
    return {
        "ours_ms": 1e3 * mine,
        "bare_ms": 1e3 * bare,
        "roofline_ms": 1e3 * bound,
        "weights_ms": 1e3 * weights / bandwidth,
        "cache_ms": 1e3 * cache / bandwidth,
        "compute_ms": 1e3 * computed,
        "against_bare": mine / bare,
        "against_roofline": mine / bound,
        "tokens_per_second": size / mine,
    }


def _weight_bytes(plain: Any) -> int:
    return sum(one.numel() * one.element_size() for one in plain.parameters())


def _reset_memory(device: str) -> None:
    if device == "cuda":
        import torch

        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _memory(device: str) -> float | None:
    """Return the most memory held since the last reset, in GB; None on a CPU, which keeps no such count."""
    if device != "cuda":
        return None
    import torch

    return torch.cuda.max_memory_allocated() / 1e9


if __name__ == "__main__":
    app()
