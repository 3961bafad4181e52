import gzip
import hashlib
import json
import re
import subprocess
import sys
from base64 import b64decode, b64encode
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from plotly.offline import get_plotlyjs

from interp_steer.files import write_json
from interp_steer.findings import AnalysisResult
from interp_steer.records import to_json
from interp_steer.report.drawings import whiskers
from interp_steer.report.packing import packed
from interp_steer.report.render import held_libraries, page_environment, render, script_json, write_report
from interp_steer.report.tokens import circuitsvis_bundle

LIMIT = 8_000_000  # bytes


class Page(HTMLParser):
    """Elements, ids, addresses and scripts of a page."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.ids, self.addresses, self.handlers, self.sources = [], [], [], [], []
        self.scripts, self.policy = {}, ""
        self.style, self._script = "", None
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append(tag)
        self.ids += [given["id"]] if "id" in given else []
        self.addresses += [value for name, value in attrs if name in ("src", "href", "xlink:href", "srcset", "action")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.sources += [given["data-source"]] if "data-source" in given else []
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]
        self._script = None
        if tag in ("script", "style"):
            self._script = given.get("id", f"{tag}-{len(self.scripts)}")
            self.scripts[self._script] = ""

    def handle_data(self, data):
        if self._script is not None:
            self.scripts[self._script] += data

    def handle_endtag(self, tag):  # noqa: ARG002
        self._script = None

    def unpacked(self, name):
        return gzip.decompress(b64decode(self.scripts[name])).decode()

    def packed(self):
        return json.loads(self.unpacked("packed"))

    def data(self, name):
        def refuse(constant):
            raise AssertionError(f"{name} holds {constant}")

        return json.loads(self.scripts[name], parse_constant=refuse)


@pytest.fixture(scope="module")
def written(finished_run, tmp_path_factory):
    return write_report(finished_run, tmp_path_factory.mktemp("out") / "page.html")


@pytest.fixture(scope="module")
def page(written):
    return Page(written)


def test_the_page_is_one_small_file(written):
    assert written.stat().st_size < LIMIT
    assert [path.name for path in written.parent.iterdir()] == ["page.html"]


def test_the_page_refers_to_nothing_outside_itself(page):
    assert page.addresses
    assert all(address.startswith("#") for address in page.addresses)
    assert "url(" not in page.scripts["style-0"]
    assert "@import" not in page.scripts["style-0"]


def test_every_link_of_the_contents_leads_somewhere(page):
    assert {address[1:] for address in page.addresses} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_hostile_text_stays_text(page, hostile):
    assert "img" not in page.tags
    assert page.handlers == []
    rows = page.packed()["generations"]["cells"]["steered@14:+0.3"]["splits"]["test"]
    shown = next(text for prompt, text, *_ in rows if prompt == "test-3")
    assert shown == hostile.replace("\x1b", "⟨U+001B⟩").replace("\u202e", "⟨U+202E⟩").replace("\u202c", "⟨U+202C⟩")
    assert page.tags[-1] == "script"  # nothing was opened behind the last of our own scripts


def test_data_cannot_end_its_element(page):
    assert all("<" not in page.scripts[name] for name in ("summary", "figures", "maps", "packed"))
    assert script_json({"a": "</script><!--"}) == '{"a":"\\u003c/script>\\u003c!--"}'
    with pytest.raises(ValueError, match="JSON compliant"):
        script_json(float("nan"))


def test_every_table_that_can_be_downloaded_has_all_its_digits(written, page, report):
    tables = page.packed()["tables"]
    wanted = re.findall(r'data-csv="([^"]+)"', written.read_text(encoding="utf-8").split("<script")[0])
    assert sorted(wanted) == sorted(tables)
    assert tables["figure-depth"]["rows"][14][1] == report.sweep.depth.series[0].y[14]
    assert {"maps", "by-layer", "promoted", "side-effects"} <= set(wanted)


def test_a_completion_of_100_000_characters_is_kept_and_folded(report):
    def longer(sample):
        return replace(sample, text="word " * 20_000)

    cells = tuple(
        replace(cell, splits=tuple((split, tuple(map(longer, samples))) for split, samples in cell.splits))
        for cell in report.sweep.cells[:3]
    )
    examples = tuple(
        replace(example, samples=tuple(map(longer, example.samples))) for example in report.headline.examples
    )
    changed = replace(
        report, sweep=replace(report.sweep, cells=cells), headline=replace(report.headline, examples=examples)
    )
    text = render(changed, [])
    assert "98,500 more characters" in text
    data = json.loads(gzip.decompress(b64decode(packed(changed, {}, LIMIT))))
    rows = [row for cell in data["generations"]["cells"].values() for split in cell["splits"].values() for row in split]
    assert {len(row[1]) for row in rows} == {100_000}


def test_texts_are_shortened_and_say_so_where_the_page_would_grow_too_large(report):
    whole = packed(report, {}, LIMIT)
    fitted = packed(report, {}, int(0.8 * len(whole)))
    assert len(fitted) < len(whole)
    texts = json.loads(gzip.decompress(b64decode(fitted)))["generations"]["cells"]["steered@14:+0.3"]["splits"]["test"]
    assert any(row[1].endswith("more characters are in generations.jsonl)") for row in texts)


def test_only_the_scripts_that_were_written_may_run(page):
    ours = [text for name, text in page.scripts.items() if name.startswith("script-")]
    held = [page.unpacked(f"library-{name}") for name in ("plotly", "circuitsvis")]
    assert held == [get_plotlyjs(), circuitsvis_bundle()]
    hashes = re.findall(r"'sha256-([^']+)'", page.policy)
    assert hashes == [b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (*ours, *held)]
    assert len(ours) == 1
    assert page.policy.startswith("default-src 'none'; script-src 'sha256-")


def test_every_plot_has_its_figure_and_every_figure_its_plot(written, page):
    wanted = re.findall(r'data-figure="([^"]+)"', written.read_text(encoding="utf-8").split("<script")[0])
    assert sorted(wanted) == sorted(page.data("figures"))
    assert {"strength", "depth", "analysis-magnitude-1"} <= set(wanted)


def test_every_cell_of_the_maps_has_its_completions(page):
    generations = page.packed()["generations"]
    assert all(key in generations["cells"] for row in page.data("maps")["keys"] for key in row)
    assert generations["best"] == "steered@14:+0.3"
    assert all(
        row[0] in generations["prompts"]
        for cell in generations["cells"].values()
        for rows in cell["splits"].values()
        for row in rows
    )


def test_page_code_writes_model_text_as_text_only(page):
    (ours,) = (text for name, text in page.scripts.items() if name.startswith("script-"))
    assert "textContent" in ours
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", ours)


def test_intervals_share_one_axis_that_holds_zero(report):
    contrasts = report.headline.contrasts
    drawn = whiskers(contrasts)
    assert drawn[0] is None  # the unsteered model has no change against itself
    places = [at for at in drawn if at]
    assert len({at["zero"] for at in places}) == 1
    assert all(0 <= at["low"] <= at["mean"] <= at["high"] <= 100 for at in places)
    order = [contrast.effect.mean for contrast in contrasts if contrast.effect]
    means = [at["mean"] for at in places]
    assert sorted(range(len(means)), key=means.__getitem__) == sorted(range(len(order)), key=order.__getitem__)


def test_a_sentence_is_escaped_before_its_intervals_are_set_apart():
    ranged = page_environment().filters["ranged"]
    assert ranged("<b> by 0.71 [−0.05, 0.86]") == (
        '&lt;b&gt; by <span class="measure">0.71 <span class="range">[−0.05, 0.86]</span></span>'
    )


def test_the_same_run_gives_the_same_page(report, written):
    libraries = held_libraries({"plotly.js": get_plotlyjs(), "circuitsvis.js": circuitsvis_bundle()}, "inline")
    assert render(report, libraries) == written.read_text(encoding="utf-8")


def test_a_bare_run_has_a_page_too(bare_run):
    path = write_report(bare_run)
    page = Page(path)
    assert path == bare_run.report_path
    assert page.packed()["generations"] is page.packed()["projections"] is None
    assert page.data("figures") == {}
    assert "interp-steer sweep" in path.read_text(encoding="utf-8")


def test_shared_scripts_lie_beside_the_page_once(finished_run, bare_run, tmp_path):
    first = Page(write_report(finished_run, tmp_path / "a.html", assets="shared"))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "assets").iterdir()}
    write_report(bare_run, tmp_path / "b.html", assets="shared")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "assets").iterdir()} == before
    assert all(address.startswith("#") for address in first.addresses), "the page's code loads them when it needs them"
    assert sorted(first.sources) == sorted(f"assets/{path.name}" for path in before)
    assert (tmp_path / "a.html").stat().st_size < LIMIT / 4


def test_a_report_needs_no_torch():
    code = "import sys, interp_steer.report.render, interp_steer.report.index; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_analysis_that_has_nothing_to_show_is_one_line(bare_run):
    absent = AnalysisResult(name="absent", title="Small pushes", question="?", finding="Absent: nothing <measured>.")
    write_json(bare_run.analysis_path("absent"), to_json(absent))
    page = write_report(bare_run).read_text(encoding="utf-8")
    assert "<b>Small pushes</b>: Absent: nothing &lt;measured&gt;." in page
    assert 'id="analysis-absent"' not in page
