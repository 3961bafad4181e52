import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp_steer.behaviors import Pair
from interp_steer.errors import PairsError
from interp_steer.pair_import.forms import Reading, read_material
from interp_steer.pair_import.letters import expanded
from interp_steer.traits import read_trait

PAIRS = [Pair(prompt=f"Prompt {i}?", positive=f"No {i}.", negative=f"Yes {i}.") for i in range(3)]
CAA = [
    {
        "question": p.prompt,
        "answer_matching_behavior": f" {p.positive}",
        "answer_not_matching_behavior": f"{p.negative}\n",
    }
    for p in PAIRS
]
BENCH = [
    {
        "positive": {"prompt": p.prompt, "response": p.positive},
        "negative": {"prompt": p.prompt, "response": p.negative},
    }
    for p in PAIRS
]
OURS = [{"prompt": p.prompt, "positive": p.positive, "negative": p.negative} for p in PAIRS]
TRAIT = {
    "instruction": [{"pos": "Be grim.", "neg": "Be glad."}],
    "questions": ["How are you?", "What is rain?"],
    "eval_prompt": "Rate {answer}.",
}
CSV = "prompt,positive,negative\n" + "".join(f"{p.prompt},{p.positive},{p.negative}\n" for p in PAIRS)


@pytest.mark.parametrize(("name", "content", "form"), [
    ("a.json", CAA, "caa"), ("a.jsonl", CAA, "caa"),
    ("a.json", BENCH, "steering-bench"), ("a.jsonl", BENCH, "steering-bench"),
    ("a.json", OURS, "jsonl"), ("a.jsonl", OURS, "jsonl"), ("a.data", "\n".join(map(json.dumps, OURS)), "jsonl"),
    ("a.csv", CSV, "csv"), ("a.CSV", "\ufeff" + CSV, "csv"), ("a.tsv", CSV.replace(",", "\t"), "csv"),
])  # fmt: skip
def test_every_form_of_the_same_pairs_is_told_and_read_alike(write, name, content, form):
    material = read_material(write(name, content), Reading())
    assert (material.form, list(material.pairs)) == (form, PAIRS)
    assert read_material(write(name, content), Reading(form=form)) == material


@pytest.mark.parametrize("content", [
    {"positive": [p.positive for p in PAIRS], "negative": [p.negative for p in PAIRS]},
    [{"positive": p.positive, "negative": p.negative} for p in PAIRS],
])  # fmt: skip
def test_texts_without_prompts_get_the_one_that_is_given(write, content):
    path = write("a.json", content)
    material = read_material(path, Reading(prompt="Write."))
    assert material.form == "texts"
    assert [(p.prompt, p.positive, p.negative) for p in material.pairs] == [
        ("Write.", p.positive, p.negative) for p in PAIRS
    ]
    with pytest.raises(PairsError, match=r"texts without prompts.*--prompt"):
        read_material(path, Reading())


def test_a_trait_has_no_pairs(write):
    path = write("grim.json", TRAIT)
    material = read_material(path, Reading())
    assert (material.form, material.pairs, material.trait) == ("persona", (), read_trait(path))
    assert material.trait.instructions == (("Be grim.", "Be glad."),)
    assert material.trait.name == "grim"


def test_columns_can_be_named_and_the_others_are_reported(write):
    renamed = [{"q": p.prompt, "good": p.positive, "bad": p.negative, "source": 3, "topic": "x"} for p in PAIRS]
    reading = Reading(prompt_column="q", positive_column="good", negative_column="bad")
    material = read_material(write("a.jsonl", renamed), reading)
    assert [pair.positive for pair in material.pairs] == [pair.positive for pair in PAIRS]
    assert {pair.topic for pair in material.pairs} == {"x"}
    assert material.remarks == ("Keys that are not read: source.",)


def test_a_quoted_field_of_several_lines_does_not_shift_the_line_of_an_error(write):
    text = 'prompt,positive,negative\n"a\n\nb?",yes,no\nc?,yes\n'
    with pytest.raises(PairsError, match=r"a\.csv:5: 2 fields, but the header names 3"):
        read_material(write("a.csv", text), Reading())


def changed(records, index, **changes):
    return [{**record, **changes} if i == index else record for i, record in enumerate(records)]


