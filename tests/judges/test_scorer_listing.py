import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp_steer.judges.scorers.listing import listing
from interp_steer.pairs import BUILTIN


@pytest.mark.parametrize("text", [
    "Mix, bake and eat.",
    "First, mix.\nSecond, bake.\nFinally, eat.",
    "1. Mix 2. Bake 3. Eat",
    "- a remark, which is one line",
    "1914. The war began.\n1918. It ended.",
    "-5 is cold\n-7 is colder",
    "1.5 liters\n2.5 liters",
    "**Mix** it.\n**Bake** it.",
    "1.\n2.\n3.",
    "- \n- \n---\n***",
    "", "\n\n",
])  # fmt: skip
def test_what_is_no_list_scores_zero(text):
    assert listing(text) == 0.0


@pytest.mark.parametrize("text", [
    "1. Mix\n2. Bake",
    "1) Mix\n2) Bake",
    "(1) Mix\n(2) Bake",
    "a) Mix\nb) Bake",
    "- Mix\n- Bake",
    "* Mix\n\n* Bake",
    "• Mix\n• Bake",
    "  + Mix\n\t+ Bake",
    "**1.** Mix\n**2.** Bake",
    "- **Mix** it\n- *Bake* it",
    "9. 小麦\n10. \"Bake\"",
])  # fmt: skip
def test_a_list_scores_one(text):
    assert listing(text) == 1.0


def test_lines_around_the_items_count_against_it():
    assert listing("Do this:\n\n- Mix\n- Bake\n- Eat") == 0.75
    assert listing("Do this:\n\n- Mix\n- Bake\n\nThat is all.") == 0.5


@given(st.text())
def test_an_item_more_is_never_less_of_a_list(text):
    assert listing(f"{text}\n- Eat") >= listing(text)


def test_it_tells_the_sides_of_the_built_in_pairs_apart():
    path = BUILTIN / "listing" / "train.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert all(listing(line["positive"]) >= 0.6 for line in lines)
    assert all(listing(line["negative"]) == 0.0 for line in lines)
