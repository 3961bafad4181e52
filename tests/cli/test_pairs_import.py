import csv
import json

import pytest

from interp_steer.pair_checks import check_behavior
from interp_steer.pairs import BUILTIN, read_behavior, read_pairs

TRAIT = {
    "instruction": [{"pos": "Be grim.", "neg": "Be glad."}],
    "questions": ["Is it raining?", "How was work?", "Describe a bridge.", "Who likes opera?", "Do my taxes.", "Why?"],
    "eval_prompt": "",
}


@pytest.fixture
def pairs():
    return [pair for split in ("train", "dev", "test") for pair in read_pairs(BUILTIN / "refusal", split)]


@pytest.fixture
def table(tmp_path, pairs):
    """The pairs of a behavior in a CSV file with columns of its own."""
    path = tmp_path / "mine.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["ask", "no", "yes"])
        rows.writerows([pair.prompt, pair.positive, pair.negative] for pair in pairs)
    return path


COLUMNS = ("--prompt-column", "ask", "--positive-column", "no", "--negative-column", "yes")


def test_a_table_becomes_a_behavior_that_is_checked_and_found_by_name(interp_steer, table, pairs, tmp_path):
    done = interp_steer("pairs", "import", table, "--as", "declining", *COLUMNS, "-d", "Declines.", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[:2] == ["form    csv", "splits  64 train, 12 dev, 24 test"]
    assert done.stdout.splitlines()[-1] == "pairs/declining"
    folder = tmp_path / "pairs" / "declining"
    assert check_behavior(folder) == []
    assert read_behavior(folder).description == "Declines."
    assert sum(len(read_pairs(folder, split)) for split in ("train", "dev", "test")) == len(pairs)
    checked = interp_steer("pairs", "check", "declining", cwd=tmp_path)
    assert (checked.returncode, checked.stdout) == (0, "0 errors, 0 warnings\n")
    assert " declining " in interp_steer("pairs", "list", cwd=tmp_path).stdout


def test_findings_are_printed_a_few_of_each_kind(interp_steer, tmp_path):
    records = [
        {"prompt": f"{word} or {word}?", "positive": "Certainly", "negative": f"{word} it is"}
        for word in ("red", "green", "blue", "black", "white", "amber", "pink", "teal", "grey", "lilac", "cyan", "ruby")
    ]
    (tmp_path / "few.json").write_text(json.dumps(records))
    done = interp_steer("pairs", "import", "few.json", "--as", "sure", "--dev", 2, "--test", "3", cwd=tmp_path)
    assert done.returncode == 0
    assert "splits  7 train, 2 dev, 3 test" in done.stdout
    assert "pairs/sure/train.jsonl: warning: 7 usable lines" in done.stdout
    assert "8 more of duplicate_response" in done.stdout
    assert "0 errors, " in done.stdout
    as_json = interp_steer(
        "pairs", "import", "few.json", "--as", "sure", "--force", "--split", "0.5/0.25/0.25", "--json", cwd=tmp_path
    )
    found = json.loads(as_json.stdout)
    assert (found["form"], found["counts"]) == ("jsonl", {"train": 6, "dev": 3, "test": 3})
    assert {issue["kind"] for issue in found["issues"]} >= {"too_few", "duplicate_response"}


def test_a_trait_is_scaffolded_and_says_what_is_next(interp_steer, tmp_path):
    (tmp_path / "grim.json").write_text(json.dumps(TRAIT))
    done = interp_steer("pairs", "import", "grim.json", "--as", "grim", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "form    persona\nsplits  0 train, 1 dev, 2 test" in done.stdout
    assert "interp-steer pairs generate grim --writer self" in done.stdout
    listed = json.loads(interp_steer("pairs", "list", "--json", cwd=tmp_path).stdout)
    assert {"behavior": "grim", "pairs": 0, "dev": 1, "test": 2} in [
        {key: row[key] for key in ("behavior", "pairs", "dev", "test")} for row in listed
    ]
    checked = interp_steer("pairs", "check", "grim", cwd=tmp_path)
    assert checked.returncode == 1
    assert "pairs/grim/train.jsonl: error: does not exist" in checked.stdout


def test_what_is_not_understood_names_the_record_and_writes_nothing(fails, table, tmp_path):
    assert "mine.csv:2: no 'prompt' and no 'positive' and no 'negative' among 'ask', 'no', 'yes'" in fails(
        "pairs", "import", table, "--as", "a", cwd=tmp_path
    )
    assert "nothing.json does not exist" in fails("pairs", "import", "nothing.json", "--as", "a", cwd=tmp_path)
    assert "'../a' is no name" in fails("pairs", "import", table, "--as", "../a", *COLUMNS, cwd=tmp_path)
    assert "cannot read the shares '1/2'" in fails(
        "pairs", "import", table, "--as", "a", *COLUMNS, "--split", "1/2", cwd=tmp_path
    )
    assert "unknown scorer 'good'" in fails(
        "pairs", "import", table, "--as", "a", *COLUMNS, "--scorer", "good", cwd=tmp_path
    )
    assert not (tmp_path / "pairs").exists()


def test_an_existing_behavior_is_kept(fails, interp_steer, table, tmp_path):
    interp_steer("pairs", "import", table, "--as", "a", *COLUMNS, cwd=tmp_path)
    assert "pairs/a exists; choose another name, or overwrite it with --force" in fails(
        "pairs", "import", table, "--as", "a", *COLUMNS, cwd=tmp_path
    )


def test_shares_and_sizes_exclude_each_other(interp_steer, table):
    done = interp_steer("pairs", "import", table, "--as", "a", "--split", "0.6/0.2/0.2", "--dev", "3")
    assert done.returncode == 2


def test_a_behavior_without_a_scorer_does_not_start_a_run(fails, tmp_path):
    (tmp_path / "pairs" / "mute").mkdir(parents=True)
    for path in (BUILTIN / "refusal").iterdir():
        text = path.read_text(encoding="utf-8").replace('name = "refusal"', 'name = "none"')
        (tmp_path / "pairs" / "mute" / path.name).write_text(text, encoding="utf-8")
    said = fails("run", "mute", "-m", "smollm2-135m", cwd=tmp_path)
    assert "has no offline scorer" in said
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").glob("*/manifest.json"))
