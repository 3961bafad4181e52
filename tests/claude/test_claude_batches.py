"""The life of a batch, and what a later process makes of one that an earlier one left behind."""

import json

import pytest
from claude_server import Fault, from_schema, seeded

from interp_steer.claude import chunks, message_batches
from interp_steer.claude.adoption import TAKEN_WITHIN
from interp_steer.claude.client import BATCHES_ABOVE
from interp_steer.claude.state import State
from interp_steer.errors import JudgeError


@pytest.fixture
def state(tmp_path):
    return tmp_path / "judge" / "batches.json"


def kept(state):
    return [batch["id"] for batch in json.loads(state.read_text())["batches"]] if state.exists() else []


def at(place, fault, times=1):
    return lambda where, _body, attempt: fault if where == place and attempt < times else None


def test_more_than_fifty_questions_go_as_a_batch(claude, claude_server, questions, one_reply_each):
    for number in (BATCHES_ABOVE, BATCHES_ABOVE + 1):
        asked = questions(number)
        one_reply_each(list(claude(batches=None).answers(asked)), asked)
    assert claude_server.calls["messages"] == BATCHES_ABOVE
    assert claude_server.calls["item"] == BATCHES_ABOVE + 1


def test_results_in_another_order_reach_their_questions(claude, claude_server, questions, one_reply_each):
    claude_server.answer = lambda request: {"score": 3, "reason": request["messages"][0]["content"]}
    asked = questions(40)
    replies = list(claude(batches=True).answers(asked))
    assert [reply.key for reply in replies] != [question.key for question in asked]
    by_key = one_reply_each(replies, asked)
    assert all(by_key[question.key].answer["reason"] == question.prompt for question in asked)


def test_a_batch_is_half_the_price(claude, questions):
    dollars = []
    for batches in (False, True):
        client = claude(batches=batches)
        list(client.answers(questions(5, system="")))
        dollars.append(client.spent.dollars)
    assert dollars[1] == pytest.approx(dollars[0] / 2)


def test_many_questions_go_in_several_batches(claude, claude_server, questions, one_reply_each, monkeypatch):
    monkeypatch.setattr(chunks, "MOST_QUESTIONS", 7)
    monkeypatch.setattr(message_batches, "MOST_UNDER_WAY", 2)
    asked = questions(40)
    one_reply_each(list(claude(batches=True).answers(asked)), asked)
    assert [len(batch.requests) for batch in claude_server.batches.values()] == [7, 7, 7, 7, 7, 5]


def test_batches_are_cut_by_size_too(claude, claude_server, questions, one_reply_each, monkeypatch):
    monkeypatch.setattr(chunks, "MOST_BYTES", 10_000)
    asked = questions(10, prompt="{} " + 1000 * "long ")
    one_reply_each(list(claude(batches=True).answers(asked)), asked)
    assert len(claude_server.batches) == 5


def test_what_is_waited_for_is_told(claude, claude_server, questions):
    told = []
    claude_server.looks = 3
    list(claude(batches=True, advance=lambda n, note: told.append((n, note))).answers(questions(5)))
    assert told == [(0, "1 batches under way")] * 3


ITEMS = [
    (Fault(kind="expired"), "expired"),
    (Fault(kind="canceled"), "canceled"),
    (Fault(kind="errored", status=500), "server error"),
    (Fault(kind="errored", status=529), "overloaded"),
    (Fault(kind="errored", status=400, message="too long"), "rejected: too long"),
    (Fault(kind="refusal"), "refused"),
    (Fault(kind="truncated"), "truncated"),
    (Fault(kind="missing"), "no result"),
    (Fault(kind="torn"), "no result"),
]


@pytest.mark.parametrize(("fault", "reason"), ITEMS, ids=[fault.kind + str(fault.status) for fault, _ in ITEMS])
def test_an_item_that_fails_is_the_reason_of_its_question_alone(
    claude, claude_server, questions, one_reply_each, state, fault, reason
):
    claude_server.faults = lambda place, body, _: fault if place == "item" and "Text 1." in str(body) else None
    asked = questions(5)
    replies = one_reply_each(list(claude(batches=True, state=state).answers(asked)), asked)
    assert {key: reply.reason for key, reply in replies.items() if reply.reason} == {"k1": reason}
    assert kept(state) == []


