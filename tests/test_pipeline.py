import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from interp_steer.begin import Source, begin_run
from interp_steer.errors import InterpSteerError, RunError, SteeringError
from interp_steer.files import write_json
from interp_steer.model.load import load_model
from interp_steer.outcomes import UNSTEERED, read_outcomes
from interp_steer.pairs import BUILTIN, read_prompts
from interp_steer.pipeline import run_behavior
from interp_steer.records import Cell
from interp_steer.run import Run
from interp_steer.stages import extract_stage, fit_stage, halve_stage, held_halving, judge_stage, sweep_plan
from interp_steer.sweeps.grid import SweepSpec
from interp_steer.sweeps.run_sweep import sweep

SPEC = SweepSpec(layers=(1, 2), alphas=(0.2, 0.4), random_alphas=(0.4,), max_new_tokens=12)
WRITTEN_ONCE = ("activations.safetensors", "vectors.safetensors", "generations.jsonl", "verdicts.jsonl")


def cut(behavior, folder, **lines):
    """Copy a built-in behavior, with the first lines of each of its files."""
    folder.mkdir(parents=True)
    shutil.copy(BUILTIN / behavior / "behavior.toml", folder)
    for split, n in lines.items():
        kept = (BUILTIN / behavior / f"{split}.jsonl").read_text(encoding="utf-8").split("\n")[:n]
        (folder / f"{split}.jsonl").write_text("\n".join(kept) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def behavior(tmp_path_factory):
    return cut("refusal", tmp_path_factory.mktemp("pairs") / "refusal", train=8, dev=3, test=4)


@pytest.fixture(scope="module")
def model_folder(tiny_llama, plain_tiny_llama, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "tiny"
    plain_tiny_llama.save_pretrained(folder)
    tiny_llama.chat.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def source(model_folder):
    return Source(name=str(model_folder), load=lambda: load_model(str(model_folder), device="cpu"))


@pytest.fixture(scope="module")
def finished(behavior, source, tmp_path_factory):
    """A run that is done; tests that would change it work on a copy."""
    return run_behavior(behavior, source, out=tmp_path_factory.mktemp("runs") / "done", spec=lambda _: SPEC)


def no_model():
    raise AssertionError("the model was loaded")


@pytest.fixture
def again(behavior, source, finished, tmp_path):
    """Function that runs the finished run again, on a copy, with some arguments changed and no model to load."""
    shutil.copytree(finished.path, tmp_path / "copy")

    def call(folder=behavior, **changes):
        arguments = {"out": tmp_path / "copy", "spec": lambda _: SPEC, **changes}
        return run_behavior(folder, Source(name=arguments.pop("name", source.name), load=no_model), **arguments)

    return call


def contents(run):
    return {name: (run.path / name).read_bytes() for name in WRITTEN_ONCE}


def keys(run):
    return [generation.key for generation in run.generations()]


def test_every_artifact_is_there(finished):
    names = {path.relative_to(finished.path).as_posix() for path in finished.path.rglob("*") if path.is_file()}
    assert {*WRITTEN_ONCE, "manifest.json", "projections.json", "report.html"} <= names
    assert "analyses/layer_selection.json" in names
    assert not [name for name in names if name.endswith(".tmp")]
    assert finished.report_path.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_manifest_says_what_was_done(finished, source, behavior):
    manifest = finished.manifest()
    assert manifest["model_name"] == source.name
    assert manifest["behavior_source"] == str(behavior)
    assert manifest["pairs"]["n"] == 8
    assert (manifest["method"], manifest["read_position"]) == ("mean_difference", "mean_response")
    assert {"extract", "fit", "sweep dev", "sweep test", "judge", "analyze", "report"} <= set(manifest["stages"])
    assert finished.behavior().name == "refusal"
    assert finished.model_card() == source.model.card


def test_dev_is_the_grid_and_test_what_dev_has_chosen(finished):
    outcomes = read_outcomes(finished)
    assert set(outcomes.cells("dev")) == set(SPEC.dev_cells())
    best = outcomes.best_cell("dev")
    assert {cell.key for cell in outcomes.cells("test")} == {
        "unsteered",
        "prompted",
        *(outcomes.best_cell("dev", layer=layer).key for layer in SPEC.layers),
        f"random@{best.layer}:{best.alpha:+g}",
        f"sign_flipped@{best.layer}:{best.alpha:+g}",
        f"steered@{best.layer}:{-best.alpha:+g}",
    }
    assert {len(outcomes.judged("dev", cell)) for cell in outcomes.cells("dev")} == {3}
    assert {len(outcomes.judged("test", cell)) for cell in outcomes.cells("test")} == {4}
    assert len(set(keys(finished))) == len(keys(finished)) == 3 * 8 + 4 * 7


def test_a_finished_run_needs_no_model_and_writes_no_row(again, finished):
    once_more = again()
    assert contents(once_more) == contents(finished)
    assert once_more.projections_path.read_bytes() == finished.projections_path.read_bytes()
    assert once_more.report_path.exists()


@pytest.mark.parametrize("name", ["vectors.safetensors", "verdicts.jsonl", "report.html", "analyses"])
def test_what_is_lost_is_made_again_and_nothing_else(name, again, finished, tmp_path):
    lost = tmp_path / "copy" / name
    shutil.rmtree(lost) if lost.is_dir() else lost.unlink()
    found = again()
    assert contents(found) == contents(finished)
    assert found.analyses() == finished.analyses()
    assert found.report_path.exists()


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"name": "another-model"}, RunError, "made with another model: .* there, another-model here"),
        ({"method": "pca"}, RunError, r"swept with other vectors \(mean_difference\), not with 'pca'"),
        ({"read_position": "last_response"}, RunError, "read at 'mean_response', not 'last_response'"),
        ({"read_position": "first_k", "first_k": 3}, RunError, r"read at 'mean_response', not 'first_k' \(k = 3\)"),
        ({"spec": lambda _: replace(SPEC, seed=1)}, RunError, r"another sweep \(seed: 0 -> 1\)"),
        ({"spec": lambda _: replace(SPEC, layers=(1, 40))}, SteeringError, "layer 40 does not exist: .* 0 to 3"),
        ({"judge_name": "nobody"}, InterpSteerError, "unknown judge 'nobody'"),
    ],
)
def test_other_settings_are_refused_on_the_same_directory(changes, error, said, again, finished, tmp_path):
    with pytest.raises(error, match=said):
        again(**changes)
    assert contents(Run(tmp_path / "copy")) == contents(finished)


