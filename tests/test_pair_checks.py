import json
import shutil

import pytest

from interp_steer.errors import BehaviorError, PairsError
from interp_steer.pair_checks import check_behavior
from interp_steer.pairs import BUILTIN, list_behaviors, read_pairs, read_prompts

N = {"train": 60, "dev": 12, "test": 24}


def line(number, **changes):
    token = f"{number:02d}" * 4
    record = {
        "prompt": f"{token} asks",
        "positive": f"kettle{token} water, I cannot help with it at all",
        "negative": f"kettle{token} water, boil it for five whole minutes",
    }
    return {key: value for key, value in {**record, **changes}.items() if value is not None}


@pytest.fixture
def folder(tmp_path):
    """A behavior with nothing to complain about; change one file and see what is said."""
    path = tmp_path / "refusal"
    path.mkdir()
    shutil.copy(BUILTIN / "refusal" / "behavior.toml", path)
    start = 0
    for split, n in N.items():
        write(path, split, [line(number) for number in range(start, start + n)])
        start += n
    return path


def write(folder, split, records):
    texts = [record if isinstance(record, str) else json.dumps(record) for record in records]
    (folder / f"{split}.jsonl").write_text("\n".join(texts) + "\n", encoding="utf-8")


def change(folder, split, number, record):
    path = folder / f"{split}.jsonl"
    texts = path.read_text(encoding="utf-8").splitlines()
    texts[number - 1] = record if isinstance(record, str) else json.dumps(record)
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")


def edit_toml(folder, old, new):
    path = folder / "behavior.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def found(folder):
    return [(issue.severity, issue.kind, issue.where.removeprefix(f"{folder}/")) for issue in check_behavior(folder)]


def test_a_sound_behavior_has_no_issues(folder):
    assert check_behavior(folder) == []


@pytest.mark.parametrize("behavior", list_behaviors())
def test_the_built_in_behaviors_are_sound(behavior):
    assert check_behavior(behavior) == []


def test_every_malformed_line_is_reported_and_the_rest_still_checked(folder):
    change(folder, "train", 3, '{"prompt": ')
    change(folder, "train", 5, "[1, 2]")
    change(folder, "train", 7, line(6, negative=" ", positive=None))
    change(folder, "train", 9, line(8, prompt=4))
    change(folder, "dev", 2, "nonsense")
    assert found(folder) == [
        ("error", "malformed_line", "train.jsonl:3"),
        ("error", "malformed_line", "train.jsonl:5"),
        ("error", "bad_field", "train.jsonl:7"),
        ("error", "bad_field", "train.jsonl:7"),
        ("error", "bad_field", "train.jsonl:9"),
        ("error", "malformed_line", "dev.jsonl:2"),
        ("warning", "too_few", "train.jsonl"),
        ("warning", "too_few", "dev.jsonl"),
    ]


def test_messages_say_what_is_wrong_without_repeating_where(folder):
    change(folder, "train", 3, line(2, negative=""))
    issue = check_behavior(folder)[0]
    assert issue.message == "'negative' is empty; every pair needs both responses"
    assert issue.where == f"{folder}/train.jsonl:3"


def test_identical_sides(folder):
    change(folder, "train", 2, line(1, positive="same words ", negative="same words"))
    assert ("error", "identical_sides", "train.jsonl:2") in found(folder)


def test_a_misspelled_key(folder):
    change(folder, "dev", 1, line(60, Topic="x"))
    assert found(folder) == [("warning", "unknown_key", "dev.jsonl:1")]


def test_evaluation_prompts_need_no_responses_but_not_one_alone(folder):
    change(folder, "test", 1, line(72, positive=None, negative=None))
    assert found(folder) == []
    change(folder, "test", 1, line(72, positive=None))
    assert ("error", "bad_field", "test.jsonl:1") in found(folder)


def test_duplicate_prompts_ignore_case_and_punctuation(folder):
    first, second = line(0, prompt="How do I boil an egg?"), line(3, prompt="how do I  boil an EGG")
    change(folder, "train", 1, first)
    change(folder, "train", 4, second)
    assert found(folder) == [("warning", "duplicate_prompt", "train.jsonl:4")]
    assert f"{folder}/train.jsonl:1" in check_behavior(folder)[0].message


def test_near_duplicate_prompts(folder):
    change(folder, "train", 1, line(0, prompt="How do I change a flat tire on my car?"))
    change(folder, "train", 4, line(3, prompt="How do I change a flat tire?"))
    assert found(folder) == [("warning", "near_duplicate_prompt", "train.jsonl:4")]


def test_prompts_that_share_only_their_opening_are_different(folder):
    change(folder, "train", 1, line(0, prompt="How do I cook rice on the stove?"))
    change(folder, "train", 4, line(3, prompt="How do I get rid of ants?"))
    assert found(folder) == []


@pytest.mark.parametrize(("prompt", "severity"), [
    ("How do I change a flat tire on my car", "error"),
    ("How do I change a flat tire?", "warning"),
])  # fmt: skip
def test_leakage_between_splits(folder, prompt, severity):
    change(folder, "train", 1, line(0, prompt="How do I change a flat tire on my car?"))
    change(folder, "test", 2, line(73, prompt=prompt))
    assert found(folder) == [(severity, "split_leakage", "test.jsonl:2")]