def test_a_line_that_was_torn_once_is_read_again(claude, claude_server, questions, one_reply_each):
    claude_server.faults = at("item", Fault(kind="torn"))
    asked = questions(5)
    replies = one_reply_each(list(claude(batches=True).answers(asked)), asked)
    assert {reply.reason for reply in replies.values()} == {None}


@pytest.mark.parametrize(
    "fault",
    [Fault(kind="reset"), Fault(kind="status", status=500), Fault(kind="cut")],
    ids=lambda fault: fault.kind,
)
def test_results_that_break_off_are_read_on_and_none_is_given_twice(
    claude, claude_server, questions, one_reply_each, fault
):
    claude_server.faults = at("results", fault)
    asked = questions(300)
    replies = one_reply_each(list(claude(batches=True).answers(asked)), asked)
    assert {reply.reason for reply in replies.values()} == {None}
    assert claude_server.calls["results"] == 2


def test_results_that_cannot_be_read_stop_the_round_and_are_not_lost(
    claude, claude_server, questions, one_reply_each, state
):
    claude_server.faults = at("results", Fault(kind="status", status=500), times=100)
    with pytest.raises(JudgeError, match=r"msgbatch_0000 cannot be read .*server error.*run again"):
        list(claude(batches=True, state=state, retries=0).answers(questions(5)))
    claude_server.faults = None
    asked = questions(5)
    one_reply_each(list(claude(batches=True, state=state).answers(asked)), asked)
    assert len(claude_server.batches) == 1


@pytest.mark.parametrize("fault", [Fault(kind="status", status=500), Fault(kind="reset"), Fault(kind="garbage")])
def test_a_look_that_fails_is_taken_again(claude, claude_server, questions, one_reply_each, fault):
    claude_server.faults = at("look", fault, times=2)
    asked = questions(3)
    one_reply_each(list(claude(batches=True, retries=0).answers(asked)), asked)
    assert claude_server.calls["look"] == 2 + 2 + 1  # two fail, two see it, one asks where the results are


@pytest.mark.parametrize("status", [429, 503, 529])
def test_a_batch_that_is_not_taken_at_first_is_handed_in_again(
    claude, claude_server, questions, one_reply_each, status
):
    claude_server.faults = at("batch", Fault(kind="status", status=status), times=2)
    asked = questions(3)
    one_reply_each(list(claude(batches=True).answers(asked)), asked)
    assert len(claude_server.batches) == 1


@pytest.mark.parametrize("fault", [Fault(kind="reset"), Fault(kind="hang", seconds=0.4), Fault(kind="garbage")])
def test_a_batch_that_may_have_arrived_is_not_handed_in_twice(
    claude, claude_server, questions, one_reply_each, state, aged, monkeypatch, fault
):
    monkeypatch.setattr(chunks, "MOST_QUESTIONS", 4)
    claude_server.faults = lambda place, body, _: fault if place == "batch" and "Text 5." in str(body) else None
    replies, asked = [], questions(12)
    with pytest.raises(JudgeError, match=r"4 questions could not be handed in .*may have arrived"):
        replies.extend(claude(batches=True, state=state, timeout=0.2).answers(asked))
    one_reply_each(replies, asked[:4])  # those before are waited for
    assert claude_server.calls["batch"] == 2
    claude_server.faults = None
    aged(state, TAKEN_WITHIN)
    one_reply_each(list(claude(batches=True, state=state).answers(asked[4:])), asked[4:])


def test_a_batch_that_is_refused_stops_the_round(claude, claude_server, questions):
    claude_server.faults = at("batch", Fault(kind="status", status=400, message="bad model"), times=9)
    with pytest.raises(JudgeError, match="rejected: bad model"):
        list(claude(batches=True).answers(questions(3)))
    assert claude_server.calls["batch"] == 1


def test_if_each_item_is_rejected_it_is_an_error_after_the_replies(claude, claude_server, questions, state):
    claude_server.faults = at("item", Fault(kind="errored", status=400, message="bad schema"), times=9)
    replies = []
    with pytest.raises(JudgeError, match=r"none of 30 .*bad schema"):
        replies.extend(claude(batches=True, state=state).answers(questions(30)))
    assert len(replies) == 30
    assert kept(state) == []


