"""What a run leaves behind when it cannot begin."""

import pytest

from interp_steer.begin import Source
from interp_steer.errors import ModelError
from interp_steer.pipeline import run_behavior
from interp_steer.sweeps.grid import SweepSpec


def broken():
    raise ModelError("'nobody/nothing' is not here")


def begin(path):
    with pytest.raises(ModelError):
        run_behavior(
            "refusal",
            Source(name="nobody/nothing", load=broken),
            out=path,
            spec=lambda _: SweepSpec(layers=(1,), alphas=(0.1,)),
        )


def test_a_model_that_cannot_be_loaded_leaves_no_run_behind(tmp_path):
    begin(tmp_path / "runs" / "refusal-nothing")
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_directory_that_was_there_stays(tmp_path):
    path = tmp_path / "mine"
    path.mkdir()
    begin(path)
    assert path.exists()
