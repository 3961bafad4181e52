"""What bfloat16 changes in a sweep: texts, scores, and the cell that is chosen, from the pairs on in each precision."""

import statistics
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import measuring
import typer
from measuring import Quick, Threads, say

FULL, HALF = "float32", "bfloat16"
SCORES = ("behavior", "coherence", "combined")
app = typer.Typer(add_completion=False)


@app.command()
def main(
    behavior: Annotated[str, typer.Option(help="What is swept and judged, offline.")] = "refusal",
    new_tokens: Annotated[int, typer.Option(min=2, help="Longest completion.")] = 48,
    threads: Threads = 2,
    quick: Quick = False,
) -> None:
    """Sweep SmolLM2-135M with vectors fitted in float32 and again in bfloat16, judge both, and lay cell by cell.

    Each precision is a run of its own: extraction, fit, sweep of 5 layers x 4 alphas x 12 dev prompts with scope all,
    likelihoods, offline judge with thresholds of its own.

    Try:

        python benchmarks/precision.py > precision.json

        python benchmarks/precision.py --quick
    """
    measuring.begin(threads)
    from interp_steer.stats import rank_correlation

    layers, alphas = ((10, 14), (0.2, 0.35)) if quick else ((6, 10, 14, 18, 22), (0.2, 0.3, 0.35, 0.4))
    n_pairs, n_prompts, new_tokens = (16, 6, 16) if quick else (64, 12, new_tokens)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for dtype in (FULL, HALF):
            found[dtype] = _run(Path(folder) / dtype, dtype, behavior, layers, alphas, n_pairs, n_prompts, new_tokens)
    (full, full_seconds), (half, half_seconds) = found[FULL], found[HALF]
    cells = [_cell(full, half, cell) for cell in full.cells("dev", "steered")]
    ranks = {
        name: rank_correlation(*([one[dtype][name] for one in cells] for dtype in (FULL, HALF))) for name in SCORES
    }
    gaps = {name: _largest_gap(cells, name) for name in SCORES}
    texts = [one["equal_texts"] for one in cells]
    best = {dtype: _best(outcomes) for dtype, outcomes in ((FULL, full), (HALF, half))}
    measuring.table(
        "float32 | bfloat16", ("layer", "alpha", *SCORES, "equal texts"),
        [
            (str(one["layer"]), one["alpha"], *(_pair(one, name) for name in SCORES), one["equal_texts"])
            for one in cells
        ],
    )  # fmt: skip
    say(f"rank correlation over cells: {ranks}; best cell: {best}")
    measuring.emit(
        "precision",
        {"model": "smollm2-135m", "behavior": behavior, "scope": "all", "layers": layers, "alphas": alphas,
         "prompts": n_prompts, "pairs": n_pairs, "new_tokens": new_tokens, "quick": quick},
        medians={"sweep_seconds": {FULL: full_seconds, HALF: half_seconds}},
        ratios={
            "sweep_seconds_float32_against_bfloat16": full_seconds / half_seconds,
            "rank_correlation_over_cells": ranks,
            "equal_texts": sum(texts) / len(texts),
        },
        largest_difference_of_a_cell=gaps,
        best_cell=best,
        same_best_cell=None if None in best.values() else best[FULL] == best[HALF],
        cells=cells,
    )  # fmt: skip


def _run(
    folder: Path, dtype: str, behavior: str, layers: tuple[int, ...], alphas: tuple[float, ...], n_pairs: int,
    n_prompts: int, new_tokens: int,
) -> tuple[Any, float]:  # fmt: skip
    """Take a run from pairs to verdicts; return its outcomes and the seconds of its sweep."""
    from interp_steer.activations.artifact import save_activations
    from interp_steer.activations.extract import extract
    from interp_steer.judges.judge import judge
    from interp_steer.model.load import load_model
    from interp_steer.outcomes import read_outcomes
    from interp_steer.pairs import read_behavior, read_pairs, read_prompts
    from interp_steer.records import to_json
    from interp_steer.run import Run
    from interp_steer.sweeps.grid import SweepSpec
    from interp_steer.sweeps.run_sweep import sweep
    from interp_steer.vectors.fit import fit
    from interp_steer.vectors.vector import save_vectors

    model = load_model("smollm2-135m", device="cpu", dtype=dtype)
    run, spec = Run(folder), SweepSpec(layers=layers, alphas=alphas, scope="all", max_new_tokens=new_tokens)
    activations = extract(model, read_pairs(behavior)[:n_pairs], behavior=behavior)
    save_activations(activations, run.activations_path)
    save_vectors(fit(activations), run.vectors_path)
    run.update_manifest(behavior=to_json(read_behavior(behavior)), model=to_json(model.card))
    prompts, started = read_prompts(behavior, "dev")[:n_prompts], perf_counter()
    with run.lock():
        sweep(run, model, prompts, spec.dev_cells(), spec)
    seconds = perf_counter() - started
    judge(run)
    say(f"{dtype}: swept in {seconds:.1f} s")
    return read_outcomes(run), seconds


def _cell(full: Any, half: Any, cell: Any) -> dict[str, Any]:
    texts = [[item.generation.text for item in outcomes.judged("dev", cell)] for outcomes in (full, half)]
    shown = {
        dtype: {name: getattr(outcomes.outcome("dev", cell), name) for name in SCORES}
        for dtype, outcomes in ((FULL, full), (HALF, half))
    }
    equal = sum(a == b for a, b in zip(*texts, strict=True)) / len(texts[0])
    return {"layer": cell.layer, "alpha": cell.alpha, **shown, "equal_texts": equal}


def _pair(one: dict[str, Any], name: str) -> str:
    return " | ".join("-" if one[dtype][name] is None else f"{one[dtype][name]:.2f}" for dtype in (FULL, HALF))


def _largest_gap(cells: list[dict[str, Any]], name: str) -> float | None:
    both = [(one[FULL][name], one[HALF][name]) for one in cells]
    return max((abs(a - b) for a, b in both if a is not None and b is not None), default=None)


def _best(outcomes: Any) -> dict[str, Any] | None:
    """Return the chosen cell; None where no cell can be chosen."""
    cell = outcomes.best_cell()
    return None if cell is None else {"layer": cell.layer, "alpha": cell.alpha}


def texts_changed(model: Any, grid: Any, full: list[list[int]], half: list[list[int]]) -> dict[str, Any]:
    """Say what bfloat16 changes; how likely a text is, is read in float32 for both."""
    from grid import agreement, upto_end

    from interp_steer.likelihood import mean_nll

    full, half = ([upto_end(ids, model.eos_ids) for ids in side] for side in (full, half))
    prompts = [row.prompt_ids for row in grid.rows]
    values = [mean_nll(model, prompts, [tuple(ids) for ids in side]) for side in (full, half)]
    gaps = [b - a for a, b in zip(*values, strict=True) if a is not None and b is not None]
    found = {
        **agreement(full, half),
        "equal_texts": statistics.mean(
            model.chat.decode(a) == model.chat.decode(b) for a, b in zip(full, half, strict=True)
        ),
        "mean_nll_difference": statistics.mean(gaps) if gaps else None,
        "mean_absolute_nll_difference": statistics.mean(map(abs, gaps)) if gaps else None,
    }
    measuring.table("bfloat16 against float32", ("what", "value"), list(found.items()))
    return found


if __name__ == "__main__":
    app()