def test_a_batch_that_never_ends_stops_the_round_and_is_taken_up_later(
    claude, claude_server, questions, one_reply_each, state
):
    claude_server.looks = None
    asked = questions(5)
    with pytest.raises(JudgeError, match=r"msgbatch_0000 has ended .*kept in .*batches\.json: run again"):
        list(claude(batches=True, state=state, patience=0.05).answers(asked))
    assert kept(state) == ["msgbatch_0000"]
    claude_server.looks = 0
    one_reply_each(list(claude(batches=True, state=state).answers(asked)), asked)
    assert len(claude_server.batches) == 1
    assert kept(state) == []


@pytest.mark.parametrize("days", [0, 28])
def test_a_batch_that_another_workspace_holds_keeps_its_answers(
    claude, claude_server, questions, one_reply_each, state, aged, days
):
    claude_server.looks = None
    asked = questions(5)
    with pytest.raises(JudgeError):
        list(claude(batches=True, state=state, patience=0.02).answers(asked))
    aged(state, days * 86400)
    claude_server.looks, theirs, replies = 0, dict(claude_server.batches), []
    claude_server.batches.clear()
    with pytest.raises(JudgeError, match=r"does not know batch msgbatch_0000, .*key of the workspace"):
        replies.extend(claude(batches=True, state=state).answers(asked))
    assert (replies, kept(state)) == ([], ["msgbatch_0000"])
    claude_server.batches.update(theirs)
    replies = one_reply_each(list(claude(batches=True, state=state).answers(asked)), asked)
    assert {reply.reason for reply in replies.values()} == {None}
    assert claude_server.calls["batch"] == 1


def test_a_batch_that_is_not_known_after_a_month_is_gone(claude, claude_server, questions, one_reply_each, state, aged):
    claude_server.looks = None
    asked = questions(5)
    with pytest.raises(JudgeError):
        list(claude(batches=True, state=state, patience=0.02).answers(asked))
    aged(state, 30 * 86400)
    claude_server.batches.clear()
    replies = one_reply_each(list(claude(batches=True, state=state).answers(asked)), asked)
    assert {reply.reason for reply in replies.values()} == {"no result"}
    assert kept(state) == []


def test_the_id_is_kept_before_the_batch_is_looked_at(claude, claude_server, questions, state):
    seen = []
    claude_server.faults = lambda place, _body, _n: (
        seen.append(state.exists() and kept(state)) if place == "look" else None
    )
    list(claude(batches=True, state=state).answers(questions(3)))
    assert seen == [["msgbatch_0000"]] * 3


@pytest.mark.parametrize("taken", [1, 4, 5])
def test_replies_that_were_taken_before_a_stop_are_not_paid_again(
    claude, claude_server, questions, one_reply_each, state, taken
):
    asked = questions(5)
    answers = claude(batches=True, state=state).answers(asked)
    before = [next(answers) for _ in range(taken)]
    answers.close()
    left = [question for question in asked if question.key not in {reply.key for reply in before}]
    after = list(claude(batches=True, state=state).answers(left))
    one_reply_each(before + after, asked)
    assert set(claude_server.batches) == {"msgbatch_0000"}


def left_behind(claude, server, asked, state):
    """Hand in a batch and stop before it ends."""
    server.looks = None
    with pytest.raises(JudgeError):
        list(claude(batches=True, state=state, patience=0.02).answers(asked))
    server.looks = 0


@pytest.mark.parametrize("batches", [True, False])
def test_answers_that_a_round_does_not_ask_for_are_kept_for_the_next(
    claude, claude_server, questions, one_reply_each, state, batches
):
    claude_server.answer = lambda request: {"score": 3, "reason": request["messages"][0]["content"]}
    asked = questions(6)
    left_behind(claude, claude_server, asked, state)
    client = claude(batches=True, state=state)
    one_reply_each(list(client.answers(asked[:2])), asked[:2])
    assert (kept(state), len(State(state).unclaimed), client.charges.lost) == ([], 4, 0)
    spent = client.charges
    client = claude(batches=batches, state=state)
    replies = one_reply_each(list(client.answers(asked[2:])), asked[2:])
    assert all(replies[one.key].answer["reason"] == one.prompt for one in asked[2:])
    assert (len(claude_server.batches), claude_server.calls["messages"]) == (1, 0)
    assert client.charges == spent
    assert client.spent.dollars == 0


