import numpy as np
import pytest
from sklearn.decomposition import PCA

from analyses.gram import Gram, gram
from analyses.spectrum import (
    centered_shares,
    components_for,
    isotropic_null,
    mean_share,
    participation_ratio,
    uncentered_shares,
)


def of(differences) -> Gram:
    differences = np.asarray(differences, dtype=np.float64)
    return gram(differences, float(np.abs(differences).max() or 1.0))


def test_centered_shares_are_those_of_scikit_learn():
    differences = np.random.default_rng(0).standard_normal((12, 64)) + 1
    expected = PCA().fit(differences).explained_variance_ratio_
    assert centered_shares(of(differences)) == pytest.approx(expected[:11], abs=1e-12)


def test_uncentered_shares_are_squared_singular_values():
    differences = np.random.default_rng(1).standard_normal((12, 64)) + 1
    squares = np.linalg.svd(differences, compute_uv=False) ** 2
    assert uncentered_shares(of(differences)) == pytest.approx(squares / squares.sum(), abs=1e-12)


def test_centering_takes_the_shared_direction_out():
    differences = 0.1 * np.random.default_rng(2).standard_normal((20, 50))
    differences[:, 0] += 3
    assert uncentered_shares(of(differences))[0] > 0.9
    assert centered_shares(of(differences))[0] < 0.2


def test_the_mean_never_holds_more_than_the_first_component():
    rng = np.random.default_rng(3)
    for offset in (0.0, 0.2, 2.0):
        found = of(rng.standard_normal((9, 20)) + offset)
        assert mean_share(found).value <= uncentered_shares(found)[0] + 1e-12


def test_one_pair():
    assert centered_shares(of([[1.0, 2.0]])) is None
    assert uncentered_shares(of([[1.0, 2.0]])) == pytest.approx([1.0])


def test_two_pairs_have_one_centered_component():
    assert centered_shares(of([[1.0, 2.0], [0.0, 5.0]])) == pytest.approx([1.0])


def test_identical_pairs_have_no_variance_around_the_mean():
    same = of(np.tile([3.0, 4.0], (5, 1)))
    assert centered_shares(same) is None
    assert components_for(uncentered_shares(same)) == 1
    assert mean_share(same).value == pytest.approx(1.0)


def test_all_zero_is_undefined():
    zero = of(np.zeros((4, 3)))
    assert (centered_shares(zero), uncentered_shares(zero), mean_share(zero).value) == (None, None, None)


@pytest.mark.parametrize(
    ("shares", "k80", "ratio"),
    [([1.0], 1, 1.0), ([0.25] * 4, 4, 4.0), ([0.8, 0.2], 1, 1 / 0.68), ([0.5, 0.3, 0.2], 2, 1 / 0.38)],
)
def test_counting_components(shares, k80, ratio):
    assert components_for(np.array(shares)) == k80
    assert participation_ratio(np.array(shares)) == pytest.approx(ratio)


@pytest.mark.parametrize(
    ("n", "share", "k80"), [(5, 0.27, 4), (8, 0.15, 6), (10, 0.12, 8), (20, 0.06, 15), (40, 0.03, 31)]
)
def test_what_isotropic_noise_shows(n, share, k80):
    centered, uncentered, components = isotropic_null(n, 4000)
    assert centered == pytest.approx(share, abs=0.01)
    assert 1 / n < uncentered < centered
    assert components == k80


def test_noise_drawn_without_vectors_is_distributed_as_noise_with_them():
    n, d_model = 12, 14  # barely wide enough, where a wrong number of degrees of freedom shows
    rng = np.random.default_rng(0)
    vectors = (rng.standard_normal((n, d_model)) for _ in range(2000))
    direct = np.median([uncentered_shares(of(one))[0] for one in vectors])
    assert isotropic_null(n, d_model, draws=2000)[1] == pytest.approx(direct, rel=0.015)


def test_null_of_fewer_dimensions_than_pairs():
    centered, uncentered, components = isotropic_null(30, 4)
    assert 0.25 < uncentered < 0.6
    assert 0.25 < centered < 0.6
    assert components == 3


def test_null_of_one_pair_has_no_centered_side():
    assert isotropic_null(1, 10) == (None, 1.0, None)
