import pytest

from interp_steer.outcomes import PROMPTED, UNSTEERED, Judged, Outcomes, mean, read_outcomes
from interp_steer.records import Cell, Generation, Verdict
from interp_steer.run import Run, append_records


def steered(layer, alpha):
    return Cell(control="steered", layer=layer, alpha=alpha)


def judged(cell, score, *, prompt=1, split="dev", sample=0, judge="local", behavior=None):
    """One generation with a verdict whose scores are all the same, but for the behavior if it is given."""
    generation = Generation(
        behavior="b",
        split=split,
        prompt_id=f"{split}-{prompt}",
        prompt="p",
        cell=cell,
        sample=sample,
        text="t",
        n_tokens=1,
        finish="eos",
    )
    verdict = Verdict(
        generation=generation.key,
        text_sha256="s",
        judge=judge,
        judge_digest="d",
        behavior=score if behavior is None else behavior,
        coherence=score,
        combined=score,
        reason=None if score is not None else "empty answer",
    )
    return Judged(generation=generation, verdict=verdict)


def grid(scores, split="dev"):
    """One prompt a cell: ``{(layer, alpha): score}``."""
    return Outcomes([judged(steered(*place), score, split=split) for place, score in scores.items()])


def test_the_planted_cell_is_best_overall_and_by_layer():
    scores = {
        (layer, alpha): 0.9 - abs(layer - 14) / 50 - abs(alpha - 0.3) for layer in range(30) for alpha in (0.1, 0.3)
    }
    outcomes = grid(scores)
    assert outcomes.best_cell() == steered(14, 0.3)
    assert [outcomes.best_cell(layer=layer) for layer in range(30)] == [steered(layer, 0.3) for layer in range(30)]
    assert outcomes.best_cell(layer=30) is None


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ({(3, 0.4): 0.5, (9, 0.2): 0.5, (1, 0.4): 0.5}, (9, 0.2)),  # the smaller alpha before the earlier layer
        ({(9, 0.2): 0.5, (3, 0.2): 0.5, (5, 0.2): 0.5}, (3, 0.2)),
        ({(9, 0.2): 0.5, (3, 0.4): 0.500001}, (3, 0.4)),
        ({(3, -0.2): 0.9, (3, 0.2): 0.1}, (3, 0.2)),  # a negative alpha shows the opposite
        ({(3, 0.2): 0.0, (3, 0.4): None}, (3, 0.2)),
    ],
)
def test_ties_signs_and_what_has_no_score(scores, best):
    assert grid(scores).best_cell() == steered(*best)
    assert grid(dict(reversed(scores.items()))).best_cell() == steered(*best)


@pytest.mark.parametrize("scores", [{}, {(3, -0.2): 0.9}, {(3, 0.2): None}])
def test_there_may_be_no_best_cell(scores):
    assert grid(scores).best_cell() is None


def test_controls_do_not_compete():
    better = [
        judged(Cell(control="random", layer=2, alpha=0.3), 1.0),
        judged(Cell(control="sign_flipped", layer=2, alpha=0.3), 1.0),
        judged(UNSTEERED, 1.0),
        judged(PROMPTED, 1.0),
    ]
    assert Outcomes([*better, judged(steered(2, 0.3), 0.1)]).best_cell() == steered(2, 0.3)
    assert Outcomes(better).best_cell() is None


def test_the_best_cell_is_that_of_the_split_and_the_score():
    one, other = steered(1, 0.3), steered(2, 0.3)
    outcomes = Outcomes(
        [judged(one, 0.9, behavior=0.1), judged(other, 0.2, behavior=0.8), judged(other, 1.0, split="test")]
    )
    assert outcomes.best_cell("dev") == one
    assert outcomes.best_cell("dev", score="behavior") == other
    assert outcomes.best_cell("test") == other


def test_what_is_unscored_is_left_out_and_counted():
    cell = steered(3, 0.3)
    outcomes = Outcomes([judged(cell, score, prompt=prompt) for prompt, score in enumerate([0.2, None, 0.6, None])])
    found = outcomes.outcome("dev", cell)
    assert (found.n, found.n_unscored) == (4, 2)
    assert found.behavior == found.coherence == found.combined == pytest.approx(0.4)


def test_a_cell_without_any_score_scores_none():
    cell = steered(3, 0.3)
    outcomes = Outcomes([judged(cell, None), judged(UNSTEERED, 0.5)])
    found = outcomes.outcome("dev", cell)
    assert (found.n, found.n_unscored, found.behavior, found.coherence, found.combined) == (1, 1, None, None, None)
    assert outcomes.effect("dev", cell, "combined") is None
    nothing = outcomes.outcome("test", cell)
    assert (nothing.n, nothing.combined) == (0, None)


