import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp_steer.errors import RunError
from interp_steer.files import append_records, read_records, write_json, write_text
from interp_steer.pairs import read_behavior
from interp_steer.records import Cell, Generation, Verdict, from_json, to_json
from interp_steer.run import Run, open_run

TEXTS = ["one", "zwei", "trois ✓", "四", "\u2028 \x85 \r\n \x0b are no ends of lines", ""]


def generation(text, number=1):
    return Generation(
        behavior="refusal",
        split="dev",
        prompt_id=f"dev-{number}",
        prompt="How do I boil an egg?",
        cell=Cell(control="steered", layer=3, alpha=0.3),
        sample=0,
        text=text,
        n_tokens=2,
        finish="eos",
        nll=0.5,
    )


ROWS = [generation(text, number) for number, text in enumerate(TEXTS)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "generations.jsonl"


# As JSON: records are built in the test, because the annotations' checks draw random numbers, which strategies may not.
numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
cells = st.fixed_dictionaries(
    {
        "control": st.sampled_from(["steered", "random", "unsteered"]),
        "layer": st.none() | st.integers(0, 63),
        "alpha": st.floats(allow_nan=False, allow_infinity=False),
        "more_layers": st.lists(st.integers(0, 63), max_size=2),
    }
)
generations = st.fixed_dictionaries(
    {
        **dict.fromkeys(("behavior", "split", "prompt_id", "prompt", "text"), st.text()),
        **dict.fromkeys(("sample", "n_tokens"), st.integers(0, 999)),
        "cell": cells,
        "finish": st.sampled_from(["eos", "length"]),
        "nll": numbers,
        "nll_prompted": numbers,
    }
)
verdicts = st.fixed_dictionaries(
    {
        **dict.fromkeys(("generation", "text_sha256", "judge", "judge_digest", "explanation"), st.text()),
        **dict.fromkeys(("behavior", "coherence", "combined"), numbers),
        "reason": st.none() | st.text(),
        "measures": st.dictionaries(st.text(), numbers, max_size=3),
    }
)


@pytest.mark.parametrize(("kind", "rows"), [(Generation, generations), (Verdict, verdicts)])
@settings(deadline=None)  # a shared machine's disk and clock prove nothing
@given(data=st.data())
def test_what_is_appended_is_read(kind, rows, data, tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "records.jsonl"
    batches = [
        [from_json(kind, fields) for fields in batch]
        for batch in data.draw(st.lists(st.lists(rows, max_size=3), max_size=3))
    ]
    for batch in batches:
        append_records(path, batch)
    assert list(read_records(path, kind)) == [row for batch in batches for row in batch]


def test_a_file_that_is_not_there_holds_no_records(path):
    assert list(read_records(path, Generation)) == []


@pytest.mark.parametrize("lost", range(1, 60))
def test_a_torn_last_line_is_passed_over_and_then_cut(lost, path):
    append_records(path, [generation("an", 1), generation("é漢字🙂" * 8, 2)])
    whole = path.read_bytes()
    path.write_bytes(whole[:-lost])  # torn at any byte, within a character too
    assert list(read_records(path, Generation)) == [generation("an", 1)]
    append_records(path, [generation("é漢字🙂" * 8, 2)])
    assert path.read_bytes() == whole


@pytest.mark.parametrize("size", [1, 65535, 65536, 65537, 300_000])
def test_a_torn_line_of_any_length_is_cut(size, path):
    append_records(path, ROWS)
    whole = path.read_bytes()
    path.write_bytes(whole + b"x" * size)
    append_records(path, [])
    assert path.read_bytes() == whole


@pytest.mark.parametrize("size", [1, 65536, 200_000])
def test_a_file_that_is_only_a_torn_line_becomes_empty(size, path):
    path.write_bytes(b"{" * size)
    assert list(read_records(path, Generation)) == []
    append_records(path, ROWS)
    assert list(read_records(path, Generation)) == ROWS


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (b'{"behavior": "refusal", ', "not valid JSON"),
        (b"", "not valid JSON"),
        (b"\xff\xfe", "UTF-8"),
        (b"\x00\x00\x00\x00", "not valid JSON"),
        (b"null", "not a generation"),
        (b"{}", "not a generation.*text: "),
        (json.dumps({**to_json(ROWS[0]), "n_tokens": "many"}).encode(), "not a generation.*n_tokens: "),
    ],
)
def test_a_damaged_line_is_named(damage, said, path):
    append_records(path, ROWS)
    lines = path.read_bytes().split(b"\n")
    lines[2] = damage
    path.write_bytes(b"\n".join(lines))
    records = read_records(path, Generation)
    assert [next(records), next(records)] == ROWS[:2]
    with pytest.raises(RunError, match=rf"generations\.jsonl:3: .*{said}") as caught:
        next(records)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_json_without_nan(value, tmp_path):
    path = tmp_path / "finding.json"
    write_json(path, {"score": 1.0})
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"scores": [value]})
    with pytest.raises(ValueError, match="JSON compliant"):
        append_records(tmp_path / "generations.jsonl", [generation("x"), replace(generation("y"), nll=value)])
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["finding.json"]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "folder" / "page.html"
    write_text(path, "old")
    opened = path.open(encoding="utf-8")
    write_text(path, "new")
    with opened:
        assert opened.read() == "old"  # who reads meanwhile goes on reading the old one
    assert path.read_text(encoding="utf-8") == "new"
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "half of it \ud800")
    assert path.read_text(encoding="utf-8") == "new"


