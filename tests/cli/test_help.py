import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = [
    "run",
    "pairs list",
    "pairs check",
    "pairs import",
    "pairs plan",
    "extract",
    "fit",
    "steer",
    "propensity",
    "pushes",
    "calibrate",
    "combine",
    "sweep",
    "heads fit",
    "heads read",
    "judge",
    "agreement",
    "audit",
    "analyze",
    "report",
    "serve",
    "playground",
    "doctor",
]
HEAVY = ("torch", "transformers", "transformer_lens", "anthropic", "numpy", "scipy", "sklearn", "plotly", "pydantic")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command, interp_steer):
    done = interp_steer(*command.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Example: interp-steer {command} " in " ".join(done.stdout.split()) + " "
    assert f"Usage: interp-steer {command} " in done.stdout


def test_the_list_of_commands_is_complete(interp_steer):
    done = interp_steer("--help")
    assert done.returncode == 0
    for command in COMMANDS:
        assert f" {command.split()[0]} " in done.stdout


@pytest.mark.parametrize("arguments", [(), ("pairs",)])
def test_without_a_command_the_help_is_shown(arguments, interp_steer):
    done = interp_steer(*arguments)
    assert done.returncode in (0, 2)
    assert "Usage: " in done.stdout + done.stderr


def test_the_module_is_the_command():
    done = subprocess.run([sys.executable, "-m", "interp_steer", "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "Usage: " in done.stdout


@pytest.mark.parametrize(
    "code",
    [
        "import interp_steer",
        "import interp_steer.cli.app",
        "from interp_steer.cli.app import app; app(['--help'], standalone_mode=False)",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(code):
    check = f"{code}\nimport sys\nassert not [name for name in {HEAVY!r} if name in sys.modules], sorted(sys.modules)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("run",),
        ("run", "refusal", "--no-such-option"),
        ("run", "refusal", "--scope", "some"),
        ("run", "refusal", "--batch-size", "0"),
        ("run", "refusal", "--max-new-tokens", "many"),
        ("run", "refusal", "--method", "pcaa"),
        ("sweep", "here", "--split", "train"),
        ("report",),
        ("report", "here", "--index", "there"),
    ],
)
def test_wrong_usage_is_exit_code_2(arguments, interp_steer):
    done = interp_steer(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Usage: " in done.stderr
    assert "Traceback" not in done.stderr


def test_the_library_lists_what_it_offers():
    import interp_steer

    assert set(interp_steer.__all__) <= set(dir(interp_steer))
    assert all(getattr(interp_steer, name) is not None for name in interp_steer.__all__)
    assert Path(interp_steer.__file__).name == "__init__.py"
    with pytest.raises(AttributeError, match="no attribute 'steeer'"):
        _ = interp_steer.steeer
