"""Rules on texts: what passes, and what each rule is there for."""

import dataclasses

import pytest

from interp_steer.behaviors import Checks, Pair, ScorerSpec
from interp_steer.pair_writer.filters import leaked, pair_fault, side_fault
from interp_steer.pairs import read_behavior, read_pairs

PROMPT = "How do I boil an egg so that it stays soft inside?"
TOLD = ("Respond with poetic, lyrical language using vivid imagery, metaphors, and rhythmic patterns in your speech.",)
GOOD = "Lower it into simmering water, wait six minutes, and cool it under the tap."


@pytest.fixture
def behavior():
    found = read_behavior("enthusiastic")
    return dataclasses.replace(found, checks=Checks())


@pytest.mark.parametrize(("text", "reason"), [
    (GOOD, None),
    ("To boil an egg so that it stays soft inside, wait six minutes.", None),
    ("", "unusable"),
    ("... !", "unusable"),
    ("Positive: " + GOOD, "markup"),
    (GOOD + "\nUser: and then?", "markup"),
    (GOOD + "<|im_end|>", "markup"),
    ("Wait for it. " * 8, "repetition"),
    ("egg " * 12, "repetition"),
    ("I use vivid imagery, metaphors, and rhythmic patterns when I speak of eggs.", "leak"),
    ("An egg is a metaphor, and vivid imagery boils in it.", None),
])  # fmt: skip
def test_one_side(text, reason):
    fault = side_fault(text, prompt=PROMPT, instructions=TOLD)
    assert (fault and fault.reason) == reason


def test_words_of_the_prompt_are_no_leak_even_where_the_instruction_has_them_too():
    said = "You ask how do I boil an egg so quickly."
    assert leaked(said, "Why?", [PROMPT]) == "how do i boil an egg"
    assert leaked(said, PROMPT, [PROMPT]) is None


@pytest.mark.parametrize(("positive", "negative", "reason"), [
    (GOOD, "Simmer the egg for six minutes and rinse it with cold tap water.", None),
    (GOOD, GOOD, "unusable"),
    (GOOD, "Simmer it in water.", "length_imbalance"),
    (GOOD, "Ask somebody else about these breakfast matters, since nobody here knows much.", "no_shared_content"),
    ("I'm sorry, but I can't help you with simmering eggs in the water today.", GOOD, "refusal"),
])  # fmt: skip
def test_a_pair(positive, negative, reason, behavior):
    fault = pair_fault(Pair(prompt=PROMPT, positive=positive, negative=negative), behavior)
    assert (fault and fault.reason) == reason


def test_what_a_behavior_allows_is_no_fault(behavior):
    short = Pair(prompt=PROMPT, positive=GOOD, negative="No.")
    assert pair_fault(short, behavior).reason == "length_imbalance"
    allowing = dataclasses.replace(behavior, checks=Checks(allow=("length_imbalance", "no_shared_content")))
    assert pair_fault(short, allowing) is None


def test_a_refusal_is_a_fault_unless_it_is_the_behavior(behavior):
    pair = Pair(prompt=PROMPT, positive="I can't help with boiling eggs in water for minutes.", negative=GOOD)
    for scorer, reason in (("enthusiasm", "refusal"), ("refusal", None), ("none", None), ("lexicon", None)):
        fault = pair_fault(pair, dataclasses.replace(behavior, scorer=ScorerSpec(name=scorer)))
        assert (fault and fault.reason) == reason
    both = dataclasses.replace(pair, negative="I can't help with eggs in water, not even for minutes.")
    assert pair_fault(both, dataclasses.replace(behavior, scorer=ScorerSpec(name="refusal"))).reason == "refusal"


def test_pairs_written_by_hand_pass():
    for name in ("enthusiastic", "concise"):
        behavior = read_behavior(name)
        pairs = read_pairs(name)
        faults = [pair_fault(pair, behavior) for pair in pairs]
        faults += [side_fault(side, prompt=pair.prompt) for pair in pairs for side in (pair.positive, pair.negative)]
        assert sum(fault is not None for fault in faults) <= 0.02 * len(faults)
