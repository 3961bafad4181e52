"""Judging is killed without warning; the next call goes on, and next to nothing is paid for twice."""

import subprocess
import sys
import time

import pytest
from judging import rows

from interp_steer.claude.state import State
from interp_steer.judges.account import account_path
from interp_steer.judges.claude_spec import ClaudeSpec
from interp_steer.judges.judge import judge

CONCURRENCY = 4
PROGRAM = """
import sys
from pathlib import Path
from interp_steer.claude.state import State
from interp_steer.judges.account import account_path
from interp_steer.judges.claude_spec import ClaudeSpec
from interp_steer.judges.judge import judge
from interp_steer.run import Run
judge(Run(Path(sys.argv[1])), "claude", ClaudeSpec(batches=sys.argv[2] == "batches", concurrency=4))
"""


def killed(run, way, when):
    """Judge in a process of its own, killed as soon as ``when`` says so."""
    with subprocess.Popen([sys.executable, "-c", PROGRAM, run.path, way], stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 60
        while process.poll() is None and not when() and time.monotonic() < until:
            time.sleep(0.005)
        process.kill()
    assert process.returncode == -9


def lines(run):
    return run.verdicts_path.read_bytes().count(b"\n") if run.verdicts_path.exists() else 0


def test_between_two_answers(make_run, honest_server):
    run = make_run(rows(n_prompts=20))
    honest_server.seconds = 0.02
    killed(run, "direct", lambda: lines(run) >= 20)
    half = len(run.verdicts())
    assert 20 <= half < 100
    honest_server.seconds = 0.0
    summary = judge(run, "claude", ClaudeSpec(batches=False))
    assert (summary.scored, summary.skipped) == (100 - half, half)
    verdicts = run.verdicts()
    assert len({verdict.generation for verdict in verdicts}) == len(verdicts) == 100
    twice = sum(times - 1 for times in honest_server.asked.values())
    assert twice <= CONCURRENCY  # those under way when it was killed


@pytest.mark.parametrize("batches", [True, False])
def test_while_a_batch_is_waited_for(batches, make_run, honest_server):
    run = make_run(rows(n_prompts=20))
    honest_server.looks = None  # it does not end
    killed(run, "batches", lambda: honest_server.calls["look"] > 0)
    assert lines(run) == 0
    assert [batch.purpose for batch in State(account_path(run)).batches] == ["judge"]
    honest_server.looks = 3
    summary = judge(run, "claude", ClaudeSpec(batches=batches))
    assert summary.scored == len(run.verdicts()) == 100
    assert honest_server.calls["batch"] == 1
    assert max(honest_server.asked.values()) == 1
