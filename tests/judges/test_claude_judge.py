"""The judge on the real SDK, against a service on this machine."""

import json
import random
from dataclasses import replace

import pytest
from claude_server import Fault, seeded
from judging import answer, generation, honest, judged_text, refusal, rows

from interp_steer.behaviors import Rubric
from interp_steer.errors import JudgeError
from interp_steer.files import append_records, write_json
from interp_steer.judges.agreement import agreement
from interp_steer.judges.claude_spec import ClaudeSpec
from interp_steer.judges.judge import judge
from interp_steer.judges.preview import preview
from interp_steer.outcomes import judged_by, read_outcomes
from interp_steer.pairs import read_behavior
from interp_steer.records import Cell, to_json

pytestmark = pytest.mark.usefixtures("honest_server")

DIRECT = ClaudeSpec(batches=False)
HAIKU = "claude-haiku-4-5"
STEERED = Cell(control="steered", layer=2, alpha=0.3)
GATE = 12
ROWS = rows()
QUESTIONS = 4 + 12
"""Of `ROWS`: the unsteered answers, which layer 0 repeats, and the refusals."""


def counted(run):
    """The number of verdicts of each generation."""
    lines = run.verdicts()
    assert len({verdict.generation for verdict in lines}) == len(lines)
    return len(lines)


def test_scores_reasons_and_raw_numbers(make_run):
    run = make_run(ROWS)
    summary = judge(run, "claude", DIRECT)
    assert (summary.judge, summary.scored, summary.unscored, summary.skipped) == (HAIKU, len(ROWS), {}, 0)
    by_key = {verdict.generation: verdict for verdict in run.verdicts()}
    assert by_key.keys() == {row.key for row in ROWS}
    found = by_key[generation(refusal(1, 2), STEERED).key]
    assert (found.behavior, found.coherence, found.instruction) == (0.9, 0.9, 0.8)
    assert found.combined == pytest.approx(3 / (1 / 0.9 + 1 / 0.9 + 1 / 0.8))
    assert found.measures == {"behavior": 9.0, "coherence": 9.0, "instruction": 8.0}
    assert (found.explanation, found.reason, found.rubric_version) == ("It is so.", None, 1)
    assert found.shown in ("first", "second")
    outcomes = read_outcomes(run)
    assert outcomes.best_cell().layer in (1, 2, 3)
    assert outcomes.n_unscored == 0


def test_equal_texts_are_asked_about_once_and_scored_everywhere(make_run, honest_server):
    run = make_run(ROWS)
    summary = judge(run, "claude", DIRECT)
    assert honest_server.calls["messages"] == summary.asked == QUESTIONS + GATE
    assert max(honest_server.asked.values()) == 1
    by_key = {verdict.generation: verdict for verdict in run.verdicts()}
    twin, unsteered = (
        by_key[generation(answer(1), cell).key]
        for cell in (Cell(control="steered", layer=0, alpha=0.1), Cell(control="unsteered"))
    )
    assert replace(twin, generation="") == replace(unsteered, generation="")


def test_an_unsteered_answer_is_compared_with_itself(make_run, honest_server):
    run = make_run([generation(answer(1))])
    judge(run, "claude", DIRECT)
    last = honest_server.requests[-1]["messages"][0]["content"]
    assert last.count(answer(1)) == 2


def test_judging_again_asks_and_writes_nothing(make_run, honest_server):
    run = make_run(ROWS)
    judge(run, "claude", DIRECT)
    before, asked = run.verdicts_path.read_bytes(), honest_server.calls["messages"]
    summary = judge(run, "claude", DIRECT)
    assert (summary.scored, summary.skipped, summary.asked, summary.dollars) == (0, len(ROWS), 0, 0.0)
    assert run.verdicts_path.read_bytes() == before
    assert honest_server.calls["messages"] == asked


def test_new_generations_are_judged_and_known_texts_are_not_asked_about_again(make_run, honest_server):
    run = make_run(ROWS)
    judge(run, "claude", DIRECT)
    asked = honest_server.calls["messages"]
    far = Cell(control="steered", layer=9, alpha=0.3)
    append_records(run.generations_path, [generation(refusal(1, 2), far), generation(refusal(2, 9), far, prompt=2)])
    summary = judge(run, "claude", DIRECT)
    assert (summary.scored, summary.skipped) == (2, len(ROWS))
    assert honest_server.calls["messages"] == asked + 1
    assert counted(run) == len(ROWS) + 2