@pytest.mark.parametrize(
    ("name", "lines", "said"),
    [
        ("refusal", {"train": 7, "dev": 3, "test": 4}, "another set of pairs"),
        ("refusal", {"train": 8, "dev": 2, "test": 4}, "another set of prompts"),
        ("refusal", {"train": 8, "dev": 3, "test": 5}, "another set of prompts"),
        ("french", {"train": 8, "dev": 3, "test": 4}, "another behavior: refusal there, french here"),
    ],
)
def test_other_pairs_are_refused_on_the_same_directory(name, lines, said, again, finished, tmp_path):
    other = cut(name, tmp_path / "pairs" / name, **lines)
    with pytest.raises(RunError, match=f"{said}.*choose another --out"):
        again(other)
    assert contents(Run(tmp_path / "copy")) == contents(finished)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('system_prompt = "Refuse', 'system_prompt = "Please refuse', "another system_prompt"),
        (
            "[scorer]",
            '[coherence]\nreference = "prompted"\n[scorer]',
            "another coherence reference: plain there, prompted",
        ),
    ],
)
def test_another_way_of_asking_is_refused_on_the_same_directory(old, new, said, again, behavior, tmp_path):
    other = shutil.copytree(behavior, tmp_path / "refusal")
    text = (other / "behavior.toml").read_text(encoding="utf-8")
    assert old in text
    (other / "behavior.toml").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(RunError, match=said):
        again(other)


def test_other_notes_are_not_another_run(again, behavior, finished, tmp_path):
    other = shutil.copytree(behavior, tmp_path / "refusal")
    text = (other / "behavior.toml").read_text(encoding="utf-8")
    (other / "behavior.toml").write_text(text.replace('notes = """', 'notes = """New. '), encoding="utf-8")
    found = again(other)
    assert contents(found) == contents(finished)
    assert found.behavior().notes.startswith("New. ")


def test_a_run_of_another_version_is_refused(again, tmp_path):
    copy = Run(tmp_path / "copy")
    write_json(copy.manifest_path, {key: value for key, value in copy.manifest().items() if key != "format"})
    with pytest.raises(RunError, match="another version of interp-steer"):
        again()


