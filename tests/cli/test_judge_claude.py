"""``judge --judge claude``, ``agreement`` and ``audit`` as a person uses them, against a service on this machine."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from claude_server import Fault
from judging import honest, judged_text

from interp_steer.outcomes import read_outcomes
from interp_steer.report.build import build_report

HAIKU = "claude-haiku-4-5"
DIRECT = ("--judge", "claude", "--no-batches")
GATE = 12


@pytest.fixture
def asked(claude_server):
    """The service, judging honestly; the command finds it through the environment of its process."""
    claude_server.answer = honest
    return claude_server


@pytest.fixture
def command(asked, interp_steer, monkeypatch):  # noqa: ARG001 (the environment is read when it is called)
    script = Path(sys.executable).with_name("interp-steer")

    def call(*arguments):
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "COLUMNS": "200", "NO_COLOR": "1"}
        return subprocess.run(
            [script, *map(str, arguments)], capture_output=True, text=True, check=False, env=environment
        )

    return call


def test_from_a_dry_run_to_the_report(run, command, asked):
    n = len(run.generations())
    dry = command("judge", run.path, *DIRECT, "--dry-run", "--json")
    assert dry.returncode == 0, dry.stderr
    planned = json.loads(dry.stdout)
    # Three dev and three test prompts, of one wording; two texts.
    assert (planned["generations"], planned["questions"], planned["gate"]) == (n, 2, GATE)
    assert asked.calls["messages"] == 0
    said = command("judge", run.path, *DIRECT, "--dry-run").stdout
    assert "2 different questions one by one, 12 for the gate" in said
    assert "$0.0" in said
    assert "(prices of 20" in said

    done = command("judge", run.path, *DIRECT, "--retest", "2")
    assert done.returncode == 0, (done.stdout, done.stderr)
    lines = done.stdout.splitlines()
    assert lines[0] == f"scored {n}, unscored 0 (none), up to date 0"
    assert lines[1].startswith(f"{HAIKU} answered 14 questions for $0.0")
    assert lines[2].startswith("asked again, behavior: 2 questions, sd 0.00 of 10")
    assert asked.calls["messages"] == 2 + GATE + 2

    report = build_report(run)
    judge = {facts.title: dict(facts.rows) for facts in report.provenance}["Judge"]
    assert judge["Name"] == HAIKU
    assert judge["Rubric"] == "version 1"
    assert judge["Cost"].startswith("$0.0")
    assert any(HAIKU in caveat for caveat in report.caveats)
    assert report.sweep.combined == "the harmonic mean of behavior, coherence and instruction-following"
    page = command("report", run.path)
    assert page.returncode == 0
    text = run.report_path.read_text(encoding="utf-8")
    assert HAIKU in text
    assert "Combined is the harmonic mean of behavior, coherence and instruction-following" in text


def test_the_cost_of_a_report_names_no_price_for_the_offline_judge(run, command):
    assert command("judge", run.path).returncode == 0
    report = build_report(run)
    judge = {facts.title: dict(facts.rows) for facts in report.provenance}["Judge"]
    assert judge["Name"] == "local"
    assert not {"Rubric", "Cost"} & judge.keys()
    assert report.sweep.combined == "the harmonic mean of behavior and coherence"


def test_unscored_is_exit_code_3(run, command, asked):
    asked.answer = lambda one: Fault(kind="refusal") if "somebody else" in judged_text(one) else honest(one)
    refused = sum("somebody else" in row.text for row in run.generations())
    done = command("judge", run.path, *DIRECT, "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["unscored"] == {"refused": refused}
    assert f"{refused} generations have no score" in done.stderr
    asked.answer = honest
    assert command("judge", run.path, *DIRECT).returncode == 3  # a refusal is not asked again
    assert command("judge", run.path, *DIRECT, "--retry-unscored").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--judge", "claude", "--max-cost", "0"), "expected an amount of dollars above 0"),
        (("--judge", "claude", "--max-cost", "0.00001"), "raise --max-cost"),
        (("--judge", "claude", "--judge-model", "claude-nobody-1", "--max-cost", "1"), "does not know"),
    ],
)
def test_what_stops_before_it_is_paid(arguments, told, run, command, asked):
    done = command("judge", run.path, *arguments)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert asked.calls["messages"] == 0


def test_without_a_key_the_error_says_what_to_set(run, command, monkeypatch, tmp_path):
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.delenv("ANTHROPIC_CONFIG_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))  # no profile either
    done = command("judge", run.path, *DIRECT)
    assert done.returncode == 1
    assert "ANTHROPIC_API_KEY" in done.stderr
    assert command("judge", run.path, *DIRECT, "--dry-run").returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("--judge", "nobody"),
        ("--dry-run",),
        ("--retest", "3"),
        ("--judge-model", "claude-sonnet-4-6"),
        ("--max-cost", "1"),
        ("--retry-unscored",),
        ("--judge", "claude", "--concurrency", "0"),
    ],
)
def test_options_that_do_not_fit_are_usage_errors(arguments, run, command):
    done = command("judge", run.path, *arguments)
    assert done.returncode == 2
    assert "Usage: " in done.stderr
    assert run.verdicts() == []


def test_agreement_and_audit(run, command, tmp_path):
    lonely = command("agreement", run.path)
    assert (lonely.returncode, lonely.stdout) == (1, "")
    assert "agreement takes two judges" in lonely.stderr
    assert command("judge", run.path).returncode == 0
    assert command("judge", run.path, *DIRECT).returncode == 0
    sheet = tmp_path / "audit.csv"
    written = command("audit", run.path, "--n", "2", "--out", sheet)
    assert (written.returncode, written.stdout) == (0, f"{sheet}\n")
    with sheet.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    for row in rows:
        row["human_behavior"] = "9" if "can't" in row["completion"] else "1"
        row["human_coherence"] = "10"
    with sheet.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    read = command("audit", run.path, "--read", sheet)
    assert read.returncode == 0
    assert read.stdout.startswith("2 rows scored by hand")
    done = command("agreement", run.path, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    pairs = {(each["first"], each["second"]) for each in found["agreement"]}
    assert pairs == {("local", HAIKU), ("local", "human"), (HAIKU, "human")}
    table = command("agreement", run.path, "--judges", f"local,{HAIKU}")
    assert f"local, {HAIKU}" in table.stdout
    assert "human" not in table.stdout
    assert read_outcomes(run).n_unscored == 0
    assert command("audit", run.path, "--read", sheet, "--out", sheet).returncode == 2