def test_many_questions_go_in_batches_and_the_gate_does_not(make_run, honest_server):
    run = make_run(rows(n_prompts=20))
    summary = judge(run, "claude")
    assert summary.scored == counted(run) == 100
    assert honest_server.calls["messages"] == GATE
    assert honest_server.calls["batch"] == 1
    assert max(honest_server.asked.values()) == 1


def test_a_changed_rubric_judges_again_and_is_never_mixed(make_run, honest_server):
    run = make_run(ROWS)
    first = judge(run, "claude", DIRECT).judge_digest
    behavior = read_behavior("refusal")
    changed = replace(behavior, rubric=Rubric(version=2, text=behavior.rubric.text))
    run.update_manifest(behavior=to_json(changed))
    judge(run, "claude", replace(DIRECT, model="claude-sonnet-4-6"))  # another judge, for company
    asked = honest_server.calls["messages"]
    second = judge(run, "claude", DIRECT)
    assert second.judge_digest != first
    assert (second.scored, second.skipped) == (len(ROWS), 0)
    assert honest_server.calls["messages"] == asked + QUESTIONS + GATE
    run.update_manifest(behavior=to_json(behavior))
    back = judge(run, "claude", DIRECT)  # what was paid for once is copied
    assert (back.judge_digest, back.scored, back.asked) == (first, len(ROWS), 0)
    digests = {item.verdict.judge_digest for cell in read_outcomes(run).cells("dev")
               for item in read_outcomes(run).judged("dev", cell)}  # fmt: skip
    assert digests == {first}


def test_each_model_is_a_judge_of_its_own(make_run):
    run = make_run(ROWS)
    judge(run)
    for model in (HAIKU, "claude-sonnet-4-6"):
        judge(run, "claude", replace(DIRECT, model=model))
        assert read_outcomes(run).judged("dev", STEERED)[0].verdict.judge == model
    judge(run)
    assert read_outcomes(run).judged("dev", STEERED)[0].verdict.judge == "local"
    assert read_outcomes(run, HAIKU).judged("dev", STEERED)[0].verdict.judge == HAIKU


def test_a_new_baseline_is_a_new_question(make_run):
    run = make_run(ROWS)
    judge(run, "claude", DIRECT)
    append_records(run.generations_path, [generation("Boil them.", prompt=1)])
    summary = judge(run, "claude", DIRECT)
    assert summary.scored == 5  # the baseline of prompt 1, and what was compared with it


@pytest.mark.parametrize(
    ("fault", "reason", "again"),
    [
        (Fault(kind="refusal"), "refused", False),
        (Fault(kind="truncated"), "truncated", False),
        ("no JSON at all", "unparsable", False),
        ({"reason": "r", "behavior": 11, "coherence": 9, "instruction": 9}, "unparsable", False),
        ({"reason": "r", "behavior": 9.5, "coherence": 9, "instruction": 9}, "unparsable", False),
        ({"reason": "r", "behavior": None, "coherence": 9, "instruction": 9}, "unparsable", False),
        ({"reason": "r", "behavior": 9, "coherence": 9}, "unparsable", False),
        (Fault(kind="status", status=529), "overloaded", True),
        (Fault(kind="status", status=500), "server error", True),
    ],
)
def test_without_an_answer_a_generation_is_unscored_and_only_passing_reasons_are_tried_again(
    fault, reason, again, make_run, honest_server
):
    def stubborn(request):
        return (
            fault if "reason 3" in judged_text(request) and "boil 2 eggs" in judged_text(request) else honest(request)
        )

    honest_server.answer = stubborn
    run = make_run(ROWS)
    summary = judge(run, "claude", DIRECT)
    assert (summary.scored, summary.unscored) == (len(ROWS) - 1, {reason: 1})
    (found,) = [verdict for verdict in run.verdicts() if verdict.combined is None]
    assert (found.behavior, found.coherence, found.instruction, found.reason) == (None, None, None, reason)
    assert read_outcomes(run).n_unscored == 1
    honest_server.answer = honest
    assert judge(run, "claude", DIRECT).scored == again
    assert judge(run, "claude", replace(DIRECT, retry_unscored=True)).scored == (not again)
    assert read_outcomes(run).n_unscored == 0


