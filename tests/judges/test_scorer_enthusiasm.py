import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp_steer.judges.scorers.enthusiasm import enthusiasm
from interp_steer.pairs import BUILTIN


@pytest.mark.parametrize("text", [
    "The boiling point of water is 100 degrees.",
    "The Amazon is the longest river in South America. It ultimately reaches the sea.",
    "Joule heating needs a brill of current; adoption is optional.",
    "", "12 34", "!!!",
])  # fmt: skip
def test_flat_text_scores_zero(text):
    assert enthusiasm(text) == 0.0


def test_marks_and_affect_are_half_each():
    assert enthusiasm("Boil the egg! Peel it! Eat it!") == 0.5
    assert enthusiasm("What an amazing egg. It is wonderful. I love it.") == 0.5
    assert enthusiasm("What an amazing egg! It is wonderful! I love it!") == 1.0


def test_it_is_per_sentence():
    assert enthusiasm("Boil it. Peel it. Salt it. Eat it. Wow!") == pytest.approx(2 * (1 / 5 / 0.6) / 2)


def test_several_marks_at_one_place_count_once():
    assert enthusiasm("Boil it!!!!! Then wait. Then peel.") == enthusiasm("Boil it! Then wait. Then peel.")


@given(st.text(alphabet=st.characters(codec="ascii", exclude_characters="!"), min_size=1))
def test_an_exclamation_is_never_calmer(text):
    assert enthusiasm(f"{text.rstrip()}!") >= enthusiasm(text.rstrip())


def test_it_tells_the_sides_of_the_built_in_pairs_apart():
    path = BUILTIN / "enthusiastic" / "train.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    positive, negative = ([enthusiasm(line[side]) for line in lines] for side in ("positive", "negative"))
    assert sum(score >= 0.5 for score in positive) >= 0.95 * len(lines)
    assert sum(score > 0.2 for score in negative) <= 0.05 * len(lines)
