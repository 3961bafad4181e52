import json
import re
from dataclasses import replace

import numpy as np
import pytest

from interp_steer.errors import RunError
from interp_steer.files import append_records, write_json
from interp_steer.findings import Figure, Series
from interp_steer.outcomes import read_outcomes
from interp_steer.records import Cell, from_json, to_json
from interp_steer.report.build import build_report
from interp_steer.report.provenance import caveats
from interp_steer.report.summary import Summary
from interp_steer.report.tables import figure_table, grid_table, panel_table
from interp_steer.run import Run


def copy(
    run: Run, path, *, verdict=lambda verdict: verdict, keep=lambda generation: generation.cell.layer in (None, 14)
) -> Run:
    """A copy of a run whose verdicts are changed, and whose generations are a selection: by default layer 14."""
    made = Run(path)
    write_json(made.manifest_path, run.manifest())
    generations = [generation for generation in run.generations() if keep(generation)]
    keys = {generation.key for generation in generations}
    append_records(made.generations_path, generations)
    append_records(made.verdicts_path, [verdict(item) for item in run.verdicts() if item.generation in keys])
    return made


def with_scores(verdict, behavior, combined=None):
    """The verdict with these scores; combined is as high as behavior unless it is given. Unscored stays unscored."""
    if verdict.behavior is None:
        return verdict
    return replace(verdict, behavior=behavior, combined=behavior if combined is None else combined)


def test_the_headline_is_the_best_dev_cell_on_the_test_prompts(finished_run, report, conditions):
    """Recomputed from the lines of verdicts.jsonl, with no code of the report or of the outcomes."""
    scores = {}
    for line in finished_run.verdicts_path.read_text().splitlines():
        row = json.loads(line)
        prompt, cell, _ = row["generation"].split("/")
        scores[cell, prompt] = row["behavior"]
    tests = [f"test-{i}" for i in range(1, 25)]
    steered, base = ({prompt: scores[cell, prompt] for prompt in tests} for cell in ("steered@14:+0.3", "unsteered"))
    both = [p for p in steered if steered[p] is not None and base[p] is not None]
    effect = np.mean([steered[p] - base[p] for p in both])

    assert report.headline.cell == conditions["best"]
    assert report.headline.split == "test"
    assert report.headline.effect.mean == pytest.approx(effect)
    assert report.headline.effect.n == len(both)
    assert f"raises refusal by {effect:.2f} [" in report.headline.claim
    assert f"on {len(both)} held-out prompts" in report.headline.claim
    assert report.headline.steers


def test_every_control_stands_beside_the_headline(finished_run, report, conditions):
    outcomes = read_outcomes(finished_run)
    rows = {row.name: row for row in report.headline.contrasts}
    assert list(rows) == [
        "unsteered",
        "layer 14 at alpha 0.3",
        "asked in the system prompt",
        "random direction",
        "sign-flipped pairs",
        "minus alpha",
    ]
    assert rows["random direction"].effect == outcomes.effect("test", conditions["random"], "behavior")
    assert rows["unsteered"].effect is None
    assert rows["asked in the system prompt"].behavior == outcomes.outcome("test", conditions["prompted"]).behavior


def test_the_detectable_effect_is_about_2_8_standard_errors(finished_run, report, conditions):
    outcomes = read_outcomes(finished_run)
    ours = outcomes.scores("test", conditions["best"], "behavior")
    base = outcomes.scores("test", conditions["unsteered"], "behavior")
    differences = np.array([ours[p] - base[p] for p in ours if ours[p] is not None and base[p] is not None])
    expected = 2.8 * np.sqrt(differences.var(ddof=1) / differences.size)
    assert report.headline.detectable == pytest.approx(expected, rel=0.08)  # by Student's quantiles a little more


def test_examples_show_the_worst_prompt_too(finished_run, report, conditions):
    scores = {
        prompt: score
        for prompt, score in read_outcomes(finished_run).scores("test", conditions["best"], "combined").items()
        if score is not None
    }
    shown = [example.samples[1].combined for example in report.headline.examples]
    assert [example.rank for example in report.headline.examples] == ["highest score", "median score", "lowest score"]
    assert (shown[0], shown[-1]) == pytest.approx((max(scores.values()), min(scores.values())), abs=5e-4)
    assert report.headline.examples[0].names == ("unsteered", "layer 14 at alpha 0.3", "asked in the system prompt")


def test_no_effect_is_called_no_effect(finished_run, tmp_path):
    flat = copy(finished_run, tmp_path / "flat", verdict=lambda verdict: with_scores(verdict, 0.1))
    headline = build_report(flat).headline
    assert not headline.steers
    assert headline.claim.startswith("No cell steers refusal on smollm2-135m here: the best of 3 cells")
    assert "0.00 [all alike]" in headline.claim


