"""``judge --judge claude``, ``agreement`` and ``audit`` as a person uses them, against a service on this machine."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from claude_server import Fault
from judging import honest, judged_text

from interp_steer.outcomes import judged_by, read_outcomes
from interp_steer.pairs import behavior_folder
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


@pytest.fixture
def edit(run, tmp_path):
    """Function that edits the `behavior.toml` that the run was made from."""
    folder = tmp_path / "mine"
    shutil.copytree(behavior_folder("refusal"), folder)
    run.update_manifest(behavior_source=str(folder))

    def call(old, new):
        path = folder / "behavior.toml"
        text = path.read_text(encoding="utf-8")
        assert re.search(old, text, re.M)
        path.write_text(re.sub(old, new, text, count=1, flags=re.M), encoding="utf-8")

    return call


def versions(run):
    return [item.verdict.rubric_version for item in judged_by(run, HAIKU)]


def test_an_edited_rubric_judges_again_what_it_makes_stale(run, command, asked, edit):
    n = len(run.generations())
    assert command("judge", run.path, *DIRECT).returncode == 0
    before = asked.calls["messages"]
    edit("^version = 1$", "version = 2")
    assert json.loads(command("judge", run.path, *DIRECT, "--dry-run", "--json").stdout)["questions"] == 2
    assert versions(run) == [1] * n
    done = command("judge", run.path, *DIRECT)
    assert (done.returncode, done.stderr.count("made with")) == (0, 0)
    assert asked.calls["messages"] == before + 2 + GATE
    assert versions(run) == [2] * n
    edit('^notes = """$', 'notes = """Edited.')
    assert command("judge", run.path, *DIRECT).stdout == f"scored 0, unscored 0 (none), up to date {n}\n"
    edit("^version = 2$", "version = 1")
    command("judge", run.path, *DIRECT)
    assert asked.calls["messages"] == before + 2 + GATE  # what was paid for once is known
    assert versions(run) == [1] * n


def test_a_judging_by_an_edited_rubric_that_breaks_off_replaces_nothing(run, command, asked, edit):
    n = len(run.generations())
    assert command("judge", run.path, *DIRECT).returncode == 0
    edit("^version = 1$", "version = 2")
    texts = sorted({row.text for row in run.generations()})
    asked.answer = lambda one: Fault(kind="status", status=401) if judged_text(one) == texts[0] else honest(one)
    assert command("judge", run.path, *DIRECT, "--concurrency", "1").returncode == 1
    assert versions(run) == [1] * n
    asked.answer = honest
    assert command("judge", run.path, *DIRECT).returncode == 0
    assert versions(run) == [2] * n


def test_an_edited_scorer_is_read_by_the_offline_judge(run, command, edit):
    assert command("judge", run.path).returncode == 0
    edit(r'(?<=\[scorer\]\n)name = "refusal"', 'name = "questions"')
    done = command("judge", run.path)
    assert done.returncode == 1
    assert "the offline scorer of 'refusal' does not order its own obvious cases: scorer 'questions'" in done.stderr


@pytest.mark.parametrize("change", ["gone", "pairs"])
def test_a_run_whose_behavior_is_gone_or_has_other_pairs_keeps_its_rubric(run, command, tmp_path, change):
    folder = tmp_path / "mine"
    if change == "pairs":
        shutil.copytree(behavior_folder("refusal"), folder)
        lines = (folder / "train.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        (folder / "train.jsonl").write_text("".join(lines[1:]), encoding="utf-8")
        text = (folder / "behavior.toml").read_text(encoding="utf-8")
        (folder / "behavior.toml").write_text(text.replace("version = 1", "version = 2"), encoding="utf-8")
    run.update_manifest(behavior_source=str(folder))
    done = command("judge", run.path, *DIRECT)
    assert done.returncode == 0
    assert f"those that the run was made with: {'there is no' if change == 'gone' else run.path}" in done.stderr
    assert {item.verdict.rubric_version for item in judged_by(run)} == {1}


def test_the_cost_of_a_report_names_no_price_for_the_offline_judge(run, command):
    assert command("judge", run.path).returncode == 0
    report = build_report(run)
    judge = {facts.title: dict(facts.rows) for facts in report.provenance}["Judge"]
    assert judge["Name"] == "local"
    assert not {"Rubric", "Cost"} & judge.keys()
    assert report.sweep.combined == "the harmonic mean of behavior and coherence"


def test_a_retest_without_a_score_is_told_and_is_exit_code_3(run, command, asked):
    assert command("judge", run.path, *DIRECT).returncode == 0
    asked.answer = lambda _: Fault(kind="refusal")
    done = command("judge", run.path, *DIRECT, "--retest", "2")
    assert done.returncode == 3
    assert "asked again without a score: 2 (refused)" in done.stdout.splitlines()
    found = json.loads(command("judge", run.path, *DIRECT, "--retest", "2", "--json").stdout)["retest"]
    assert found == {"scales": [], "unscored": {"refused": 2}}


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
