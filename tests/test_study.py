import csv
import json
import shutil
from pathlib import Path

import pytest
from test_pipeline import cut, no_model

from interp_steer.begin import Source
from interp_steer.errors import RunError, SteeringError
from interp_steer.judges.scorers import score_behavior
from interp_steer.model.load import load_model
from interp_steer.outcomes import UNSTEERED, read_outcomes
from interp_steer.report.index import write_index
from interp_steer.report.study import read_study, render_study, write_study
from interp_steer.run import Run
from interp_steer.study import StudySpec, run_study
from interp_steer.sweeps.doses import read_doses
from interp_steer.sweeps.heldout import read_held_out
from interp_steer.sweeps.margins import read_propensity
from interp_steer.teacher_forced import best_cell

SPEC = StudySpec(
    alphas=(-0.2, 0.2, 0.4), random_alpha=0.4, n_random=2, n_flipped=1, n_best=1, n_spread=2, max_new_tokens=6
)
NAMES = ("refusal", "listing", "hedging")
QUESTIONS = {"claims", "heuristics", "off_target", "responses", "steerable"}


@pytest.fixture(scope="module")
def behaviors(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    return [cut(name, folder / name, train=8, dev=3, test=7) for name in NAMES]


@pytest.fixture(scope="module")
def source(tiny_llama, plain_tiny_llama, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "tiny"
    plain_tiny_llama.save_pretrained(folder)
    tiny_llama.chat.tokenizer.save_pretrained(folder)
    return Source(name=str(folder), load=lambda: load_model(str(folder), device="cpu"))


@pytest.fixture(scope="module")
def finished(behaviors, source, tmp_path_factory):
    """A study that is done, and its results; tests that would change it work on a copy."""
    folder = tmp_path_factory.mktemp("studies") / "study"
    return folder, run_study(behaviors, source, folder, SPEC)


def test_it_answers_every_question(finished):
    folder, results = finished
    assert {result.name for result in results} == QUESTIONS
    assert {path.stem for path in (folder / "analyses").iterdir()} == QUESTIONS
    about, kept = read_study(folder)
    assert about["behaviors"] == list(NAMES)
    assert about["card"]["n_layers"] == 4
    assert kept[0].name == "heuristics"
    assert {result.name: result.finding for result in kept} == {result.name: result.finding for result in results}


def test_each_behavior_is_a_run_with_both_truths_and_all_controls(finished):
    folder, _ = finished
    for name in NAMES:
        run = Run(folder / name)
        held = read_held_out(run.held_out_path)
        assert {cell.name for cell, _ in held.of("other")} == {*NAMES} - {name}
        assert len(held.of("chosen")) == 4
        assert best_cell(read_propensity(run.propensity_path)) in {
            (cell.layer, cell.alpha) for cell, _ in held.of("chosen")
        }
        outcomes = read_outcomes(run)
        layers = {cell.layer for cell in outcomes.cells("dev", "steered")}
        assert {1, 3} <= layers <= {0, 1, 2, 3}  # those spread over depth, and the best by likelihood
        for method in ("pca", "pca_centered"):
            assert len(outcomes.cells("test", method)) == 1
        assert "recommender" in run.analyses()
        layer, _ = best_cell(read_propensity(run.propensity_path))
        assert [(one.layer, one.alpha) for one in read_doses(run.doses_path).doses] == [(layer, a) for a in SPEC.alphas]


def test_curves_start_at_nothing_however_small_the_doses_are(finished):
    _, results = finished
    figures = {figure.x_label: figure for one in results if one.name == "responses" for figure in one.figures}
    for unit, pushes in (("Alpha", 3), ("Natural doses", 3), ("KL, nats", 2)):
        figure = figures[unit]
        for series in figure.series:
            assert series.y[figure.x.index(0.0)] == 0.0
            assert sum(value is not None for value in series.y) == 1 + pushes


def test_doses_that_are_missing_or_no_doses_name_the_remedy(finished, tmp_path):
    path = shutil.copy(Run(finished[0] / "refusal").doses_path, tmp_path)
    Path(path).write_text("{}")
    with pytest.raises(RunError, match=r"not a doses .*interp-steer study"):
        read_doses(Path(path))
    with pytest.raises(RunError, match=r"none\.json is missing; run 'interp-steer study' again"):
        read_doses(tmp_path / "none.json")


def test_what_a_vector_writes_is_scored_by_every_behavior(finished):
    folder, results = finished
    table = next(
        t for one in results for t in one.tables if t.title.startswith("Change of each column's behavior score")
    )
    row = dict(zip(table.columns, table.rows[0], strict=True))
    outcomes, scorer = read_outcomes(Run(folder / "refusal")), Run(folder / "listing").behavior().scorer
    best = outcomes.best_cell("dev")
    changes = []
    for steered, plain in zip(outcomes.judged("test", best), outcomes.judged("test", UNSTEERED), strict=True):
        assert steered.generation.prompt_id == plain.generation.prompt_id
        texts = [one.generation.text for one in (steered, plain)]
        if all(text.strip() for text in texts):
            changes.append(score_behavior(scorer, texts[0]) - score_behavior(scorer, texts[1]))
    assert row["listing"] == pytest.approx(sum(changes) / len(changes))


def test_a_finished_study_needs_no_model(behaviors, finished, source, tmp_path):
    folder, results = finished
    copy = shutil.copytree(finished[0], tmp_path / "copy")
    again = run_study(behaviors, Source(name=source.name, load=no_model), copy, SPEC)
    assert [one.finding for one in again] == [one.finding for one in results]
    for name in NAMES:
        for file in ("propensity.safetensors", "held_out.safetensors", "generations.jsonl", "verdicts.jsonl"):
            assert (copy / name / file).read_bytes() == (folder / name / file).read_bytes()


def test_another_study_is_refused_with_the_difference_named(behaviors, finished, source):
    other = StudySpec(alphas=(0.3,))
    with pytest.raises(RunError, match=r"holds another study .*alphas: \[-0.2, 0.2, 0.4\] -> \[0.3\]"):
        run_study(behaviors, Source(name=source.name, load=no_model), finished[0], other)


def test_one_behavior_is_no_study(behaviors, source, tmp_path):
    with pytest.raises(SteeringError, match="at least two different"):
        run_study([behaviors[0], behaviors[0]], source, tmp_path / "study", SPEC)
    assert not (tmp_path / "study").exists()


def test_the_index_links_a_study_with_its_finding(finished, tmp_path):
    folder, results = finished
    write_study(folder, tmp_path / "reports" / "a study.html")
    text = write_index(tmp_path / "reports").read_text(encoding="utf-8")
    assert 'href="a%20study.html"' in text
    assert f"Study of {len(NAMES)} behaviors on" in text
    finding = next(one.finding for one in results if one.name == "heuristics")
    assert finding[:40] in text


def test_the_page_holds_every_finding_and_table(finished, tmp_path):
    folder, results = finished
    page = write_study(folder, tmp_path / "reports" / "study-tiny.html")
    text = page.read_text(encoding="utf-8")
    assert len(text) < 8_000_000
    for result in results:
        assert f'id="analysis-{result.name}"' in text
    files = sorted((tmp_path / "reports" / "study-tiny").glob("*.csv"))
    assert len(files) == sum(len(result.tables) for result in results)
    table = next(result for result in results if result.name == "claims").tables[0]
    with (tmp_path / "reports" / "study-tiny" / "claims-claim-by-claim.csv").open(encoding="utf-8") as lines:
        header, *rows = csv.reader(lines)
    assert tuple(header) == table.columns
    assert [row[0] for row in rows] == [row[0] for row in table.rows]


def test_names_on_the_page_are_text(finished):
    about, results = read_study(finished[0])
    text = render_study({**about, "behaviors": ["</script><b>x"]}, results)
    assert "</script><b>x" not in text
    assert json.loads(text.split('id="figures">')[1].split("</script>")[0])
