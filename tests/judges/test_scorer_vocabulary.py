import pytest

from interp_steer.errors import BehaviorError
from interp_steer.judges.scorers import score_behavior
from interp_steer.judges.scorers.vocabulary import vocabulary
from interp_steer.pairs import read_behavior, read_pairs

WORDS = ["arr", "ye", "ye'll", "me hearty", "yo-ho-ho", "'tis"]


@pytest.mark.parametrize(("text", "expected"), [
    ("Arr, boil the egg. Ye peel it.", 1.0),
    ("Arr, boil the egg. Now peel it.", 0.5),
    ("Arr arr arr ye ye. Now peel it.", 0.5),
    ("Yo-ho-ho! YE’LL see. ’Tis done. Sit", 0.75),
    ("Eat, me  hearty", 1.0),
    ("A hearty soup for me. Yes, the array of eyes. Yell!", 0.0),
    ("To me. Hearty meals.", 0.0),
    ("You will see, he'll see.", 0.0),
    ("", 0.0), ("!!!", 0.0), ("12 34", 0.0),
])  # fmt: skip
def test_scores(text, expected):
    assert vocabulary(text, WORDS) == pytest.approx(expected)


@pytest.mark.parametrize("options", [{}, {"words": []}, {"words": "arr"}, {"words": ["arr", " "]}, {"words": [3]}])
def test_options_that_name_nothing_are_refused(options):
    with pytest.raises(BehaviorError, match="expected a list of texts"):
        vocabulary("Arr", **options)


@pytest.mark.parametrize("text", [
    "Pirates robbed ships in the Caribbean, and Blackbeard was the most famous captain of them all.",
    "Scurvy is caused by a lack of vitamin C. Clean your ears with a swab, and eat a hearty soup.",
    "Yes, you can fold your shirts like that. The area of the yard is large, and the mate is here.",
])  # fmt: skip
def test_plain_english_about_pirates_and_the_sea_is_no_pirate_talk(text):
    assert score_behavior(read_behavior("pirate").scorer, text) == 0.0


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_it_tells_the_sides_of_the_built_in_pairs_apart(split):
    scorer = read_behavior("pirate").scorer
    pairs = read_pairs("pirate", split)
    assert min(score_behavior(scorer, pair.positive) for pair in pairs) >= 0.5
    assert max(score_behavior(scorer, pair.negative) for pair in pairs) == 0.0
