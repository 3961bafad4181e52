import pytest

from analyses.layer_selection import layer_selection
from analyses.selectors import baselines, heuristics
from analyses.truth import GroundTruth, LayerTruth, ground_truth
from interp_steer.errors import AnalysisError
from interp_steer.files import write_json
from interp_steer.findings import AnalysisResult
from interp_steer.outcomes import PROMPTED, UNSTEERED, read_outcomes
from interp_steer.records import Cell, to_json
from interp_steer.stats import Interval, detectable, rank_correlation

TRUTH = {0: 0.1, 2: 0.3, 4: 0.9, 6: 0.5, 8: 0.2}  # mean 0.4, best 0.9 at layer 4
CONTROLS = {UNSTEERED: 0.05, PROMPTED: 0.8, Cell(control="random", layer=4, alpha=0.3): 0.06}


def steered(layer, alpha=0.3):
    return Cell(control="steered", layer=layer, alpha=alpha)


@pytest.fixture
def run(make_run, make_activations):
    return make_run(make_activations([1.0] * 10, n=3))


@pytest.fixture
def swept(run, add_sweep):
    add_sweep(run, {steered(layer): score for layer, score in TRUTH.items()} | CONTROLS, jitter=0.02)
    return run


def store(run, **scores):
    result = AnalysisResult(name="guess", title="", question="", finding="", scores=scores)
    write_json(run.analysis_path("guess"), to_json(result))


def row(result, name):
    table = next(table for table in result.tables if table.title == "Picks against the sweep")
    return dict(zip(table.columns, next(row for row in table.rows if row[0] == name), strict=True))


def truth_of(layers):
    """A truth in which every layer scores the same."""
    score = Interval(mean=0.5, low=0.5, high=0.5, n=8)
    by_layer = {layer: LayerTruth(cell=steered(layer), score=score, dev=0.5) for layer in layers}
    return GroundTruth(split="test", chosen=steered(layers[0]), by_layer=by_layer, unscored=())


def test_truth_is_the_test_score_at_the_alpha_dev_chose(run, add_sweep):
    add_sweep(run, {steered(1, 0.1): 0.2, steered(1, 0.3): 0.8, steered(1, 0.6): 0.1}, splits=["dev"])
    add_sweep(run, {steered(1, 0.1): 0.9, steered(1, 0.3): 0.5}, splits=["test"])
    truth = ground_truth(read_outcomes(run))
    assert truth.split == "test"
    assert truth.by_layer[1].cell == steered(1, 0.3)
    assert truth.by_layer[1].score.mean == pytest.approx(0.5)  # not the 0.9 that test itself would choose
    assert truth.by_layer[1].dev == pytest.approx(0.8)


def test_truth_falls_back_on_dev_and_says_so(run, add_sweep):
    add_sweep(run, {steered(layer): score for layer, score in TRUTH.items()} | CONTROLS, splits=["dev"])
    store(run, guess=(0.0,) * 10)
    result = layer_selection(run)
    assert ground_truth(read_outcomes(run)).split == "dev"
    assert any("Test rows are missing" in caveat for caveat in result.caveats)
    assert "on dev prompts" in result.finding
    assert "sweep on dev" not in {selector[0] for selector in result.tables[1].rows}


def test_truth_is_of_test_only_once_every_chosen_cell_has_test_rows(run, add_sweep):
    add_sweep(run, {steered(2): 0.5, steered(4): 0.6, steered(4, 0.1): 0.1}, splits=["dev"])
    add_sweep(run, {steered(2): 0.9, steered(4, 0.1): 0.9, steered(4, -0.3): 0.0}, splits=["test"])
    truth = ground_truth(read_outcomes(run))
    assert (truth.split, truth.layers, truth.best) == ("dev", (2, 4), 4)
    add_sweep(run, {steered(4): 0.7}, splits=["test"])
    truth = ground_truth(read_outcomes(run))
    assert (truth.split, truth.layers, truth.best) == ("test", (2, 4), 2)


def test_a_layer_without_a_score_does_not_compete(run, add_sweep):
    add_sweep(run, {steered(2): 0.5, steered(4): 0.6}, splits=["dev"])
    add_sweep(run, {steered(2): 0.5, steered(4): None}, splits=["test"])
    truth = ground_truth(read_outcomes(run))
    assert (truth.layers, truth.unscored) == ((2,), (4,))


