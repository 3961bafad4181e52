"""The service with a writer and a judge behind it, and what they leave in files."""

import json

import pytest
from opus import Opus


@pytest.fixture
def opus(claude_server):
    """The service, with a writer and a judge behind it."""
    claude_server.answer = Opus()
    return claude_server


@pytest.fixture
def lines():
    """Function from a file to the objects on its lines."""

    def read(path):
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    return read
