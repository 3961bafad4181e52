"""Intervals, ceilings and p-values on synthetic sweeps whose truth is known."""

import numpy as np
import pytest

from analyses.study.nulls import (
    cross_fitted_best,
    good_layers,
    holm,
    is_flat,
    nested_bootstrap,
    noise_ceiling,
    noise_lead,
    random_pick_p,
    shared_shift_p,
    stretched,
)
from analyses.study.ranking import normalized_regret
from interp_steer.stats import paired_bootstrap, spearman

LAYERS, PROMPTS = 16, 24


def sweep(rng: np.random.Generator, *, best: int = 6, noise: float = 1.0) -> np.ndarray:
    """Truth by layer and prompt: a bump around the best layer, and noise of the prompts."""
    bump = np.exp(-((np.arange(LAYERS) - best) ** 2) / 8)
    return bump[:, None] + noise * rng.standard_normal((LAYERS, PROMPTS))


def test_the_noise_ceiling_is_the_reliability_of_the_mean() -> None:
    """Against its definition: the correlation with an independent set of as many prompts."""
    rng = np.random.default_rng(0)
    pairs = [(sweep(rng), sweep(rng)) for _ in range(60)]
    expected = np.mean([spearman(a.mean(axis=1), b.mean(axis=1)) for a, b in pairs])
    found = np.mean([noise_ceiling(a, splits=40) for a, _ in pairs])
    assert 0.5 < expected < 0.95
    assert found == pytest.approx(expected, abs=0.05)
    assert noise_ceiling(np.repeat(np.arange(8.0)[:, None], 8, axis=1)) == pytest.approx(1.0)
    assert noise_ceiling(rng.standard_normal((8, 3))) is None
    assert noise_ceiling(np.ones((8, 8))) is None


def test_good_layers_hold_the_true_best_one() -> None:
    rng = np.random.default_rng(1)
    held = np.mean([good_layers(sweep(rng))[6] for _ in range(300)])
    assert held > 0.9
    clear = good_layers(sweep(rng, noise=0.01))
    assert clear[6]
    assert clear.sum() == 1


def test_the_interval_of_a_mean_regret_covers_what_it_estimates() -> None:
    """Behaviors with best layers of their own, and a heuristic that is off by some layers: 500 studies."""
    rng = np.random.default_rng(2)
    studies, behaviors = 500, 10

    def study() -> tuple[list[np.ndarray], list[np.ndarray]]:
        bests = rng.integers(3, LAYERS - 3, behaviors)
        truths = [sweep(rng, best=int(best), noise=0.5) for best in bests]
        picks = bests + rng.integers(-3, 4, behaviors)
        return truths, [-np.abs(np.arange(LAYERS) - float(pick)) for pick in picks]

    def regrets(truths: list[np.ndarray], scores: list[np.ndarray]) -> list[float]:
        return [normalized_regret(s, t.mean(axis=1)) or 0.0 for s, t in zip(scores, truths, strict=True)]

    expected = np.mean([np.mean(regrets(*study())) for _ in range(4000)])
    covered = 0
    for _ in range(studies):
        truths, scores = study()
        interval = nested_bootstrap(
            truths, lambda i, values, scores=scores: normalized_regret(scores[i], values.mean(axis=1)), resamples=60
        )
        assert interval is not None
        covered += interval.low <= expected <= interval.high
    assert 0.92 <= covered / studies <= 0.98


def test_the_interval_of_a_cell_covers_its_mean() -> None:
    rng = np.random.default_rng(3)
    found = [paired_bootstrap(0.3 + rng.standard_normal(PROMPTS), resamples=1000) for _ in range(500)]
    assert 0.92 <= np.mean([one.low <= 0.3 <= one.high for one in found]) <= 0.98


def test_fewer_than_two_behaviors_have_no_interval() -> None:
    rng = np.random.default_rng(4)
    assert nested_bootstrap([sweep(rng)], lambda _i, _values: 1.0) is None
    assert nested_bootstrap([sweep(rng), sweep(rng)], lambda i, _values: None if i else 1.0) is None


def test_holm_multiplies_by_what_is_left_and_never_falls() -> None:
    assert holm([0.01, None, 0.04, 0.03]) == [pytest.approx(0.03), None, pytest.approx(0.06), pytest.approx(0.06)]
    assert holm([0.9, 0.9]) == [1.0, 1.0]


