"""Planted agreement and disagreement between judges is found."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from judging import generation

from interp_steer.errors import JudgeError
from interp_steer.files import append_records
from interp_steer.judges.agreement import agreement, position_effects
from interp_steer.records import Cell, Verdict, text_sha256


def score(run, judge, behavior, *, shown=None, judge_digest=None, version=None):
    """Append one judge's verdicts, given a score per generation."""
    append_records(
        run.verdicts_path,
        [
            Verdict(
                generation=row.key,
                text_sha256=text_sha256(row.text),
                judge=judge,
                judge_digest=judge_digest or judge,
                behavior=value,
                coherence=None if value is None else 1.0,
                combined=value,
                reason=None if value is not None else "refused",
                question=f"{judge}-{i}" if shown else "",
                shown=shown[i] if shown else None,
                rubric_version=version,
            )
            for i, (row, value) in enumerate(zip(run.generations(), behavior, strict=True))
        ],
    )


def many(n):
    return [
        generation(f"text {i}", Cell(control="steered", layer=i // 20, alpha=0.3), prompt=i % 20 + 1) for i in range(n)
    ]


def found(run, *judges):
    return {each.score: each for each in agreement(run, judges)}


def test_equal_judges_agree_wholly_and_opposed_ones_not_at_all(make_run):
    run = make_run(many(60))
    values = [i % 11 / 10 for i in range(60)]
    score(run, "one", values)
    score(run, "same", values)
    score(run, "opposed", [1 - value for value in values])
    score(run, "halved", [value / 2 for value in values])
    same = found(run, "one", "same")["behavior"]
    assert same.n == 60
    for each in (same.spearman, same.kappa, same.weighted_kappa):
        assert (each.low, each.value, each.high) == pytest.approx((1.0, 1.0, 1.0))
    opposed = found(run, "one", "opposed")["behavior"]
    assert opposed.spearman.value == pytest.approx(-1)
    assert opposed.kappa.value < -0.5
    assert opposed.kappa.high < 0
    halved = found(run, "one", "halved")["behavior"]
    assert halved.spearman.value == pytest.approx(1)
    assert halved.weighted_kappa.value < 0.8  # the same order at another height
    assert found(run, "one", "same")["coherence"].spearman.value is None  # both constant


def test_intervals_are_wider_with_fewer_prompts(make_run):
    rng = np.random.default_rng(0)
    truth = rng.random(200)
    noisy = np.clip(truth + rng.normal(0, 0.3, 200), 0, 1)
    run = make_run(many(200))
    score(run, "one", truth.tolist())
    score(run, "two", noisy.tolist())
    wide = found(run, "one", "two")["behavior"].spearman
    assert wide.low < wide.value < wide.high
    assert 0.4 < wide.low < wide.high < 0.95


def test_independent_judges_agree_by_chance_only(make_run):
    rng = np.random.default_rng(1)
    run = make_run(many(400))
    score(run, "one", rng.random(400).tolist())
    score(run, "two", rng.random(400).tolist())
    both = found(run, "one", "two")["behavior"]
    for each in (both.spearman, both.kappa, both.weighted_kappa):
        assert abs(each.value) < 0.15
        assert each.low < 0 < each.high


def test_only_what_both_scored_counts_and_only_by_the_last_rubric(make_run):
    run = make_run(many(20))
    score(run, "one", [0.0] * 20, judge_digest="old")
    score(run, "one", [i / 20 for i in range(20)], judge_digest="new")
    score(run, "two", [None if i < 5 else i / 20 for i in range(20)])
    both = found(run, "one", "two")["behavior"]
    assert (both.n, both.spearman.value) == (15, pytest.approx(1.0))


def test_judges_that_went_by_different_rubrics_are_not_compared(make_run):
    run = make_run(many(20))
    values = [i / 20 for i in range(20)]
    score(run, "behind", values, version=1)
    for name in ("one", "two"):
        score(run, name, values, version=2)
    score(run, "rule", values)
    with pytest.raises(JudgeError, match=r"behind by version 1, one by version 2, two by version 2\).*judge again"):
        agreement(run)
    assert found(run, "one", "two", "rule")["behavior"].n == found(run, "behind", "rule")["behavior"].n == 20


def test_judges_that_were_told_different_texts_of_one_version_are_not_compared(make_run):
    run = make_run(many(20))
    values = [i / 20 for i in range(20)]
    for name in ("one", "two", "three"):
        score(run, name, values, version=1)
    told = {"one": "an old text", "two": "a new text", "three": "a new text"}
    run.update_manifest(judges={name: {"digest": name, "system": text} for name, text in told.items()})
    with pytest.raises(JudgeError, match=r"one by version 1, two by version 1.*; their texts differ\).*judge again"):
        agreement(run)
    assert found(run, "two", "three")["behavior"].n == 20
    begun = {**told, "one": "a newer text"}  # what it is told in a judging that is not finished is not what counts
    run.update_manifest(
        judges={name: {"digest": f"{name}+" * (name == "one") or name, "system": text} for name, text in begun.items()}
    )
    assert found(run, "one", "two")["behavior"].n == 20


def test_every_pair_of_judges_is_compared_by_default(make_run):
    run = make_run(many(20))
    for name in ("a", "b", "c"):
        score(run, name, [i / 20 for i in range(20)])
    pairs = {(each.first, each.second) for each in agreement(run)}
    assert pairs == {("a", "b"), ("a", "c"), ("b", "c")}


def test_it_takes_two_judges_that_are_there(make_run):
    run = make_run(many(20))
    with pytest.raises(JudgeError, match="nobody"):
        agreement(run)
    score(run, "one", [0.5] * 20)
    with pytest.raises(JudgeError, match="by one only"):
        agreement(run)
    with pytest.raises(JudgeError, match="no verdicts by 'two'; expected some of one"):
        agreement(run, ["one", "two"])
    with pytest.raises(JudgeError, match="by one only"):
        agreement(run, ["one", "one"])


def test_a_liking_for_the_first_place_is_found(make_run):
    rng = np.random.default_rng(2)
    run = make_run(many(300))
    places = [("first", "second")[i % 2] for i in range(300)]
    fair = rng.random(300) * 0.5
    score(run, "fair", fair.tolist(), shown=places)
    score(run, "partial", [value + (0.2 if place == "first" else 0) for value, place in zip(fair, places, strict=True)],
          shown=places)  # fmt: skip
    score(run, "alone", fair.tolist())
    partial = {each.score: each for each in position_effects(run, "partial")}["behavior"]
    assert (partial.n_first, partial.n_second) == (150, 150)
    assert partial.difference.value == pytest.approx(0.2, abs=0.05)
    assert partial.difference.low > 0.1
    unbiased = {each.score: each for each in position_effects(run, "fair")}["behavior"].difference
    assert unbiased.low < 0 < unbiased.high
    assert position_effects(run, "alone") == []


def test_the_interval_of_the_place_resamples_prompts(make_run):
    """Thirty answers to each of six prompts, of which three stand first and score high: six observations, not 180."""
    rows = [
        generation(f"text {i}", Cell(control="steered", layer=i // 6, alpha=0.3), prompt=i % 6 + 1) for i in range(180)
    ]
    run = make_run(rows)
    by_prompt = [0.9, 0.3, 0.5, 0.1, 0.7, 0.2]
    noise = np.random.default_rng(3).normal(0, 0.01, 180)
    places = [("first", "second")[i % 2] for i in range(180)]
    score(run, "one", [by_prompt[i % 6] + noise[i] for i in range(180)], shown=places)
    difference = {each.score: each for each in position_effects(run, "one")}["behavior"].difference
    assert difference.value == pytest.approx(0.5, abs=0.02)
    assert difference.low < 0.4
    assert difference.high > 0.6


def test_a_place_within_one_prompt_has_no_interval(make_run):
    run = make_run([generation(f"t{i}", Cell(control="steered", layer=i, alpha=0.3)) for i in range(20)])
    score(run, "one", [i / 20 for i in range(20)], shown=[("first", "second")[i % 2] for i in range(20)])
    difference = position_effects(run, "one")[0].difference
    assert (difference.value, difference.low, difference.high) == (pytest.approx(-0.05), None, None)


def test_a_question_that_decided_many_generations_counts_once_for_its_place(make_run):
    run = make_run(many(40))
    score(run, "one", [1.0] * 40, shown=["first"] * 20 + ["second"] * 20)
    copies = [replace(verdict, question=f"q-{i % 4}") for i, verdict in enumerate(run.verdicts())]
    run.verdicts_path.unlink()
    append_records(run.verdicts_path, copies)
    effects = position_effects(run, "one")
    assert all(each.n_first + each.n_second == 4 for each in effects)


def test_a_question_that_decided_many_generations_counts_once(make_run):
    """Of 80 generations, 60 share the answers of 20 questions: a prompt's copies must not outweigh the others."""
    run = make_run(many(80))
    score(run, "one", [i % 20 / 20 for i in range(80)], shown=["first"] * 80)
    score(run, "two", [i % 20 / 20 if i % 20 < 19 else 0.0 for i in range(80)], shown=["first"] * 80)
    score(run, "rule", [0.5] * 80)  # it asks nothing, and is joined by the question of the other
    verdicts = run.verdicts()
    copies = [replace(each, question=each.question and f"{each.judge}-{i % 20}") for i, each in enumerate(verdicts)]
    run.verdicts_path.unlink()
    append_records(run.verdicts_path, copies)
    both = found(run, "one", "two")["behavior"]
    assert both.n == 20
    assert both.spearman.value == pytest.approx(spearman_of([*range(20)], [*range(19), 0]))
    assert found(run, "one", "rule")["behavior"].n == 20


def spearman_of(a, b):
    return scipy.stats.spearmanr(a, b).statistic


def test_without_questions_equal_texts_of_a_prompt_count_once(make_run):
    rows = [generation("the same", Cell(control="steered", layer=i // 20, alpha=0.3), prompt=i % 20 + 1)
            for i in range(60)]  # fmt: skip
    run = make_run(rows)
    for name in ("one", "two"):
        score(run, name, [i % 20 / 20 for i in range(60)])
    assert found(run, "one", "two")["behavior"].n == 20
