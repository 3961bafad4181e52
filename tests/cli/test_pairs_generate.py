"""``interp-steer pairs generate``: killed in the middle, told the cost before, and what a user can get wrong."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from claude_server import Fault
from opus import OBVIOUS, Opus

from interp_steer.pairs import read_pairs

SCRIPT = Path(sys.executable).with_name("interp-steer")
DESCRIPTION = ("--description", "Answers with marked politeness")


@pytest.fixture
def opus(claude_server):
    """The service, with a writer and a judge behind it."""
    claude_server.answer = Opus()
    return claude_server


@pytest.fixture
def start(tmp_path):
    """Function that starts the command in a folder of its own, with the key and the address of this test."""

    def call(*arguments):
        command = [str(SCRIPT), "pairs", "generate", *map(str, arguments)]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "COLUMNS": "200", "NO_COLOR": "1"}
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=pipe, stderr=pipe, text=True)

    return call


@pytest.fixture
def generate(start):
    """Function that runs the command to its end; returns exit code, stdout and stderr."""

    def call(*arguments):
        with start(*arguments) as child:
            said, told = child.communicate()
        assert "Traceback" not in told
        return child.returncode, said, told

    return call


def keys(path):
    return [json.loads(line)["key"] for line in path.read_bytes().split(b"\n")[:-1]]


def test_a_killed_process_goes_on_and_asks_nothing_twice(opus, start, generate, tmp_path):
    replies, rules, enough = tmp_path / "pairs" / "polite" / "replies.jsonl", opus.answer, threading.Event()

    def answer(params):
        if len(rules.asked) >= 70:  # in the middle of writing
            enough.set()
        return rules(params)

    opus.answer = answer
    arguments = ("polite", *DESCRIPTION, "--no-batches", "--n", 60)
    with start(*arguments) as child:
        assert enough.wait(60)
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
    assert child.returncode == -signal.SIGKILL
    known = keys(replies)
    lost = sum(opus.asked.values()) - len(known)
    assert Counter(rules.asked[:70])["judge"] == 12  # the gate, and no pair yet
    code, said, told = generate(*arguments, "--json")
    assert (code, json.loads(said)["pairs"]) == (0, 60), told
    assert len({pair.prompt for pair in read_pairs(replies.parent)}) == 60
    assert len(set(keys(replies))) == len(keys(replies))
    assert keys(replies)[: len(known)] == known
    assert sum(opus.asked.values()) - len(opus.asked) <= lost <= 16  # answered, and lost on the way


def test_what_was_done_is_told(opus, generate, tmp_path):
    rules = opus.answer
    rules.spoil = lambda kind, told, answer: (
        {**answer, "behavior": 5}
        if kind == "judge" and told["request"] != OBVIOUS and int(told["request"].encode().hex(), 16) % 5 == 0
        else answer
    )
    code, said, told = generate("polite", *DESCRIPTION, "--no-batches", "--n", 12)
    assert code == 0, told
    assert "pairs       12, of which 12 of " in said
    assert "rejected: off_behavior" in said
    assert "dev         " in said
    assert re.search(r"^cost        \$\d+\.\d\d$", said, re.M)
    assert said.endswith("pairs/polite\n")
    assert (tmp_path / "pairs" / "polite" / "rejected.jsonl").exists()


def test_what_got_lost_and_what_was_not_answered_is_told(opus, generate):
    (first, *_) = opus.answer.topics({}, "")["topics"]
    opus.answer.spoil = lambda kind, told, answer: (
        Fault(kind="refusal") if kind == "prompts" and told["topic"] == first else answer
    )
    opus.faults = lambda place, body, n: (
        Fault(kind="reset", served=True)
        if place == "messages" and "Write the positive" in str(body) and n == 0
        else None
    )
    code, said, told = generate("polite", *DESCRIPTION, "--no-batches", "--n", 3)
    assert code == 0, told
    assert "no answer   1 of prompts: refused" in said
    assert re.search(r"^cost        \$0\.\d\d; up to \$\d\.\d\d besides, for replies that got lost$", said, re.M)


def test_a_model_without_a_price_says_so(opus, generate):
    arguments = ("polite", *DESCRIPTION, "--no-batches", "--n", 1, "--model", "claude-tomorrow-9")
    code, said, told = generate(*arguments, "--dry-run")
    assert (code, opus.calls["messages"]) == (0, 0), told
    assert "cost        unknown: the price table does not hold a model" in said
    code, said, told = generate(*arguments)
    assert code == 0, told
    assert "cost        unknown: the price table does not hold the model" in said


def test_fewer_pairs_than_asked_for_are_exit_code_3(opus, generate):
    opus.answer.spoil = lambda kind, told, answer: (
        {**answer, "coherence": 2} if kind == "judge" and told["request"] != OBVIOUS else answer
    )
    code, said, told = generate("polite", *DESCRIPTION, "--no-batches", "--n", 1)
    assert code == 3
    assert "pairs       0" in said
    assert "finished with 0 of 1 pairs" in told


def test_a_dry_run_says_the_cost_and_writes_nothing(opus, generate, tmp_path):
    code, said, _ = generate("polite", *DESCRIPTION, "--n", 100, "--dry-run")
    assert code == 0
    assert "missing     100 pairs; 36 held-out prompts" in said
    for step in ("sheet", "topics", "prompts", "pairs", "gate", "judge", "cost "):
        assert f"\n{step}" in said
    assert re.search(r"^cost        about \$\d\.\d\d, if three proposals of four are accepted$", said, re.M)
    assert "(prices of 20" in said
    assert list(tmp_path.iterdir()) == []
    assert opus.calls["messages"] == opus.calls["batch"] == 0


def test_a_dry_run_of_the_model_loads_none(generate, tmp_path):
    code, said, told = generate("refusal", "--n", 70, "--writer", "self", "--model", tmp_path / "none", "--dry-run")
    assert (code, told) == (0, "")
    assert (
        said == "missing     6 pairs; 0 held-out prompts lack responses\nsamples     36 sides at least, 144 at most\n"
    )


@pytest.mark.parametrize(("arguments", "said"), [
    (("polite",), "no behavior 'polite' in pairs; to make a new one, say what it is with --description"),
    (("refusal", *DESCRIPTION), "'refusal' is a built-in behavior; leave --description out"),
    (("po/lite", *DESCRIPTION), "'po/lite' is no name for a behavior"),
    (("polite", "--trait", "none.json", "--writer", "self"), "none.json"),
    (("polite", *DESCRIPTION, "--writer", "self", "--model", "./none"), "cannot load './none'"),
])  # fmt: skip
def test_what_a_user_can_get_wrong(arguments, said, generate, tmp_path):
    code, out, told = generate(*arguments)
    assert (code, out) == (1, "")
    assert said in told.splitlines()[-1]
    assert list(tmp_path.glob("pairs/*/train.jsonl")) == []


def test_without_a_key_the_other_writer_is_named(generate, tmp_path, monkeypatch):
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    code, out, told = generate("polite", *DESCRIPTION)
    assert (code, out) == (1, "")
    assert "--writer self" in told.splitlines()[-1]
    assert list(tmp_path.glob("pairs/*")) == []