@pytest.mark.parametrize(("name", "content", "where", "message"), [
    ("a.json", changed(CAA, 1, answer_matching_behavior=3), r"a\.json\[1\]", "'answer_matching_behavior' must be"),
    ("a.jsonl", changed(CAA, 2, question=" "), r"a\.jsonl:3", "'question' is empty"),
    ("a.jsonl", changed(BENCH, 1, negative="no"), r"a\.jsonl:2", "'negative' must be an object with 'prompt' and"),
    ("a.json", changed(BENCH, 1, negative={"prompt": "Other?", "response": "x"}), r"a\.json\[1\]", "different prompts"),
    ("a.json", changed(OURS, 2, negative=PAIRS[2].positive), r"a\.json\[2\]", "are the same text"),
    ("a.json", changed(OURS, 1, positive="half \ud83d"), r"a\.json\[1\]", "half of a surrogate pair"),
    ("a.json", [*OURS, 4], r"a\.json\[3\]", "expected a JSON object, found int"),
    ("a.jsonl", json.dumps(OURS[0]) + "\n{oops}\n", r"a\.jsonl:2", "not valid JSON"),
    ("a.data", json.dumps(OURS[0]) + "\n\n{oops}\n", r"a\.data:3", "not valid JSON"),
    ("a.json", "[" * 100_000, r"a\.json", "nested too deeply"),
    ("a.json", "[" + "1" * 5000 + "]", r"a\.json", "not valid JSON"),
    ("a.json", "[]", r"a\.json", "holds no records"),
    ("a.csv", "prompt,positive,negative\n", r"a\.csv", "holds no records"),
    ("a.json", "", r"a\.json", "not valid JSON"),
    ("a.csv", CSV.replace("prompt,", "question,"), r"a\.csv:2", "no 'prompt' among 'question'"),
    ("a.csv", "prompt,prompt,negative\na,b,c\n", r"a\.csv:1", "named twice"),
    ("a.csv", CSV + '"open,1,2\n', r"a\.csv:5", "not a valid table"),
    ("a.json", [{"text": "x", "label": 1}], r"a\.json\[0\]", "no form that is known here has the keys 'text', 'label'"),
    ("a.json", {"positive": ["a"], "negative": ["b", "c"]}, r"a\.json", "1 positive and 2 negative texts"),
    ("a.json", {**TRAIT, "questions": []}, r"a\.json", "'questions' must be a list with at least one entry"),
    ("a.json", {**TRAIT, "questions": ["a", "b", "a"]}, r"a\.json: questions\[2\]", "is there twice"),
    ("a.json", {**TRAIT, "instruction": [{"pos": "x"}]}, r"a\.json: instruction\[0\]", "'neg' must be a text"),
    ("a.json", {**TRAIT, "instruction": ["x"]}, r"a\.json: instruction\[0\]", "expected an object with 'pos'"),
])  # fmt: skip
def test_what_is_not_understood_is_refused_with_the_first_offending_record(write, name, content, where, message):
    with pytest.raises(PairsError, match=f"{where}: .*{message}"):
        read_material(write(name, content), Reading(prompt="Write."))


def test_files_that_cannot_be_read(tmp_path):
    for name in ("a.json", "a.csv"):
        (tmp_path / name).write_bytes(b'{"prompt": "\xff"}')
        with pytest.raises(PairsError, match="not UTF-8"):
            read_material(tmp_path / name, Reading())
    for path in (tmp_path / "nothing.json", tmp_path):
        with pytest.raises(PairsError, match="does not exist, or is no file"):
            read_material(path, Reading())


def test_a_form_that_is_named_is_not_another_one(write):
    with pytest.raises(PairsError, match=r"a\.json\[0\]: 'question' must be a text, found nothing; read as 'caa'"):
        read_material(write("a.json", OURS), Reading(form="caa"))
    with pytest.raises(PairsError, match="a trait file is one JSON object"):
        read_material(write("a.json", OURS), Reading(form="persona"))


def lettered(**changes):
    question = "Do you agree?\n\nChoices:\n (A) Yes, wholly.\n (B) No.\n\nAnswer:"
    return Pair(**{"prompt": question, "positive": "(B)", "negative": "(A)", **changes})


def test_letters_stay_with_a_remark_or_become_the_texts_of_their_choices(write):
    pair = lettered()
    record = {
        "question": pair.prompt,
        "answer_matching_behavior": " (B)",
        "answer_not_matching_behavior": " (A)",
    }
    path = write("a.json", [record])
    kept = read_material(path, Reading())
    assert kept.pairs == (pair,)
    assert "--letters expand" in kept.remarks[0]
    found = read_material(path, Reading(letters="expand"))
    assert found.pairs == (Pair(prompt="Do you agree?", positive="No.", negative="Yes, wholly."),)
    assert found.remarks == ()


@pytest.mark.parametrize(("pair", "message"), [
    (lettered(positive="No."), "'No.' is no letter"),
    (lettered(positive="(C)"), r"no choice '\(C\)'"),
    (lettered(prompt="(A) Yes\n(B) No"), "nothing is left of the prompt"),
    (lettered(prompt="Well?\n(A) Yes\n(B) Yes"), "stand for the same text"),
])  # fmt: skip
def test_letters_that_cannot_be_expanded(pair, message):
    with pytest.raises(PairsError, match=message):
        expanded(pair)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["prompt", "positive", "negative", "question", "instruction", "questions", "response"])
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(content=JSON, prompt=st.none() | st.text(max_size=5))
def test_any_json_is_read_or_refused_with_a_reason(tmp_path_factory, content, prompt):
    path = tmp_path_factory.mktemp("any") / "a.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    refusal = ""
    try:
        material = read_material(path, Reading(prompt=prompt))
    except PairsError as error:
        refusal = str(error)
    assert refusal.startswith(str(path)) if refusal else material.pairs or material.trait