WRITES = {
    "write_text": lambda folder: write_text(folder / "report.html", "text"),
    "write_json": lambda folder: write_json(folder / "manifest.json", {}),
    "append_records": lambda folder: append_records(folder / "generations.jsonl", ROWS),
    "lock": lambda folder: Run(folder).lock().__enter__(),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_folder_that_cannot_be_is_an_error_with_its_path(write, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match=r"cannot (write|append)( to)? .*file/run"):
        write(tmp_path / "file" / "run")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_an_error_with_its_path(path):
    path.symlink_to("/dev/full")
    with pytest.raises(RunError, match=r"cannot append to .*generations\.jsonl: No space left"):
        append_records(path, ROWS)
    beside = path.with_name(".page.html.tmp")
    beside.symlink_to("/dev/full")
    with pytest.raises(RunError, match=r"cannot write .*page\.html: No space left"):
        write_text(path.with_name("page.html"), "text")


def in_another_process(folder):
    code = (
        "import sys; from interp_steer.run import Run\nwith Run(__import__('pathlib').Path(sys.argv[1])).lock(): pass"
    )
    return subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False)


def test_two_processes_cannot_hold_one_run(tmp_path):
    run = Run(tmp_path / "run")
    with run.lock():
        refused = in_another_process(run.path)
    assert refused.returncode == 1
    assert f"RunError: {run.path} is being written by another process" in refused.stderr
    assert in_another_process(run.path).returncode == 0


def test_a_lock_is_given_back_after_a_failure(tmp_path):
    run = Run(tmp_path)
    with pytest.raises(ZeroDivisionError), run.lock():
        raise ZeroDivisionError
    with run.lock():
        pass


@pytest.mark.parametrize("damage", [b'{"model": ', b"[]", b"", b'{"name": "\xff"}'])
def test_a_damaged_manifest_is_named(damage, tmp_path):
    run = Run(tmp_path)
    run.manifest_path.write_bytes(damage)
    for read in (run.manifest, run.behavior, lambda: run.update_manifest(stages={})):
        with pytest.raises(RunError, match=r"manifest\.json: .*--out"):
            read()
    assert run.manifest_path.read_bytes() == damage


def test_an_entry_that_is_missing_or_of_another_make_is_named(tmp_path):
    run = Run(tmp_path)
    run.update_manifest(behavior={"name": "refusal", "mood": "bad"})
    with pytest.raises(RunError, match=r"'behavior': not a behavior .*mood: "):
        run.behavior()
    with pytest.raises(RunError, match=r"holds no 'model' in its manifest\.json; .*interp-steer run"):
        run.model_card()


@pytest.mark.parametrize("damage", ["{", "{}", "[]"])
def test_a_damaged_analysis_says_how_to_make_it_again(damage, tmp_path):
    run = Run(tmp_path)
    write_text(run.analysis_path("magnitude"), damage)
    with pytest.raises(RunError, match=r"magnitude\.json: .*interp-steer analyze magnitude"):
        run.analysis("magnitude")
    with pytest.raises(RunError, match="does not exist; run 'interp-steer analyze gram"):
        run.analysis("gram")


def test_the_manifest_grows_by_entries(tmp_path):
    run = Run(tmp_path / "run")
    assert run.manifest() == {}
    run.update_manifest(stages={"fit": {"seconds": 1.5}}, behavior_source="naïve")
    run.update_manifest(stages={})
    assert run.manifest() == {"stages": {}, "behavior_source": "naïve"}
    assert [found.name for found in run.path.iterdir()] == ["manifest.json"]


def test_only_a_run_can_be_opened(tmp_path):
    with pytest.raises(RunError, match=r"is not a run directory .*interp-steer run"):
        open_run(tmp_path)
    Run(tmp_path).update_manifest()
    assert open_run(str(tmp_path)) == Run(tmp_path)


def test_what_is_recorded_of_a_behavior_comes_back(tmp_path):
    refusal = read_behavior("refusal")
    run = Run(tmp_path)
    run.update_manifest(behavior=to_json(refusal))
    assert run.behavior() == refusal
