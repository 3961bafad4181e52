"""A batch whose id never came is found again at the service, and not paid for twice."""

import json
import signal
import subprocess
import sys
import threading
import time

import pytest
from claude_server import Fault

from interp_steer.claude import service
from interp_steer.claude.adoption import TAKEN_WITHIN
from interp_steer.claude.client import Claude
from interp_steer.claude.questions import Question
from interp_steer.errors import JudgeError

SCHEMA = {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]}
ASK = f"""
import sys
from pathlib import Path
from interp_steer.claude.client import Claude
from interp_steer.claude.questions import Question
asked = [Question(key=f"k{{n}}", system="s", prompt=f"p{{n}}", schema={SCHEMA}, max_tokens=9) for n in range(20)]
list(Claude("claude-haiku-4-5", batches=True, state=Path(sys.argv[1])).answers(asked))
"""
QUESTIONS = [Question(key=f"k{n}", system="s", prompt=f"p{n}", schema=SCHEMA, max_tokens=9) for n in range(20)]
TAKEN = Fault(kind="reset", served=True)


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state.json"


def once(fault):
    return lambda place, _body, attempt: fault if place == "batch" and attempt == 0 else None


def lost_id(claude, server, asked, state, fault=TAKEN):
    """Hand in a batch whose id does not come back."""
    server.faults = once(fault)
    with pytest.raises(JudgeError, match=r"may have arrived all the same: run again, and it is looked for"):
        list(claude(batches=True, state=state, timeout=0.3).answers(asked))
    server.faults = None
    (batch,) = json.loads(state.read_text())["batches"]
    assert (batch["id"], len(batch["items"])) == ("", len(asked))


