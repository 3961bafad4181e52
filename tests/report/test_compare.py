import html
from dataclasses import replace

import numpy as np
import pytest

from interp_steer.files import append_records, write_json
from interp_steer.outcomes import UNSTEERED, read_outcomes
from interp_steer.report.compare import compare, write_comparison
from interp_steer.run import Run


@pytest.fixture(scope="module")
def weaker(finished_run, tmp_path_factory):
    """The same run on another model, on which steered completions show half as much of the behavior."""
    run = Run(tmp_path_factory.mktemp("weaker") / "refusal-other")
    manifest = finished_run.manifest()
    write_json(run.manifest_path, {**manifest, "model": {**manifest["model"], "name": "other <model>"}})
    kept = [generation for generation in finished_run.generations() if generation.cell.layer in (None, 13, 14)]
    keys = {generation.key for generation in kept}
    append_records(run.generations_path, kept)
    append_records(
        run.verdicts_path,
        [
            replace(verdict, behavior=verdict.behavior / 2)
            if "/steered@" in verdict.generation and verdict.behavior
            else verdict
            for verdict in finished_run.verdicts()
            if verdict.generation in keys
        ],
    )
    return run


def test_the_difference_is_paired_over_the_prompts_both_answered(finished_run, weaker):
    found = compare(finished_run, weaker)
    changes = []
    for report, run in zip(found.reports, (finished_run, weaker), strict=True):
        outcomes = read_outcomes(run)
        ours = outcomes.scores("test", report.headline.cell, "behavior")
        base = outcomes.scores("test", UNSTEERED, "behavior")
        changes.append({p: ours[p] - base[p] for p in ours if ours[p] is not None and base[p] is not None})
    both = changes[0].keys() & changes[1].keys()
    mean = np.mean([changes[0][p] - changes[1][p] for p in both])
    assert mean > 0.2
    assert f"Steering moves smollm2-135m by {mean:.2f} [" in found.finding
    assert f"more than other <model> on the {len(both)} prompts both answered" in found.finding
    assert compare(weaker, finished_run).finding.startswith(f"Steering moves other <model> by {mean:.2f} [")
    assert " less than smollm2-135m" in compare(weaker, finished_run).finding


def test_every_quantity_stands_in_both_columns(finished_run, weaker):
    rows = {name: (first, second) for name, first, second in compare(finished_run, weaker).rows}
    assert rows["Model"] == ("smollm2-135m", "other <model>")
    assert rows["Prompts"] == ("24 held-out", "24 held-out") or "held-out" in rows["Prompts"][0]
    assert {"Change: best cell", "Change: random direction", "Coherence at the best cell", "Judge: name"} <= rows.keys()


def test_the_same_run_twice_differs_by_nothing(finished_run):
    found = compare(finished_run, finished_run)
    assert found.names == ("first", "second")
    assert "by 0.00 [all alike]" in found.finding
    assert found.finding.endswith("; the interval holds zero")
    assert all(first == second for _, first, second in found.rows)
    assert [title for title, *_ in found.findings][:2] == ["Every heuristic against the sweep", "Magnitude ratio"]


def test_a_run_without_a_result_can_stand_beside_one(finished_run, bare_run):
    assert compare(finished_run, bare_run).finding == "One of these runs has no result yet"


def test_the_page_escapes_names_and_texts(finished_run, weaker):
    path = write_comparison(finished_run, weaker)
    text = path.read_text(encoding="utf-8")
    assert path.name == "refusal-smollm2-135m-vs-refusal-other.html"
    assert "other &lt;model&gt;" in text
    assert "other <model>" not in text
    assert "<script" not in text
    assert "<img" not in text
    assert "default-src 'none'" in html.unescape(text)


def test_scores_of_different_judges_are_not_subtracted(finished_run, tmp_path):
    run = Run(tmp_path / "stricter")
    write_json(run.manifest_path, finished_run.manifest())
    append_records(run.generations_path, finished_run.generations())
    append_records(run.verdicts_path, [replace(one, judge="stricter") for one in finished_run.verdicts()])
    found = compare(finished_run, run).finding
    assert "scored by different judges (local, rules c0ffee1234567890; stricter, rules c0ffee1234567890)" in found
    assert " more " not in found


def test_what_only_the_second_run_has_is_shown_too(bare_run, finished_run):
    first, second = (compare(*pair) for pair in ((finished_run, bare_run), (bare_run, finished_run)))
    assert {name for name, *_ in first.rows} == {name for name, *_ in second.rows}
    assert ("Coherence at the best cell", "–") in {(name, one) for name, one, _ in second.rows}
    assert {title for title, *_ in second.findings} == {title for title, *_ in first.findings} != set()


def test_thresholds_that_are_each_models_own_do_not_make_another_judge(finished_run, tmp_path):
    runs = []
    for name, nll in (("one", 1.5), ("two", 2.5)):
        run = Run(tmp_path / name)
        rules = {"digest": name, "version": 2, "scorer": {"name": "refusal"}, "thresholds": {"nll": nll}}
        write_json(run.manifest_path, {**finished_run.manifest(), "judges": {"local": rules}})
        append_records(run.generations_path, finished_run.generations())
        append_records(run.verdicts_path, [replace(one, judge_digest=name) for one in finished_run.verdicts()])
        runs.append(run)
    assert "both answered" in compare(*runs).finding