def test_without_a_sweep_the_error_says_what_to_run(run):
    with pytest.raises(AnalysisError, match="interp-steer sweep"):
        layer_selection(run)


def test_a_sweep_of_failures_is_an_error(run, add_sweep):
    add_sweep(run, {steered(2): 0.5}, splits=["dev"])
    add_sweep(run, {steered(2): None}, splits=["test"])
    with pytest.raises(AnalysisError, match="no test completion"):
        layer_selection(run)


def test_regret_by_hand(run, add_sweep):
    add_sweep(run, {steered(layer): score for layer, score in TRUTH.items()})
    truth = ground_truth(read_outcomes(run))
    assert truth.best == 4
    assert truth.normalized_regret([4]) == pytest.approx(0.0)
    assert truth.regret([6]) == pytest.approx(0.4)
    assert truth.normalized_regret([6]) == pytest.approx(0.4 / 0.5)
    assert truth.normalized_regret([0]) == pytest.approx(0.8 / 0.5)  # worse than a random layer
    assert truth.normalized_regret(truth.layers) == pytest.approx(1.0)
    assert truth.regret([4, 6]) == pytest.approx(0.2)  # tied picks share


@pytest.mark.parametrize(
    ("swept", "stand_ins"),
    [
        ((0, 2, 4, 6, 8), {0: 0, 1: 0, 3: 2, 5: 4, 9: 8, 10: None}),  # the earlier of two
        ((0, 4), {1: 0, 2: 0, 3: 4, 6: 4, 7: None, 9: None}),
        ((3, 4, 5), {2: None, 3: 3, 5: 5, 6: None}),
        ((4,), {3: None, 4: 4, 5: None}),
    ],
)
def test_a_swept_layer_stands_for_those_within_half_a_step(swept, stand_ins):
    truth = truth_of(swept)
    assert {layer: truth.nearest(layer) for layer in stand_ins} == stand_ins


def test_a_heuristic_picks_among_the_swept_layers_only(swept):
    store(swept, late=tuple(range(10)), between=(0, 0, 7, 0, 0, 9, 0, 0, 0, 0))
    result = layer_selection(swept)
    assert (row(result, "late")["of all layers"], row(result, "late")["of the swept"]) == ("9", "8")
    between = row(result, "between")
    assert (between["of all layers"], between["of the swept"]) == ("5", "2")  # its own second, not a neighbor of 5
    assert between["truth at pick"] == ground_truth(read_outcomes(swept)).by_layer[2].score.mean


def test_a_fixed_depth_far_from_every_swept_layer_is_not_judged(run, add_sweep):
    add_sweep(run, {steered(2): 0.3, steered(4): 0.9} | CONTROLS)
    store(run, late=tuple(range(10)))
    result = layer_selection(run)
    last = row(result, "last layer")
    assert (last["of all layers"], last["of the swept"], last["regret"]) == ("9", None, None)
    assert "last layer: layer 9 was not swept, nor any layer near it" in result.tables[1].notes
    assert "last layer" not in result.figures[1].x
    assert row(result, "50 % depth")["of the swept"] == row(result, "late")["of the swept"] == "4"


def test_a_heuristic_is_scored_against_the_truth(swept):
    store(swept, oracle=(0, 0, 1, 0, 9, 0, 5, 0, 0.5, 0), flat=(1.0,) * 10, empty=(None,) * 10)
    result = layer_selection(swept)
    oracle = row(result, "oracle")
    assert (oracle["of the swept"], oracle["normalized regret"]) == ("4", pytest.approx(0.0))
    means = [at.score.mean for at in ground_truth(read_outcomes(swept)).by_layer.values()]
    assert oracle["Spearman"] == rank_correlation([0, 1, 9, 5, 0.5], means) == pytest.approx(1.0)
    assert row(result, "flat")["Spearman"] is None
    assert row(result, "flat")["of all layers"] == "10 layers tied"
    assert row(result, "flat")["of the swept"] == "5 layers tied"
    assert row(result, "flat")["normalized regret"] == pytest.approx(1.0)
    assert row(result, "empty")["of all layers"] is row(result, "empty")["of the swept"] is None
    assert any("empty: no layer has a defined score" in note for note in result.tables[1].notes)
    assert result.figures[1].x[0] in {"oracle", "40 % depth", "sweep on dev"}  # the best come first
    assert "closest is oracle" in result.finding


