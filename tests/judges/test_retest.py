"""Asked twice: the unrest of a judge, kept apart from its verdicts."""

import hashlib

import pytest
from claude_server import Fault
from judging import honest, judged_text, rows

from interp_steer.errors import JudgeError
from interp_steer.judges.claude import retest_with_claude
from interp_steer.judges.claude_spec import ClaudeSpec
from interp_steer.judges.judge import judge
from interp_steer.judges.retest import repeated
from interp_steer.outcomes import read_outcomes
from interp_steer.records import Verdict

DIRECT = ClaudeSpec(batches=False)


def verdicts(scores):
    return {
        str(i): Verdict(
            generation=str(i), text_sha256="", judge="j", judge_digest="d", behavior=score / 10, coherence=None,
            combined=score / 10, measures={"behavior": float(score)},
        )
        for i, score in enumerate(scores)
    }  # fmt: skip


def test_the_numbers_of_a_known_unrest():
    (found,) = repeated(verdicts([1, 5, 9, 4]), verdicts([1, 6, 7, 4]))
    assert (found.scale, found.n, found.within_one) == ("behavior", 4, 0.75)
    assert found.sd == pytest.approx(((0 + 1 + 4 + 0) / 4 / 2) ** 0.5)
    assert found.spearman == pytest.approx(1.0)


def test_two_scores_from_one_bell_have_the_spread_of_that_bell():
    import numpy as np

    rng = np.random.default_rng(0)
    first, second = (5 + 1.5 * rng.standard_normal(20_000) for _ in range(2))
    (found,) = repeated(verdicts(first.tolist()), verdicts(second.tolist()))
    assert found.sd == pytest.approx(1.5, rel=0.03)
    assert found.spearman == pytest.approx(0.0, abs=0.03)


def test_a_judge_that_repeats_itself_has_no_unrest_and_is_asked_as_often_as_told(make_run, honest_server):
    run = make_run(rows())
    judge(run, "claude", DIRECT)
    before, asked = run.verdicts_path.read_bytes(), honest_server.calls["messages"]
    found = retest_with_claude(run, DIRECT, 6).scales
    assert [each.scale for each in found] == ["behavior", "coherence", "instruction"]
    assert {(each.n, each.sd, each.within_one) for each in found} == {(6, 0.0, 1.0)}
    assert honest_server.calls["messages"] == asked + 6
    assert run.verdicts_path.read_bytes() == before
    retest_with_claude(run, DIRECT, 6)
    assert honest_server.calls["messages"] == asked + 6
    retest_with_claude(run, DIRECT, 8)  # the sample grows, and holds the smaller one
    assert honest_server.calls["messages"] == asked + 8
    assert run.manifest()["judges"]["claude-haiku-4-5"]["asked"] == asked + 8


def test_the_second_answers_count_for_no_outcome(make_run, honest_server):
    run = make_run(rows())
    judge(run, "claude", DIRECT)
    cells = read_outcomes(run).cells("dev")
    before = [read_outcomes(run).outcome("dev", cell) for cell in cells]
    honest_server.answer = lambda request: {**honest(request), "behavior": 0, "coherence": 0}
    found = retest_with_claude(run, DIRECT, 10).scales
    assert found[0].sd > 0
    assert [read_outcomes(run).outcome("dev", cell) for cell in cells] == before


def test_an_unsteady_judge_is_found_out(make_run, claude_server):
    count = {}

    def unsteady(request):
        text = judged_text(request)
        count[text] = count.get(text, -1) + 1
        shift = int(hashlib.sha256(text.encode()).hexdigest(), 16) % 2 if count[text] else 0
        one = honest(request)
        return {**one, "instruction": one["instruction"] - 3 * shift}

    claude_server.answer = unsteady
    run = make_run(rows())
    judge(run, "claude", DIRECT)
    found = {each.scale: each for each in retest_with_claude(run, DIRECT, 16).scales}
    assert found["behavior"].sd == 0
    assert found["instruction"].within_one < 1
    assert found["instruction"].sd == pytest.approx((9 * (1 - found["instruction"].within_one) / 2) ** 0.5)


def test_questions_without_a_second_score_are_counted_and_asked_again(make_run, honest_server):
    run = make_run(rows())
    judge(run, "claude", DIRECT)
    honest_server.answer = lambda request: (
        Fault(kind="refusal") if "reason 2" in judged_text(request) else honest(request)
    )
    refused = sum("reason 2" in row.text for row in run.generations())
    found = retest_with_claude(run, DIRECT, 16)
    assert (found.unscored, found.scales[0].n) == ({"refused": refused}, 16 - refused)
    honest_server.answer = lambda _: Fault(kind="truncated")
    assert retest_with_claude(run, DIRECT, 16).unscored == {"truncated": refused}
    honest_server.answer = honest
    found = retest_with_claude(run, DIRECT, 16)
    assert (found.unscored, found.scales[0].n) == ({}, 16)


def test_a_retest_in_which_nothing_is_answered_says_so(make_run, honest_server):
    run = make_run(rows())
    judge(run, "claude", DIRECT)
    honest_server.answer = lambda _: Fault(kind="refusal")
    found = retest_with_claude(run, DIRECT, 5)
    assert (found.scales, found.unscored) == ([], {"refused": 5})


def test_there_must_be_scores_to_repeat(make_run, claude_server):
    with pytest.raises(JudgeError, match="holds no scores by claude-haiku-4-5"):
        retest_with_claude(make_run(rows()), DIRECT, 6)
    assert not claude_server.calls


def test_its_batches_are_not_taken_for_those_of_the_judge(make_run, honest_server):
    """The questions are the same; what is still under way belongs to one of the two."""
    many, batched = rows(n_prompts=20), ClaudeSpec(batches=True)
    run = make_run(many)
    judge(run, "claude", batched)
    honest_server.faults = lambda place, *_: Fault(kind="status", status=400) if place == "results" else None
    with pytest.raises(JudgeError, match="cannot be read"):
        retest_with_claude(run, batched, 10)
    honest_server.faults = None
    run.verdicts_path.unlink()
    assert judge(run, "claude", batched).scored == len(many)
    assert honest_server.calls["batch"] == 3
    (found, *_) = retest_with_claude(run, batched, 10).scales
    assert (found.n, honest_server.calls["batch"]) == (10, 3)
