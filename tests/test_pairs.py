import hashlib
import json
import shutil

import pytest

from interp_steer.behaviors import EvaluationPrompt, Pair
from interp_steer.errors import BehaviorError, PairsError
from interp_steer.pairs import (
    BUILTIN,
    behavior_folder,
    list_behaviors,
    numbered_lines,
    pairs_sha256,
    read_behavior,
    read_pairs,
    read_prompts,
)

NAMES = [
    "cats",
    "concise",
    "enthusiastic",
    "french",
    "hedging",
    "listing",
    "ocean",
    "permissive",
    "pirate",
    "questioning",
    "refusal",
    "spanish",
    "sutro_tower",
]
LINE = {"prompt": "p", "positive": "a", "negative": "b"}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """No ``./pairs`` but the test's own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "mine"
    path.mkdir()
    shutil.copy(BUILTIN / "refusal" / "behavior.toml", path)
    return path


def write(folder, *lines, split="train", end="\n"):
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (folder / f"{split}.jsonl").write_bytes(("\n".join(texts) + end).encode())


def set_scorer(folder, table):
    text = (folder / "behavior.toml").read_text(encoding="utf-8")
    assert '[scorer]\nname = "refusal"\n' in text
    (folder / "behavior.toml").write_text(text.replace('[scorer]\nname = "refusal"\n', table), encoding="utf-8")


def test_every_built_in_behavior_is_whole():
    assert list_behaviors() == NAMES
    for name in NAMES:
        assert read_behavior(name).name == name
        assert (len(read_pairs(name)), len(read_prompts(name, "dev")), len(read_prompts(name, "test"))) == (64, 12, 24)


def test_pairs_in_the_working_directory_come_first(folder, tmp_path):
    assert behavior_folder("refusal") == BUILTIN / "refusal"
    (tmp_path / "pairs").mkdir()
    shutil.move(folder, tmp_path / "pairs" / "refusal")
    shutil.copytree(tmp_path / "pairs" / "refusal", tmp_path / "pairs" / "another")
    write(tmp_path / "pairs" / "refusal", LINE)
    assert list_behaviors() == sorted(["another", *NAMES])
    assert read_pairs("refusal") == [Pair(prompt="p", positive="a", negative="b")]
    assert len(read_pairs("french")) == 64


def test_a_path_is_taken_as_it_is(folder, tmp_path):
    assert behavior_folder(folder) == folder
    assert behavior_folder("mine").resolve() == folder
    assert behavior_folder("./mine").resolve() == folder
    assert read_behavior(str(folder)).name == "refusal"
    (tmp_path / "refusal").mkdir()  # not a behavior: the name is still that of the built-in one
    assert behavior_folder("refusal") == BUILTIN / "refusal"


@pytest.mark.parametrize("name", ["refusals", "", "nowhere/refusal", "mine/behavior.toml"])
@pytest.mark.usefixtures("folder")
def test_an_unknown_behavior_lists_those_that_exist(name):
    with pytest.raises(BehaviorError, match=rf"no behavior '{name}': .*{', '.join(NAMES)}"):
        behavior_folder(name)


def test_options_of_a_scorer_stand_beside_its_name(folder):
    set_scorer(folder, '[scorer]\nname = "mentions"\nterms = ["tower", "fog"]\nper_words = 20\n')
    scorer = read_behavior(folder).scorer
    assert scorer.name == "mentions"
    assert scorer.options == {"terms": ["tower", "fog"], "per_words": 20}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('[scorer]\nterms = ["fog"]\n', "scorer.name: "),
        ("scorer = 3\n", "scorer: "),
        ("", "scorer: "),
        ('mood = "bad"\n[scorer]\nname = "refusal"\n', "mood: "),
        ('[scorer]\nname = "refusal"\n[rubrik]\nversion = 1\n', "rubrik: "),
        ("[scorer\n", "not valid TOML"),
    ],
)
def test_a_key_that_is_missing_or_unknown_is_named(table, said, folder):
    set_scorer(folder, table)
    with pytest.raises(BehaviorError, match=r"mine/behavior\.toml: .*" + said) as caught:
        read_behavior(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("table", ["rubric", "gate", "coherence", "checks"])
def test_an_unknown_key_within_a_table_is_named(table, folder):
    path = folder / "behavior.toml"
    text = path.read_text(encoding="utf-8")
    head = f"[{table}]\n"
    path.write_text(
        text.replace(head, head + "x = 1\n") if head in text else f"{text}\n{head}x = 1\n", encoding="utf-8"
    )
    with pytest.raises(BehaviorError, match=rf"{table}\.x: "):
        read_behavior(folder)


def test_a_behavior_that_is_not_utf8_is_named(folder):
    path = folder / "behavior.toml"
    path.write_bytes(path.read_bytes() + b"\xff")
    with pytest.raises(BehaviorError, match=r"behavior\.toml: not valid TOML in UTF-8"):
        read_behavior(folder)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not valid JSON"),
        ("[]", "expected a JSON object, found list"),
        ('"text"', "expected a JSON object, found str"),
        ({"prompt": "p", "positive": "a"}, "'negative' must be a text, found nothing"),
        ({**LINE, "positive": 3}, "'positive' must be a text, found int"),
        ({**LINE, "negative": None}, "'negative' must be a text, found nothing"),
        ({**LINE, "negative": ["b"]}, "'negative' must be a text, found list"),
        ({**LINE, "negative": " \n\t"}, "'negative' is empty; every pair needs both responses"),
        ({**LINE, "prompt": ""}, "'prompt' is empty; every line needs a prompt"),
        ({**LINE, "negative": " a "}, "the same text"),
        ({**LINE, "positive": "smile \ud83d"}, "'positive' holds half of a surrogate pair"),
    ],
)
def test_a_malformed_line_is_named_with_its_number(line, said, folder):
    write(folder, LINE, "", LINE, line, LINE)  # blank lines count
    with pytest.raises(PairsError, match=rf"mine/train\.jsonl:4: .*{said}"):
        read_pairs(folder)


def test_a_prompt_is_checked_too(folder):
    write(folder, {"prompt": "p"}, {"prompt": 3}, split="dev")
    with pytest.raises(PairsError, match=r"mine/dev\.jsonl:2: 'prompt' must be a text, found int"):
        read_prompts(folder, "dev")


@pytest.mark.parametrize("text", ["", "\n", "\n  \n\t\n"])
def test_a_file_without_lines_is_refused(text, folder):
    for split in ("train", "dev"):
        (folder / f"{split}.jsonl").write_text(text)
    with pytest.raises(PairsError, match=r"train\.jsonl: holds no pairs"):
        read_pairs(folder)
    with pytest.raises(PairsError, match=r"dev\.jsonl: holds no prompts"):
        read_prompts(folder, "dev")


def test_a_missing_file_is_named(folder):
    for read in (read_pairs, pairs_sha256, lambda path: read_prompts(path, "train")):
        with pytest.raises(PairsError, match=r"mine/train\.jsonl does not exist"):
            read(folder)


def test_a_file_that_is_not_utf8_says_where(folder):
    (folder / "train.jsonl").write_bytes(b'{"prompt": "caf\xe9"}\n')
    with pytest.raises(PairsError, match="not UTF-8 at byte 15"):
        read_pairs(folder)


def test_texts_come_as_they_are_written(folder):
    pair = {"prompt": " Où ?\r\n", "positive": "\u2028oui\x85\x0b\x1c", "negative": "non \U0001f642", "topic": "place"}
    (folder / "train.jsonl").write_text(json.dumps(pair, ensure_ascii=False) + "\r\n", encoding="utf-8", newline="")
    assert read_pairs(folder) == [Pair(**pair)]


def test_a_topic_may_be_missing_and_other_keys_are_passed_over(folder):
    write(folder, {**LINE, "source": "mine"}, {**LINE, "topic": 3}, end="")
    assert read_pairs(folder) == [Pair(**LINE), Pair(**LINE, topic="3")]


def test_the_id_of_a_prompt_is_its_split_and_its_number_among_those_that_are_not_blank(folder):
    write(folder, "", {"prompt": "first"}, " ", {"prompt": "second", "positive": 3}, split="test")
    assert read_prompts(folder, "test") == [
        EvaluationPrompt(id="test-1", split="test", text="first"),
        EvaluationPrompt(id="test-2", split="test", text="second"),
    ]
    assert numbered_lines(folder / "test.jsonl")[1][0] == 4  # errors name the line as an editor counts it


def test_the_digest_is_that_of_the_lines(folder):
    write(folder, LINE)
    digest = pairs_sha256(folder)
    assert digest == hashlib.sha256((json.dumps(LINE) + "\n").encode()).hexdigest()
    write(folder, {**LINE, "prompt": "q"})
    assert pairs_sha256(folder) != digest