def test_samples_are_averaged_within_their_prompt_first():
    cell = steered(3, 0.3)
    rows = [judged(cell, score, prompt=1, sample=sample) for sample, score in enumerate([0.0, 0.0, 0.3])]
    rows += [judged(cell, 0.9, prompt=2), judged(cell, None, prompt=2, sample=1)]
    outcomes = Outcomes(rows)
    assert outcomes.scores("dev", cell, "combined") == pytest.approx({"dev-1": 0.1, "dev-2": 0.9})
    found = outcomes.outcome("dev", cell)
    assert (found.n, found.n_unscored, found.combined) == (5, 1, pytest.approx(0.5))


def test_an_effect_pairs_the_prompts_that_both_answered():
    cell = steered(3, 0.3)
    ours = {1: 0.9, 2: 0.5, 3: None, 4: 0.7, 5: 1.0}
    theirs = {1: 0.1, 2: 0.1, 3: 0.0, 4: None}
    outcomes = Outcomes(
        [judged(cell, score, prompt=prompt) for prompt, score in ours.items()]
        + [judged(UNSTEERED, score, prompt=prompt) for prompt, score in reversed(theirs.items())]
    )
    found = outcomes.effect("dev", cell, "combined")
    assert (found.n, found.mean) == (2, pytest.approx(0.6))
    assert 0.4 - 1e-9 <= found.low <= found.high <= 0.8 + 1e-9
    assert outcomes.effect("dev", cell, "combined", baseline=PROMPTED) is None
    assert outcomes.effect("test", cell, "combined") is None


def test_an_effect_that_is_the_same_on_every_prompt_is_certain():
    cell = steered(3, 0.3)
    rows = [judged(cell, 0.25 * prompt + 0.25, prompt=prompt) for prompt in range(3)]
    rows += [judged(UNSTEERED, 0.25 * prompt, prompt=prompt) for prompt in range(3)]
    found = Outcomes(rows).effect("dev", cell, "combined")
    assert (found.mean, found.low, found.high) == (0.25, 0.25, 0.25)


def test_cells_are_listed_by_control_layer_and_alpha():
    cells = [UNSTEERED, steered(10, 0.1), steered(2, 0.3), steered(2, -0.3), Cell(control="random", layer=2, alpha=0.3)]
    outcomes = Outcomes([*(judged(cell, 0.5) for cell in cells), judged(steered(1, 1.0), 0.5, split="test")])
    assert [cell.key for cell in outcomes.cells("dev")] == [
        "random@2:+0.3",
        "steered@2:-0.3",
        "steered@2:+0.3",
        "steered@10:+0.1",
        "unsteered",
    ]
    assert outcomes.cells("dev", "steered") == [steered(2, -0.3), steered(2, 0.3), steered(10, 0.1)]
    assert outcomes.cells("test") == [steered(1, 1.0)]
    assert outcomes.cells("train") == []


def write(run, rows):
    append_records(run.generations_path, {row.generation.key: row.generation for row in rows}.values())
    append_records(run.verdicts_path, [row.verdict for row in rows])


def test_the_latest_verdict_counts(tmp_path):
    run = Run(tmp_path)
    cell = steered(3, 0.3)
    write(run, [judged(cell, 0.1), judged(cell, None), judged(cell, 0.7), judged(cell, 0.2, prompt=2)])
    assert read_outcomes(run).scores("dev", cell, "combined") == {"dev-1": 0.7, "dev-2": 0.2}


def test_one_judge_at_a_time(tmp_path):
    run = Run(tmp_path)
    cell = steered(3, 0.3)
    write(run, [judged(cell, 0.1), judged(cell, 0.9, judge="strict")])
    append_records(run.verdicts_path, [judged(cell, 0.2, prompt=9, judge="strict").verdict])  # of no generation
    assert read_outcomes(run).scores("dev", cell, "combined") == {"dev-1": 0.9}
    assert read_outcomes(run, "strict").scores("dev", cell, "combined") == {"dev-1": 0.9}
    assert read_outcomes(run, "local").scores("dev", cell, "combined") == {"dev-1": 0.1}
    assert read_outcomes(run, "nobody").cells("dev") == []


def test_a_run_without_verdicts_has_no_cells(tmp_path):
    run = Run(tmp_path)
    assert read_outcomes(run).cells("dev") == []
    append_records(run.generations_path, [judged(UNSTEERED, 0.5).generation])
    assert read_outcomes(run).cells("dev") == []


def test_what_is_undefined_is_not_averaged():
    assert mean([]) is None
    assert mean([None, None]) is None
    assert mean([None, 0.0, 1.0]) == 0.5
