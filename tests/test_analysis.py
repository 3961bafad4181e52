import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from interp_steer.activations.artifact import Activations, save_activations
from interp_steer.analysis import READS_OTHERS, analyze, find_analyses
from interp_steer.errors import AnalysisError
from interp_steer.records import ActivationCard, ModelCard, to_json
from interp_steer.run import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    rng = np.random.default_rng(0)
    card = ModelCard(
        name="synthetic",
        revision="0",
        fingerprint="f" * 16,
        dtype="float32",
        n_layers=2,
        d_model=8,
        layer_types=("full_attention",) * 2,
        template="t",
    )
    positive = rng.standard_normal((2, 4, 8)).astype(np.float32)
    activations = Activations(
        positive=positive,
        negative=-positive,
        positive_norms=np.ones((2, 4), dtype=np.float32),
        negative_norms=np.ones((2, 4), dtype=np.float32),
        positive_tokens=np.ones(4, dtype=np.float32),
        negative_tokens=np.ones(4, dtype=np.float32),
        card=ActivationCard(model=card, behavior="b", pairs_sha256="0", read_position="mean_response"),
    )
    run = Run(tmp_path)
    save_activations(activations, run.activations_path)
    run.update_manifest(model=to_json(card))
    return run


def test_every_analysis_is_found_and_those_that_read_others_come_last():
    names = list(find_analyses())
    assert {"magnitude", "explained_variance", "probe_accuracy", "pair_quality", "adjacent_similarity"} < set(names)
    assert tuple(names[-len(READS_OTHERS) :]) == READS_OTHERS
    assert names[:-1] == sorted(names[:-1])


def test_a_result_is_stored_and_replaced(run):
    first = analyze(run, ["magnitude"])
    assert run.analysis("magnitude") == first[0]
    run.analysis_path("magnitude").write_text("{}")
    assert analyze(run, ["magnitude"]) == first
    assert run.analysis("magnitude") == first[0]
    assert run.analyses() == ["magnitude"]


def test_an_unknown_name_lists_those_that_exist_and_runs_nothing(run):
    with pytest.raises(AnalysisError, match=r"no analysis 'magnitud': expected one of .*magnitude"):
        analyze(run, ["magnitude", "magnitud"])
    assert run.analyses() == []


def test_without_a_sweep_the_other_results_stay(run):
    with pytest.raises(AnalysisError, match="interp-steer sweep"):
        analyze(run)
    assert set(run.analyses()) == set(find_analyses()) - {"layer_selection"}


@pytest.fixture
def plug_in(tmp_path, monkeypatch):
    """Install a distribution with one analysis, ``guess``, made of the given source."""

    def install(source: str) -> None:
        site = tmp_path / "site"
        info = site / "stranger-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[interp_steer.analyses]\nguess = stranger_guess:guess\n")
        (site / "stranger_guess.py").write_text(source)
        monkeypatch.syspath_prepend(site)
        monkeypatch.delitem(sys.modules, "stranger_guess", raising=False)

    return install


GUESS = """
from interp_steer.findings import AnalysisResult

def guess(run):
    return AnalysisResult(name="guess", title="", question="", finding="", scores={{"guess": ({score},)}})
"""


def test_the_analysis_of_another_package_plugs_in(run, plug_in):
    plug_in(GUESS.format(score="1.0"))
    assert list(find_analyses())[-1] == "layer_selection"
    assert analyze(run, ["guess"])[0].scores == {"guess": (1.0,)}
    assert run.analysis("guess").scores == {"guess": (1.0,)}


@pytest.mark.parametrize("score", ["float('nan')", "float('inf')"])
def test_what_json_cannot_hold_is_refused(score, run, plug_in):
    plug_in(GUESS.format(score=score))
    with pytest.raises(AnalysisError, match="'guess': its result holds NaN or Inf"):
        analyze(run, ["guess"])
    assert run.analyses() == []


def test_an_analysis_that_cannot_be_imported_is_named_with_its_package(run, plug_in):
    plug_in("import a_module_that_is_not_there")
    with pytest.raises(AnalysisError, match="'guess' of stranger cannot be imported"):
        analyze(run, ["guess"])
    analyze(run, ["magnitude"])  # and does not stand in the way of the others


def test_torch_is_not_imported():
    code = "import sys, interp_steer.analysis as a; a.find_analyses(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
