import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp_steer.judges.scorers.questions import questions
from interp_steer.pairs import read_pairs


@pytest.mark.parametrize(("text", "expected"), [
    ("What do you like? How long have you got?", 1.0),
    ("It depends. What do you like?", 0.5),
    ("Boil the egg for six minutes. Does that help? Peel it. Salt it.", 0.25),
    ("Tell me what you like. I wonder how you cook.", 0.0),
    ('She asked, "Where is it?" Then she left.', 0.5),
    ("*Really?* (Are you sure?) “Who?”", 1.0),
    ("Really?! You too?? Yes!", 2 / 3), ("Yes!?", 1.0),
    ("你好吗？很好。", 0.5),
    ("Why, then? because it rains", 0.5),
    ("A list:\n1. Which color?\n2. The red one", 1 / 3),
    ("What? 12? 3.", 1.0),
    ("???", 0.0), ("", 0.0), ("? what", 0.0),
])  # fmt: skip
def test_scores(text, expected):
    assert questions(text) == pytest.approx(expected)


@given(st.text(alphabet=st.characters(codec="ascii", exclude_characters="?")))
def test_without_a_question_mark_nothing_asks(text):
    assert questions(text) == 0.0


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_it_tells_the_sides_of_the_built_in_pairs_apart(split):
    pairs = read_pairs("questioning", split)
    assert min(questions(pair.positive) for pair in pairs) >= 0.5
    assert max(questions(pair.negative) for pair in pairs) == 0.0
