"""Every fault of a single request, with the real SDK and a real connection."""

import pytest
from claude_server import Fault, seeded

from interp_steer.claude.client import Claude
from interp_steer.errors import JudgeError


def always(fault):
    """The fault, at every attempt for the question with number 1."""
    return lambda place, body, _: fault if place == "messages" and "Text 1." in str(body) else None


def at_first(fault, times=1):
    return lambda place, _body, attempt: fault if place == "messages" and attempt < times else None


def test_each_question_is_answered_once(claude, claude_server, questions, one_reply_each):
    claude_server.answer = lambda request: {"score": 3, "reason": request["messages"][0]["content"]}
    asked = questions(30)
    client = claude()
    replies = one_reply_each(list(client.answers(asked)), asked)
    assert {reply.answer["reason"] for reply in replies.values()} == {question.prompt for question in asked}
    assert set(claude_server.asked.values()) == {1}
    assert client.spent.usage.output_tokens == sum(reply.usage.output_tokens for reply in replies.values()) > 0


def test_what_is_sent(claude, claude_server, questions):
    list(claude().answers(questions(1)))
    (sent,) = claude_server.requests
    assert sent["model"] == "claude-haiku-4-5"
    assert sent["max_tokens"] == 100
    assert sent["messages"] == [{"role": "user", "content": "Text 0."}]
    assert sent["system"] == [{"type": "text", "text": "You judge texts.", "cache_control": {"type": "ephemeral"}}]
    shape = sent["output_config"]["format"]
    assert shape["type"] == "json_schema"
    assert shape["schema"]["additionalProperties"] is False
    # Bounds the service cannot enforce are said in words.
    assert "minimum" not in shape["schema"]["properties"]["score"]
    assert "maximum: 10" in shape["schema"]["properties"]["score"]["description"]


@pytest.mark.parametrize(
    ("model", "tokens", "seconds"), [("claude-haiku-4-5", 100, 120), ("claude-opus-5", 4_000, 400)]
)
def test_a_long_answer_is_waited_for_as_long_as_it_may_take(claude_server, questions, model, tokens, seconds):
    list(Claude(model, batches=False).answers(questions(1, max_tokens=tokens)))
    assert [float(said) for said in claude_server.timeouts] == [seconds]


def test_the_first_question_goes_alone_so_that_the_others_read_the_cache(claude, claude_server, questions):
    claude_server.seconds = 0.02
    client = claude()
    list(client.answers(questions(9)))
    one = client.spent.usage.cache_read_tokens // 8
    assert client.spent.usage.cache_write_tokens == one > 0


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_are_under_way_than_allowed_and_none_is_drawn_early(claude, claude_server, questions, concurrency):
    drawn = []
    claude_server.seconds = 0.01
    asked = (drawn.append(one) or one for one in questions(60))
    for answered, _ in enumerate(claude(concurrency=concurrency).answers(asked), start=1):
        assert len(drawn) <= answered + concurrency + 1  # those under way, and one that waits
    assert claude_server.most_at_once == concurrency


PASSING = [
    Fault(kind="status", status=429),
    Fault(kind="status", status=500),
    Fault(kind="status", status=529),
    Fault(kind="reset"),
    Fault(kind="hang", seconds=0.4),
]


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: f"{fault.kind} {fault.status}")
def test_what_passes_is_tried_again(claude, claude_server, questions, one_reply_each, fault):
    claude_server.faults = at_first(fault)
    asked = questions(4)
    replies = one_reply_each(list(claude(timeout=0.2, concurrency=4).answers(asked)), asked)
    assert {reply.reason for reply in replies.values()} == {None}


def test_the_pace_that_the_service_asks_for_is_kept(claude, claude_server, questions):
    claude_server.faults = at_first(Fault(kind="status", status=429, wait=0.8))  # the SDK's own first pause: 0.5 s
    (reply,) = claude().answers(questions(1))
    first, second = claude_server.times
    assert reply.answer is not None
    assert second - first >= 0.8


LASTING = [
    (Fault(kind="status", status=429), "overloaded"),
    (Fault(kind="status", status=529), "overloaded"),
    (Fault(kind="status", status=500), "server error"),
    (Fault(kind="status", status=400, message="too long"), "rejected: too long"),
    (Fault(kind="status", status=413, message="too large"), "rejected: too large"),
    (Fault(kind="reset"), "connection lost"),
    (Fault(kind="hang", seconds=0.4), "timeout"),
    (Fault(kind="garbage"), "unparsable"),
    (Fault(kind="cut"), "unparsable"),
    (Fault(kind="not a message"), "unparsable"),
    (Fault(kind="refusal"), "refused"),
    (Fault(kind="truncated"), "truncated"),
]


@pytest.mark.parametrize(("fault", "reason"), LASTING, ids=[f"{fault.kind} {fault.status}" for fault, _ in LASTING])
def test_what_lasts_is_the_reason_of_that_question_alone(
    claude, claude_server, questions, one_reply_each, fault, reason
):
    claude_server.faults = always(fault)
    asked = questions(5)
    replies = one_reply_each(list(claude(timeout=0.2, retries=1).answers(asked)), asked)
    assert {key: reply.reason for key, reply in replies.items() if reply.reason} == {"k1": reason}


def test_random_faults_leave_one_reply_each(claude, claude_server, questions, one_reply_each):
    faults = [fault for fault, _ in LASTING if fault.kind not in ("reset", "hang")]
    claude_server.faults = seeded(0, 0.3, faults)
    asked = questions(300)
    replies = one_reply_each(list(claude(retries=4).answers(asked)), asked)
    reasons = {reply.reason for reply in replies.values()}
    assert {None, "refused", "truncated", "unparsable", "rejected: too long"} <= reasons
    assert "overloaded" not in reasons  # 0.3 ** 5 of few: the repetitions went through


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault(kind="status", status=529), "overloaded"),
        (Fault(kind="status", status=400, message="no money"), "no money"),
    ],
)
def test_a_service_that_answers_nothing_is_not_asked_for_ever(claude, claude_server, questions, fault, reason):
    claude_server.faults = lambda *_: fault
    replies = []
    with pytest.raises(JudgeError, match=f"20 questions in a row .*{reason}"):
        replies.extend(claude(retries=0).answers(questions(500)))
    assert claude_server.calls["messages"] <= 20 + 2 * 8


def test_if_each_of_a_few_is_rejected_it_is_an_error_after_the_replies(claude, claude_server, questions):
    claude_server.faults = lambda *_: Fault(kind="status", status=400, message="bad schema")
    replies = []
    with pytest.raises(JudgeError, match=r"none of 3 .*bad schema"):
        replies.extend(claude().answers(questions(3)))
    assert [reply.reason for reply in replies] == ["rejected: bad schema"] * 3


def test_a_model_that_is_not_there_stops_at_once(claude, claude_server, questions):
    claude_server.faults = lambda *_: Fault(kind="status", status=404, message="model: claude-haiku-4-5")
    with pytest.raises(JudgeError, match=r"404.*claude-haiku-4-5.*check the name of the model"):
        list(claude().answers(questions(30)))
    assert claude_server.calls["messages"] == 1


def test_an_error_in_the_questions_is_the_callers_and_ends_the_threads(claude, questions):
    def broken():
        yield from questions(3)
        raise LookupError("no more")

    with pytest.raises(LookupError):
        list(claude().answers(broken()))
