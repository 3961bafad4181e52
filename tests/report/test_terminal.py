import io
from dataclasses import replace

from rich.console import Console

from interp_steer.report.build import build_report
from interp_steer.report.terminal import print_report


def printed(report, **options):
    console = Console(file=io.StringIO(), width=120, highlight=False, **options)
    print_report(report, console)
    return console.file.getvalue()


def test_headline_controls_map_and_examples_are_printed(report):
    text = printed(report)
    assert report.headline.claim[:60] in text
    assert "Random direction" in text
    rows = [line for line in text.splitlines() if line.strip().startswith("alpha 0.15 ")]
    assert len(rows) == 1
    top = report.sweep.grids[0].values[1][14]
    assert f"{round(100 * top):2d}" in next(line for line in text.splitlines() if line.strip().startswith("alpha 0.3 "))
    assert report.headline.examples[0].prompt in text


def test_colors_come_only_where_there_are_some(report):
    assert "\x1b[" not in printed(report)
    assert "48;2;" in printed(report, force_terminal=True, color_system="truecolor")


def test_model_text_cannot_steer_the_terminal(report):
    """The hostile completion holds an escape sequence and a mark that turns text around."""
    text = printed(report, force_terminal=True, color_system="truecolor")
    assert "\x1b[31m" not in text
    assert "\u202e" not in text


def test_a_bare_run_says_what_to_do(bare_run):
    text = printed(build_report(bare_run))
    assert "No result yet" in text
    assert "interp-steer sweep" in text


def test_a_perfect_score_is_100(report):
    grid = report.sweep.grids[0]
    perfect = replace(grid, values=((1.0, *grid.values[0][1:]), *grid.values[1:]))
    text = printed(replace(report, sweep=replace(report.sweep, grids=(perfect, *report.sweep.grids[1:]))))
    row = next(line for line in text.splitlines() if line.strip().startswith(f"alpha {grid.alphas[0]:g} "))
    assert row.split()[2].startswith("100")
    assert " 99" not in row
