import json

import pytest

from interp_steer.pairs import BUILTIN, read_pairs


@pytest.fixture(scope="session")
def hundred():
    """A hundred sound pairs."""
    return [pair for split in ("train", "dev", "test") for pair in read_pairs(BUILTIN / "refusal", split)]


@pytest.fixture
def write(tmp_path):
    """Function that writes a file: JSON, or JSON lines by its suffix, or a text as it is."""

    def to(name, content):
        path = tmp_path / name
        if name.endswith(".jsonl") and isinstance(content, list):
            content = "\n".join(map(json.dumps, content))
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return to
