"""Questions to ask, and everything that came back."""

import json
import time

import pytest

from interp_steer.claude.client import Claude
from interp_steer.claude.questions import Question

HAIKU = "claude-haiku-4-5"
SCHEMA = {
    "type": "object",
    "properties": {
        "score": {"type": "integer", "minimum": 0, "maximum": 10},
        "reason": {"type": "string"},
    },
    "required": ["score", "reason"],
    "additionalProperties": False,
}


def question(number, system="You judge texts.", prompt="Text {}.", max_tokens=100):
    return Question(key=f"k{number}", system=system, prompt=prompt.format(number), schema=SCHEMA, max_tokens=max_tokens)


@pytest.fixture
def questions():
    """Function that makes n questions."""
    return lambda n, **other: [question(number, **other) for number in range(n)]


@pytest.fixture
def claude(claude_server):  # noqa: ARG001 - it sets the environment
    """Function that makes a client of the server here; nothing takes long."""

    def make(**options):
        return Claude(HAIKU, **{"batches": False, "retries": 2, "timeout": 5.0, "poll": 0.005, **options})

    return make


@pytest.fixture
def one_reply_each():
    """Function that checks that every question has exactly one reply, and returns the replies by key."""

    def check(replies, questions):
        by_key = {reply.key: reply for reply in replies}
        assert sorted(reply.key for reply in replies) == sorted(question.key for question in questions)
        for reply in by_key.values():
            assert (reply.answer is None) == (reply.reason is not None)
        return by_key

    return check


@pytest.fixture
def aged():
    """Function that makes the batches of a state so many seconds older."""

    def make(state, seconds):
        kept = json.loads(state.read_text())
        for batch in kept["batches"]:
            batch["begun"] = time.time() - seconds
        state.write_text(json.dumps(kept))

    return make


@pytest.fixture
def no_key(claude_server, monkeypatch, tmp_path_factory):  # noqa: ARG001 - its environment comes first
    """An environment without a key, and without a profile in the home folder."""
    home = str(tmp_path_factory.mktemp("home"))
    for name in ("HOME", "XDG_CONFIG_HOME", "APPDATA", "USERPROFILE"):
        monkeypatch.setenv(name, home)
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_PROFILE", "ANTHROPIC_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
