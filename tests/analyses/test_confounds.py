import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyses.confounds import holm, length_apart, sign_test, words_apart
from interp_steer.behaviors import Pair
from interp_steer.pairs import read_pairs

FILLER = ("tea", "rain", "cat", "train", "chess", "bread", "wool", "map", "salt", "bee", "oak", "jazz")


def text(rng, *more):
    return " ".join([*rng.choice(FILLER, 6), *more])


def made(rng, n=40, *, positive=(), negative=()):
    return [Pair(prompt=f"{i}?", positive=text(rng, *positive), negative=text(rng, *negative)) for i in range(n)]


def test_a_planted_word_is_found_and_alone():
    found = words_apart(made(np.random.default_rng(0), positive=("indeed",)))
    assert (found[0].word, found[0].positive_only, found[0].negative_only) == ("indeed", 40, 0)
    assert found[0].p < 1e-6
    assert found[0].orders == 1.0
    assert found[0].log_odds == pytest.approx(math.log(81))
    assert all(word.p > 0.05 for word in found[1:])


def test_a_planted_word_of_the_negative_side_has_negative_odds():
    word = words_apart(made(np.random.default_rng(1), negative=("!",)))[0]
    assert (word.word, word.orders) == ("!", 1.0)
    assert word.log_odds == pytest.approx(-math.log(81))


def test_swapping_the_sides_turns_the_odds_round():
    pairs = read_pairs("enthusiastic")
    swapped = [Pair(prompt=p.prompt, positive=p.negative, negative=p.positive) for p in pairs]
    first, second = ({word.word: word for word in words_apart(some)} for some in (pairs, swapped))
    assert first.keys() == second.keys()
    for name, word in first.items():
        assert second[name].log_odds == pytest.approx(-word.log_odds)
        assert second[name].p == word.p


def test_exchangeable_sides_give_a_false_word_at_most_at_the_nominal_rate():
    # Real texts, whose words go together: 5 % of 200, and three standard errors more.
    rng = np.random.default_rng(2)
    pairs, false = read_pairs("enthusiastic"), 0
    for _ in range(200):
        flips = rng.integers(0, 2, len(pairs))
        mixed = [
            Pair(prompt=p.prompt, positive=p.negative, negative=p.positive) if flip else p
            for p, flip in zip(pairs, flips, strict=True)
        ]
        false += any(word.p < 0.05 for word in words_apart(mixed))
    assert false <= 10 + 3 * math.sqrt(200 * 0.05 * 0.95)


@pytest.mark.parametrize(("more", "less"), [(6, 0), (0, 6), (5, 3), (4, 4), (0, 0), (9, 1)])
def test_the_sign_test_counts_every_assignment(more, less):
    n = more + less
    splits = [abs(2 * sum(signs) - n) for signs in itertools.product((0, 1), repeat=n)]
    assert sign_test(more, less) == pytest.approx(np.mean([split >= abs(more - less) for split in splits]))


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_adjusts_upwards_and_keeps_the_order(p_values):
    adjusted = holm(p_values)
    assert all(p <= higher <= 1 for p, higher in zip(p_values, adjusted, strict=True))
    for (p, higher), (q, other) in itertools.combinations(zip(p_values, adjusted, strict=True), 2):
        assert higher <= other if p < q else higher >= other


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_lengths_by_hand():
    found = length_apart(np.array([5.0, 7.0, 3.0, 4.0]), np.array([4.0, 4.0, 4.0, 4.0]))
    assert (found.positive, found.negative) == (4.75, 4.0)
    assert found.longer == 0.5 + (2 - 1) / 8
    assert found.auc == (4 + 4 + 0 + 2) / 16
    assert found.p == 1.0


def test_lengths_that_separate():
    found = length_apart(np.arange(20.0) + 30, np.arange(20.0))
    assert (found.longer, found.auc) == (1.0, 1.0)
    assert found.p < 1e-4
