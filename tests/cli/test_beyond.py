"""Operations, several layers and heads from the command line, on a run of a tiny model."""

import json

import pytest

from interp_steer.activations.artifact import read_activations, save_activations
from interp_steer.activations.extract import extract
from interp_steer.findings import AnalysisResult
from interp_steer.heads.fit import fit_head
from interp_steer.heads.head import head_path, read_head, save_head
from interp_steer.pairs import read_pairs
from interp_steer.records import from_json


def test_an_operation_is_named_with_what_it_did_to_the_stream(tiny_run, interp_steer):
    options = ("-l", "2", "-a", "30", "--operation", "rotate", "-p", "Hi", "--max-new-tokens", "4", "--device", "cpu")
    done = interp_steer("steer", tiny_run.path, *options)
    assert done.returncode == 0, done.stderr
    assert "rotate +30 at layer 2: turned by 30.0 degrees, norm x 1.00" in done.stdout
    assert done.stdout.count("turned by") == 1, "the unsteered answer has no effect to speak of"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--operation", "rotate", "--alphas", "20"), "operation: 'add' -> 'rotate'"),
        (("--operation", "reach"), "'reach' has no amount like adding"),
        (("--operation", "rotate", "--alphas", "200"), "expected a nonzero angle in degrees"),
    ],
)
def test_a_sweep_refuses_an_operation_that_does_not_fit(run, fails, options, message):
    assert message in fails("sweep", run.path, *options)


def test_schedules_are_compared_and_kept_for_the_report(tiny_run, interp_steer):
    options = ("--layers", "1-3", "--target-kl", "0.05", "--device", "cpu")
    done = interp_steer("combine", tiny_run.path, *options, "--json")
    assert done.returncode == 0, done.stderr
    result = from_json(AnalysisResult, json.loads(done.stdout))
    assert from_json(AnalysisResult, json.loads(tiny_run.analysis_path("combination").read_bytes())) == result
    assert [row[0].split(",")[0].split(" at")[0] for row in result.tables[0].rows] == [
        *(f"layer {result.tables[1].rows[0][0]}", "top 3", "Gaussian"),
        *(f"layer {result.tables[1].rows[0][0]}",) * 3,
        "5 random directions",
    ]


def test_a_head_is_fitted_read_and_decides(tiny_run, tiny_llama, interp_steer):
    save_activations(extract(tiny_llama, read_pairs("refusal"), behavior="refusal"), tiny_run.activations_path)
    fitted = interp_steer("heads", "fit", tiny_run.path, "--layer", "1", "--device", "cpu", "--json")
    assert fitted.returncode == 0, fitted.stderr
    card, head = json.loads(fitted.stdout), read_head(head_path(tiny_run, 1))
    assert (card["layer"], card["n_pairs"], card["out_of_fold"]["n"]) == (1, 64, 128)
    assert card["unseen"]["n"] == head.card.unseen.n == 72
    common = ("-p", "Hi", "--max-new-tokens", "6", "--scope", "all", "--device", "cpu", "--json")
    steered = ("--steer-layer", "2", "--alpha", "0.9")

    def read(*options):
        done = interp_steer("heads", "read", tiny_run.path, *common, *options)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    plain = read()
    (one,) = plain["heads"]
    assert one["head"] == "refusal@1"
    assert len(one["by_token"]) == len(plain["tokens"]) == 6
    assert 0 < one["probability"] < 1
    assert read(*steered, "--below", "1e-9")["text"] == plain["text"]
    assert read(*steered, "--below", "0.999999999")["text"] == read(*steered)["text"] != plain["text"]


@pytest.mark.parametrize(
    ("layer", "options", "message"),
    [
        (None, (), "has no heads; fit one with 'interp-steer heads fit"),
        (1, ("--alpha", "0.3"), "name it with --steer-layer"),
        (3, ("--steer-layer", "2", "--alpha", "0.3", "--below", "0.5"), "needs a head at or below layer 2"),
        (3, ("--steer-layer", "2", "--dose", "0.9"), "--dose needs a head at or below layer 2"),
        (1, ("--dose", "1.5"), "1.5 is no probability to steer by"),
    ],
)
def test_what_a_head_cannot_decide_is_refused(run, fails, layer, options, message):
    if layer is not None:
        save_head(fit_head(read_activations(run.activations_path), layer), head_path(run, layer))
    assert message in fails("heads", "read", run.path, "-p", "Hi", *options)
