"""Alphas of equal disturbance: the KL they reach, measured in plain Hugging Face, and searches without an end."""

import math
from dataclasses import replace

import numpy as np
import pytest

from interp_steer.errors import SteeringError, VectorError
from interp_steer.records import from_json, to_json
from interp_steer.steering.decode import decode
from interp_steer.steering.rows import DecodeRow, DecodeSettings
from interp_steer.sweeps.alpha_search import Solution
from interp_steer.sweeps.calibrate import calibrate
from interp_steer.sweeps.calibration import Calibration, CalibrationSpec
from interp_steer.sweeps.measure_doses import measure_doses
from interp_steer.terms import SCOPES

PROMPTS = ("Why?", "How do I boil an egg?")


@pytest.fixture(scope="module")
def plain_kl(plain_log_softmax):
    """Function to a quantile, the 95th percentile unless told otherwise, of KL(steered || unsteered) on own answers."""

    def measure(model, plain, vectors, layer, alpha, scope, quantile=0.95):
        rows = [DecodeRow(prompt_ids=tuple(model.chat.prompt_ids(prompt))) for prompt in PROMPTS]
        found = []
        for row, answer in zip(rows, decode(model, rows, DecodeSettings(max_new_tokens=12)), strict=True):
            steered, base = (
                plain_log_softmax(plain, row.prompt_ids, answer.ids, layer, a, vectors.at(layer), scope)
                for a in (alpha, 0.0)
            )
            found += (steered.exp() * (steered - base)).sum(dim=1).tolist()
        return float(np.quantile(found, quantile))

    return measure


@pytest.mark.parametrize("scope", SCOPES)
def test_the_target_is_reached_in_plain_hugging_face(tiny_and_plain, random_vectors, plain_kl, scope):
    model, plain = tiny_and_plain
    vectors = random_vectors(model)
    spec = CalibrationSpec(layers=tuple(range(model.card.n_layers)), target_kl=0.05, scope=scope, n_tokens=12)
    found = calibrate(model, vectors, PROMPTS, spec)
    assert [one.layer for one in found.layers] == list(spec.layers)
    for one in found.layers:
        assert one.reason is None
        assert one.kl == pytest.approx(0.05, rel=0.011)
        assert plain_kl(model, plain, vectors, one.layer, one.alpha, scope) == pytest.approx(one.kl, rel=1e-2)
    alphas = [one.alpha for one in found.layers]
    assert max(alphas) > 1.2 * min(alphas), "equal alphas are not equally strong"


def test_a_dose_is_what_plain_hugging_face_says_at_that_alpha(tiny_and_plain, random_vectors, plain_kl):
    model, plain = tiny_and_plain
    vectors, cells = random_vectors(model), ((1, 0.3), (2, -0.2), (1, 0.1))
    found = measure_doses(model, vectors, PROMPTS, cells, n_tokens=12)
    assert {(one.layer, one.alpha) for one in found.doses} == set(cells)
    for layer, alpha in cells:
        dose = found.at(layer, alpha)
        for said, quantile in ((dose.median, 0.5), (dose.p95, 0.95)):
            assert said == pytest.approx(
                plain_kl(model, plain, vectors, layer, alpha, "response", quantile), rel=1e-2, abs=1e-6
            )
    assert found.at(1, 0.1).p95 < found.at(1, 0.3).p95
    assert found.at(3, 0.1) is None


def test_the_kl_is_quadratic_while_it_is_small(tiny, random_vectors):
    spec = CalibrationSpec(layers=(1, 2), least_alpha=1e-5)
    found = [calibrate(tiny, random_vectors(tiny), PROMPTS, replace(spec, target_kl=kl)) for kl in (2e-5, 8e-5)]
    for less, more in zip(*(one.layers for one in found), strict=True):
        slope = math.log(more.kl / less.kl) / math.log(more.alpha / less.alpha)
        assert slope == pytest.approx(2, abs=0.1)


def test_where_the_target_lies_in_a_jump_the_nearest_alpha_may_do():
    found = Solution(alpha=None, kl=None, reason="a jump", tried=((0.1, 0.5), (0.2, 1.04), (0.15, 0.93)))
    assert found.nearest(1.0, within=0.1) == 0.2
    assert found.nearest(1.0, within=0.03) is None
    assert Solution(alpha=None, kl=None, reason="r", tried=()).nearest(1.0, within=0.1) is None


def test_a_target_out_of_reach_is_no_alpha_but_a_reason(tiny_llama, random_vectors):
    vectors = random_vectors(tiny_llama)
    far = calibrate(tiny_llama, vectors, PROMPTS, CalibrationSpec(layers=(0, 3), target_kl=1e4))
    near = calibrate(tiny_llama, vectors, PROMPTS, CalibrationSpec(layers=(0, 3), target_kl=1e-4, least_alpha=0.09))
    for calibration, end, said in ((far, 2.0, "the largest of the search"), (near, 0.09, "the smallest of the search")):
        for one in calibration.layers:
            assert (one.alpha, one.kl) == (None, None)
            assert said in one.reason
            assert one.tried[-1][0] == pytest.approx(end)
    assert from_json(Calibration, to_json(far)) == far


def solve(curve, spec, start=0.1):
    search, tried = spec.search(start), []
    alpha = next(search)
    while True:
        tried.append(alpha)
        try:
            alpha = search.send(curve(alpha))
        except StopIteration as stopped:
            return tried, stopped.value


@pytest.mark.parametrize("start", [0.001, 0.03, 0.1, 0.9, 2.0])
@pytest.mark.parametrize(
    "curve",
    [
        lambda alpha: 40 * alpha**2,
        lambda alpha: 9 * alpha**2 / (1 + 6 * alpha**2),  # levels off a little above the target
        lambda alpha: 3000 * alpha**4,
        lambda alpha: 2 * alpha**0.5,
    ],
)
def test_the_search_ends_at_the_target_in_a_few_steps(curve, start):
    tried, reason = solve(curve, CalibrationSpec(layers=(0,)), start)
    assert reason is None
    assert curve(tried[-1]) == pytest.approx(1, rel=0.011)
    assert len(tried) <= 12


def test_a_curve_that_jumps_over_the_target_has_no_solution():
    tried, reason = solve(lambda alpha: 0.5 if alpha < 0.3 else 2.0, CalibrationSpec(layers=(0,)))
    assert "the target lies in a jump" in reason
    assert tried[-1] == pytest.approx(0.3, rel=0.05)


def test_what_does_not_fit_is_refused(tiny_llama, tiny_qwen, random_vectors):
    vectors, spec = random_vectors(tiny_llama), CalibrationSpec(layers=(1,))
    for changes, said in (
        ({"layers": ()}, "at least one layer"),
        ({"layers": (4,)}, "layer 4 does not exist"),
        ({"target_kl": 0.0}, "target_kl is 0.0; expected a positive number"),
        ({"target_kl": math.inf}, "target_kl is inf"),
        ({"most_alpha": 0.05}, "most_alpha is 0.05"),
    ):
        with pytest.raises(SteeringError, match=said):
            calibrate(tiny_llama, vectors, PROMPTS, replace(spec, **changes))
    with pytest.raises(SteeringError, match="at least one prompt"):
        calibrate(tiny_llama, vectors, [], spec)
    with pytest.raises(VectorError, match="belong to 'tiny-llama'"):
        calibrate(tiny_qwen, vectors, PROMPTS, spec)
