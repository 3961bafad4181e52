"""The limit holds for what may have been charged: repeated, lost, killed, and begun without a limit."""

import json
import signal
import subprocess
import sys
import threading

import pytest
from claude_server import Fault

from interp_steer.claude.budget import CostLimitError
from interp_steer.claude.client import Claude
from interp_steer.claude.prices import PRICES, dollars_for
from interp_steer.claude.questions import Question, Usage
from interp_steer.claude.state import Charges, State
from interp_steer.errors import JudgeError

HAIKU = "claude-haiku-4-5"
SCHEMA = {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]}
ASK = f"""
import sys
from pathlib import Path
from interp_steer.claude.client import Claude
from interp_steer.claude.questions import Question
asked = [Question(key=f"k{{n}}", system="s", prompt=f"p{{n}}", schema={SCHEMA}, max_tokens=99) for n in range(200)]
list(Claude("{HAIKU}", batches=False, state=Path(sys.argv[1])).answers(asked))
"""


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state.json"


def charged(server):
    """Dollars that the service has charged, whatever arrived."""
    used = server.charged
    usage = Usage(
        input_tokens=used["input_tokens"],
        output_tokens=used["output_tokens"],
        cache_write_tokens=used["cache_creation_input_tokens"],
        cache_read_tokens=used["cache_read_input_tokens"],
    )
    return dollars_for(usage, PRICES[HAIKU], batch=False)


def bound(state):
    """Dollars that a file of the state says may have been charged."""
    held = json.loads(state.read_text())
    return sum(one["dollars"] + one["lost"] + one["open"] for one in held["charges"].values()) + sum(
        batch["held"] for batch in held["batches"]
    )


def lost(kind="reset", **where):
    """Served and charged, and the answer is lost."""
    return Fault(kind=kind, served=True, **where)


@pytest.mark.parametrize("fault", [lost(), lost("hang", seconds=0.5), lost("status", status=504),
                                   lost("status", status=524)],
                         ids=lambda fault: f"{fault.kind} {fault.status}")  # fmt: skip
def test_repetitions_of_what_got_lost_are_held_too(claude, claude_server, questions, state, fault):
    # Each byte of a prompt is a token, each answer is cut at its greatest length: the worst there can be.
    claude_server.tokens = lambda text: len(text.encode())
    claude_server.answer = lambda _: Fault(kind="truncated")
    claude_server.faults = lambda place, _body, n: fault if place == "messages" and n < 3 else None
    limit, replies = 0.005, []
    with pytest.raises(CostLimitError, match=r"limit of \$0.005"):
        replies.extend(
            claude(max_cost=limit, retries=5, timeout=0.2, concurrency=2, state=state).answers(questions(50))
        )
    assert 0.6 * limit < charged(claude_server) <= limit
    assert bound(state) >= charged(claude_server)
    assert {reply.reason for reply in replies} <= {"truncated", "connection lost", "timeout", "server error"}


def test_what_is_refused_is_not_held(claude, claude_server, questions):
    claude_server.faults = lambda place, _body, n: (
        Fault(kind="status", status=529) if place == "messages" and n < 3 else None
    )
    client = claude(max_cost=0.003, retries=3, concurrency=1)
    assert all(reply.answer for reply in client.answers(questions(5)))
    assert client.charges.lost == 0


def test_an_answer_that_does_not_say_what_it_took_stays_held(claude, claude_server, questions):
    claude_server.faults = lambda place, *_: Fault(kind="not a message") if place == "messages" else None
    client = claude(max_cost=1.0)
    assert [reply.reason for reply in client.answers(questions(1))] == ["unparsable"]
    assert client.charges.lost > 0


def test_what_got_lost_counts_in_the_next_process(claude, claude_server, questions, state):
    claude_server.faults = lambda place, *_: Fault(kind="reset") if place == "messages" else None
    first = claude(retries=1, concurrency=1, state=state)  # no limit was set
    list(first.answers(questions(5)))
    held = first.charges.lost
    assert (held > 0, first.spent.dollars) == (True, 0.0)
    asked = claude_server.calls["messages"]
    with pytest.raises(CostLimitError, match=rf"limit of .*\${held:.4f} held for what is under way or got lost"):
        list(claude(max_cost=held, state=state).answers(questions(5)))
    assert claude_server.calls["messages"] == asked
    claude_server.faults = None
    assert len(list(claude(max_cost=2 * held, state=state).answers(questions(5)))) == 5


def test_a_batch_that_was_begun_without_a_limit_counts(claude, claude_server, questions, state):
    claude_server.looks = None
    with pytest.raises(JudgeError):
        list(claude(batches=True, state=state, patience=0.02).answers(questions(30)))
    held = sum(batch.held for batch in State(state).batches)
    assert held > 0
    claude_server.looks = 0
    others = questions(5, system="Another rubric.")
    with pytest.raises(CostLimitError):
        list(claude(batches=False, max_cost=held, state=state).answers(others))
    assert claude_server.calls["messages"] == 0
    assert len(list(claude(batches=False, state=state, max_cost=held + 0.1).answers(others))) == 5


def test_a_batch_costs_what_all_its_results_took_whoever_asks_for_the_rest(claude, claude_server, questions, state):
    asked = questions(6)
    answers = claude(batches=True, state=state).answers(asked)
    next(answers)
    answers.close()  # stopped within the results
    client = claude(batches=True, state=state)
    assert len(list(client.answers(asked[:2]))) == 2
    assert len(claude_server.batches) == 1
    whole = claude(batches=True)
    list(whole.answers(asked))
    assert client.charges == whole.charges