def test_kept_answers_are_those_of_the_very_question_and_purpose(claude, claude_server, questions, state):
    left_behind(claude, claude_server, questions(3), state)
    list(claude(batches=True, state=state).answers(questions(1)))
    list(claude(state=state).answers(questions(3, system="Another rubric.")[1:]))
    list(claude(state=state, purpose="retest").answers(questions(3)[1:]))
    assert claude_server.calls["messages"] == 4


def test_what_was_refused_and_not_asked_for_is_asked_anew(claude, claude_server, questions, one_reply_each, state):
    asked = questions(3)
    left_behind(claude, claude_server, asked, state)
    claude_server.answer = lambda _: Fault(kind="refusal")
    list(claude(batches=True, state=state).answers(asked[:1]))
    claude_server.answer = from_schema
    replies = one_reply_each(list(claude(state=state).answers(asked[1:])), asked[1:])
    assert {reply.reason for reply in replies.values()} == {None}
    assert claude_server.calls["messages"] == 2


def test_a_torn_result_that_nobody_asked_for_is_read_again(claude, claude_server, questions, state):
    asked = questions(3)
    left_behind(claude, claude_server, asked, state)
    claude_server.faults = lambda place, body, n: (
        Fault(kind="torn") if place == "item" and "Text 2." in str(body) and n == 0 else None
    )
    client = claude(batches=True, state=state)
    list(client.answers(asked[:1]))
    assert (len(State(state).unclaimed), client.charges.lost) == (2, 0)


def test_questions_of_an_earlier_batch_are_found_among_others(claude, claude_server, questions, one_reply_each, state):
    claude_server.looks = None
    with pytest.raises(JudgeError):
        list(claude(batches=True, state=state, patience=0.02).answers(questions(5)))
    claude_server.looks = 1
    asked = questions(9)[::-1]  # five are under way, four are new, and too few for a batch
    client = claude(batches=None, state=state)
    one_reply_each(list(client.answers(asked)), asked)
    assert (len(claude_server.batches), claude_server.calls["messages"]) == (1, 4)
    assert set(claude_server.asked.values()) == {1}


def test_a_question_that_was_changed_is_asked_anew(claude, claude_server, questions, one_reply_each, state):
    claude_server.looks = None
    with pytest.raises(JudgeError):
        list(claude(batches=True, state=state, patience=0.02).answers(questions(2)))
    claude_server.looks = 1
    asked = questions(2, system="Another rubric.")
    one_reply_each(list(claude(batches=True, state=state).answers(asked)), asked)
    assert len(claude_server.batches) == 2
    assert kept(state) == ["msgbatch_0000"]  # paid for, and may be asked for again


@pytest.mark.parametrize("text", ["{", "[]", '{"batches": [{"id": 3}]}', '{"batches": 3}'])
def test_a_state_that_cannot_be_read_is_refused(claude, claude_server, questions, state, text):
    state.parent.mkdir()
    state.write_text(text)
    with pytest.raises(JudgeError, match=r"batches\.json.*delete it"):
        list(claude(batches=True, state=state).answers(questions(2)))
    assert not claude_server.calls


def test_a_key_that_is_there_twice_is_refused(claude, questions):
    with pytest.raises(JudgeError, match="'k0' is there twice"):
        list(claude(batches=True).answers(questions(2) + questions(1)))


def test_random_faults_leave_one_reply_each(claude, claude_server, questions, one_reply_each, monkeypatch):
    monkeypatch.setattr(chunks, "MOST_QUESTIONS", 100)
    claude_server.faults = seeded(1, 0.2, [fault for fault, _ in ITEMS])
    asked = questions(1000)
    replies = one_reply_each(list(claude(batches=True).answers(asked)), asked)
    assert {reason for _, reason in ITEMS if reason != "no result"} < {reply.reason for reply in replies.values()}