def test_what_cannot_be_asked_about_is_unscored_and_costs_nothing(make_run):
    lost = generation("Boil them.", STEERED, prompt=9)
    run = make_run([*ROWS, generation(" \n", STEERED, prompt=1), lost])
    summary = judge(run, "claude", DIRECT)
    assert summary.unscored == {"empty answer": 1, "no unsteered answer to compare with": 1}
    again = judge(run, "claude", replace(DIRECT, retry_unscored=True))
    assert (again.scored, again.unscored) == (0, {})
    append_records(run.generations_path, [generation("", prompt=9)])  # the baseline comes later, and is empty
    later = judge(run, "claude", DIRECT)
    assert (later.scored, later.unscored) == (1, {"empty answer": 1})


def test_without_unsteered_answers_nothing_is_asked(make_run, honest_server):
    run = make_run([generation(refusal(1, 2), STEERED)])
    with pytest.raises(JudgeError, match="holds no unsteered answers"):
        judge(run, "claude", DIRECT)
    assert not honest_server.calls


@pytest.mark.parametrize("batches", [False, True])
def test_with_random_faults_every_generation_has_one_verdict(batches, make_run, honest_server):
    faults = [Fault(kind="status", status=status) for status in (429, 500, 529)]
    faults += [Fault(kind="reset"), Fault(kind="cut"), Fault(kind="refusal"), Fault(kind="truncated")]
    faults += [Fault(kind="expired"), Fault(kind="missing")] if batches else []
    run = make_run(rows(n_prompts=1))
    judge(run, "claude", DIRECT)  # the gate is passed
    run.generations_path.unlink()
    run.verdicts_path.unlink()
    append_records(run.generations_path, rows(n_prompts=40))
    honest_server.faults = seeded(3, 0.05, faults)
    summary = judge(run, "claude", ClaudeSpec(batches=batches))
    assert counted(run) == 200
    assert summary.scored + sum(summary.unscored.values()) == 200
    assert summary.scored >= 180
    told = {verdict.generation for verdict in run.verdicts() if verdict.combined is None}
    assert all(verdict.reason for verdict in run.verdicts() if verdict.generation in told)
    honest_server.faults = None
    judge(run, "claude", replace(ClaudeSpec(batches=batches), retry_unscored=True))
    assert read_outcomes(run).n_unscored == 0


def test_stopped_half_way_it_goes_on_and_pays_for_nothing_twice(make_run, honest_server):
    run = make_run(ROWS)

    def broken(request):
        if sum("boil" in judged_text(one) and "eggs" in judged_text(one) for one in honest_server.requests) > 6:
            return Fault(kind="status", status=401, message="no more")
        return honest(request)

    honest_server.answer = broken
    with pytest.raises(JudgeError, match="401"):
        judge(run, "claude", replace(DIRECT, concurrency=1))
    half = counted(run)
    assert 0 < half < len(ROWS)
    assert run.manifest()["judges"][HAIKU]["asked"] > GATE
    assert "judge" not in run.manifest()
    honest_server.answer = honest
    summary = judge(run, "claude", DIRECT)
    assert summary.scored == len(ROWS) - half
    assert counted(run) == len(ROWS)
    scored_questions = {verdict.question for verdict in run.verdicts()}
    assert run.manifest()["judges"][HAIKU]["asked"] == len(scored_questions) + GATE == QUESTIONS + GATE


def test_the_cost_is_added_up_over_sessions_and_the_limit_holds_for_all_of_them(make_run):
    run = make_run(rows(n_prompts=2))
    first = judge(run, "claude", DIRECT)
    held = run.manifest()["judges"][HAIKU]
    assert held["dollars"] == pytest.approx(first.dollars)
    assert held["dollars"] == pytest.approx(price(held["usage"]))
    assert held["usage"]["output_tokens"] > 0
    append_records(run.generations_path, [row for row in rows(n_prompts=4) if row.key not in
                                          {one.key for one in rows(n_prompts=2)}])  # fmt: skip
    with pytest.raises(JudgeError, match="raise --max-cost"):
        judge(run, "claude", replace(DIRECT, max_cost=first.dollars / 2))
    second = judge(run, "claude", DIRECT)
    assert run.manifest()["judges"][HAIKU]["dollars"] == pytest.approx(first.dollars + second.dollars)
    assert run.manifest()["judges"][HAIKU]["asked"] == first.asked + second.asked


def price(usage):
    rates = {"input_tokens": 1, "output_tokens": 5, "cache_write_tokens": 1.25, "cache_read_tokens": 0.1}
    return sum(rates[name] * tokens for name, tokens in usage.items()) / 1e6