def test_an_effect_that_a_random_direction_has_too_does_not_count(finished_run, tmp_path):
    def same(verdict):  # steered and random
        return with_scores(verdict, 0.9 if "@14:+0.3/" in verdict.generation else 0.1)

    headline = build_report(copy(finished_run, tmp_path / "same", verdict=same)).headline
    assert headline.effect.low > 0
    assert not headline.steers
    assert "no more than a random direction" in headline.claim


def above_random(verdict):
    return with_scores(verdict, 0.9 if "/steered@14:+0.3/" in verdict.generation else 0.1)


def test_an_effect_beside_which_no_random_direction_was_tried_does_not_count(finished_run, tmp_path):
    made = copy(
        finished_run,
        tmp_path / "alone",
        verdict=above_random,
        keep=lambda generation: generation.cell.layer in (None, 14) and generation.cell.control != "random",
    )
    headline = build_report(made).headline
    assert headline.effect.low > 0
    assert not headline.steers
    assert "no random direction was tried beside it" in headline.claim


@pytest.mark.parametrize("n", [5, 6])
def test_an_effect_on_fewer_than_six_prompts_does_not_count(n, finished_run, tmp_path):
    def keep(generation):
        few = generation.split == "dev" or int(generation.prompt_id.removeprefix("test-")) <= n
        return generation.cell.layer in (None, 14) and few

    headline = build_report(copy(finished_run, tmp_path / "few", verdict=above_random, keep=keep)).headline
    assert (headline.split, headline.effect.n) == ("test", n)
    assert headline.steers is (n == 6)
    assert ("too few to tell (at least 6 are needed)" in headline.claim) is (n < 6)


def test_an_effect_in_text_that_falls_apart_does_not_count(finished_run, tmp_path):
    def broken(verdict):
        best, base = "/steered@14:+0.3/" in verdict.generation, "/unsteered/" in verdict.generation
        return with_scores(verdict, 0.9 if best else 0.1, 0.1 if best or base else 0.0)

    headline = build_report(copy(finished_run, tmp_path / "broken", verdict=broken)).headline
    assert headline.effect.low > 0
    assert not headline.steers
    assert "in text that no longer makes sense" in headline.claim


def test_the_best_random_cell_stands_beside_the_best_steered_one_of_the_same_strength(finished_run, tmp_path):
    scores = {"/steered@14:+0.45/": 0.9, "/steered@14:+0.3/": 0.7, "/random@14:+0.3/": 0.2}

    def planted(verdict):
        return with_scores(verdict, next((s for cell, s in scores.items() if cell in verdict.generation), 0.1))

    sweep = build_report(copy(finished_run, tmp_path / "planted", verdict=planted)).sweep
    assert sweep.best.alpha == 0.45
    assert "1 random-direction cell scores 0.20" in sweep.note
    assert "at the same strength, 0.70" in sweep.note


def test_without_test_prompts_the_headline_says_that_dev_chose(finished_run, tmp_path):
    dev = copy(finished_run, tmp_path / "dev", keep=lambda generation: generation.split == "dev")
    report = build_report(dev)
    assert report.headline.split == "dev"
    assert "dev prompts that chose it" in report.headline.claim
    assert report.sweep.depth is None
    assert any("too good" in caveat for caveat in report.caveats)
    assert any(item.command == f"interp-steer sweep {dev.path} --split test" for item in report.missing)


def test_a_bare_run_says_what_is_missing_and_how_to_get_it(bare_run):
    report = build_report(bare_run)
    assert report.headline is report.sweep is report.selection is report.tokens is None
    assert report.summary.headline == "No result yet: the sweep was not run."
    assert [item.command.split()[1] for item in report.missing] == ["extract", "fit", "sweep", "analyze"]


def test_unjudged_completions_are_missing_not_zero(finished_run, tmp_path):
    made = Run(tmp_path / "unjudged")
    write_json(made.manifest_path, finished_run.manifest())
    append_records(made.generations_path, finished_run.generations()[:10])
    report = build_report(made)
    assert report.headline is None
    assert any(item.what == "Scores of 10 of 10 completions" for item in report.missing)


def test_a_run_without_a_behavior_is_refused(tmp_path):
    with pytest.raises(RunError, match="holds no 'behavior'"):
        build_report(Run(tmp_path))


