"""The key is where the SDK reads it, and nowhere else."""

import logging
import traceback

import pytest
from claude_server import Fault

from interp_steer.claude.client import Claude
from interp_steer.claude.estimate import estimate
from interp_steer.claude.failures import MissingKeyError
from interp_steer.claude.service import Service
from interp_steer.errors import JudgeError

KEY = "sk-ant-0123456789-secret"
OTHER = "a-gateway-key-of-another-shape"


@pytest.fixture(params=[KEY, OTHER])
def key(request, monkeypatch, claude_server):  # noqa: ARG001 - its environment comes first
    monkeypatch.setenv("ANTHROPIC_API_KEY", request.param)
    return request.param


@pytest.mark.usefixtures("no_key")
@pytest.mark.parametrize("batches", [False, True])
def test_without_a_key_nothing_is_sent_and_the_way_out_is_said(claude, claude_server, questions, batches):
    with pytest.raises(MissingKeyError, match=r"ANTHROPIC_API_KEY.*--judge local"):
        list(claude(batches=batches).answers(questions(3)))
    assert not claude_server.calls


@pytest.mark.parametrize("status", [401, 402, 403])
@pytest.mark.parametrize("batches", [False, True])
def test_a_key_that_is_refused_is_tried_once(claude, claude_server, questions, status, batches):
    claude_server.faults = lambda *_: Fault(kind="status", status=status)
    with pytest.raises(JudgeError, match=f"Claude refuses .status {status}"):
        list(claude(batches=batches).answers(questions(30)))
    assert sum(claude_server.calls.values()) == 1


def test_an_estimate_with_a_key_that_is_refused_says_so(claude_server, questions, key):
    claude_server.key = "another"
    with pytest.raises(JudgeError, match=r"status 401") as refused:
        estimate(questions(3), "claude-haiku-4-5")
    assert key not in str(refused.value)


@pytest.mark.parametrize("batches", [False, True])
def test_a_refused_key_is_in_no_error_even_where_the_service_repeats_it(claude, claude_server, questions, key, batches):
    claude_server.key = "another"
    with pytest.raises(JudgeError, match=r"invalid key \[key\]") as refused:
        list(claude(batches=batches).answers(questions(3)))
    error = refused.value
    assert key not in "".join(traceback.format_exception(error))
    # What the SDK raised holds the request, and with it the key.
    assert error.__cause__ is None
    assert error.__suppress_context__


@pytest.mark.parametrize("batches", [False, True])
def test_the_key_is_in_no_file_no_log_no_output_and_no_repr(
    claude, claude_server, questions, key, tmp_path, caplog, capfd, batches
):
    claude_server.faults = lambda place, _body, n: (
        Fault(kind="status", status=400, message=f"no {key}") if place in ("messages", "item") and n == 0 else None
    )
    client = claude(batches=batches, state=tmp_path / "state.json")
    with caplog.at_level(logging.DEBUG):
        answers = client.answers(questions(3))
        replies = [next(answers)]
        files = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
        replies.extend(_all_but_the_last_error(answers))
    assert any("rejected" in str(reply.reason) for reply in replies)
    assert any(record.name.startswith("anthropic") for record in caplog.records)  # the log was on
    shown = [*files, caplog.text, *capfd.readouterr(), repr(client), str(vars(client)), *map(repr, replies)]
    shown += [repr(Service("claude-haiku-4-5", retries=0, timeout=1.0)), str(client.spent)]
    assert not [text for text in shown if key in text]
    assert files


def _all_but_the_last_error(answers):
    try:
        yield from answers
    except JudgeError as error:
        assert "none of 3" in str(error)  # noqa: PT017 - all were rejected, which is not what is looked at here


@pytest.mark.usefixtures("no_key")
def test_a_profile_that_is_not_there_is_a_missing_key(claude, questions, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_PROFILE", "work")
    with pytest.raises(MissingKeyError, match=r"profile 'work'.*ANTHROPIC_API_KEY"):
        list(claude().answers(questions(3)))


@pytest.mark.usefixtures("no_key")
def test_making_a_client_needs_no_key():
    client = Claude("claude-haiku-4-5", max_cost=1.0)
    assert client.spent.dollars == 0.0
    assert "_service" not in vars(client)
