import hashlib
import json
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from interp_steer.behaviors import Behavior, Checks, Coherence, EvaluationPrompt, Gate, Pair, Rubric, ScorerSpec
from interp_steer.findings import AnalysisResult, Figure, Mark, Series, Table
from interp_steer.pairs import read_behavior
from interp_steer.records import (
    ActivationCard,
    Cell,
    Generation,
    ModelCard,
    VectorCard,
    Verdict,
    digest,
    from_json,
    generation_key,
    text_sha256,
    to_json,
)
from interp_steer.sweeps.grid import SweepSpec

MODEL = ModelCard(
    name="tiny",
    revision="1",
    fingerprint="f" * 16,
    dtype="float32",
    n_layers=2,
    d_model=8,
    layer_types=("linear_attention", "full_attention"),
    template="t",
)
ACTIVATIONS = ActivationCard(
    model=MODEL, behavior="b", pairs_sha256="0", read_position="first_k", first_k=5, versions={"torch": "2.7"}
)
CELL = Cell(control="steered", layer=3, alpha=-0.25, more_layers=(5, 7))
RESULT = AnalysisResult(
    name="magnitude",
    title="Magnitude",
    question="How long?",
    finding="2 at layer 1.",
    caveats=("says nothing",),
    tables=(
        Table(
            title="By layer",
            columns=("layer", "norm", "kind", "full"),
            rows=((0, None, "a", True), (1, 0.5, "b", False)),
            notes=("n",),
        ),
        Table(title="Empty", columns=(), rows=()),
    ),
    figures=(
        Figure(
            kind="lines",
            title="t",
            x_label="x",
            y_label="y",
            x=(0, 0.5, "last"),
            series=(Series(name="s", y=(1, None, 2.5), low=(0.5, None, 2), high=None, role="reference"),),
            marks=(Mark(x=1.5, label="best"),),
            shaded=(0, 1.5),
            shaded_label="full",
        ),
    ),
    scores={"norm": (None, 0.5), "depth": (1, 2)},
)
RECORDS = [
    Pair(prompt="p", positive="+", negative="-", topic="t"),
    EvaluationPrompt(id="dev-1", split="dev", text="p"),
    ScorerSpec(name="mentions", options={"terms": ["a", "b"], "weight": 0.5}),
    Rubric(version=2, text="r"),
    Gate(prompt="p", high=("h",), low=(), gibberish=("g", "g")),
    Coherence(reference="prompted"),
    Checks(allow=("no_shared_content",)),
    read_behavior("sutro_tower"),
    MODEL,
    ACTIVATIONS,
    VectorCard(activations=ACTIVATIONS, method="pca", n_pairs=7),
    CELL,
    Generation(
        behavior="b",
        split="dev",
        prompt_id="dev-1",
        prompt="p",
        cell=CELL,
        sample=2,
        text="\ud7ff \U0001f642",
        n_tokens=3,
        finish="length",
        nll=0.25,
    ),
    Verdict(
        generation="k",
        text_sha256="s",
        judge="local",
        judge_digest="d",
        behavior=None,
        coherence=0.5,
        combined=None,
        reason="why",
        measures={"rep4": None, "nll": 1.5},
        explanation="e",
    ),
    RESULT,
    SweepSpec(layers=(1, 2), alphas=(0.1, -0.2), random_alphas=(0.1,), scope="all", samples=2, temperature=0.5),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_every_record_survives_json(record):
    text = json.dumps(to_json(record), allow_nan=False)
    back = from_json(type(record), json.loads(text))
    assert back == record
    assert json.dumps(to_json(back)) == text  # tuples stay tuples: equal again, and hashable where they were


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_records_do_not_change(record):
    with pytest.raises(FrozenInstanceError):
        setattr(record, next(iter(vars(record))), "other")


def test_numbers_keep_their_kind():
    rows = from_json(AnalysisResult, json.loads(json.dumps(to_json(RESULT)))).tables[0].rows
    assert [[type(value) for value in row] for row in rows] == [[int, type(None), str, bool], [int, float, str, bool]]


@pytest.mark.parametrize(
    ("cell", "key"),
    [
        (Cell(control="unsteered"), "unsteered"),
        (Cell(control="prompted"), "prompted"),
        (Cell(control="steered", layer=14, alpha=0.3), "steered@14:+0.3"),
        (Cell(control="steered", layer=0, alpha=-0.25), "steered@0:-0.25"),
        (Cell(control="random", layer=2, alpha=1.0), "random@2:+1"),
        (Cell(control="sign_flipped", layer=2, alpha=0.1 + 0.2), "sign_flipped@2:+0.3"),
        (CELL, "steered@3+5+7:-0.25"),
    ],
)
def test_keys_of_cells(cell, key):
    assert cell.key == key
    assert generation_key("test-3", cell, 1) == f"test-3/{key}/1"


def test_the_key_of_a_generation_is_prompt_cell_and_sample():
    generation = next(record for record in RECORDS if isinstance(record, Generation))
    assert generation.key == "dev-1/steered@3+5+7:-0.25/2"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(), values))
def test_a_digest_does_not_depend_on_the_order_of_keys(data):
    assert digest(data) == digest(dict(reversed(data.items())))


def test_digests_stay_what_they_are():
    # They are stored in runs: a change would make every verdict stale and every sampled row another.
    assert digest({"version": 1, "scorer": {"name": "refusal", "options": {}}}) == digest(
        {"scorer": {"options": {}, "name": "refusal"}, "version": 1}
    )
    assert digest([0, "dev-1", 0]) == "6a19d15404a14f1a"
    assert digest("é") == "f2886017e9c7abac"
    assert len({digest(value) for value in ([1, 2], [2, 1], [12], "12", 12, None, {})}) == 7


def test_the_digest_of_a_text_is_sha256_of_its_utf8():
    assert text_sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert text_sha256("é") == hashlib.sha256(b"\xc3\xa9").hexdigest() != text_sha256("e\u0301")


def test_a_digest_of_nan_is_refused():
    with pytest.raises(ValueError, match="JSON compliant"):
        digest({"nll": float("nan")})


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"mood": "bad"}, "mood"),
        ({"rubric": {"version": "one", "text": ""}}, "version"),
        ({"gate": {"prompt": "p"}}, "gate"),
        ({"coherence": {"reference": "plane"}}, "reference"),
        ({"checks": {"allow": ["anything"]}}, "allow"),
        ({"name": None}, "name"),
    ],
)
def test_what_does_not_belong_into_a_behavior_is_named(changes, field):
    with pytest.raises(ValidationError, match=field):
        from_json(Behavior, {**to_json(read_behavior("refusal")), **changes})


def test_a_control_that_is_not_one_is_refused():
    with pytest.raises(ValidationError, match="control"):
        from_json(Cell, {"control": "steared", "layer": 1})
