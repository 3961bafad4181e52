"""The obvious cases are put to the judge first, and one that fails them judges nothing."""

from dataclasses import replace

import pytest
from claude_server import Fault
from judging import answer, generation, honest, judged_text, rows

from interp_steer.behaviors import Gate
from interp_steer.errors import JudgeError
from interp_steer.judges.claude_spec import ClaudeSpec
from interp_steer.judges.judge import judge
from interp_steer.judges.preview import preview
from interp_steer.pairs import list_behaviors, read_behavior

DIRECT = ClaudeSpec(batches=False)
GATE = read_behavior("refusal").gate


def marked(**numbers):
    return {"reason": "The judge's own words.", "behavior": 5, "coherence": 5, "instruction": 5, **numbers}


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        (lambda _: marked(), "5 of 10 in behavior"),
        (lambda text: marked(behavior=1 if text in GATE.high else 9, coherence=1 if text in GATE.gibberish else 9),
         "1 of 10 in behavior"),
        (lambda text: marked(behavior=9 if text in GATE.high else 1, coherence=9), "9 of 10 in coherence"),
        (lambda text: marked(behavior=9 if text in GATE.high else 1, coherence=0 if text in GATE.gibberish[1:] else 9),
         "9 of 10 in coherence"),
        (lambda text: marked(behavior=9 if text in GATE.high[1:] else 1, coherence=0 if text in GATE.gibberish else 9),
         "1 of 10 in behavior"),
    ],
)  # fmt: skip
def test_a_judge_that_does_not_order_them_is_stopped_and_quoted(numbers, told, make_run, claude_server):
    claude_server.answer = lambda request: numbers(judged_text(request))
    run = make_run(rows())
    with pytest.raises(JudgeError, match="does not order the obvious cases of 'refusal'") as caught:
        judge(run, "claude", DIRECT)
    assert told in str(caught.value)
    assert "The judge's own words." in str(caught.value)
    assert run.verdicts() == []
    assert claude_server.calls["messages"] == 12
    with pytest.raises(JudgeError, match="does not order"):  # and it is not paid again to say so
        judge(run, "claude", DIRECT)
    assert claude_server.calls["messages"] == 12
    assert run.manifest()["judges"]["claude-haiku-4-5"]["asked"] == 12


def test_every_obvious_case_stands_beside_the_first_low_answer(make_run, honest_server):
    judge(make_run(rows()), "claude", DIRECT)
    messages = [request["messages"][0]["content"] for request in honest_server.requests[:12]]
    assert all(GATE.low[0] in message and GATE.prompt in message for message in messages)
    judged = [judged_text(request) for request in honest_server.requests[:12]]
    assert sorted(judged) == sorted((*GATE.high, *GATE.low, *GATE.gibberish))


def test_an_obvious_case_without_a_score_stops_and_is_asked_about_again(make_run, honest_server):
    honest_server.answer = lambda one: Fault(kind="refusal") if judged_text(one) == GATE.high[0] else honest(one)
    run = make_run(rows())
    with pytest.raises(JudgeError, match=r"has no score \(refused\)"):
        judge(run, "claude", DIRECT)
    honest_server.answer = honest
    judge(run, "claude", DIRECT)
    assert honest_server.calls["messages"] == 12 + 1 + 16


def test_the_gate_is_passed_once(make_run, honest_server):
    run = make_run([generation(answer(1))])
    judge(run, "claude", DIRECT)
    assert honest_server.calls["messages"] == 13
    judge(run, "claude", replace(DIRECT, model="claude-sonnet-4-6"))
    assert honest_server.calls["messages"] == 26
    judge(run, "claude", DIRECT)
    assert honest_server.calls["messages"] == 26


@pytest.mark.parametrize("name", list_behaviors())
def test_every_behavior_has_obvious_cases(name):
    gate = read_behavior(name).gate
    assert min(len(gate.high), len(gate.low), len(gate.gibberish)) >= 2


@pytest.mark.parametrize("kind", ["high", "low", "gibberish"])
def test_a_gate_without_one_kind_of_cases_is_refused(kind, make_run, honest_server):
    behavior = read_behavior("refusal")
    run = make_run(rows(), replace(behavior, gate=replace(behavior.gate, **{kind: ()})))
    for ask in (lambda: judge(run, "claude", DIRECT), lambda: preview(run, DIRECT)):
        with pytest.raises(JudgeError, match=rf"'refusal' has no {kind} answers in \[gate\].*at least one of each"):
            ask()
    assert not honest_server.calls
    bare = replace(behavior, gate=Gate(prompt="", high=(), low=(), gibberish=()))
    with pytest.raises(JudgeError, match="no high, low, gibberish answers"):
        judge(make_run([], bare), "claude", DIRECT)


@pytest.mark.parametrize(
    "fault",
    [Fault(kind="status", status=529), Fault(kind="garbage"), Fault(kind="status", status=500)],
    ids=["529", "garbage", "500"],
)
def test_an_outage_is_not_blamed_on_the_rubric(fault, make_run, honest_server):
    honest_server.faults = lambda place, *_: fault if place == "messages" else None
    run = make_run(rows())
    with pytest.raises(JudgeError) as caught:
        judge(run, "claude", DIRECT)
    assert "could not be asked" in str(caught.value)
    assert "run again" in str(caught.value)
    assert not {"order", "Sharpen", "rubric"} & set(str(caught.value).replace("[", " ").replace("]", " ").split())
    assert run.verdicts() == []
    honest_server.faults = None
    assert judge(run, "claude", DIRECT).scored == len(rows())