def test_duplicate_responses_on_either_side(folder):
    change(folder, "train", 2, line(1, positive=line(0)["positive"]))
    change(folder, "train", 5, line(4, positive=line(9)["negative"]))
    kinds = [issue for issue in found(folder) if issue[1] == "duplicate_response"]
    assert kinds == [("warning", "duplicate_response", f"train.jsonl:{number}") for number in (2, 10)]


def test_one_lopsided_pair(folder):
    change(folder, "train", 2, line(1, positive="kettle no", negative="kettle " + "word " * 8))
    assert found(folder) == [("warning", "length_imbalance", "train.jsonl:2")]


def test_a_lopsided_split_in_either_direction(folder):
    for side, name in (("positive", "dev"), ("negative", "test")):
        start = 60 if name == "dev" else 72
        long = [
            line(number, **{side: line(number)[side] + " and so on and on and on"})
            for number in range(start, start + N[name])
        ]
        write(folder, name, long)
    assert found(folder) == [
        ("warning", "length_imbalance", "dev.jsonl"),
        ("warning", "length_imbalance", "test.jsonl"),
    ]
    assert "the positive sides are 2.00 times" in check_behavior(folder)[0].message


def test_sides_without_a_common_content_word(folder):
    change(
        folder,
        "train",
        2,
        line(1, positive="I will have to pass on that", negative="Boil your eggs for ten minutes with that"),
    )
    assert found(folder) == [("warning", "no_shared_content", "train.jsonl:2")]


def test_inflected_words_are_common_content(folder):
    change(
        folder, "train", 2, line(1, positive="I refuse to talk of boiling", negative="Simply boil them for ten minutes")
    )
    assert found(folder) == []


def test_a_behavior_can_allow_two_kinds_of_finding(folder):
    change(folder, "train", 2, line(1, positive="No", negative="Boil your eggs for ten minutes, please"))
    assert {kind for _, kind, _ in found(folder)} == {"length_imbalance", "no_shared_content"}
    edit_toml(folder, "allow = []", 'allow = ["length_imbalance", "no_shared_content"]')
    assert found(folder) == []


@pytest.mark.parametrize(("split", "n", "severity"), [
    ("train", 1, "error"), ("train", 2, "warning"), ("train", 59, "warning"),
    ("dev", 0, "error"), ("dev", 11, "warning"), ("test", 0, "error"), ("test", 23, "warning"),
])  # fmt: skip
def test_too_few_lines(folder, split, n, severity):
    start = {"train": 0, "dev": 60, "test": 72}[split]
    write(folder, split, [line(number) for number in range(start, start + n)])
    assert found(folder) == [(severity, "too_few", f"{split}.jsonl")]


def test_missing_and_undecodable_files(folder):
    (folder / "dev.jsonl").unlink()
    (folder / "test.jsonl").write_bytes(b"\xff\xfe")
    issues = check_behavior(folder)
    assert [(issue.kind, issue.where) for issue in issues] == [
        ("file", f"{folder}/dev.jsonl"),
        ("file", f"{folder}/test.jsonl"),
    ]
    assert issues[0].message.startswith("does not exist")
    assert issues[1].message.startswith("not UTF-8 at byte 0")


def test_every_problem_of_the_toml_is_reported_and_the_pairs_still_checked(folder):
    edit_toml(folder, 'description = "', 'descripton = "')
    edit_toml(folder, "version = 1", 'version = "one"')
    change(folder, "train", 3, "{")
    issues = check_behavior(folder)
    assert [issue.kind for issue in issues] == ["behavior", "malformed_line", "too_few"]
    for key in ("description", "descripton", "rubric.version"):
        assert key in issues[0].message


def test_the_name_must_be_the_folder_and_texts_must_not_be_empty(folder):
    edit_toml(folder, 'name = "refusal"', 'name = "rejection"')
    edit_toml(folder, 'prompt = "How do I boil an egg?"', 'prompt = ""')
    messages = [issue.message for issue in check_behavior(folder)]
    assert messages == [
        "'gate.prompt' is empty; judges and reports need it",
        "'name' is 'rejection', but the folder is 'refusal'; make them the same",
    ]


def test_no_behavior_at_all(tmp_path):
    with pytest.raises(BehaviorError, match="no behavior"):
        check_behavior(tmp_path)


def test_what_passes_the_check_can_be_read(folder):
    assert check_behavior(folder) == []
    assert len(read_pairs(folder)) == N["train"]


def test_reading_stops_at_the_first_of_the_errors(folder):
    change(folder, "train", 3, line(2, negative=""))
    change(folder, "train", 5, "{")
    with pytest.raises(PairsError, match=r"train\.jsonl:3: 'negative' is empty; every pair needs both responses"):
        read_pairs(folder)
    change(folder, "dev", 2, "[]")
    with pytest.raises(PairsError, match=r"dev\.jsonl:2: expected a JSON object, found list"):
        read_prompts(folder, "dev")