def test_the_limit_stops_in_the_middle_and_what_was_answered_stays(make_run):
    run = make_run(ROWS)
    limit = judge(run, "claude", DIRECT).dollars
    run.verdicts_path.unlink()
    stops = []
    while not stops or stops[-1] < len(ROWS):
        limit += 0.001
        try:
            judge(run, "claude", replace(DIRECT, max_cost=limit, concurrency=1))
        except JudgeError as error:
            assert "limit" in str(error)  # noqa: PT017 (it stops many times, and then it does not)
        stops.append(counted(run))
        assert run.manifest()["judges"][HAIKU]["dollars"] <= limit
    assert stops == sorted(stops)
    assert any(0 < stop < len(ROWS) for stop in stops)


def test_the_key_is_nowhere_in_the_run(make_run):
    run = make_run(rows(n_prompts=20))
    judge(run, "claude")
    texts = [path.read_bytes() for path in run.path.rglob("*") if path.is_file()]
    assert len(texts) > 3
    assert not [text for text in texts if b"sk-ant" in text]


def test_a_preview_says_what_will_be_asked_and_needs_no_key(make_run, honest_server, monkeypatch):
    run = make_run(ROWS)
    with monkeypatch.context() as context:
        context.delenv("ANTHROPIC_API_KEY")
        context.delenv("ANTHROPIC_CONFIG_DIR", raising=False)
        context.setenv("HOME", str(run.path))  # no profile either
        found = preview(run, DIRECT)
    assert not honest_server.calls
    assert (found.generations, found.questions, found.gate, found.batches) == (len(ROWS), QUESTIONS, GATE, False)
    assert 0 < found.dollars < 1
    assert found.prices_date in found.in_words()
    assert not run.judging_path.exists()
    assert not run.verdicts_path.exists()
    judge(run, "claude", DIRECT)
    done = preview(run, DIRECT)
    assert (done.generations, done.questions, done.gate, done.dollars) == (0, 0, 0, 0.0)


def test_a_torn_line_is_judged_again(make_run):
    run = make_run(ROWS)
    judge(run, "claude", DIRECT)
    lines = run.verdicts_path.read_bytes()
    run.verdicts_path.write_bytes(lines[:-40])
    assert judge(run, "claude", DIRECT).scored == 1
    assert counted(run) == len(ROWS)
    assert all(json.loads(line) for line in run.verdicts_path.read_text(encoding="utf-8").splitlines())


def test_the_order_of_answers_does_not_matter(make_run, honest_server):
    honest_server.shuffled = True
    many = rows(n_prompts=20)
    random.Random(0).shuffle(many)  # noqa: S311 (a test)
    run = make_run(many)
    judge(run, "claude")
    texts = {row.key: row.text for row in many}
    assert all((verdict.behavior == 0.9) == ("can't" in texts[verdict.generation]) for verdict in run.verdicts())


def test_a_judging_that_broke_off_does_not_replace_one_that_finished(make_run, honest_server):
    run = make_run(ROWS)
    finished = judge(run, "claude", DIRECT).judge_digest
    behavior = read_behavior("refusal")
    run.update_manifest(behavior=to_json(replace(behavior, rubric=Rubric(version=2, text=behavior.rubric.text))))
    before = sum(honest_server.asked.values())

    def broken(request):
        late = sum(honest_server.asked.values()) > before + GATE + 5
        return Fault(kind="status", status=401, message="no more") if late else honest(request)

    honest_server.answer = broken
    with pytest.raises(JudgeError, match="401"):
        judge(run, "claude", replace(DIRECT, concurrency=1))
    assert len(run.verdicts()) > len(ROWS)  # some of the new ones are there
    outcomes = read_outcomes(run)
    assert {item.verdict.judge_digest for item in outcomes.judged("dev", STEERED)} == {finished}
    assert len(outcomes.judged("dev", STEERED)) == 4
    honest_server.answer = honest
    again = judge(run, "claude", DIRECT).judge_digest
    assert {item.verdict.judge_digest for item in read_outcomes(run).judged("dev", STEERED)} == {again} != {finished}


