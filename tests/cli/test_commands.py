import json
from dataclasses import replace
from pathlib import Path

import pytest

from interp_steer.cli.options import default_out, parse_alphas, parse_layers, sweep_spec, vector_method
from interp_steer.errors import SteeringError
from interp_steer.files import append_records
from interp_steer.records import Cell

NAMES = [
    "cats",
    "concise",
    "enthusiastic",
    "french",
    "hedging",
    "listing",
    "ocean",
    "permissive",
    "pirate",
    "questioning",
    "refusal",
    "spanish",
    "sutro_tower",
]


def test_pairs_list(interp_steer):
    done = interp_steer("pairs", "list", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    rows = json.loads(done.stdout)
    assert [row["behavior"] for row in rows] == NAMES
    assert {(row["pairs"], row["dev"], row["test"]) for row in rows} == {(64, 12, 24)}
    table = interp_steer("pairs", "list")
    assert table.returncode == 0
    assert all(name in table.stdout for name in NAMES)


def test_pairs_check(interp_steer):
    done = interp_steer("pairs", "check", "refusal", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, [])
    assert interp_steer("pairs", "check").stdout.endswith("0 errors, 0 warnings\n")


def test_fit_prints_the_path_of_the_vectors(run, interp_steer):
    run.generations_path.unlink()
    before = run.vectors_path.read_bytes()
    done = interp_steer("fit", run.path, "--use-pca")
    assert (done.returncode, done.stdout) == (0, f"{run.vectors_path}\n")
    assert run.vectors_path.read_bytes() != before


def test_judge_then_analyze_then_report(run, interp_steer, tmp_path):
    judged = interp_steer("judge", run.path, "--json")
    assert judged.returncode == 0
    n = len(run.generations())
    assert json.loads(judged.stdout)["scored"] == n == 3 * (8 + 7)
    assert interp_steer("judge", run.path).stdout == f"scored 0, unscored 0 (none), up to date {n}\n"
    analyzed = interp_steer("analyze", "all", run.path)
    assert analyzed.returncode == 0, analyzed.stderr
    assert len(analyzed.stdout.splitlines()) == len(run.analyses()) == 11
    one = interp_steer("analyze", "magnitude", run.path, "--json")
    assert json.loads(one.stdout)["name"] == "magnitude"
    page = tmp_path / "reports" / "refusal.html"
    reported = interp_steer("report", run.path, "--out", page)
    assert (reported.returncode, reported.stdout) == (0, f"{page}\n")
    assert "refusal" in page.read_text(encoding="utf-8")
    index = interp_steer("report", "--index", page.parent)
    assert (index.returncode, index.stdout) == (0, f"{page.parent / 'index.html'}\n")
    assert 'href="refusal.html"' in (page.parent / "index.html").read_text(encoding="utf-8")


def test_a_report_says_what_is_missing(run, interp_steer):
    done = interp_steer("report", run.path)
    assert (done.returncode, done.stdout) == (0, f"{run.report_path}\n")
    assert f"interp-steer judge {run.path}" in run.report_path.read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_answer_is_exit_code_3(text, run, interp_steer):
    empty = replace(run.generations()[0], text=text, cell=Cell(control="steered", layer=3, alpha=0.4), nll=None)
    append_records(run.generations_path, [empty])
    done = interp_steer("judge", run.path)
    assert done.returncode == 3
    assert "unscored 1 (empty answer: 1)" in done.stdout
    again = interp_steer("judge", run.path)  # nothing new, but still without a score
    assert again.returncode == 3
    assert "finished, but 1 generations have no score" in again.stderr


@pytest.mark.parametrize(
    ("text", "layers"),
    [
        ("all", (0, 1, 2, 3)),
        ("2", (2,)),
        ("3,1,3", (1, 3)),
        ("1-3", (1, 2, 3)),
        ("0-29/10", (0, 10, 20)),
        ("0-1, 3", (0, 1, 3)),
        ("40", (40,)),  # whether it exists is for the model to say
    ],
)
def test_layers(text, layers):
    assert parse_layers(text, 4) == layers


@pytest.mark.parametrize("text", ["", "x", "1,,2", "1-", "-1", "1-2-3", "1-3/0", "3-1", "1,3-1", "1/x", "1.5"])
def test_what_is_not_a_list_of_layers(text):
    with pytest.raises(SteeringError, match="cannot read layers"):
        parse_layers(text, 4)


def test_alphas():
    assert parse_alphas("0.4,-0.2, 1e-1,0.4") == (-0.2, 0.1, 0.4)
    for text in ("", "0.2,", "a"):
        with pytest.raises(SteeringError, match="cannot read alphas"):
            parse_alphas(text)


@pytest.mark.parametrize(
    ("model", "alphas", "random"),
    [
        ("smollm2-135m", None, 0.3),
        ("smollm2-135m", "0.1,0.25,0.45", 0.25),  # the largest that does not exceed the reference
        ("smollm2-135m", "0.6,0.8", 0.6),
        ("smollm2-135m", "-0.2,-0.4", 0.2),
        ("some/model", "0.5,0.9", 0.5),
    ],
)
def test_every_layer_gets_a_random_direction_at_one_alpha_of_the_grid(model, alphas, random):
    spec = sweep_spec(model, 4, layers="all", alphas=alphas, scope="all", max_new_tokens=8, temperature=0.0, seed=3)
    assert spec.random_alphas == (random,)
    assert (spec.layers, spec.scope, spec.max_new_tokens, spec.seed) == ((0, 1, 2, 3), "all", 8, 3)


def test_the_default_run_directory_is_behavior_and_model():
    assert default_out("refusal", "smollm2-135m") == Path("runs/refusal-smollm2-135m")
    assert default_out("my/pairs/rude", "Qwen/Qwen3-0.6B") == Path("runs/rude-qwen3-0.6b")


def test_use_pca_is_short_for_the_method():
    assert vector_method("mean_difference", use_pca=True) == vector_method("pca", use_pca=False) == "pca"
    assert vector_method("pca_centered", use_pca=False) == "pca_centered"
