"""The wheel, installed on its own, works from an empty folder."""

import json
import os
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAMES = [
    "cats",
    "concise",
    "enthusiastic",
    "french",
    "hedging",
    "listing",
    "ocean",
    "permissive",
    "pirate",
    "questioning",
    "refusal",
    "spanish",
    "sutro_tower",
]
WHERE = """
import importlib.util, json
from importlib.metadata import entry_points
print(json.dumps({
    "modules": [importlib.util.find_spec(name).origin for name in ("interp_steer", "analyses")],
    "analyses": {entry.name: entry.load().__module__ for entry in entry_points(group="interp_steer.analyses")},
}))
"""


def run(*command, cwd):
    outside = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, capture_output=True, text=True, check=False, env={**outside, "COLUMNS": "200"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, cwd=ROOT)
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """A fresh environment that holds the wheel; its dependencies are those of the running one."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(folder, with_pip=False)
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / "python"
    (packages,) = folder.rglob("site-packages")
    # Folders named in a .pth file are searched last, and .pth files within them (the editable install) are not read.
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    return scripts


@pytest.fixture
def nowhere(tmp_path):
    folder = tmp_path / "nowhere"
    folder.mkdir()
    return folder


def test_the_wheel_holds_what_is_read_at_run_time_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"interp_steer/builtin_pairs/{name}/behavior.toml" for name in NAMES} <= names
    assert {f"interp_steer/builtin_pairs/refusal/{split}.jsonl" for split in ("train", "dev", "test")} <= names
    folder = ROOT / "interp_steer" / "report" / "templates"
    templates = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {f"interp_steer/report/templates/{name}" for name in templates} <= names
    assert "interp_steer/__main__.py" in names
    modules = {
        f"{path.relative_to(ROOT)}" for top in ("interp_steer", "analyses") for path in (ROOT / top).rglob("*.py")
    }
    assert {name for name in names if name.endswith(".py")} == modules
    assert {name.split("/")[0].split("-")[0] for name in names} == {"interp_steer", "analyses"}


def test_the_command_answers(environment, nowhere):
    assert "Usage: interp-steer" in run(environment / "interp-steer", "--help", cwd=nowhere)
    assert "Usage: " in run(environment / "python", "-m", "interp_steer", "--help", cwd=nowhere)


def test_the_built_in_behaviors_are_found(environment, nowhere):
    rows = json.loads(run(environment / "interp-steer", "pairs", "list", "--json", cwd=nowhere))
    assert [row["behavior"] for row in rows] == NAMES
    assert run(environment / "interp-steer", "pairs", "check", cwd=nowhere) == "0 errors, 0 warnings\n"


def test_everything_comes_from_the_wheel(environment, nowhere):
    found = json.loads(run(environment / "python", "-c", WHERE, cwd=nowhere))
    assert all(Path(origin).is_relative_to(environment.parent) for origin in found["modules"])
    assert found["analyses"]["magnitude"] == "analyses.magnitude"
    assert set(found["analyses"]) == {
        "magnitude",
        "explained_variance",
        "probe_accuracy",
        "pair_plan",
        "pair_quality",
        "adjacent_similarity",
        "separation",
        "small_push",
        "one_cell",
        "recommender",
        "layer_selection",
    }


def test_a_page_is_written(environment, nowhere):
    (nowhere / "reports").mkdir()
    run(environment / "interp-steer", "report", "--index", "reports", cwd=nowhere)
    assert (nowhere / "reports" / "index.html").read_text(encoding="utf-8").startswith("<!doctype html>")