def test_a_process_that_is_killed_before_the_id_comes(claude_server, tmp_path, one_reply_each):
    """The service has taken the batch, and its answer is still on the way."""
    taken = threading.Event()
    submit = claude_server.submit

    def slow(requests):
        answer = submit(requests)
        taken.set()
        time.sleep(3)
        return answer

    claude_server.submit = slow
    command = [sys.executable, "-c", ASK, str(tmp_path / "s.json")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        assert taken.wait(60)
        process.send_signal(signal.SIGKILL)
    claude_server.submit = submit
    client = Claude("claude-haiku-4-5", batches=True, state=tmp_path / "s.json", poll=0.005)
    one_reply_each(list(client.answers(QUESTIONS)), QUESTIONS)
    assert len(claude_server.batches) == 1


@pytest.mark.parametrize(
    "fault",
    [
        TAKEN,
        Fault(kind="garbage", served=True),
        Fault(kind="hang", seconds=0.5, served=True),
        Fault(kind="status", status=500, served=True),
        Fault(kind="status", status=524, served=True),
    ],
    ids=lambda fault: f"{fault.kind} {fault.status}",
)
@pytest.mark.parametrize("batches", [True, False])
def test_an_id_that_is_lost_on_the_way(claude, claude_server, questions, one_reply_each, state, fault, batches):
    asked = questions(5)
    lost_id(claude, claude_server, asked, state, fault)
    client = claude(batches=batches, state=state)
    replies = one_reply_each(list(client.answers(asked)), asked)
    assert {reply.reason for reply in replies.values()} == {None}
    assert (len(claude_server.batches), claude_server.calls["messages"]) == (1, 0)
    assert json.loads(state.read_text())["batches"] == []
    assert client.charges.lost == 0
    assert 0 < client.charges.dollars == pytest.approx(client.spent.dollars)


def test_a_batch_that_was_not_taken_is_handed_in_again_and_counts_as_lost(
    claude, claude_server, questions, one_reply_each, state, aged
):
    asked = questions(5)
    lost_id(claude, claude_server, asked, state, Fault(kind="reset"))
    (batch,) = json.loads(state.read_text())["batches"]
    aged(state, TAKEN_WITHIN)
    client = claude(batches=True, state=state)
    one_reply_each(list(client.answers(asked)), asked)
    assert len(claude_server.batches) == 1
    assert 0 < client.charges.lost == pytest.approx(batch["held"])
    assert client.charges.dollars == pytest.approx(client.spent.dollars)


def test_a_batch_that_is_not_on_the_list_yet_is_waited_for(claude, claude_server, questions, one_reply_each, state):
    asked, told = questions(5), []
    lost_id(claude, claude_server, asked, state)
    whole = claude_server.listed
    claude_server.listed = lambda limit, after: (
        whole(limit, after) if claude_server.calls["list"] > 3 else {"data": [], "has_more": False, "last_id": None}
    )
    client = claude(batches=True, state=state, advance=lambda n, note: told.append((n, note)))
    one_reply_each(list(client.answers(asked)), asked)
    assert (len(claude_server.batches), claude_server.calls["list"], client.charges.lost) == (1, 4, 0)
    assert told[:3] == [(0, "looking for a batch that may have been handed in before")] * 3


def test_waiting_for_the_list_ends_with_patience_and_nothing_is_paid(claude, claude_server, questions, state):
    asked = questions(5)
    lost_id(claude, claude_server, asked, state, Fault(kind="reset"))
    with pytest.raises(JudgeError, match=r"not on the list of the service; it may still come within 15 minutes"):
        list(claude(batches=True, state=state, patience=0.03).answers(asked))
    assert len(claude_server.batches) == 0
    assert len(json.loads(state.read_text())["batches"]) == 1


def test_batches_of_others_are_told_apart(claude, claude_server, questions, one_reply_each, state, tmp_path):
    """One of the same size from the same minutes, one of another size, and one of the same questions from before."""
    asked = questions(5)
    claude_server.clock = -3600
    list(claude(batches=True).answers(asked))
    claude_server.clock = 0
    looks = claude_server.batches["msgbatch_0000"].looks
    lost_id(claude, claude_server, asked, state)
    list(claude(batches=True, state=tmp_path / "other").answers(questions(5, system="Another rubric.")))
    list(claude(batches=True, state=tmp_path / "other").answers(questions(6, system="Another rubric.")))
    replies = one_reply_each(list(claude(batches=True, state=state).answers(asked)), asked)
    assert {reply.reason for reply in replies.values()} == {None}
    assert len(claude_server.batches) == 4
    assert claude_server.batches["msgbatch_0000"].looks == looks


@pytest.mark.parametrize("clock", [-300, 300])
def test_the_clocks_may_differ(claude, claude_server, questions, one_reply_each, state, clock):
    claude_server.clock = clock
    asked = questions(3)
    lost_id(claude, claude_server, asked, state)
    one_reply_each(list(claude(batches=True, state=state).answers(asked)), asked)
    assert len(claude_server.batches) == 1


def test_it_is_found_on_a_later_page(claude, claude_server, questions, one_reply_each, state, monkeypatch):
    monkeypatch.setattr(service, "PAGE", 2)
    asked = questions(3)
    lost_id(claude, claude_server, asked, state)
    for number in range(4, 9):
        list(claude(batches=True).answers(questions(number)))
    one_reply_each(list(claude(batches=True, state=state).answers(asked)), asked)
    assert len(claude_server.batches) == 6
    assert claude_server.calls["list"] == 3


def test_it_is_waited_for_if_it_has_not_ended(claude, claude_server, questions, one_reply_each, state):
    asked = questions(3)
    lost_id(claude, claude_server, asked, state)
    claude_server.looks = None
    with pytest.raises(JudgeError, match=r"msgbatch_0000 has ended .*run again to go on waiting"):
        list(claude(batches=True, state=state, patience=0.03).answers(asked))
    claude_server.looks = 0
    one_reply_each(list(claude(batches=True, state=state).answers(asked)), asked)
    assert len(claude_server.batches) == 1


@pytest.mark.parametrize(
    "fault",
    [Fault(kind="status", status=500), Fault(kind="garbage"), Fault(kind="not a message")],
    ids=lambda fault: fault.kind,
)
def test_a_list_that_cannot_be_read_stops_and_nothing_is_paid(claude, claude_server, questions, state, fault):
    asked = questions(3)
    lost_id(claude, claude_server, asked, state)
    claude_server.faults = lambda place, *_: fault if place == "list" else None
    with pytest.raises(JudgeError, match=r"3 questions may have been handed in before.*run again to find out"):
        list(claude(batches=True, state=state, retries=0).answers(asked))
    assert len(claude_server.batches) == 1
    assert len(json.loads(state.read_text())["batches"]) == 1


def test_one_whose_results_are_gone_is_asked_anew_and_stays_charged(
    claude, claude_server, questions, one_reply_each, state, aged
):
    asked = questions(3)
    lost_id(claude, claude_server, asked, state)
    (batch,) = json.loads(state.read_text())["batches"]
    aged(state, TAKEN_WITHIN)
    claude_server.batches["msgbatch_0000"].archived = True
    client = claude(batches=True, state=state)
    one_reply_each(list(client.answers(asked)), asked)
    assert len(claude_server.batches) == 2
    assert 0 < client.charges.lost == pytest.approx(batch["held"])


def test_questions_that_are_not_asked_any_more_leave_it_alone(claude, claude_server, questions, state):
    lost_id(claude, claude_server, questions(3), state)
    list(claude(batches=False, state=state).answers(questions(2, system="Another rubric.")))
    assert claude_server.calls["list"] == 0
    assert len(json.loads(state.read_text())["batches"]) == 1


def test_a_finished_batch_of_another_purpose_is_not_adopted(claude, claude_server, questions, state, aged):
    """The same questions for another purpose: the batch of the first has their size, their minute and their texts."""
    asked = questions(3)
    list(claude(batches=True, state=state, purpose="judge").answers(asked))
    claude_server.faults = once(Fault(kind="status", status=500))
    with pytest.raises(JudgeError, match="may have arrived"):
        list(claude(batches=True, state=state, purpose="retest").answers(asked))
    claude_server.faults = None
    aged(state, TAKEN_WITHIN)
    list(claude(batches=True, state=state, purpose="retest").answers(asked))
    assert (claude_server.calls["batch"], len(claude_server.batches)) == (3, 2)


def test_another_purpose_has_batches_of_its_own(claude, claude_server, questions, one_reply_each, state):
    """The same questions asked a second time, to see whether the answers are the same, are new questions."""
    asked = questions(3)
    claude_server.looks = None
    with pytest.raises(JudgeError):
        list(claude(batches=True, state=state, purpose="judge", patience=0.02).answers(asked))
    claude_server.looks = 0
    one_reply_each(list(claude(batches=True, state=state, purpose="retest").answers(asked)), asked)
    assert len(claude_server.batches) == 2
    one_reply_each(list(claude(batches=True, state=state, purpose="judge").answers(asked)), asked)
    assert len(claude_server.batches) == 2