def test_the_finding_counts_heuristics_that_beat_chance(swept):
    store(swept, oracle=(0, 0, 0, 0, 1, 0, 0, 0, 0, 0), late=tuple(range(10)), early=tuple(range(10, 0, -1)))
    assert "1 of 3 heuristics pick better than a random layer" in layer_selection(swept).finding


def test_random_is_the_exact_expectation(swept):
    random = row(layer_selection(swept), "random layer")
    assert random["normalized regret"] == pytest.approx(1.0)


@pytest.mark.parametrize(("n_layers", "depths"), [(30, [24, 18, 15, 12, 29]), (32, [25, 19, 16, 12, 31]), (1, [0] * 5)])
def test_fixed_depths(n_layers, depths):
    *fixed, random = baselines(n_layers, truth_of(range(n_layers)))
    assert [selector.picks for selector in fixed] == [selector.wanted for selector in fixed] == [(d,) for d in depths]
    assert random.picks == tuple(range(n_layers))


def test_steerable_when_the_best_cell_beats_a_random_direction(swept):
    result = layer_selection(swept)
    assert result.finding.startswith("Steerable: on test prompts the best cell moves the combined score by +0.8")
    assert result.tables[0].title == "Steerable at all?"
    assert [line[4] for line in result.tables[0].rows] == [8, 8, 8, 8]


@pytest.mark.parametrize("random", [0.9, 1.0])
def test_not_steerable_when_a_random_direction_does_as_well(random, run, add_sweep):
    cells = {steered(layer): score for layer, score in TRUTH.items()} | CONTROLS
    add_sweep(run, cells | {Cell(control="random", layer=4, alpha=0.3): random})
    assert layer_selection(run).finding.startswith("Not shown to be steerable")


def test_asking_and_the_detectable_difference_stand_beside_every_layer(swept):
    result = layer_selection(swept)
    table, outcomes = result.tables[2], read_outcomes(swept)
    asked = outcomes.outcome("test", PROMPTED).combined
    for values in table.rows:
        at = dict(zip(table.columns, values, strict=True))
        gain = outcomes.effect("test", steered(at["layer"]), "combined")
        differences = outcomes.differences("test", steered(at["layer"]), "combined")
        assert at["system prompt"] == pytest.approx(asked)
        assert at["detectable"] == pytest.approx(detectable(differences))
        assert at["detectable"] > 1.96 * differences.std(ddof=1) / gain.n**0.5
    band = next(series for series in result.figures[0].series if series.name == "system prompt")
    assert band.role == "reference"
    assert list(band.y) == pytest.approx([asked] * len(TRUTH))
    assert band.low[0] <= asked <= band.high[0]


def test_not_steerable_when_nothing_moves(run, add_sweep):
    add_sweep(run, {steered(layer): 0.05 for layer in TRUTH} | CONTROLS)
    result = layer_selection(run)
    assert result.finding.startswith("Not shown to be steerable")
    assert row(result, "last layer")["normalized regret"] is None
    assert any("every swept layer scores the same" in note for note in result.tables[1].notes)
    assert any("layer choice hardly matters" in note for note in result.tables[2].notes)


def test_a_missing_control_is_said_not_assumed(run, add_sweep):
    add_sweep(run, {steered(layer): score for layer, score in TRUTH.items()} | {UNSTEERED: 0.05})
    result = layer_selection(run)
    assert result.finding.startswith("Not shown to be steerable")
    assert "no random control was scored" in result.finding
    assert result.tables[0].rows[1][1] is None


def test_scores_of_another_model_are_refused(swept):
    store(swept, short=(1.0, 2.0))
    with pytest.raises(AnalysisError, match="'short' has 2 scores, expected one for each of 10 layers"):
        heuristics(swept, 10, tuple(TRUTH))


def test_figures_show_intervals_and_picks(swept):
    store(swept, late=tuple(range(10)))
    curve = layer_selection(swept).figures[0]
    assert curve.x == tuple(TRUTH)
    main = curve.series[0]
    assert all(low <= mean <= high for low, mean, high in zip(main.low, main.y, main.high, strict=True))
    assert {mark.x: mark.label for mark in curve.marks}[8] == "80 % depth, last layer, late"
