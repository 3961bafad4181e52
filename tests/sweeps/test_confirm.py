from dataclasses import replace

import numpy as np
import pytest

from interp_steer.activations.extract import extract
from interp_steer.behaviors import Pair
from interp_steer.errors import SteeringError
from interp_steer.likelihood import mean_nll
from interp_steer.pairs import read_behavior, read_pairs
from interp_steer.sweeps.confirm import confirm, confirm_card, confirm_rest, directed_cells, missing_cells
from interp_steer.sweeps.heldout import HeldOutCell, read_held_out, save_held_out
from interp_steer.sweeps.margins import PropensitySpec
from interp_steer.sweeps.propensity import propensity
from interp_steer.vectors.controls import random_direction
from interp_steer.vectors.fit import fit

BEHAVIOR = read_behavior("refusal")
CHOSEN = [(0, 0.2), (2, 0.4), (3, 0.2)]


@pytest.fixture(scope="module")
def made(tiny_llama):
    activations = extract(tiny_llama, read_pairs("refusal")[:5], behavior="refusal")
    return activations, fit(activations)


@pytest.fixture(scope="module")
def directed(made):
    activations, vectors = made
    return directed_cells(
        vectors,
        activations,
        best=(2, 0.4),
        chosen=CHOSEN,
        equal_kl=[(1, 0.1)],
        methods=[(1, 0.3), (3, 0.3)],
        others={"other": (vectors, (3, 0.3))},
        n_random=2,
        n_flipped=1,
    )


@pytest.fixture(scope="module")
def found(tiny_llama, directed):
    return confirm(tiny_llama, BEHAVIOR, read_pairs("refusal", "test")[:4], directed, "response")


def test_every_control_is_at_the_best_cell(directed):
    roles = [cell.role for cell, _ in directed]
    assert roles == [
        *["chosen"] * 3, "equal_kl", "minus", "random", "random", "sign_flipped",
        *["mean", "pca", "pca_centered"] * 2, "other",
    ]  # fmt: skip
    assert {(cell.layer, abs(cell.alpha)) for cell, _ in directed[4:8]} == {(2, 0.4)}
    assert directed[4][0].alpha == -0.4


def test_ways_to_make_a_vector_meet_at_the_same_cells(directed):
    cells = {role: [(c.layer, c.alpha) for c, _ in directed if c.role == role] for role in ("mean", "pca_centered")}
    assert cells == {"mean": [(1, 0.3), (3, 0.3)], "pca_centered": [(1, 0.3), (3, 0.3)]}


def test_directions_are_unit_vectors_of_their_own(made, directed):
    _, vectors = made
    by_role = {(cell.role, cell.name): direction for cell, direction in directed}
    assert by_role["mean", ""] == pytest.approx(vectors.at(3))
    assert all(np.linalg.norm(direction) == pytest.approx(1, abs=1e-5) for direction in by_role.values())
    assert by_role["random", "1"] == pytest.approx(random_direction(64, layer=2, seed=1))
    assert abs(by_role["pca", ""] @ vectors.at(3)) > abs(by_role["pca_centered", ""] @ vectors.at(3))


def test_a_cell_is_what_a_propensity_of_the_same_pairs_finds(tiny_llama, made, found):
    _, vectors = made
    pairs = read_pairs("refusal", "test")[:4]
    for (cell, changes), (layer, alpha) in zip(found.of("chosen"), CHOSEN, strict=True):
        expected = propensity(tiny_llama, vectors, pairs, PropensitySpec(layers=(layer,), alphas=(alpha,)))
        assert (cell.layer, cell.alpha) == (layer, alpha)
        assert changes == pytest.approx(expected.changes()[0, 0], abs=1e-5)


