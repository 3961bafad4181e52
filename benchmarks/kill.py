"""A sweep is killed again and again at random moments; the file it leaves in the end is that of one nobody touched."""

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import measuring
import typer
from measuring import Quick, say

TEST = Path(__file__).parents[1] / "tests" / "sweeps" / "test_kill.py"
app = typer.Typer(add_completion=False)


@app.command()
def main(
    kills: Annotated[int, typer.Option(min=1, help="How often the sweep is killed.")] = 20,
    quick: Quick = False,
) -> None:
    """Kill a sweep of SmolLM2-135M with SIGKILL, resume it each time, and hold its rows against an undisturbed one.

    The killing itself is that of tests/sweeps/test_kill.py. Exit code 1 if a row is lost, repeated or different.

    Try:

        python benchmarks/kill.py > kill.json

        python benchmarks/kill.py --quick
    """
    measuring.begin(1)
    from interp_steer.pairs import read_prompts
    from interp_steer.run import Run
    from interp_steer.sweeps.grid import SweepSpec

    kills = 4 if quick else kills
    layers = (8, 16) if quick else (4, 8, 12, 16, 20, 24)
    spec = SweepSpec(layers=layers, alphas=(0.2, 0.3), random_alphas=(0.3,), max_new_tokens=8)
    prompts = read_prompts("refusal", "dev")[: 3 if quick else 8]
    with tempfile.TemporaryDirectory() as folder:
        runs = {name: Path(folder) / name for name in ("undisturbed", "disturbed")}
        _prepare(list(runs.values()))
        job = {
            "model": "smollm2-135m",
            "prompts": [vars(prompt) for prompt in prompts],
            "spec": vars(spec),
            "kills": kills,
            **{name: str(path) for name, path in runs.items()},
        }
        say(f"one sweep undisturbed, then one killed {kills} times")
        done = subprocess.run(
            [sys.executable, "-c", _driver(), json.dumps(job)], stdout=subprocess.PIPE, text=True, check=True
        )
        expected, found = (Run(path).generations() for path in runs.values())
    seen = json.loads(done.stdout.splitlines()[-1])
    difference = _difference(expected, found)
    killed = sum(code == -9 for code, _ in seen)
    rows = [count for _, count in seen]
    ok = difference["rows_equal"] and killed == kills and len(expected) == len(spec.dev_cells()) * len(prompts)
    measuring.table("Rows in the file after each kill", [str(i + 1) for i in range(len(rows))], [rows])
    say("every row is there once, and equal" if ok else f"NOT equal: {difference}")
    measuring.emit(
        "kill",
        {"model": "smollm2-135m", "kills": kills, "quick": quick, "rows": len(expected)},
        medians={"rows_after_each_kill": rows},
        ratios={"killed": killed / kills, "equal_rows": difference["equal"] / len(expected)},
        ok=ok,
        **difference,
    )
    if not ok:
        raise typer.Exit(1)


def _driver() -> str:
    """Return the program that starts and kills sweeps: the one of the test."""
    spec = importlib.util.spec_from_file_location("test_kill", TEST)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{TEST} is not there; run this from a clone")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.DRIVER)


def _prepare(folders: list[Path]) -> None:
    """Make runs with the same vectors, ready to be swept."""
    from interp_steer.activations.artifact import save_activations
    from interp_steer.activations.extract import extract
    from interp_steer.model.load import load_model
    from interp_steer.pairs import read_behavior, read_pairs
    from interp_steer.records import to_json
    from interp_steer.run import Run
    from interp_steer.vectors.fit import fit
    from interp_steer.vectors.vector import save_vectors

    model = load_model("smollm2-135m", device="cpu", dtype="float32")
    activations = extract(model, read_pairs("refusal")[:16], behavior="refusal")
    for folder in folders:
        run = Run(folder)
        save_activations(activations, run.activations_path)
        save_vectors(fit(activations), run.vectors_path)
        run.update_manifest(behavior=to_json(read_behavior("refusal")), model=to_json(model.card))


def _difference(expected: list[Any], found: list[Any]) -> dict[str, Any]:
    """Compare rows by key: everything but the likelihoods exactly, those by their largest difference."""
    from interp_steer.records import to_json

    by_key = {row.key: to_json(row) for row in found}
    equal, gaps = 0, [0.0]
    for row in expected:
        one, other = to_json(row), by_key.get(row.key)
        if other is not None:
            values = [(one.pop(name), other.pop(name)) for name in ("nll", "nll_prompted")]
            equal += one == other
            gaps += [abs(a - b) for a, b in values if a is not None and b is not None]
    return {
        "rows_equal": equal == len(expected) == len(found) == len(by_key) and max(gaps) < 1e-3,
        "equal": equal,
        "repeated": len(found) - len(by_key),
        "largest_nll_difference": max(gaps),
    }


if __name__ == "__main__":
    app()
