"""``propensity`` and ``calibrate`` on a run of a tiny model: measured once, kept, and measured anew on request."""

import json
import shutil

import numpy as np
import pytest

from interp_steer.records import from_json
from interp_steer.sweeps.calibration import Calibration
from interp_steer.sweeps.margins import read_propensity
from interp_steer.sweeps.shifts import read_pushes


def test_propensity_is_measured_once(tiny_run, interp_steer, tmp_path):
    options = ("--layers", "1,2", "--random", "2", "--device", "cpu")
    done = interp_steer("propensity", tiny_run.path, *options, "--json")
    assert done.returncode == 0, done.stderr
    said, found = json.loads(done.stdout), read_propensity(tiny_run.propensity_path)
    assert found.card.spec.alphas == (0.2, 0.4), "those of the run's sweep"
    assert np.array(said["mean_change"]) == pytest.approx(found.mean_change())
    assert np.array(said["random_mean_change"]).shape == (2, 2)
    assert said["best"]["change"] == found.mean_change().max()
    assert said["n_pairs"] == 12
    shutil.rmtree(tmp_path / "model")  # from here on, there is nothing to measure with
    again = interp_steer("propensity", tiny_run.path)
    assert again.returncode == 0, again.stderr
    layer, alpha = found.best()
    assert f"best: layer {layer} at alpha {alpha:g}: {found.mean_change().max():+.2f}" in " ".join(again.stdout.split())
    assert again.stdout.count("*") == 1
    other = interp_steer("propensity", tiny_run.path, "--alphas", "0.3")
    assert other.returncode == 1
    assert "was measured with other settings, vectors or pairs: measuring anew" in other.stderr
    assert read_propensity(tiny_run.propensity_path).card == found.card, "what is there stays until there is better"


def test_a_run_is_pushed_once_and_analyzed(tiny_run, interp_steer, tmp_path):
    options = ("--layers", "1,3", "--random", "1", "--device", "cpu")
    done = interp_steer("pushes", tiny_run.path, *options, "--json")
    assert done.returncode == 0, done.stderr
    said, found = json.loads(done.stdout), read_pushes(tiny_run.pushes_path)
    assert found.card.spec.layers == (1, 3)
    assert said["equal"]["mean"] == pytest.approx(found.equal.mean(axis=1))
    assert said["natural"]["alpha"] == pytest.approx(found.natural_alpha)
    assert said["n_places"] == found.answers.size
    shutil.rmtree(tmp_path / "model")  # from here on, there is nothing to measure with
    again = interp_steer("pushes", tiny_run.path)
    assert again.returncode == 0, again.stderr
    assert f"over {found.answers.size} tokens of neutral answers" in " ".join(again.stdout.split())
    analyzed = interp_steer("analyze", "small_push", tiny_run.path)
    assert analyzed.returncode == 0, analyzed.stderr
    assert "At an equal dose the predictions move most at layer" in " ".join(analyzed.stdout.split())
    other = interp_steer("pushes", tiny_run.path, "--alpha", "0.2")
    assert other.returncode == 1, "measuring anew takes the model"
    assert read_pushes(tiny_run.pushes_path).card == found.card


def test_a_calibration_is_solved_once(tiny_run, interp_steer, tmp_path):
    options = ("--layers", "0,3", "--target-kl", "0.1", "--device", "cpu")
    done = interp_steer("calibrate", tiny_run.path, *options, "--json")
    assert done.returncode == 0, done.stderr
    found = from_json(Calibration, json.loads(tiny_run.calibration_path.read_text(encoding="utf-8")))
    assert from_json(Calibration, json.loads(done.stdout)) == found
    assert [one.layer for one in found.layers] == [0, 3]
    assert all(one.kl == pytest.approx(0.1, rel=0.011) for one in found.layers)
    shutil.rmtree(tmp_path / "model")
    again = interp_steer("calibrate", tiny_run.path)
    assert again.returncode == 0, again.stderr
    assert f"{found.layers[1].alpha:.3f}" in again.stdout
    assert "to sweep around this disturbance: --alphas " in again.stdout
    assert interp_steer("calibrate", tiny_run.path, "--target-kl", "0.2").returncode == 1


def test_a_dry_run_says_what_a_sweep_would_cost_and_generates_nothing(tiny_run, interp_steer):
    before = tiny_run.generations_path.read_bytes()
    tiny_run.generations_path.unlink()
    done = interp_steer("sweep", tiny_run.path, "--dry-run", "--device", "cpu", "--max-new-tokens", "8")
    assert done.returncode == 0, done.stderr
    said = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert list(said) == ["rows", "tokens", "time", "memory"]
    n_rows = int(said["rows"].split()[0])
    assert n_rows % 12 == 0
    assert said["tokens"].startswith(f"{n_rows * 8:,} to generate at most")
    assert not tiny_run.generations_path.exists()
    tiny_run.generations_path.write_bytes(before)
