"""Processes that end in the middle: by Ctrl-C, and without a word."""

import signal
import subprocess
import sys
import threading

import pytest

from interp_steer.claude.client import Claude
from interp_steer.claude.questions import Question

SCHEMA = {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]}
ASK = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background has it ignored
from pathlib import Path
from interp_steer.claude.client import Claude
from interp_steer.claude.questions import Question
asked = [Question(key=f"k{{n}}", system="s", prompt=f"p{{n}}", schema={SCHEMA}, max_tokens=9) for n in range(20)]
client = Claude("claude-haiku-4-5", batches=sys.argv[1] == "batches", state=Path(sys.argv[2]), poll=0.01)
try:
    for reply in client.answers(asked):
        print(reply.key, flush=True)
except KeyboardInterrupt:
    print("stopped", client.spent.usage.output_tokens > 0, flush=True)
"""
QUESTIONS = [Question(key=f"k{n}", system="s", prompt=f"p{n}", schema=SCHEMA, max_tokens=9) for n in range(20)]


@pytest.fixture
def started(tmp_path):
    """Function that starts a process that asks."""
    processes = []

    def start(way):
        command = [sys.executable, "-c", ASK, way, str(tmp_path / "state.json")]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_ctrl_c_does_not_wait_for_what_is_under_way(claude_server, started):
    hanging, release = threading.Event(), threading.Event()

    def answer(request):
        if request["messages"][0]["content"] != "p0":
            hanging.set()
            release.wait()
        return {"score": 1}

    claude_server.answer = answer
    process = started("directly")
    assert hanging.wait(60)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    release.set()
    assert (process.returncode, out.split("\n"), err) == (0, ["k0", "stopped True", ""], "")


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_a_batch_outlives_the_process_that_waits_for_it(claude_server, started, tmp_path, one_reply_each, end):
    waited_for = threading.Event()
    claude_server.faults = lambda place, *_: waited_for.set() if place == "look" else None
    claude_server.looks = None
    process = started("batches")
    assert waited_for.wait(60)
    process.send_signal(end)
    process.communicate(timeout=60)
    claude_server.looks = 0
    client = Claude("claude-haiku-4-5", batches=True, state=tmp_path / "state.json", poll=0.005)
    one_reply_each(list(client.answers(QUESTIONS)), QUESTIONS)
    assert len(claude_server.batches) == 1
    assert set(claude_server.asked.values()) == {1}
