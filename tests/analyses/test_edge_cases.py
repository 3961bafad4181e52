"""Pairs that leave something undefined: every analysis gives None with a reason, never 0 and never NaN."""

import json

import numpy as np
import pytest

from analyses.adjacent_similarity import adjacent_similarity
from analyses.explained_variance import explained_variance
from analyses.magnitude import magnitude
from analyses.pair_plan import pair_plan
from analyses.pair_quality import pair_quality
from analyses.probe_accuracy import probe_accuracy
from analyses.recommender import recommender
from analyses.separation import separation
from interp_steer.errors import AnalysisError
from interp_steer.records import to_json

ANALYSES = [
    magnitude,
    explained_variance,
    probe_accuracy,
    pair_quality,
    pair_plan,
    adjacent_similarity,
    separation,
    recommender,
]
SIGNS = {
    "identical": [1, 1, 1, 1, 1, 1],
    "one zero pair": [1, 1, 0, 1, 1, 1],
    "one pair": [1],
    "one zero pair alone": [0],
    "antiparallel": [1, -1],
    "antiparallel, several": [1, -1, 1, -1, 1, -1],
    "antiparallel, odd": [1, -1, 1],
    "all zero": [0, 0, 0, 0, 0, 0],
}


@pytest.fixture
def make_case(make_activations, make_run):
    """Function to a run of three layers in which every difference is the same vector, times a sign per pair."""

    def make(signs):
        activations = make_activations([0.0] * 3, n=len(signs), topic=1.0)
        along = np.round(16 * np.random.default_rng(1).standard_normal((3, 1, 32))).astype(np.float32) / 16
        half = np.array(signs, dtype=np.float32)[None, :, None] * along / 2
        middle = np.round(activations.positive)  # sums of few binary digits: the differences are exact
        activations.positive[:], activations.negative[:] = middle + half, middle - half
        return make_run(activations)

    return make


def cells(result, name):
    """The cells of a column of the analysis' table by layer."""
    table = next(table for table in result.tables if name in table.columns and table.columns[0] != "pair")
    return [row[table.columns.index(name)] for row in table.rows]


@pytest.mark.parametrize("case", SIGNS)
@pytest.mark.parametrize("analysis", ANALYSES)
def test_whatever_is_undefined_has_a_reason(analysis, case, make_case):
    result = analysis(make_case(SIGNS[case]))
    json.dumps(to_json(result), allow_nan=False)
    for table in result.tables:
        if table.columns[0] != "layer":
            continue
        for at, column in enumerate(table.columns):
            if any(row[at] is None for row in table.rows):
                assert any(note.startswith(f"{column} is undefined at ") for note in table.notes), column


@pytest.mark.parametrize(
    ("analysis", "case", "column", "expected"),
    [
        (pair_quality, "identical", "consistency", 1.0),
        (pair_quality, "identical", "weighted consistency", 1.0),
        (pair_quality, "identical", "stability", 1.0),
        (pair_quality, "identical", "gap", 0.0),
        (pair_quality, "identical", "SNR", None),
        (pair_quality, "identical", "T", None),
        (pair_quality, "identical", "SNR (write-up)", None),
        (pair_quality, "identical", "normalization sensitivity", 1.0),
        (pair_quality, "one zero pair", "consistency", 1.0),
        (pair_quality, "one zero pair", "degenerate pairs", 1),
        (pair_quality, "one pair", "consistency", None),
        (pair_quality, "one pair", "stability", None),
        (pair_quality, "one pair", "normalization sensitivity", 1.0),
        (pair_quality, "antiparallel", "consistency", -1.0),
        (pair_quality, "antiparallel", "stability", -1.0),
        (pair_quality, "antiparallel", "normalization sensitivity", None),
        (pair_quality, "antiparallel, odd", "consistency", -1 / 3),
        (pair_quality, "all zero", "consistency", None),
        (pair_quality, "all zero", "T", None),
        (explained_variance, "identical", "PC1 share (centered)", None),
        (explained_variance, "identical", "PC1 share (uncentered)", 1.0),
        (explained_variance, "identical", "k80 (uncentered)", 1),
        (explained_variance, "one pair", "PC1 share (centered)", None),
        (explained_variance, "one pair", "PC1 share (uncentered)", 1.0),
        (explained_variance, "antiparallel", "PC1 share (centered)", 1.0),
        (explained_variance, "all zero", "PC1 share (uncentered)", None),
        (explained_variance, "all zero", "mean share", None),
        (probe_accuracy, "identical", "leave-one-out accuracy", 1.0),
        (probe_accuracy, "identical", "leave-one-out margin", None),
        (probe_accuracy, "one pair", "leave-one-out accuracy", None),
        (probe_accuracy, "antiparallel", "leave-one-out accuracy", 0.0),
        (probe_accuracy, "antiparallel, several", "leave-one-out accuracy", 0.0),
        (probe_accuracy, "all zero", "leave-one-out accuracy", 0.5),
        (probe_accuracy, "all zero", "leave-one-out margin", None),
        (separation, "one pair", "d' (leave one out)", None),
        (separation, "antiparallel", "d' (in sample)", None),
        (separation, "all zero", "D + C", None),
        (magnitude, "one pair", "ratio (unbiased)", None),
        (magnitude, "all zero", "magnitude ratio", 0.0),
        (adjacent_similarity, "antiparallel", "cosine", None),
        (adjacent_similarity, "all zero", "cosine", None),
    ],
)
def test_what_is_defined_where(analysis, case, column, expected, make_case):
    found = cells(analysis(make_case(SIGNS[case])), column)
    if expected is None:
        assert set(found) == {None}
    else:
        assert found == pytest.approx([expected] * len(found), abs=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("analysis", ANALYSES)
def test_what_is_not_finite_is_refused_naming_layer_and_pair(analysis, bad, make_activations, make_run):
    activations = make_activations([1.0, 1.0, 1.0], n=7)
    activations.negative[2, 5, 3] = bad
    with pytest.raises(AnalysisError, match="layer 2, pair 5"):
        analysis(make_run(activations))


def test_a_norm_that_is_not_finite_is_refused(make_activations, make_run):
    activations = make_activations([1.0, 1.0], n=7)
    activations.negative_norms[1, 4] = np.inf
    with pytest.raises(AnalysisError, match="layer 1, pair 4: the activation norm"):
        magnitude(make_run(activations))
