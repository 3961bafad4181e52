import pytest

from interp_steer.errors import BehaviorError
from interp_steer.judges.scorers.mentions import mentions

ENTITY = ["Golden Gate Bridge", "C++"]
FIELD = ["bridge", "fog", "San Francisco", "cable", "bay", "tower"]


@pytest.mark.parametrize(("text", "expected"), [
    ("I love the golden  gate\nBRIDGE!", 1.0),
    ("Written in C++.", 1.0),
    ("A golden gate in the garden", 0.0),
    ("A bridge, a Bridge, BRIDGES", 0.1),
    ("fog over the bridge in San Francisco", 0.3),
    ("foggy bayou, tower-like bridgework", 0.1),
    ("bridge fog San Francisco cable bay tower", 0.4),
    ("", 0.0),
])  # fmt: skip
def test_scores(text, expected):
    assert mentions(text, ENTITY, FIELD) == pytest.approx(expected)


def test_the_field_alone_stays_below_half_however_long_it_is():
    field = [f"word{i}" for i in range(50)]
    assert mentions(" ".join(field), ["bridge"], field) < 0.5


def test_a_word_listed_twice_counts_once():
    assert mentions("fog", ["bridge"], ["fog", "Fog"]) == pytest.approx(0.1)


@pytest.mark.parametrize("options", [
    {}, {"entity": []}, {"entity": "bridge"}, {"entity": [" "]}, {"entity": ["a"], "field": "fog"},
])  # fmt: skip
def test_options_that_name_nothing_are_refused(options):
    with pytest.raises(BehaviorError, match=r"entity|field"):
        mentions("text", **options)