@pytest.mark.parametrize("old", [False, True])
def test_nor_where_another_judge_has_finished_since(make_run, honest_server, old):
    run = make_run(ROWS)
    finished = judge(run, "claude", DIRECT).judge_digest
    if old:  # a manifest of before it kept the digests of all judges
        write_json(run.manifest_path, {key: value for key, value in run.manifest().items() if key != "finished"})
    judge(run, "claude", replace(DIRECT, model="claude-sonnet-4-6"))
    behavior = read_behavior("refusal")
    run.update_manifest(behavior=to_json(replace(behavior, rubric=Rubric(version=2, text=behavior.rubric.text))))
    before = sum(honest_server.asked.values())
    honest_server.answer = lambda request: (
        Fault(kind="status", status=401) if sum(honest_server.asked.values()) > before + GATE + 5 else honest(request)
    )
    with pytest.raises(JudgeError, match="401"):
        judge(run, "claude", replace(DIRECT, concurrency=1))
    assert {item.verdict.judge_digest for item in judged_by(run, HAIKU)} == {finished}
    assert len(judged_by(run, HAIKU)) == len(ROWS)
    assert {each.n for each in agreement(run)} == {QUESTIONS}


ACCOUNT = [
    Fault(kind="status", status=401, message="invalid x-api-key"),
    Fault(kind="status", status=402, message="billing"),
    Fault(kind="status", status=403, message="not allowed"),
    Fault(kind="status", status=400, message="Your credit balance is too low to access the Anthropic API."),
]


@pytest.mark.parametrize("fault", ACCOUNT, ids=lambda fault: fault.message)
@pytest.mark.parametrize("batches", [False, True])
def test_what_is_wrong_with_the_account_is_no_verdict(fault, batches, make_run, honest_server):
    run = make_run(rows(n_prompts=20))
    places = ("batch",) if batches else ("messages",)
    seen = []

    def faults(place, _body, _attempt):
        seen.append(place)
        return fault if place in places and (batches or seen.count("messages") > GATE + 7) else None

    honest_server.faults = faults
    with pytest.raises(JudgeError, match="Claude refuses"):
        judge(run, "claude", ClaudeSpec(batches=batches))
    assert all(verdict.combined is not None for verdict in run.verdicts())
    assert bool(run.verdicts()) is not batches
    honest_server.faults = None
    judge(run, "claude", ClaudeSpec(batches=batches))
    assert counted(run) == 100
    assert read_outcomes(run).n_unscored == 0


def left_under_way(run, server):
    """Hand in a batch whose results cannot be read now."""
    server.faults = lambda place, *_: Fault(kind="status", status=400) if place == "results" else None
    with pytest.raises(JudgeError, match="cannot be read"):
        judge(run, "claude", ClaudeSpec(batches=True))
    server.faults = None


def test_a_batch_that_is_gone_does_not_block(make_run, honest_server):
    run = make_run(ROWS)
    left_under_way(run, honest_server)
    (batch,) = honest_server.batches.values()
    batch.archived = True
    summary = judge(run, "claude", ClaudeSpec(batches=True))
    assert summary.unscored == {"no result": len(ROWS)}
    assert judge(run, "claude", DIRECT).scored == len(ROWS)
    assert read_outcomes(run).n_unscored == 0
    assert run.manifest()["judges"][HAIKU]["lost_dollars"] > 0


def test_a_preview_knows_what_is_under_way(make_run, honest_server):
    run = make_run(ROWS)
    left_under_way(run, honest_server)
    found = preview(run, DIRECT)
    assert (found.questions, found.under_way, found.dollars) == (0, QUESTIONS, 0.0)
    assert f"{QUESTIONS} more wait in batches that are paid for" in found.in_words()
    append_records(run.generations_path, [generation(refusal(1, 77), Cell(control="steered", layer=9, alpha=0.3))])
    assert (preview(run, DIRECT).questions, preview(run, DIRECT).under_way) == (1, QUESTIONS)
    asked = honest_server.calls["messages"]
    assert judge(run, "claude", DIRECT).scored == len(ROWS) + 1
    assert honest_server.calls["messages"] == asked + 1


def test_the_limit_is_that_of_the_run_in_every_message(make_run):
    run = make_run(rows(n_prompts=2))
    judge(run, "claude", DIRECT)
    append_records(run.generations_path, rows(n_prompts=6)[6:])
    with pytest.raises(JudgeError, match=r"limit of \$0\.01: \$0\.0\d+ spent"):
        judge(run, "claude", replace(DIRECT, max_cost=0.01, model="claude-sonnet-4-6"))
