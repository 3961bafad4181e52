from dataclasses import replace

import pytest

from interp_steer.files import append_records
from interp_steer.outcomes import (
    PROMPTED,
    UNSTEERED,
    Judged,
    Outcomes,
    mean,
    read_outcomes,
    steers,
)
from interp_steer.records import Cell, Generation, Verdict, text_sha256
from interp_steer.run import Run


def steered(layer, alpha):
    return Cell(control="steered", layer=layer, alpha=alpha)


def judged(cell, score, *, prompt=1, split="dev", sample=0, judge="local", judge_digest="d", behavior=None):
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
        text_sha256=text_sha256(generation.text),
        judge=judge,
        judge_digest=judge_digest,
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


@pytest.mark.parametrize(("unscored", "chosen"), [(0, True), (1, True), (2, False), (10, False)])
def test_a_cell_is_chosen_only_with_nine_tenths_of_its_generations_scored(unscored, chosen):
    sparse, low = steered(3, 0.3), steered(5, 0.3)
    rows = [judged(sparse, None if prompt < unscored else 0.9, prompt=prompt) for prompt in range(10)]
    outcomes = Outcomes([*rows, judged(low, 0.1)])
    assert outcomes.best_cell() == (sparse if chosen else low)
    assert outcomes.best_cell(layer=3) == (sparse if chosen else None)
    assert outcomes.n_unscored == unscored


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


def compared(ours, unsteered, random, *, n=8):
    """A steered cell, its random control and the unsteered model; a control of None was not tried."""
    cell = steered(3, 0.3)
    scores = {cell: ours, UNSTEERED: unsteered, Cell(control="random", layer=3, alpha=0.3): random}
    return Outcomes([
        judged(cell, score, prompt=prompt)
        for cell, score in scores.items()
        if score is not None
        for prompt in range(n)
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("ours", "unsteered", "random", "shown"),
    [
        (0.9, 0.1, 0.2, True),
        (0.9, 0.9, 0.2, False),
        (0.9, 0.1, 0.9, False),
        (0.1, 0.9, 0.9, False),
        (0.9, 0.1, None, False),
        (0.9, None, 0.2, False),
    ],
)
def test_a_cell_steers_only_above_both_the_unsteered_model_and_a_random_direction(ours, unsteered, random, shown):
    outcomes = compared(ours, unsteered, random)
    assert steers(outcomes, "dev", steered(3, 0.3)) is shown
    assert not steers(outcomes, "test", steered(3, 0.3))


@pytest.mark.parametrize(("n", "shown"), [(1, False), (5, False), (6, True)])
def test_fewer_than_six_prompts_show_nothing(n, shown):
    assert steers(compared(0.9, 0.1, 0.2, n=n), "dev", steered(3, 0.3)) is shown


def test_the_random_direction_is_the_one_at_the_same_layer_and_alpha():
    others = [Cell(control="random", layer=layer, alpha=alpha) for layer, alpha in ((4, 0.3), (3, 0.2), (3, -0.3))]
    rows = [judged(cell, 0.9 if cell == steered(3, 0.3) else 0.1, prompt=prompt)
            for cell in (steered(3, 0.3), UNSTEERED, *others) for prompt in range(8)]  # fmt: skip
    assert not steers(Outcomes(rows), "dev", steered(3, 0.3))


def test_the_combined_score_decides_whether_a_cell_steers():
    cell, random = steered(3, 0.3), Cell(control="random", layer=3, alpha=0.3)
    rows = [judged(one, 0.1, behavior=behavior, prompt=prompt)
            for one, behavior in ((cell, 1.0), (UNSTEERED, 0.0), (random, 0.0)) for prompt in range(8)]  # fmt: skip
    outcomes = Outcomes(rows)
    assert outcomes.effect("dev", cell, "behavior").low > 0
    assert not steers(outcomes, "dev", cell)


def test_an_interval_that_reaches_zero_shows_nothing():
    cell = steered(3, 0.3)
    controls = [judged(one, 0.5, prompt=prompt) for one in (UNSTEERED, Cell(control="random", layer=3, alpha=0.3))
                for prompt in range(8)]  # fmt: skip
    unsure = [judged(cell, 1.0 if prompt < 5 else 0.1, prompt=prompt) for prompt in range(8)]
    outcomes = Outcomes([*controls, *unsure])
    assert outcomes.effect("dev", cell, "combined").mean > 0
    assert not steers(outcomes, "dev", cell)


def test_the_generations_of_a_cell_come_in_the_order_of_their_prompts():
    rows = [judged(UNSTEERED, 0.5, prompt=prompt, sample=sample) for prompt in (10, 2, 1) for sample in (1, 0)]
    found = [(item.generation.prompt_id, item.generation.sample) for item in Outcomes(rows).judged("dev", UNSTEERED)]
    assert found == [(f"dev-{prompt}", sample) for prompt in (1, 2, 10) for sample in (0, 1)]


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


def test_scores_of_an_earlier_digest_are_not_mixed_with_those_of_the_last(tmp_path):
    run = Run(tmp_path)
    cell = steered(3, 0.3)
    old = [judged(cell, 0.1, judge_digest="old"), judged(cell, 0.2, prompt=2, judge_digest="old")]
    write(run, [*old, judged(cell, 0.3, prompt=3, judge="strict")])
    append_records(run.verdicts_path, [judged(cell, 0.7, judge_digest="new").verdict])
    assert read_outcomes(run).scores("dev", cell, "combined") == {"dev-1": 0.7}  # prompt 2 waits to be judged again
    append_records(run.verdicts_path, [judged(cell, 0.1, judge_digest="old").verdict])  # and back
    assert read_outcomes(run).scores("dev", cell, "combined") == {"dev-1": 0.1, "dev-2": 0.2}
    assert read_outcomes(run, "strict").scores("dev", cell, "combined") == {"dev-3": 0.3}


def test_a_verdict_about_another_text_does_not_count(tmp_path):
    run = Run(tmp_path)
    cell = steered(3, 0.3)
    ours = judged(cell, 0.1)
    write(run, [ours, judged(cell, 0.2, prompt=2)])
    append_records(run.verdicts_path, [replace(ours.verdict, combined=0.9, text_sha256=text_sha256("another"))])
    assert read_outcomes(run).scores("dev", cell, "combined") == {"dev-1": 0.1, "dev-2": 0.2}
    append_records(run.generations_path, [replace(ours.generation, text="another")])
    assert read_outcomes(run).scores("dev", cell, "combined") == {"dev-1": 0.9, "dev-2": 0.2}


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
