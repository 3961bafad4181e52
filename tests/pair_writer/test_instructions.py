"""What writes a side and what confirms it are worded differently, or it is said that they are not."""

import dataclasses
from pathlib import Path

import pytest

from interp_steer.pair_writer.described import described
from interp_steer.pair_writer.instructions import PLAIN, echoed, instructions_of
from interp_steer.pairs import list_behaviors, read_behavior

BEES = described("bees", "Mentions bees and honey whatever the question is about")


def test_a_sentence_vouches_for_itself_and_that_is_said():
    assert {"bees", "honey"} <= set(echoed(BEES.instructions))
    assert "echoes" in described.__doc__


def test_instructions_with_words_of_their_own_do_not():
    worded = (("Speak of bees.", "Leave bees out."), ("Bring up an insect.", "Name no animal."), ("Buzz!", "Hush!"))
    assert echoed(worded) == ()


def test_a_word_that_stands_on_both_sides_vouches_for_neither():
    assert (
        echoed((("Your answer is warm.", "Your answer is cold."), ("Let each answer glow.", "Freeze each answer.")))
        == ()
    )


def test_a_single_pair_of_instructions_has_only_itself():
    assert set(echoed((("Speak of bees.", "Speak of cars."),))) == {"bees", "cars"}


@pytest.mark.parametrize("name", list_behaviors())
def test_what_behavior_toml_gives_is_two_pairs_of_different_texts(name):
    behavior = read_behavior(name)
    first, second = instructions_of(Path("nowhere"), behavior)
    assert first == (behavior.system_prompt, PLAIN)
    assert behavior.positive.rstrip(".") in second[0]
    assert behavior.negative.rstrip(".") in second[1]


def test_where_one_text_serves_for_both_it_is_said():
    behavior = dataclasses.replace(read_behavior("refusal"), system_prompt="Speak of bees.", positive="Speak of bees")
    assert "bees" in echoed(instructions_of(Path("nowhere"), behavior))
