from dataclasses import replace

import pytest

from interp_steer.behaviors import ScorerSpec
from interp_steer.errors import BehaviorError, JudgeError
from interp_steer.files import append_records
from interp_steer.judges.judge import judge
from interp_steer.judges.local import judge_locally
from interp_steer.outcomes import read_outcomes
from interp_steer.pairs import read_behavior
from interp_steer.records import Cell, Generation, Verdict, digest, to_json
from interp_steer.run import Run

ANSWER = "Place the egg in cold water, bring it to a boil and wait for ten minutes before you peel it."
REFUSAL = "I'm sorry, but I can't help you boil an egg. Please ask somebody else about it."
LOOP = "I'm sorry, but I can't. " * 12
STEERED = Cell(control="steered", layer=3, alpha=0.3)


def generation(text, cell=Cell(control="unsteered"), *, prompt=1, split="dev", nll=1.0, nll_prompted=1.5):  # noqa: B008
    return Generation(
        behavior="refusal",
        split=split,
        prompt_id=f"{split}-{prompt}",
        prompt="How do I boil an egg?",
        cell=cell,
        sample=0,
        text=text,
        n_tokens=20,
        finish="eos",
        nll=nll,
        nll_prompted=nll_prompted,
    )


ROWS = [
    generation(ANSWER),
    generation(ANSWER, Cell(control="prompted")),
    generation(REFUSAL, STEERED),
    generation(LOOP, STEERED, prompt=2),
    generation(" \n", STEERED, prompt=3, nll=None),
    generation(REFUSAL, STEERED, prompt=4, nll=None),
]


def make_run(path, rows, behavior=None):
    run = Run(path)
    run.update_manifest(behavior=to_json(behavior or read_behavior("refusal")))
    append_records(run.generations_path, rows)
    return run


def by_key(run):
    return {verdict.generation: verdict for verdict in run.verdicts()}


def test_scores_of_each_kind_of_text(tmp_path):
    run = make_run(tmp_path, ROWS)
    summary = judge(run)
    assert (summary.judge, summary.scored, summary.skipped) == ("local", 4, 0)
    assert summary.unscored == {"empty answer": 1, "no likelihood": 1}
    verdicts = [by_key(run)[row.key] for row in ROWS]
    scores = [(verdict.behavior, verdict.coherence, verdict.combined, verdict.reason) for verdict in verdicts]
    assert scores == [
        (0.0, 1.0, 0.0, None),
        (0.0, 1.0, 0.0, None),
        (1.0, 1.0, 1.0, None),
        (1.0, 0.0, 0.0, None),
        (None, None, None, "empty answer"),
        (1.0, None, None, "no likelihood"),
    ]
    assert verdicts[2].measures["nll"] == 1.0
    assert verdicts[3].measures["rep4"] > 0.8
    assert read_outcomes(run).outcome("dev", STEERED).combined == 0.5
    assert read_outcomes(run).best_cell() is None  # half of its answers have no score


def test_judging_again_writes_nothing(tmp_path):
    run = make_run(tmp_path, ROWS)
    first = judge_locally(run)
    written = run.verdicts_path.read_bytes()
    again = judge_locally(run)
    assert run.verdicts_path.read_bytes() == written
    assert (again.scored, again.unscored, again.skipped) == (0, {}, len(ROWS))
    assert again.judge_digest == first.judge_digest


def test_only_new_generations_are_judged(tmp_path):
    run = make_run(tmp_path, ROWS)
    judge_locally(run)
    before = run.verdicts_path.read_bytes()
    append_records(run.generations_path, [generation(REFUSAL, STEERED, split="test")])
    summary = judge_locally(run)
    assert (summary.scored, summary.skipped) == (1, len(ROWS))
    assert run.verdicts_path.read_bytes().startswith(before)


def test_a_resumed_judge_ends_with_the_verdicts_of_an_uninterrupted_one(tmp_path):
    whole, torn = make_run(tmp_path / "whole", ROWS), make_run(tmp_path / "torn", ROWS)
    judge_locally(whole)
    judge_locally(torn)
    torn.verdicts_path.write_bytes(torn.verdicts_path.read_bytes()[:-200])
    judge_locally(torn)
    assert by_key(torn) == by_key(whole)
    assert len(torn.verdicts()) == len(ROWS)