def test_the_grid_holds_the_outcome_of_every_cell(finished_run, report, conditions):
    outcomes = read_outcomes(finished_run)
    grid = {grid.score: grid for grid in report.sweep.grids}["coherence"]
    l, a = grid.layers.index(14), grid.alphas.index(0.3)  # noqa: E741
    assert (len(grid.alphas), len(grid.layers)) == (3, 30)
    assert grid.values[a][l] == outcomes.outcome("dev", conditions["best"]).coherence
    assert grid.keys[a][l] == conditions["best"].key
    assert grid.n[a][l] == 12
    assert grid.low[a][l] < grid.values[a][l] < grid.high[a][l]
    table = grid_table(report.sweep.grids, report.sweep.unit.axis)
    assert table.columns[:2] == ("layer", "alpha (fraction of the norm)")
    row = next(row for row in table.rows if row[:2] == (14, 0.3))
    assert row[table.columns.index("coherence")] == pytest.approx(grid.values[a][l])
    assert (len(table.rows), row[-1]) == (90, 12)


def test_every_generation_is_there_once(finished_run, report):
    shown = [
        (cell.cell.key, sample.prompt_id)
        for cell in report.sweep.cells
        for _, samples in cell.splits
        for sample in samples
    ]
    written = [(generation.cell.key, generation.prompt_id) for generation in finished_run.generations()]
    assert sorted(shown) == sorted(written)


def test_the_strength_curve_starts_unsteered_and_ends_at_the_largest_alpha(finished_run, report, conditions):
    outcomes = read_outcomes(finished_run)
    behavior, random = report.sweep.strength.series[0], report.sweep.strength.series[2]
    assert report.sweep.strength.x == (0.0, 0.15, 0.3, 0.45)
    assert behavior.y[0] == pytest.approx(outcomes.outcome("dev", conditions["unsteered"]).behavior)
    assert behavior.y[2] == pytest.approx(outcomes.outcome("dev", conditions["best"]).behavior)
    assert all(low <= y <= high for low, y, high in zip(behavior.low, behavior.y, behavior.high, strict=True))
    assert (random.role, random.y[1]) == ("reference", None)


def test_the_scope_is_part_of_the_claim_where_it_is_not_the_default(finished_run, report, tmp_path):
    made = copy(finished_run, tmp_path / "all")
    made.update_manifest(sweep={**finished_run.manifest()["sweep"], "scope": "all"})
    assert build_report(made).headline.claim.startswith("Layer 14 at alpha 0.3, steering every token, raises refusal")
    assert report.headline.claim.startswith("Layer 14 at alpha 0.3 raises refusal")
    assert report.headline.scope == "the answer, from the last token of the prompt on"


def test_an_angle_has_its_unit_wherever_it_stands(finished_run, tmp_path):
    made = copy(finished_run, tmp_path / "rotate")
    made.update_manifest(sweep={**finished_run.manifest()["sweep"], "operation": "rotate"})
    turned = build_report(made)
    sweep = turned.sweep
    said = [
        turned.headline.claim,
        turned.summary.headline,
        *(item.name for item in turned.headline.contrasts if item.cell == turned.headline.cell),
        turned.headline.examples[0].names[1],
        sweep.finding,
        sweep.note,
        sweep.strength_finding,
        *(grid.finding for grid in sweep.grids),
        *(cell.name for cell in sweep.cells if cell.cell.layer is not None),
    ]
    assert [text for text in said if not re.search(r"alpha −?0\.\d+°", text)] == []
    for table in (grid_table(sweep.grids, sweep.unit.axis), panel_table(sweep.by_layer)):
        assert table.columns[1] == "alpha (degrees)"
    assert (turned.summary.unit, sweep.strength.x_label) == ("°", "alpha (degrees)")


@pytest.mark.parametrize(
    ("finish", "said"),
    [
        ("eos", r"Steered answers are 40 tokens long on average \(40 unsteered\), and a token surprises .* by \d"),
        ("length", r"0 % of steered answers end before they are cut off \(0 % unsteered\), and a token surprises"),
    ],
)
def test_a_length_is_told_only_where_no_answer_was_cut_off(finished_run, tmp_path, finish, said):
    made = copy(finished_run, tmp_path / finish)
    written = made.generations_path.read_text(encoding="utf-8")
    made.generations_path.write_text(
        re.sub(r'("finish": ?)"(length|eos)"', rf'\1"{finish}"', written), encoding="utf-8"
    )
    assert re.match(said, build_report(made).side_effects.finding)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (Cell(control="steered", layer=14, alpha=0.3), None),
        (Cell(control="steered", layer=14, alpha=0.45), "a stronger push was not tried"),
        (Cell(control="steered", layer=29, alpha=0.15), "a weaker push was not tried"),
    ],
)
def test_a_best_cell_at_the_edge_of_the_grid_is_said(report, cell, said):
    found = caveats(report.behavior, report.model, None, replace(report.sweep, best=cell), [], {})
    edges = [text for text in found if "edge of the grid" in text]
    assert len(edges) == (0 if said is None else 1)
    assert all(said in text for text in edges)


