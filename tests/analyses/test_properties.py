"""What must not matter: the order of the pairs, the scale, the basis; and what swapping the sides does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyses.adjacent_similarity import adjacent_cosines
from analyses.gram import (
    consistency,
    consistency_error,
    gram_at,
    norm_variation,
    normalization_sensitivity,
    signal_test,
    snr,
    snr_writeup,
    weighted_consistency,
    weighted_consistency_error,
)
from analyses.magnitude import magnitude
from analyses.probe import transfer_accuracy
from analyses.resampling import influence, leave_one_out, sign_flip_p, stability
from analyses.separation import in_sample, layer_navigator, left_out
from analyses.spectrum import centered_shares, components_for, mean_share, participation_ratio, uncentered_shares
from interp_steer.activations.artifact import Activations, save_activations
from interp_steer.records import ActivationCard, ModelCard
from interp_steer.run import Run

N_LAYERS, D_MODEL = 3, 16
TOPICS = ("a", "b", "a", "c", "b", "c")


@st.composite
def pairs(draw):
    """Both sides of 3 to 6 pairs at three layers (few enough for all splits and flips to be listed)."""
    n = draw(st.integers(3, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shared = draw(st.floats(0, 3)) * rng.standard_normal((N_LAYERS, 1, D_MODEL))
    sizes = np.exp(draw(st.floats(0, 1.5)) * rng.standard_normal((1, n, 1)))
    middle = draw(st.floats(0, 5)) * rng.standard_normal((N_LAYERS, n, D_MODEL))
    half = sizes * (shared + rng.standard_normal((N_LAYERS, n, D_MODEL))) / 2
    return middle + half, middle - half


def activations(positive, negative):
    ones = np.ones(positive.shape[:2], dtype=np.float32)
    model = ModelCard(
        name="synthetic", revision="0", fingerprint="f" * 16, dtype="float32", n_layers=N_LAYERS, d_model=D_MODEL,
        layer_types=("full_attention",) * N_LAYERS, template="t",
    )  # fmt: skip
    return Activations(
        positive=positive, negative=negative, positive_norms=3 * ones, negative_norms=5 * ones,
        positive_tokens=ones[0], negative_tokens=ones[0],
        card=ActivationCard(model=model, behavior="b", pairs_sha256="0", read_position="mean_response"),
    )  # fmt: skip


def invariants(positive, negative, topics):
    """Every number that a rotation, a scale, an order of pairs and a swap of the sides leave alone."""
    found = activations(positive, negative)
    numbers = {}
    for layer in range(N_LAYERS):
        gram = gram_at(found, layer)
        half, (accuracy, margin) = stability(gram), leave_one_out(gram)
        shares = uncentered_shares(gram)
        around = centered_shares(gram)
        sides = positive[layer], negative[layer]
        measures = {
            "consistency": consistency(gram),
            "its error": consistency_error(gram),
            "weighted": weighted_consistency(gram),
            "weighted error": weighted_consistency_error(gram),
            "p": sign_flip_p(gram.unit),
            "p of T": sign_flip_p(gram.matrix),
            "stability": half.mean,
            "lowest": half.low,
            "sd": half.sd,
            "expected": half.expected,
            "snr": snr(gram),
            "T": signal_test(gram),
            "write-up": snr_writeup(gram),
            "cv": norm_variation(gram),
            "sensitivity": normalization_sensitivity(gram),
            "mean share": mean_share(gram),
            "accuracy": accuracy,
            "margin": margin,
            "transfer": transfer_accuracy(gram, topics),
            "d'": in_sample(*sides, gram),
            "left out": left_out(*sides, gram),
        }
        numbers |= {(layer, name): measure.value for name, measure in measures.items()}
        numbers |= {(layer, "pc", i): share for i, share in enumerate(shares)}
        numbers |= {(layer, "centered pc", i): share for i, share in enumerate(around)}
        numbers |= {(layer, "k80"): components_for(shares), (layer, "pr"): participation_ratio(around)}
        numbers |= {
            (layer, "influence", i): one for i, one in enumerate(sorted(measure.value for measure in influence(gram)))
        }
    for name, measures in zip(("adjacent", "its null"), adjacent_cosines(found), strict=True):
        numbers |= {(layer, name): measure.value for layer, measure in enumerate(measures)}
    return numbers


def same(first, second):
    assert first.keys() == second.keys()
    for key, value in first.items():
        assert second[key] == pytest.approx(value, rel=1e-6, abs=1e-8), key


def rotation(seed):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((D_MODEL, D_MODEL)))[0]


@settings(max_examples=25, deadline=None)
@given(pairs(), st.integers(0, 999))
def test_order_of_pairs(sides, seed):
    n = sides[0].shape[1]
    order = np.random.default_rng(seed).permutation(n)
    same(invariants(*sides, TOPICS[:n]), invariants(*(side[:, order] for side in sides), [TOPICS[i] for i in order]))


@settings(max_examples=25, deadline=None)
@given(pairs(), st.sampled_from([0.01, 0.5, 4.0, 1000.0]))
def test_scale(sides, factor):
    topics = TOPICS[: sides[0].shape[1]]
    same(invariants(*sides, topics), invariants(*(factor * side for side in sides), topics))


@settings(max_examples=25, deadline=None)
@given(pairs(), st.integers(0, 999))
def test_basis(sides, seed):
    topics, turn = TOPICS[: sides[0].shape[1]], rotation(seed)
    same(invariants(*sides, topics), invariants(*(side @ turn for side in sides), topics))


@settings(max_examples=25, deadline=None)
@given(pairs())
def test_swapping_the_sides(sides):
    topics = TOPICS[: sides[0].shape[1]]
    same(invariants(*sides, topics), invariants(*sides[::-1], topics))


@settings(max_examples=10, deadline=None)
@given(pairs(), st.sampled_from([0.5, 3.0]))
def test_the_magnitude_ratio_scales_with_the_difference(tmp_path_factory, sides, factor):
    middle, half = (sides[0] + sides[1]) / 2, (sides[0] - sides[1]) / 2
    ratios = []
    for k in (1.0, factor):
        run = Run(tmp_path_factory.mktemp("run"))
        scaled = (middle + k * half, middle - k * half)
        save_activations(activations(*scaled), run.activations_path)
        scores = magnitude(run).scores
        ratios.append(np.array([scores["magnitude_ratio"], scores["magnitude_ratio_unbiased"]]))
    assert ratios[1] == pytest.approx(factor * ratios[0], rel=1e-6, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(pairs(), st.integers(0, 999))
def test_layer_navigator_knows_neither_order_nor_side_nor_scale(sides, seed):
    positive, negative = (side[0] for side in sides)
    order = np.random.default_rng(seed).permutation(len(positive))

    def score(first, second):
        gram = gram_at(activations(first[None].repeat(3, 0), second[None].repeat(3, 0)), 0)
        return [measure.value for measure in layer_navigator(first, second, gram)]

    expected = pytest.approx(score(positive, negative), rel=1e-6, abs=1e-9)
    assert score(positive[order], negative[order]) == expected
    assert score(negative, positive) == expected
    assert score(7 * positive, 7 * negative) == expected
