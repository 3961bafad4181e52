"""A sweep that is killed, again and again, ends as one that nobody touched."""

import json
import os
import subprocess
import sys

import pytest

from interp_steer.run import Run
from interp_steer.sweeps.grid import SweepSpec

KILLS = 6
SPEC = SweepSpec(layers=(0, 1, 2, 3), alphas=(0.1, 0.3, 0.5), random_alphas=(0.3,), max_new_tokens=8)

# One process loads the model; each sweep is a child of it, so that a kill costs no second start.
DRIVER = """
import json, os, random, signal, sys, time
from pathlib import Path
import torch
from interp_steer.model.load import load_model
from interp_steer.behaviors import EvaluationPrompt
from interp_steer.records import from_json
from interp_steer.run import Run
from interp_steer.sweeps.grid import SweepSpec
from interp_steer.sweeps.answers import LocalEngine
from interp_steer.sweeps.run_sweep import sweep

torch.set_num_threads(1)
job = json.loads(sys.argv[1])
model = load_model(job["model"], device="cpu")
prompts = [from_json(EvaluationPrompt, prompt) for prompt in job["prompts"]]
spec = from_json(SweepSpec, job["spec"])

def start(folder):
    child = os.fork()
    if child == 0:
        try:
            run = Run(Path(folder))
            with run.lock():
                sweep(run, LocalEngine(model, batch_size=3), prompts, spec.dev_cells(), spec)
            os._exit(0)
        finally:
            os._exit(1)
    return child

def ended(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

assert ended(start(job["undisturbed"])) == 0
disturbed = Run(Path(job["disturbed"])).generations_path
whole = (Path(job["undisturbed"]) / disturbed.name).stat().st_size
rng = random.Random(0)
seen = []
for kill in range(1, job["kills"] + 1):
    child = start(job["disturbed"])
    enough = whole * kill / (job["kills"] + 1)
    deadline = time.monotonic() + 60
    while not (disturbed.exists() and disturbed.stat().st_size >= enough) and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(rng.uniform(0, 0.03))
    os.kill(child, signal.SIGKILL)
    seen.append([ended(child), disturbed.read_bytes().count(b"\\n")])
assert ended(start(job["disturbed"])) == 0
print(json.dumps(seen))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_sweeps_lose_and_repeat_nothing(
    make_run, tiny_llama, plain_tiny_llama, prompts, tmp_path, assert_same_rows
):
    plain_tiny_llama.save_pretrained(tmp_path / "model")
    tiny_llama.chat.tokenizer.save_pretrained(tmp_path / "model")
    runs = {name: make_run(tmp_path / name) for name in ("undisturbed", "disturbed")}
    job = {
        "model": str(tmp_path / "model"),
        "prompts": [vars(prompt) for prompt in prompts],
        "spec": vars(SPEC),
        "kills": KILLS,
        **{name: str(run.path) for name, run in runs.items()},
    }
    done = subprocess.run([sys.executable, "-c", DRIVER, json.dumps(job)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = Run(tmp_path / "disturbed").generations()
    assert len(found) == len(SPEC.dev_cells()) * len(prompts)
    assert_same_rows(found, runs["undisturbed"].generations())
    seen = json.loads(done.stdout.splitlines()[-1])
    assert {code for code, _ in seen} == {-9}
    lines = [count for _, count in seen]
    assert lines == sorted(lines)
    assert len({count for count in lines if 0 < count < len(found)}) > 2  # it was caught in the middle of its work
