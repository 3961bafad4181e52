"""The benchmarks explain themselves, and end with one line of JSON."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def run(name, *arguments):
    return subprocess.run(
        [sys.executable, BENCHMARKS / name, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120"},
    )


@pytest.mark.parametrize(
    "name",
    [
        "sweep.py",
        "step.py",
        "precision.py",
        "extract.py",
        "scale.py",
        "loops.py",
        "kill.py",
        "judge.py",
        "analyze.py",
        "report.py",
        "serve.py",
        "gpu.py",
    ],
)
def test_help_teaches(name):
    done = run(name, "--help")
    assert done.returncode == 0, done.stderr
    assert f"python benchmarks/{name}" in done.stdout
    assert "--quick" in done.stdout
    assert name in (BENCHMARKS / "README.md").read_text(encoding="utf-8")


def test_analyses_are_timed_one_by_one_and_together():
    done = run("analyze.py", "--quick", "--threads", "1")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    seconds = found["medians"]["seconds"]
    assert {"magnitude", "probe_accuracy", "separation", "recommender", "all"} < set(seconds)
    assert all(value > 0 for value in seconds.values())
    assert found["megabytes"] > 8 * 24 * 256 * 4 * 2 / 1e6
    assert found["settings"]["quick"] is True


def test_the_gpu_benchmark_runs_on_a_tiny_model():
    done = run("gpu.py", "--tiny", "--threads", "1", "--batches", "4,8")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    assert found["benchmark"] == "gpu"
    assert {"cpu", "cores", "torch", "threads"} <= found["machine"].keys()
    assert found["machine"]["threads"] == 1
    rates = found["medians"]["tokens_per_second"]
    assert len(rates) == 3
    assert all(rate > 0 for rate in rates.values())
    assert found["ratios"]["seconds_per_token_against_ours"].keys() == rates.keys() - {"interp-steer"}
    assert set(found["step"]) == {"4", "8"}
    assert str(found["best_batch"]) in found["step"]
    best = found["step"][str(found["best_batch"])]
    bound = max(best["compute_ms"], best["weights_ms"] + best["cache_ms"])
    assert best["roofline_ms"] == pytest.approx(bound, rel=1e-3)


def test_a_gpu_is_asked_for_where_there_is_none():
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")
    done = run("gpu.py")
    assert done.returncode == 1
    assert "--tiny" in done.stderr
    assert done.stdout == ""