@pytest.mark.parametrize("kind", ["missing", "torn"])
def test_an_item_without_a_result_may_have_been_charged(claude, claude_server, questions, kind):
    claude_server.faults = lambda place, body, _: (
        Fault(kind=kind) if place == "item" and "Text 1." in str(body) else None
    )
    client = claude(batches=True)
    list(client.answers(questions(3)))
    assert client.charges.lost > 0
    claude_server.faults = lambda place, body, _: (
        Fault(kind="expired") if place == "item" and "Text 1." in str(body) else None
    )
    client = claude(batches=True)
    list(client.answers(questions(3)))
    assert client.charges.lost == 0


def test_the_file_never_says_less_than_was_charged(claude, claude_server, questions, state):
    claude_server.tokens = lambda text: len(text.encode())
    short = []

    def answer(request):
        if bound(state) < charged(claude_server):
            short.append(request)
        return Fault(kind="truncated") if "7" in request["messages"][0]["content"] else {"score": 3, "reason": "r"}

    claude_server.answer = answer
    claude_server.faults = lambda place, body, n: (
        lost() if place == "messages" and "3" in body["messages"][0]["content"] and n == 0 else None
    )
    client = claude(retries=2, state=state, concurrency=4)
    list(client.answers(questions(60)))
    assert not short
    assert bound(state) == pytest.approx(client.charges.dollars + client.charges.lost)
    assert bound(state) >= charged(claude_server) > client.charges.dollars


def test_a_process_that_is_killed_leaves_what_it_may_have_spent(claude_server, state):
    twenty = threading.Event()

    def answer(_):
        if sum(claude_server.asked.values()) > 20:
            twenty.set()
        return {"score": 3}

    claude_server.answer = answer
    claude_server.seconds = 0.01
    with subprocess.Popen([sys.executable, "-c", ASK, str(state)], stderr=subprocess.DEVNULL) as process:
        assert twenty.wait(60)
        process.send_signal(signal.SIGKILL)
    assert bound(state) >= charged(claude_server) > 0
    known = State(state).charges[HAIKU]
    assert (known.open, known.dollars + known.lost) == (0, pytest.approx(bound(state)))
    one = [Question(key="k", system="s", prompt="p", schema=SCHEMA, max_tokens=99)]
    with pytest.raises(CostLimitError):
        list(Claude(HAIKU, state=state, max_cost=bound(state)).answers(one))


def test_models_share_the_limit_of_a_file(claude, claude_server, questions, state):
    list(claude(state=state).answers(questions(5)))
    spent = State(state).dollars
    other = Claude("claude-sonnet-4-6", state=state, max_cost=spent, batches=False)
    with pytest.raises(CostLimitError):
        list(other.answers(questions(5)))
    list(Claude("claude-of-tomorrow", state=state, batches=False).answers(questions(1)))
    with pytest.raises(JudgeError, match="does not know 'claude-of-tomorrow'"):
        claude(state=state, max_cost=9.0)
    assert claude_server.calls["messages"] == 6


def test_nothing_is_repeated_once_the_round_is_over(claude, claude_server, questions, state):
    """Ctrl-C leaves requests under way; their threads must not go on asking, nor write to the state."""
    claude_server.seconds = 0.2
    claude_server.faults = lambda place, body, _: lost() if place == "messages" and "Text 0." not in str(body) else None
    client = claude(retries=5, state=state, concurrency=3)
    answers = client.answers(questions(9))
    next(answers)
    answers.close()
    before = state.read_text()
    calls = claude_server.calls["messages"]
    threading.Event().wait(1.5)
    assert state.read_text() == before
    assert claude_server.calls["messages"] <= calls + 3
    assert bound(state) >= charged(claude_server)


def test_a_model_that_thinks_gets_room_for_it_and_the_limit_knows(claude_server, questions):
    limit = 0.05
    clients = [Claude(model, batches=False, max_cost=limit) for model in ("claude-opus-4-6", "claude-opus-5")]
    list(clients[0].answers(questions(1)))
    with pytest.raises(CostLimitError):
        list(clients[1].answers(questions(1)))  # 8,000 tokens more at $25 a million
    list(Claude("claude-opus-5", batches=False, max_cost=1.0).answers(questions(1)))
    assert [request["max_tokens"] for request in claude_server.requests] == [100, 8100]


@pytest.mark.parametrize("batches", [False, True])
def test_connections_are_closed_when_a_round_ends(claude, claude_server, questions, batches):
    client = claude(batches=batches)
    list(client.answers(questions(5)))
    answers = client.answers(questions(5))
    next(answers)
    answers.close()
    until = threading.Event()
    for _ in range(200):
        if claude_server.connections == 0:
            break
        until.wait(0.01)
    assert claude_server.connections == 0


def test_a_refused_key_costs_nothing_and_leaves_nothing(claude, claude_server, questions, state):
    claude_server.key = "another"
    for batches in (False, True):
        client = claude(batches=batches, state=state)
        with pytest.raises(JudgeError, match="status 401"):
            list(client.answers(questions(5)))
        assert client.charges == Charges()
    assert not state.exists()
