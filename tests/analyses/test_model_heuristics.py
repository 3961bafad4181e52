"""The heuristics that read what a model said: pushes, one cell per layer, and the recommender on top of both."""

import math

import numpy as np
import pytest

from analyses.one_cell import nearest, one_cell
from analyses.recommender import depth_prior, rank_average, recommender, ruled_out, shortlist
from analyses.small_push import small_push
from interp_steer.errors import RunError
from interp_steer.sweeps.margins import Propensity, PropensitySpec, propensity_card, save_propensity
from interp_steer.sweeps.shifts import Pushes, PushSpec, push_card, save_pushes
from interp_steer.vectors.fit import fit
from interp_steer.vectors.vector import save_vectors

N_LAYERS = 6
ALPHAS = (-0.2, 0.1, 0.5)


@pytest.fixture
def ready(make_run, make_activations):
    """A run of six layers with vectors, and the activations it is made of."""
    activations = make_activations([1.0, 4.0, 3.0, 4.0, 1.0, 6.0], n=20)
    run = make_run(activations)
    vectors = fit(activations)
    save_vectors(vectors, run.vectors_path)
    return run, vectors


def add_pushes(
    run, vectors, layers=tuple(range(N_LAYERS)), n_random=2, natural=None, alignment=None, answers=(0, 0, 1)
):
    n, places = len(layers), len(answers)
    found = Pushes(
        equal=np.outer(np.arange(1, n + 1), np.ones(places)) / 10,
        natural=np.full((n, places), 0.2) if natural is None else np.asarray(natural, dtype=float),
        random=np.full((n, n_random, places), 0.05),
        moved=np.outer(np.arange(n, 0, -1), np.ones(places)),
        natural_alpha=vectors.magnitude_ratio[list(layers)].astype(float),
        answers=np.array(answers, dtype=float),
        alignment=np.linspace(0, 1, n) if alignment is None else np.asarray(alignment, dtype=float),
        card=push_card(
            vectors.card.activations.model, vectors, ["Why?"], [], PushSpec(layers=layers, n_random=n_random),
            promoted=((" no", " sorry"),) * n,
        ),
    )  # fmt: skip
    save_pushes(found, run.pushes_path)
    return found


def add_propensity(run, vectors, change, layers=tuple(range(N_LAYERS)), **spec):
    """Margins that change by ``change[layer][alpha]``."""
    change = np.asarray(change, dtype=float)
    spec = PropensitySpec(layers=layers, alphas=ALPHAS, **spec)
    shape = (*change.shape, 3)
    found = Propensity(
        unsteered=np.zeros((2, 3)),
        steered=np.stack([np.broadcast_to(change[..., None], shape), np.zeros(shape)]),
        random=np.zeros((2, len(layers), 0, 3)),
        tokens=np.ones((2, 3)),
        card=propensity_card(vectors.card.activations.model, vectors, [], spec),
    )
    save_propensity(found, run.propensity_path)


@pytest.mark.parametrize("analysis", [small_push, one_cell])
def test_what_was_not_measured_is_absent_and_no_error(analysis, ready):
    run, _ = ready
    result = analysis(run)
    assert result.scores == {}
    assert "was measured; run 'interp-steer" in result.finding


@pytest.mark.parametrize(("analysis", "add"), [(small_push, add_pushes), (one_cell, None)])
def test_what_was_measured_of_other_vectors_is_not_used(analysis, add, ready):
    run, vectors = ready
    (add or (lambda run, vectors: add_propensity(run, vectors, np.ones((6, 3)))))(run, vectors)
    assert analysis(run).scores
    vectors.direction[0] *= -1
    save_vectors(vectors, run.vectors_path)
    result = analysis(run)
    assert result.scores == {}
    assert "of other vectors" in result.finding


def test_a_damaged_file_is_an_error(ready):
    run, _ = ready
    run.pushes_path.write_bytes(b"no tensors")
    with pytest.raises(RunError, match="make it again with 'interp-steer pushes'"):
        small_push(run)


def test_scores_of_pushes(ready):
    run, vectors = ready
    natural = np.full((6, 3), 0.5)
    natural[4] = 0.1
    add_pushes(run, vectors, natural=natural)
    scores = small_push(run).scores
    assert scores["kl_small_push"] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]), "a larger KL is the better layer"
    assert np.argmax(scores["minus_log_kl_natural"]) == 4, "here a smaller one is"
    assert scores["minus_log_kl_natural"][4] == pytest.approx(-math.log(0.1))
    assert scores["sensitivity"] == pytest.approx([6, 5, 4, 3, 2, 1])
    assert scores["kl_small_push_random"] == pytest.approx([0.05] * 6)
    assert scores["logit_lens_alignment"] == pytest.approx(np.linspace(0, 1, 6))


def test_layers_that_were_not_pushed_have_no_score(ready):
    run, vectors = ready
    add_pushes(run, vectors, layers=(1, 4), n_random=0, natural=[[0.0] * 3, [0.3] * 3])
    result = small_push(run)
    assert result.scores["kl_small_push"] == pytest.approx((None, 0.1, None, None, 0.2, None))
    assert result.scores["kl_small_push_random"] == (None,) * 6
    assert result.scores["minus_log_kl_natural"][1] is None
    notes = " ".join(result.tables[0].notes)
    assert "KL is undefined at layers 0, 2, 3, 5: not pushed" in notes
    assert "no random direction was pushed" in notes


