"""What no linter here checks: how long files are, what they are called, and what they must not give away."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYTHON = sorted(path for top in ("interp_steer", "analyses") for path in (ROOT / top).rglob("*.py"))

# Put together here, so that this file does not hold what it looks for.
REGISTRIES = [
    ".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("anaconda", "org"))
]
FOLDERS = ["/" + name + "/" for name in ("home", "root", "Users", "work", "mnt", "tmp")]


def tracked():
    """The text files under version control, with their text."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in names.rstrip("\0").split("\0"):
        path = ROOT / name
        if path.is_file() and b"\0" not in (data := path.read_bytes()):
            yield name, data.decode()


def test_files_are_short():
    rooms = [path for path in PYTHON if path.name != "__init__.py"]
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in rooms}
    assert len(lengths) > 50
    assert not {name: n for name, n in lengths.items() if n > 300}
    assert sum(n > 250 for n in lengths.values()) <= 0.05 * len(lengths)
    assert sum(n <= 100 for n in lengths.values()) > 0.5 * len(lengths)


def test_files_are_called_after_what_they_hold():
    vague = {"utils", "util", "helpers", "helper", "misc", "common", "core", "base", "tools"}
    assert not [path for path in PYTHON if {path.stem, path.parent.name} & vague]


def test_no_file_names_a_registry_or_a_place_on_one_machine():
    hosts = re.compile("|".join(rf"https?://[^\s\"']*{re.escape(host)}" for host in REGISTRIES))
    places = re.compile(rf"(?<![\w./<:-])(?:{'|'.join(FOLDERS)})\w")
    found = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in tracked()
        for number, line in enumerate(text.splitlines(), start=1)
        if len(line) < 5000 and (hosts.search(line) or places.search(line))
    ]
    assert found == []


def test_annotations_are_not_postponed():
    # jaxtyping reads annotations when a function is made.
    assert not [path for path in PYTHON if "from __future__ import annotations" in path.read_text(encoding="utf-8")]


def test_nothing_is_pickled():
    unsafe = re.compile(r"^\s*(?:import|from) (?:pickle|joblib|dill)\b|\btorch\.load\(|allow_pickle=True", re.MULTILINE)
    assert not [path for path in PYTHON if unsafe.search(path.read_text(encoding="utf-8"))]
