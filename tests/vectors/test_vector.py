"""The artifact of steering vectors: round trip, refusal of foreign models and of missing layers."""

import dataclasses

import numpy as np
import pytest

from interp_steer.activations.artifact import save_activations
from interp_steer.errors import RunError, SteeringError, VectorError
from interp_steer.vectors.fit import fit
from interp_steer.vectors.vector import read_vectors, save_vectors


@pytest.fixture
def made(activations):
    rng = np.random.default_rng(0)
    negative = rng.standard_normal((2, 3, 16))
    positive = negative + rng.standard_normal((2, 3, 16))
    positive[1] = negative[1]
    return activations(positive, negative)


@pytest.fixture
def vectors(made):
    """Two layers; the second has no direction."""
    return fit(made)


def test_vectors_round_trip(vectors, tmp_path):
    path = tmp_path / "deeper" / "vectors.safetensors"
    save_vectors(vectors, path)
    again = read_vectors(path)
    assert again.card == vectors.card
    for name in ("direction", "norm", "activation_norm"):
        assert np.array_equal(getattr(again, name), getattr(vectors, name))
        assert getattr(again, name).dtype == np.float32
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_saving_again_replaces_the_file(vectors, tmp_path):
    path = tmp_path / "vectors.safetensors"
    save_vectors(vectors, path)
    save_vectors(dataclasses.replace(vectors, norm=2 * vectors.norm), path)
    assert np.array_equal(read_vectors(path).norm, 2 * vectors.norm)


def test_missing_damaged_and_foreign_files_say_how_to_make_them(vectors, made, tmp_path):
    path = tmp_path / "vectors.safetensors"
    with pytest.raises(RunError, match=r"does not exist; make it with 'interp-steer fit'"):
        read_vectors(path)
    save_vectors(vectors, path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(RunError, match=r"cannot be read .*make it again with 'interp-steer fit'"):
        read_vectors(path)
    save_activations(made, path)
    with pytest.raises(RunError, match=r"was not written by 'interp-steer fit'"):
        read_vectors(path)


def test_a_folder_that_cannot_be_written_says_so(vectors, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(RunError, match="cannot write"):
        save_vectors(vectors, tmp_path / "file" / "vectors.safetensors")


def test_another_model_is_refused_by_the_names_of_both(vectors, model_card):
    vectors.check_model(model_card)
    vectors.check_model(dataclasses.replace(model_card, name="renamed", dtype="bfloat16"))
    with pytest.raises(VectorError, match=r"belong to 'paper' \(weights aaaa\), not to 'tuned' \(weights bbbb\)"):
        vectors.check_model(dataclasses.replace(model_card, name="tuned", fingerprint="bbbb"))


def test_directions_are_read_by_layer(vectors):
    assert vectors.n_layers == 2
    assert np.array_equal(vectors.at(0), vectors.direction[0])
    with pytest.raises(SteeringError, match="layer 1: the steering vector is zero"):
        vectors.at(1)


@pytest.mark.parametrize("layer", [-1, 2])
def test_a_layer_out_of_range_is_refused(vectors, layer):
    with pytest.raises(SteeringError, match=f"layer {layer} does not exist: 'paper' has layers 0 to 1"):
        vectors.at(layer)
