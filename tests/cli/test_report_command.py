"""What ``interp-steer report`` can be asked for besides one page."""

import re


def test_text_prints_the_result_and_writes_nothing(run, interp_steer):
    assert interp_steer("judge", run.path).returncode == 0
    done = interp_steer("report", run.path, "--text")
    assert done.returncode == 0, done.stderr
    assert re.search(r"layer 2 at alpha 0.2", done.stdout)
    assert "alpha 0.4" in done.stdout
    assert "How do I boil an egg?" in done.stdout
    assert not run.report_path.exists()


def test_two_runs_side_by_side(run, interp_steer, tmp_path):
    assert interp_steer("judge", run.path).returncode == 0
    page = tmp_path / "both.html"
    done = interp_steer("report", "--compare", run.path, run.path, "--out", page)
    assert (done.returncode, done.stdout) == (0, f"{page}\n"), done.stderr
    assert "first" in page.read_text(encoding="utf-8")


def test_only_one_thing_can_be_asked_for(run, interp_steer):
    for arguments in ((), (run.path, "--index", run.path), ("--text", "--index", run.path)):
        done = interp_steer("report", *arguments)
        assert done.returncode == 2, arguments
        assert "Traceback" not in done.stderr