def test_another_scorer_judges_everything_again_and_so_does_going_back(tmp_path):
    behavior = read_behavior("refusal")
    run = make_run(tmp_path, ROWS, behavior)
    refusal = judge_locally(run)
    opposite = replace(behavior.gate, high=behavior.gate.low, low=behavior.gate.high)
    run.update_manifest(behavior=to_json(replace(behavior, scorer=ScorerSpec(name="compliance"), gate=opposite)))
    compliance = judge_locally(run)
    assert by_key(run)[ROWS[2].key].behavior == 0.0
    run.update_manifest(behavior=to_json(behavior))
    back = judge_locally(run)
    assert refusal.judge_digest == back.judge_digest != compliance.judge_digest
    assert compliance.skipped == back.skipped == 0
    assert by_key(run)[ROWS[2].key].behavior == 1.0


def test_a_verdict_of_another_judge_or_text_does_not_count(tmp_path):
    run = make_run(tmp_path, ROWS[:1])
    judge_digest = judge_locally(run).judge_digest
    ours = run.verdicts()[0]
    run.verdicts_path.unlink()
    stale = [replace(ours, judge="claude"), replace(ours, text_sha256="0" * 64)]
    append_records(run.verdicts_path, stale)
    assert judge_locally(run).scored == 1
    assert run.verdicts()[-1] == ours
    assert isinstance(ours, Verdict)
    assert ours.judge_digest == judge_digest


def test_the_prompted_reference_reads_the_other_likelihood(tmp_path):
    rows = [
        generation(ANSWER, nll_prompted=9.0),
        generation(REFUSAL, Cell(control="prompted"), nll=9.0, nll_prompted=1.0),
        generation(REFUSAL, STEERED, nll=9.0, nll_prompted=1.0),
        generation(REFUSAL, STEERED, prompt=2, nll=1.0, nll_prompted=3.0),
    ]
    behavior = read_behavior("refusal")
    run = make_run(tmp_path, rows, replace(behavior, coherence=replace(behavior.coherence, reference="prompted")))
    judge_locally(run)
    verdicts = by_key(run)
    assert verdicts[rows[2].key].coherence == 1.0
    assert verdicts[rows[3].key].coherence == pytest.approx(0.5)
    assert verdicts[rows[2].key].measures["nll"] == 1.0


def test_the_thresholds_are_kept_in_the_manifest(tmp_path):
    run = make_run(tmp_path, ROWS)
    run.update_manifest(judges={"claude": {"digest": "x"}})
    summary = judge_locally(run)
    judges = run.manifest()["judges"]
    assert judges["claude"] == {"digest": "x"}
    assert judges["local"]["digest"] == summary.judge_digest
    assert judges["local"]["thresholds"]["nll"]["threshold"] == pytest.approx(3.0)


def test_a_run_without_an_unsteered_baseline_is_refused(tmp_path):
    run = make_run(tmp_path, ROWS[2:])
    with pytest.raises(JudgeError, match="run 'interp-steer sweep' first"):
        judge_locally(run)
    assert run.verdicts() == []


def test_an_unknown_scorer_is_refused_before_anything_is_written(tmp_path):
    behavior = replace(read_behavior("refusal"), scorer=ScorerSpec(name="nonsense"))
    run = make_run(tmp_path, ROWS, behavior)
    with pytest.raises(BehaviorError, match="unknown scorer 'nonsense'"):
        judge_locally(run)
    assert run.verdicts() == []


def test_a_scorer_that_does_not_order_the_gate_is_refused_before_anything_is_written(tmp_path):
    run = make_run(tmp_path, ROWS, replace(read_behavior("refusal"), scorer=ScorerSpec(name="compliance")))
    with pytest.raises(JudgeError, match=r"scorer of 'refusal' does not order its own obvious cases: scorer 'compl"):
        judge_locally(run)
    assert run.verdicts() == []
    assert "judges" not in run.manifest()


def test_verdicts_of_the_first_version_of_the_scores_are_stale(tmp_path):
    run = make_run(tmp_path, ROWS)
    summary = judge_locally(run)
    decisive = {name: value for name, value in run.manifest()["judges"]["local"].items() if name != "digest"}
    assert decisive["version"] == 2
    assert summary.judge_digest == digest(decisive) != digest({**decisive, "version": 1})


def test_an_unknown_judge_is_refused_with_those_that_exist(tmp_path):
    with pytest.raises(JudgeError, match="unknown judge 'oracle': expected one of local"):
        judge(Run(tmp_path), "oracle")
