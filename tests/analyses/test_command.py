import io
import subprocess
import sys

import pytest
from rich.console import Console

from analyses.command import print_result
from interp_steer.analysis import find_analyses
from interp_steer.findings import AnalysisResult, Table


def command(*arguments, name="magnitude"):
    return subprocess.run(
        [sys.executable, "-m", f"analyses.{name}", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_an_analysis_prints_its_tables(make_run, make_activations):
    done = command(make_run(make_activations([1.0, 4.0])).path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Magnitude by layer" in done.stdout
    assert "Relative to the stream the vector is largest at layer 1" in " ".join(done.stdout.split())


@pytest.mark.parametrize("name", find_analyses())
def test_every_analysis_is_a_command_and_a_missing_run_an_expected_failure(name, tmp_path):
    done = command(tmp_path / "nothing", name=name)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_no_argument_is_a_usage_error():
    assert command().returncode == 2


def test_text_in_brackets_is_not_markup():
    table = Table(title="t", columns=("prompt", "x"), rows=(("[red]hello", None),), notes=("[bold]note",))
    result = AnalysisResult(name="n", title="t", question="q [x]", finding="f [/y]", tables=(table,))
    output = io.StringIO()
    print_result(result, Console(file=output, width=100))
    for text in ("[red]hello", "[bold]note", "q [x]", "f [/y]", "-"):
        assert text in output.getvalue()