def test_a_missing_behavior_leaves_nothing_behind(source, tmp_path):
    with pytest.raises(InterpSteerError, match="no behavior 'nobody'"):
        run_behavior("nobody", source, out=tmp_path / "run", spec=lambda _: SPEC)
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_in_the_middle_of_a_sweep_loses_nothing(behavior, model_folder, source, tmp_path):
    spec = replace(SPEC, max_new_tokens=100)
    run = Run(tmp_path / "run")
    command = f"run {behavior} --model {model_folder} --out {run.path} --layers 1,2 --alphas 0.2,0.4 --batch-size 1"
    running = subprocess.Popen(
        [sys.executable, "-m", "interp_steer", *command.split(), "--max-new-tokens", "100", "--device", "cpu"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job ignores Ctrl-C, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        deadline = time.monotonic() + 120
        while not (run.generations_path.exists() and len(run.generations()) > 1):
            assert running.poll() is None, running.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        stdout, stderr = running.communicate(timeout=60)
    finally:
        running.kill()
    assert running.returncode == 130
    assert "stopped; what was written stays: run the same command again to continue" in stderr
    assert "Traceback" not in stderr
    assert stdout == ""
    before, written = keys(run), run.generations_path.read_bytes()
    assert 1 < len(before) < 24
    run_behavior(behavior, source, out=run.path, spec=lambda _: spec)
    assert run.generations_path.read_bytes().startswith(written)
    assert len(set(keys(run))) == len(keys(run)) == 24 + 28


def test_steering_a_real_model_toward_refusal_raises_refusal(smollm2, tmp_path):
    behavior = cut("refusal", tmp_path / "refusal", train=16, dev=6, test=1)
    run = begin_run(tmp_path / "run", behavior, smollm2.card.name)
    extract_stage(run, behavior, Source(name=smollm2.card.name, load=lambda: smollm2), read_position="mean_response")
    fit_stage(run, method="mean_difference")
    spec = SweepSpec(layers=(14,), alphas=(0.35,), random_alphas=(0.35,), scope="all", max_new_tokens=16)
    steered, random = (Cell(control=control, layer=14, alpha=0.35) for control in ("steered", "random"))
    sweep(run, smollm2, read_prompts(behavior, "dev"), [UNSTEERED, steered, random], spec)
    judge_stage(run)
    outcomes = read_outcomes(run)
    scores = {cell.control: outcomes.outcome("dev", cell).behavior for cell in outcomes.cells("dev")}
    assert scores["unsteered"] <= 0.2
    assert scores["steered"] >= 0.5
    assert scores["random"] <= 0.2
    assert outcomes.effect("dev", steered, "behavior").low > 0


def test_halving_chooses_by_likelihood_once_and_sweeps_what_is_left(behavior, source, tmp_path):
    spec = SweepSpec(layers=(0, 1, 2, 3), alphas=(0.1, 0.2, 0.3, 0.4), max_new_tokens=6, strategy="halving")
    run = run_behavior(behavior, source, out=tmp_path / "halved", spec=lambda _: spec)
    held = run.manifest()["halving"]
    assert [len(one["layers"]) for one in held["rounds"]] == [4, 4]
    chosen = {(cell["layer"], cell["alpha"]) for cell in held["cells"]}
    swept = {(row.cell.layer, row.cell.alpha) for row in run.generations() if row.split == "dev"} - {(None, 0.0)}
    assert swept == chosen
    assert len(chosen) == 4 * 3
    assert run.report_path.exists()
    before = contents(run)
    assert held_halving(run, spec) is not None
    assert held_halving(run, replace(spec, scope="all")) is None
    run_behavior(behavior, Source(name=source.name, load=no_model), out=run.path, spec=lambda _: spec)
    assert contents(run) == before
    with pytest.raises(RunError, match="strategy: 'halving' -> 'full'"):
        run_behavior(behavior, source, out=run.path, spec=lambda _: replace(spec, strategy="full"))


def test_cells_chosen_for_other_vectors_are_chosen_again(behavior, source, tmp_path):
    spec = SweepSpec(layers=(0, 1), alphas=(0.1, 0.2), max_new_tokens=4, strategy="halving")
    run = begin_run(tmp_path / "run", behavior, source.name)
    extract_stage(run, behavior, source, read_position="mean_response")
    fit_stage(run, method="mean_difference")
    halve_stage(run, behavior, source, spec)
    first = held_halving(run, spec)
    assert first is not None
    fit_stage(run, method="pca_centered")
    assert held_halving(run, spec) is None
    with pytest.raises(RunError, match="no cells are chosen for this grid and these vectors"):
        sweep_plan(run, behavior, spec, split="dev")
    halve_stage(run, behavior, source, spec)
    assert held_halving(run, spec).vectors != first.vectors
