"""The model's own account of which instruction wrote a text."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp_steer.pair_writer.contrast import CONFIRMING, MARGIN, confirming, contrast, contrast_fault

nats = st.floats(0.1, 10)


@given(nats, nats, st.integers(1, 200))
def test_it_is_the_log_odds_of_bayes_rule_per_token(positive, negative, n_tokens):
    likelihood = {side: -nll * n_tokens for side, nll in (("positive", positive), ("negative", negative))}
    odds = likelihood["positive"] - likelihood["negative"]  # priors are equal, so this is the posterior's
    assert contrast([positive], [negative]) * n_tokens == pytest.approx(odds, abs=1e-9)


@given(st.lists(st.tuples(nats, nats), min_size=1))
def test_swapping_the_sides_flips_the_sign(both):
    positive, negative = zip(*both, strict=True)
    assert contrast(positive, negative) == pytest.approx(-contrast(negative, positive))


@given(st.integers(2, 20), st.data())
def test_an_instruction_does_not_vouch_for_itself(n, data):
    own = data.draw(st.integers(0, n - 1))
    others = confirming(own, n)
    assert own not in others
    assert len(set(others)) == len(others) == min(CONFIRMING, n - 1)
    assert set(others) < set(range(n))


def test_a_single_instruction_must():
    assert confirming(0, 1) == (0,)


@pytest.mark.parametrize(("value", "side", "fits"), [
    (MARGIN, "positive", True), (MARGIN - 1e-6, "positive", False), (-1.0, "positive", False),
    (-MARGIN, "negative", True), (1e-6 - MARGIN, "negative", False), (1.0, "negative", False),
    (math.inf, "positive", True), (0.0, "positive", False), (0.0, "negative", False),
])  # fmt: skip
def test_each_side_needs_its_sign_by_a_margin(value, side, fits):
    fault = contrast_fault(value, positive=side == "positive")
    assert (fault is None) == fits
    assert fits or fault.reason == "contrast"