def test_a_random_pick_is_as_good_as_chance_however_skewed_the_layers_are() -> None:
    """Four broken layers in thirty: flipping the signs of one minus regret finds too much here."""
    rng = np.random.default_rng(5)
    found = []
    for _ in range(400):
        truths = [np.concatenate([1 + 0.1 * rng.standard_normal(26), np.full(4, -4.0)]) for _ in range(8)]
        regrets = [(t.max() - t[rng.integers(30)]) / (t.max() - t.mean()) for t in truths]
        found.append(random_pick_p(truths, float(np.mean(regrets)), draws=500))
    assert 0.02 < np.mean([p <= 0.05 for p in found]) < 0.085
    assert random_pick_p([np.ones(4)], 1.0) is None
    assert random_pick_p([np.array([0.0, 1.0])] * 2, 0.0, draws=20_000) == pytest.approx(0.25, abs=0.02)


def test_what_names_one_depth_for_all_is_held_against_all_depths() -> None:
    truths = [sweep(np.random.default_rng(i), best=15, noise=0.05) for i in range(6)]
    truths = [np.concatenate([one.mean(axis=1), np.zeros(14)]) for one in truths]
    middle = -np.abs(np.arange(30) - 15.0)
    assert shared_shift_p([middle] * 6, truths) == pytest.approx(1 / 30)
    assert shared_shift_p([np.zeros(30)] * 6, truths) == 1.0
    assert shared_shift_p([middle[:19]] * 2, [truths[0][:19]] * 2) is None
    assert shared_shift_p([middle, middle[:25]], [truths[0], truths[1][:25]]) is None


def test_a_shared_shift_finds_in_unrelated_scores_what_it_should() -> None:
    """Smooth truths with a common depth, and smooth scores with another one: 400 studies of six behaviors."""
    rng, n, found = np.random.default_rng(10), 30, []
    ring = np.minimum(np.arange(n), n - np.arange(n))

    def smooth(center: int) -> np.ndarray:
        wide = np.roll(np.exp(-((ring / 5.0) ** 2)), center + int(rng.integers(-2, 3)))
        return wide + 0.05 * rng.standard_normal(n)

    for _ in range(400):
        at, other = rng.integers(n, size=2)
        p = shared_shift_p([smooth(int(other)) for _ in range(6)], [smooth(int(at)) for _ in range(6)])
        assert p is not None
        found.append(p <= 0.05)
    assert 0.005 < np.mean(found) < 0.05  # one shift of thirty is the least, so 1/30 are expected


@pytest.mark.parametrize("off", [2, 7])
def test_the_regret_without_noise_lies_between_the_plain_and_the_cross_fitted_one(off: int) -> None:
    """A heuristic that is off by two layers, better than chance, or by seven, worse: noise pulls both toward 1."""
    rng, clean = np.random.default_rng(11), sweep(np.random.default_rng(0), noise=0.0)
    pick = -np.abs(np.arange(len(clean)) - (6.0 + off))
    expected = normalized_regret(pick, clean.mean(axis=1))
    assert expected is not None
    draws = [clean + 1.5 * rng.standard_normal(clean.shape) for _ in range(300)]
    plain = float(np.mean([normalized_regret(pick, noisy.mean(axis=1)) for noisy in draws]))
    crossed = stretched(plain, float(np.mean([noise_lead(noisy, splits=20) for noisy in draws])))
    assert crossed is not None
    assert (expected < 1) == (off == 2)
    assert abs(plain - 1) < abs(expected - 1) < abs(crossed - 1)


def test_a_lead_that_is_all_noise_leaves_no_unit() -> None:
    rng = np.random.default_rng(12)
    assert np.mean([noise_lead(rng.standard_normal((LAYERS, PROMPTS))) for _ in range(40)]) > 0.8
    assert noise_lead(sweep(rng, noise=0.0)) == pytest.approx(0.0)
    assert noise_lead(np.ones((4, 6))) is None
    assert stretched(0.5, 1.0) is None
    assert stretched(1.0, 0.4) == 1.0


def test_the_true_best_lies_between_the_largest_mean_and_the_cross_fitted_one() -> None:
    rng = np.random.default_rng(8)
    draws = [sweep(rng, noise=1.5) for _ in range(200)]
    largest = np.mean([one.mean(axis=1).max() for one in draws])
    crossed = np.mean([cross_fitted_best(one, splits=20) for one in draws])
    assert crossed < 1.0 < largest  # the bump is 1 high
    assert cross_fitted_best(np.array([[1.0], [2.0]])) == 2.0


def test_layers_are_alike_where_noise_alone_makes_a_best_one() -> None:
    rng = np.random.default_rng(9)
    assert not is_flat(sweep(rng, noise=0.5))
    told_apart = np.mean([not is_flat(rng.standard_normal((LAYERS, PROMPTS))) for _ in range(500)])
    assert 0.02 < told_apart < 0.08
    assert is_flat(np.ones((4, 1)))
    assert is_flat(np.ones((4, 8)))