def test_the_prompted_baseline_is_a_plain_likelihood_after_the_system_prompt(tiny_llama, found):
    margins = []
    for pair in read_pairs("refusal", "test")[:4]:
        sides = []
        for system in (BEHAVIOR.system_prompt, None):
            ids, n = zip(
                *(tiny_llama.chat.pair_ids(pair.prompt, text, system) for text in (pair.positive, pair.negative)),
                strict=True,
            )
            prompts = [tuple(one[:at]) for one, at in zip(ids, n, strict=True)]
            responses = [tuple(one[at:]) for one, at in zip(ids, n, strict=True)]
            positive, negative = mean_nll(tiny_llama, prompts, responses)
            sides.append(negative - positive)
        margins.append(sides[0] - sides[1])
    assert found.prompted_changes() == pytest.approx(np.array(margins), abs=1e-5)


def test_it_is_kept_and_known_again(tiny_llama, directed, found, tmp_path):
    save_held_out(found, tmp_path / "held_out.safetensors")
    read = read_held_out(tmp_path / "held_out.safetensors")
    assert read.changes() == pytest.approx(found.changes())
    pairs = read_pairs("refusal", "test")[:4]
    assert read.card.basis == confirm_card(tiny_llama.card, BEHAVIOR, pairs, directed, "response").basis
    turned = [(cell, -direction) for cell, direction in directed]
    for changed in (
        confirm_card(tiny_llama.card, BEHAVIOR, pairs[:3], directed, "response"),
        confirm_card(tiny_llama.card, BEHAVIOR, pairs, directed, "all"),
        confirm_card(tiny_llama.card, BEHAVIOR, pairs, directed[:-1], "response"),
        confirm_card(tiny_llama.card, BEHAVIOR, pairs, turned, "response"),
    ):
        assert read.card.basis != changed.basis


def test_only_what_is_new_is_measured_and_stands_in_its_place(tiny_llama, made, directed, found, monkeypatch):
    """One more vector, in the middle: the rest is not read again."""
    _, vectors = made
    pairs, asked = read_pairs("refusal", "test")[:4], []
    another = (HeldOutCell(role="other", layer=1, alpha=0.3, name="another"), vectors.at(1))
    more = [*directed[:-1], another, directed[-1]]

    def counted(*args):
        asked.append([cell for cell, _ in args[3]])
        return confirm(*args)

    monkeypatch.setattr("interp_steer.sweeps.confirm.confirm", counted)
    grown = confirm_rest(tiny_llama, BEHAVIOR, pairs, more, "response", found)
    assert asked == [[another[0]]]
    whole = confirm(tiny_llama, BEHAVIOR, pairs, more, "response")
    assert grown.card.basis == whole.card.basis
    assert grown.changes() == pytest.approx(whole.changes(), abs=1e-5)
    assert confirm_rest(tiny_llama, BEHAVIOR, pairs, more, "response", grown) is grown
    assert missing_cells(tiny_llama.card, BEHAVIOR, pairs, more[::-1], "response", grown) == []


@pytest.mark.parametrize("other", ["pairs", "scope", "directions", "model", "fewer"])
def test_a_measurement_of_something_else_is_of_no_use(tiny_llama, directed, found, other):
    pairs, scope, card = read_pairs("refusal", "test")[:4], "response", tiny_llama.card
    wanted = directed
    if other == "pairs":
        pairs = pairs[:3]
    elif other == "scope":
        scope = "all"
    elif other == "directions":
        wanted = [(cell, -direction) for cell, direction in directed]
    elif other == "model":
        card = replace(card, fingerprint="another")
    else:
        wanted = directed[1:]
    assert missing_cells(card, BEHAVIOR, pairs, wanted, scope, found) == wanted


def test_a_control_without_a_direction_is_left_out(tiny_llama):
    pair = Pair(prompt="Why?", positive="Because it is so.", negative="No idea at all.")
    activations = extract(tiny_llama, [pair], behavior="one")
    directed = directed_cells(
        fit(activations),
        activations,
        best=(1, 0.2),
        chosen=[(1, 0.2)],
        equal_kl=[],
        methods=[(1, 0.2)],
        others={},
        n_random=1,
        n_flipped=2,
    )
    assert [cell.role for cell, _ in directed] == ["chosen", "minus", "random", "mean", "pca"]


def test_nothing_to_measure_is_an_error(tiny_llama, directed):
    with pytest.raises(SteeringError, match="at least one pair and one push"):
        confirm(tiny_llama, BEHAVIOR, [], directed, "response")
