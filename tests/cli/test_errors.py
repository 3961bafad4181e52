"""What a user can get wrong: exit code 1 and one line that says what to do."""

import json
import shutil

import pytest

from interp_steer.pairs import BUILTIN

NAMES = (
    "cats, concise, enthusiastic, french, hedging, listing, ocean, permissive, pirate, questioning, refusal, spanish, "
    "sutro_tower"
)


@pytest.fixture
def behavior(tmp_path):
    return shutil.copytree(BUILTIN / "refusal", tmp_path / "refusal")


def break_line(behavior, split, number, text):
    path = behavior / f"{split}.jsonl"
    lines = path.read_text(encoding="utf-8").split("\n")
    lines[number - 1] = text
    path.write_text("\n".join(lines), encoding="utf-8")


@pytest.mark.parametrize("command", [("run",), ("extract",), ("pairs", "check")])
def test_a_missing_behavior_lists_those_that_exist(command, fails, tmp_path):
    assert f"no behavior 'refusals': expected one of {NAMES}" in fails(*command, "refusals", cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_malformed_line_is_named_before_a_model_is_loaded(split, behavior, fails, tmp_path):
    break_line(behavior, split, 3, '{"prompt": 3, "positive": "a", "negative": "b"}')
    said = fails("run", behavior, "--model", tmp_path / "no-model", "--out", tmp_path / "run")
    assert f"{behavior}/{split}.jsonl:3: 'prompt' must be a text, found int" in said


def test_a_damaged_behavior_is_named(behavior, fails, tmp_path):
    path = behavior / "behavior.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("[gate]", "[gates]"), encoding="utf-8")
    said = fails("run", behavior, "--out", tmp_path / "run")
    assert f"{path}: " in said
    assert "gate: Field required" in said


def test_a_model_that_is_not_there(fails, tmp_path):
    said = fails("run", "refusal", "--model", tmp_path / "no-model", "--out", tmp_path / "run")
    assert f"cannot load '{tmp_path}/no-model'" in said
    assert "--model smollm2-135m" in said


@pytest.mark.parametrize(
    "command",
    [
        "fit {}",
        "propensity {}",
        "calibrate {}",
        "sweep {}",
        "judge {}",
        "analyze magnitude {}",
        "report {}",
        "steer {} -p Why? -l 1 -a 0.3",
    ],
)
def test_a_missing_run_directory(command, fails, tmp_path):
    said = fails(*command.format(tmp_path / "no-run").split())
    assert f"{tmp_path}/no-run is not a run directory (no manifest.json); make one with 'interp-steer run" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command", ["run refusal --out {}", "extract refusal --out {}", "run refusal --out {}/deeper/still"]
)
def test_a_run_directory_that_cannot_be_written(command, fails, tmp_path):
    (tmp_path / "file").write_text("in the way")
    said = fails(*command.format(tmp_path / "file").split())
    assert f"cannot write to {tmp_path}/file" in said
    assert "choose another --out" in said


@pytest.mark.parametrize(
    "command",
    [
        "steer {} -p Why? -l 40 -a 0.3",
        "sweep {} --layers 1,40",
        "sweep {} --layers 2-40",
        "propensity {} --layers 40",
        "calibrate {} --layers 1,40",
    ],
)
def test_a_layer_that_does_not_exist(command, run, fails):
    said = fails(*command.format(run.path).split())
    assert "does not exist: 'tiny' has layers 0 to 3" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--layers 3-1", "cannot read layers '3-1'"),
        ("--alphas 0.2,much", "cannot read alphas '0.2,much'"),
        ("--alphas=-0.2,-0.4", "every alpha is negative"),
        ("--max-new-tokens 9", "already holds generations of another sweep"),
    ],
)
def test_a_sweep_that_makes_no_sense(options, said, run, fails):
    assert said in fails("sweep", run.path, *options.split())


def test_a_method_that_contradicts_itself(run, fails):
    said = fails("fit", run.path, "--use-pca", "--method", "pca_centered")
    assert "--use-pca means --method pca, but --method is 'pca_centered'" in said


def test_vectors_of_another_model(run, tiny_llama, plain_tiny_llama, fails, tmp_path):
    plain_tiny_llama.save_pretrained(tmp_path / "model")
    tiny_llama.chat.tokenizer.save_pretrained(tmp_path / "model")
    run.update_manifest(model_name=str(tmp_path / "model"))
    # Loading bars stand before the error.
    said = fails("steer", run.path, "-p", "Why?", "-l", "1", "-a", "0.3", "--device", "cpu")
    assert f"these vectors belong to 'tiny' (weights {'f' * 16}), not to '{tmp_path}/model'" in said


def test_an_unknown_analysis_lists_those_that_exist(run, fails):
    said = fails("analyze", "magnitud", run.path)
    assert "no analysis 'magnitud': expected one of " in said
    for name in ("magnitude", "explained_variance", "probe_accuracy", "pair_quality", "layer_selection"):
        assert name in said


def test_a_damaged_run(run, fails):
    generations = run.generations_path.read_bytes()
    lines = generations.split(b"\n")
    run.generations_path.write_bytes(b"\n".join([*lines[:4], b'{"text": "half', *lines[5:]]))
    assert f"{run.generations_path}:5: not valid JSON" in fails("judge", run.path)
    run.generations_path.write_bytes(generations)
    run.vectors_path.write_bytes(b"nothing")
    assert f"{run.vectors_path} cannot be read as safetensors" in fails(
        "steer", run.path, "-p", "Why?", "-l", "1", "-a", "1"
    )
    run.manifest_path.write_text("{")
    assert f"{run.manifest_path}: not valid JSON" in fails("judge", run.path)


def test_a_run_that_another_process_holds(run, fails):
    with run.lock():
        assert f"{run.path} is being written by another process" in fails("judge", run.path)


def test_an_index_wants_a_folder(fails, tmp_path):
    assert f"{tmp_path}/none is not a folder" in fails("report", "--index", tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


def test_the_pairs_of_a_broken_behavior_are_errors_too(behavior, interp_steer, tmp_path):
    break_line(behavior, "train", 3, json.dumps({"prompt": "p", "positive": "a"}))
    done = interp_steer("pairs", "check", behavior, cwd=tmp_path)
    assert done.returncode == 1
    assert f"{behavior}/train.jsonl:3: error: 'negative' must be a text" in done.stdout
    assert "Traceback" not in done.stderr
