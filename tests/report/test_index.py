import pytest

from interp_steer.errors import RunError
from interp_steer.files import write_text
from interp_steer.report.index import read_summary, write_index
from interp_steer.report.render import render, write_report


@pytest.fixture
def folder(report, bare_run, tmp_path):
    out = tmp_path / "reports"
    write_text(out / "re fusal.html", render(report, []))
    write_report(bare_run, out / "bare.html", assets="shared")
    (out / "notes.html").write_text("<p>not a report</p>")
    return out


def test_the_index_links_every_report_and_nothing_else(folder):
    text = write_index(folder).read_text(encoding="utf-8")
    assert 'href="re%20fusal.html"' in text
    assert 'href="bare.html"' in text
    assert "notes.html" not in text
    assert "1 of 2 reports finds a cell that steers." in text


def test_the_index_repeats_the_summary_of_the_report(folder):
    summary = read_summary(folder / "re fusal.html")
    assert (summary.layer, summary.alpha, summary.split, summary.date) == (14, 0.3, "test", "2026-11-22")
    assert summary.steers
    text = write_index(folder).read_text(encoding="utf-8")
    assert f'<b>{summary.effect:.2f}</b> <span class="range">[{summary.low:.2f}, {summary.high:.2f}]</span>' in text
    assert f"{summary.n} held-out prompts" in text


def test_the_map_has_a_square_per_scored_cell_and_one_outline(folder):
    text = write_index(folder).read_text(encoding="utf-8")
    assert text.count("<rect") == 30 * 3 + 1
    assert '<rect class="best" x="140" y="10"' in text  # layer 14 across, the middle one of three alphas


def test_reports_in_folders_are_found(folder, report):
    write_text(folder / "deep er" / "down" / "one.html", render(report, []))
    assert 'href="deep%20er/down/one.html"' in write_index(folder).read_text(encoding="utf-8")


def test_the_index_ignores_its_own_last_edition(folder):
    first = write_index(folder).read_bytes()
    assert write_index(folder).read_bytes() == first


def test_a_page_without_a_summary_is_not_a_report(folder):
    assert read_summary(folder / "notes.html") is None


def test_a_damaged_summary_is_named(folder):
    (folder / "torn.html").write_text('<script type="application/json" id="summary">{"behavior": "x"</script>')
    with pytest.raises(RunError, match=r"torn\.html: its summary cannot be read"):
        write_index(folder)


def test_a_folder_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(RunError, match=r"nowhere is not a folder; .*interp-steer report"):
        write_index(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_an_empty_folder_has_an_index(tmp_path):
    assert "No reports here yet." in write_index(tmp_path).read_text(encoding="utf-8")
