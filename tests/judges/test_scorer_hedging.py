import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp_steer.judges.scorers.hedging import hedging
from interp_steer.pairs import BUILTIN


@pytest.mark.parametrize("text", [
    "Boil the egg for six minutes.",
    "May is warm, and the fair opens on 3 May. May I come? We could swim, so you could bring a towel.",
    "A certain man appears in the second act. Make sure that it is not cold.",
    "I say that I understand you. It has a likeness to the original.",
    "", "12 34", "???",
])  # fmt: skip
def test_plain_text_scores_zero(text):
    assert hedging(text) == 0.0


@pytest.mark.parametrize("text", [
    "Perhaps six minutes.",
    "It may be the yeast.",
    "It MIGHT be the yeast.",
    "I’m not entirely sure.",
    "I can't be certain.",
    "It cannot be certain.",
    "I'd say six minutes.",
    "It appears to be wet.",
    "That could be the reason.",
    "It's hard to say.",
    "As far as I know, it is wet.",
    "It is wet, if I'm not mistaken.",
    "I believe it is wet.",
    "Don't quote me on that.",
])  # fmt: skip
def test_one_hedge_in_a_sentence_scores_one(text):
    assert hedging(text) == 1.0


def test_it_is_per_sentence():
    assert hedging("Boil it. Peel it. Salt it. Perhaps eat it.") == 0.25
    assert hedging("Maybe it might. Peel it. Salt it. Eat it.") == 0.5


@given(st.text())
def test_a_doubt_added_to_a_text_never_makes_it_surer(text):
    assert hedging(f"Perhaps it is.\n{text}") >= hedging(text)


def test_it_tells_the_sides_of_the_built_in_pairs_apart():
    path = BUILTIN / "hedging" / "train.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert all(hedging(line["positive"]) == 1.0 for line in lines)
    assert all(hedging(line["negative"]) == 0.0 for line in lines)