def test_promoted_tokens_are_listed(ready):
    run, vectors = ready
    add_pushes(run, vectors)
    table = small_push(run).tables[1]
    assert table.rows[3] == (3, pytest.approx(0.6), "' no' ' sorry'")


@pytest.mark.parametrize(("natural", "column"), [(0.05, 1), (0.2, 1), (0.3, 2), (3.0, 2)])
def test_the_nearest_alpha_is_so_by_ratio_and_positive(natural, column):
    assert nearest(ALPHAS, natural) == column
    assert nearest((-0.1, -0.3), natural) is None


def test_one_cell_reads_the_change_at_the_natural_dose(ready):
    run, vectors = ready
    add_propensity(run, vectors, np.arange(18).reshape(6, 3) / 10)
    columns = [nearest(ALPHAS, float(ratio)) for ratio in vectors.magnitude_ratio]
    expected = [(3 * layer + column) / 10 for layer, column in enumerate(columns)]
    result = one_cell(run)
    assert result.scores["propensity_one_cell"] == pytest.approx(expected)
    assert [row[2] for row in result.tables[0].rows] == [ALPHAS[column] for column in columns]
    assert "a sweep" in result.caveats[0]


def test_layers_without_a_cell_have_no_score(ready):
    run, vectors = ready
    add_propensity(run, vectors, np.ones((2, 3)), layers=(0, 3))
    assert one_cell(run).scores["propensity_one_cell"] == (1.0, None, None, 1.0, None, None)


def test_ranks_are_averaged_over_what_is_defined():
    assert rank_average([(1.0, 5.0, 3.0)]) == pytest.approx([1 / 3, 1.0, 2 / 3])
    assert rank_average([(1.0, 2.0, 2.0)]) == pytest.approx([1 / 3, 2.5 / 3, 2.5 / 3])
    assert rank_average([(1.0, 2.0, None), (None, 1.0, None)]) == [0.5, 1.0, None]


def test_the_depth_prior_is_highest_in_the_middle():
    prior = depth_prior(10)
    assert np.argmax(prior) == 5
    assert prior[5] == 1.0
    assert prior[2] == pytest.approx(math.exp(-2))  # two widths away


@pytest.mark.parametrize(
    ("layer", "gates", "said"),
    [
        (26, {}, ""),
        (27, {}, "in the last tenth of 30 layers"),
        (5, {"first-token KL": 1.0, "propensity": 0.1}, ""),
        (5, {"first-token KL": 1.1}, "the natural dose moves the first token by more than 1 nat"),
        (5, {"propensity": 0.0}, "the natural dose does not favor the positive side"),
        (5, {"first-token KL": None, "propensity": None}, ""),
    ],
)
def test_gates(layer, gates, said):
    assert ruled_out(layer, 30, gates) == said


def test_a_shortlist_is_five_layers_at_most_best_first():
    assert shortlist([0.1, None, 0.9, 0.9, 0.2, 0.3, 0.4]) == [2, 3, 6, 5, 4]
    assert shortlist([None, 0.5]) == [1]
    assert shortlist([None]) == []


def test_the_recommender_works_without_a_model_and_says_what_is_missing(ready):
    run, _ = ready
    result = recommender(run)
    assert {"LOO margin", "consistency"} < set(result.tables[0].columns)
    assert "alignment" not in result.tables[0].columns
    assert any("without logit-lens alignment" in caveat for caveat in result.caveats)
    assert any("without the gate by propensity" in caveat for caveat in result.caveats)
    assert len(result.scores["recommender"]) == len(result.scores["depth_prior"]) == N_LAYERS


def test_the_recommender_multiplies_rank_and_prior_and_respects_the_gates(ready):
    run, vectors = ready
    natural = np.full((6, 3), 0.5)
    natural[1] = [2.0, 0.1, 2.0]  # first tokens of both answers
    add_pushes(run, vectors, natural=natural)
    change = np.ones((6, 3))
    change[3] = -1
    add_propensity(run, vectors, change)
    result = recommender(run)
    scores = result.scores["recommender"]
    assert [score is None for score in scores] == [False, True, False, True, False, False]  # 5 is not above 0.9 * 6
    table = result.tables[0]
    ranks, priors = ([row[table.columns.index(name)] for row in table.rows] for name in ("mean rank", "depth prior"))
    for layer in (0, 2, 4, 5):
        assert scores[layer] == pytest.approx(ranks[layer] * priors[layer])
    assert "the natural dose moves the first token by more than 1 nat" in result.finding
    assert "the natural dose does not favor the positive side" in result.finding
    best = int(np.argmax([score or 0 for score in scores]))
    assert result.finding.startswith(f"Try layer {best} first")
    assert result.figures[0].marks[0].x == best


def test_where_every_layer_is_out_nothing_is_proposed(ready):
    run, vectors = ready
    add_propensity(run, vectors, -np.ones((6, 3)))
    result = recommender(run)
    assert result.finding.startswith("No layer can be proposed")
    assert set(result.scores["recommender"]) == {None}
