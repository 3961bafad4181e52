"""Intervals, ceilings and p-values on synthetic sweeps whose truth is known."""

import numpy as np
import pytest
from scipy.stats import wilcoxon

from analyses.study.nulls import (
    detectable,
    good_layers,
    holm,
    nested_bootstrap,
    noise_ceiling,
    sign_flip_p,
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


def test_sign_flips_are_exact() -> None:
    rng = np.random.default_rng(5)
    values = rng.standard_normal(9) + 0.3
    assert sign_flip_p([1.0, 2.0, 3.0]) == pytest.approx(1 / 8)
    ranks = np.argsort(np.argsort(np.abs(values))) + 1.0  # on signed ranks it is Wilcoxon's test
    expected = wilcoxon(values, alternative="greater", method="exact").pvalue
    assert sign_flip_p(list(np.sign(values) * ranks)) == pytest.approx(expected)
    assert sign_flip_p(list(np.linspace(0.1, 1, 20))) == pytest.approx(1 / 20_001)
    assert sign_flip_p([]) is None


def test_an_effect_of_the_detectable_size_is_found_four_times_in_five() -> None:
    rng = np.random.default_rng(6)
    size = detectable(rng.standard_normal(20_000)) or 0.0
    per_prompt = size * np.sqrt(20_000 / PROMPTS)
    draws = rng.standard_normal((4000, PROMPTS)) + per_prompt
    z = draws.mean(axis=1) * np.sqrt(PROMPTS)
    assert np.mean(z > 1.96) == pytest.approx(0.8, abs=0.03)
    assert detectable(np.ones(1)) is None