def test_both_controls_are_told_with_their_coherence(finished_run, report, conditions):
    outcomes = read_outcomes(finished_run)
    random, asked = (outcomes.outcome("test", conditions[name]).coherence for name in ("random", "prompted"))
    first, second = report.headline.comparison.split("; ")
    assert first.startswith("One random direction of the same size does")
    assert first.endswith(f"coherence {random:.2f}")
    assert second.startswith("asking in the system prompt does")
    assert second.endswith(f"coherence {asked:.2f}.")


def test_the_caveats_say_where_answers_end_and_that_they_are_greedy(finished_run, tmp_path):
    made = copy(finished_run, tmp_path / "greedy")
    settings = finished_run.manifest()["sweep"]
    made.update_manifest(sweep={**settings, "max_new_tokens": 32, "temperature": 0.0})
    said = build_report(made).caveats
    assert any(text.startswith("Answers are cut off at 32 tokens") for text in said)
    assert said[-1].endswith("or texts that are sampled: these are the greedy ones.")
    made.update_manifest(sweep={**settings, "temperature": 0.7})
    assert build_report(made).caveats[-1].endswith("or other seeds.")


def test_what_was_stopped_says_so(finished_run, report):
    written = {generation.key: generation for generation in finished_run.generations()}
    shown = {
        f"{sample.prompt_id}/{cell.cell.key}/0": sample.finish
        for cell in report.sweep.cells
        for _, samples in cell.splits
        for sample in samples
    }
    assert set(shown.values()) == {"", "cut off at 40 tokens", "cut off at 0 tokens"}  # one says nothing at all
    assert all((written[key].finish == "length") is bool(said) for key, said in shown.items())


def test_side_effects_are_means_over_the_headline_prompts(finished_run, report, conditions):
    table = report.side_effects.table
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    judged = read_outcomes(finished_run).judged("test", conditions["best"])
    steered = rows["Layer 14 at alpha 0.3"]
    assert steered["n"] == len(judged) == 24
    assert steered["tokens"] == pytest.approx(np.mean([item.generation.n_tokens for item in judged]), abs=1e-4)
    assert steered["ended by itself"] == pytest.approx(
        np.mean([item.generation.finish == "eos" for item in judged]), abs=1e-4
    )
    nlls = [item.generation.nll for item in judged if item.generation.nll is not None]
    assert steered["nats per token"] == pytest.approx(np.mean(nlls), abs=1e-4)
    assert "follows the prompt" not in table.columns  # this judge does not say


def test_analyses_come_in_order_and_strangers_last(report):
    assert report.selection.name == "layer_selection"
    assert [result.name for result in report.analyses] == ["magnitude", "zeta"]


def test_unscored_completions_are_counted_by_reason(finished_run, report):
    unscored = sum(verdict.combined is None for verdict in finished_run.verdicts())
    rows = dict(next(facts.rows for facts in report.provenance if facts.title == "Judge"))
    assert unscored > 0
    assert rows["of these: the completion is empty"] == str(unscored)
    assert any(caveat.startswith(f"{unscored} of 2,") for caveat in report.caveats)


def test_a_page_does_not_tell_where_its_maker_keeps_things(finished_run, tmp_path):
    run = copy(finished_run, tmp_path / "copy")
    run.update_manifest(
        command="interp-steer run refusal --layers 2-26/4 --out /srv/me/runs/mine --model=/data/secret/m"
    )
    facts = {facts.title: dict(facts.rows) for facts in build_report(run).provenance}
    expected = "interp-steer run refusal --layers 2-26/4 --out …/mine --model=…/m"
    assert facts["How it was made"]["Command"] == expected


def test_provenance_names_model_pairs_and_time(finished_run, report):
    facts = {facts.title: dict(facts.rows) for facts in report.provenance}
    assert facts["Model"]["Weights"] == finished_run.model_card().fingerprint
    assert facts["Pairs"]["SHA-256"] == finished_run.manifest()["pairs"]["sha256"]
    assert facts["Sweep"]["Layers"] == "0–29"
    assert facts["How it was made"]["Stage extract"] == "31.2 s"


def test_the_summary_survives_json(report):
    assert from_json(Summary, json.loads(json.dumps(to_json(report.summary), allow_nan=False))) == report.summary


def test_a_figure_has_its_numbers_in_a_table():
    figure = Figure(
        kind="lines",
        title="t",
        x_label="layer",
        y_label="score",
        x=(0, 1),
        series=(Series(name="a", y=(0.5, None), low=(0.4, None), high=(0.6, None)), Series(name="b", y=(1, 2))),
    )
    table = figure_table(figure)
    assert table.columns == ("layer", "a", "a: low", "a: high", "b")
    assert table.rows == ((0, 0.5, 0.4, 0.6, 1), (1, None, None, None, 2))
