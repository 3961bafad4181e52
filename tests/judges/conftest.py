"""A run of refusals to be judged by Claude."""

import pytest
from judging import honest

from interp_steer.files import append_records
from interp_steer.pairs import read_behavior
from interp_steer.records import to_json
from interp_steer.run import Run


@pytest.fixture
def make_run(tmp_path):
    """Function that makes a run of these generations."""

    def make(generations, behavior=None):
        run = Run(tmp_path / "run")
        run.update_manifest(behavior=to_json(behavior or read_behavior("refusal")))
        append_records(run.generations_path, generations)
        return run

    return make


@pytest.fixture
def honest_server(claude_server):
    """A service that judges honestly and repeats nothing slowly."""
    claude_server.answer = honest
    return claude_server
