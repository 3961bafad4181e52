"""The page in a real browser: headless Chromium, opened from disk, the network off."""

import csv
import io
import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from interp_steer.files import write_text
from interp_steer.report.compare import write_comparison
from interp_steer.report.index import write_index
from interp_steer.report.render import held_libraries, render, write_report
from interp_steer.report.study import render_study

# A function, since the page's own policy forbids the evaluation of strings.
DRAWN = "() => [...document.querySelectorAll('[data-figure]')].every(plot => plot.querySelector('svg'))"
COMMITTED = Path(__file__).parents[2] / "reports"
BEST = "Layer 14 at alpha 0.3: what it wrote"


@pytest.fixture(scope="module")
def written(finished_run, report, tmp_path_factory):
    """The report, inline; an index over it; and a comparison of the run with itself."""
    folder = tmp_path_factory.mktemp("pages")
    write_report(finished_run, folder / "refusal.html")
    write_text(folder / "deeper" / "same.html", render(report, []))
    write_comparison(finished_run, finished_run, folder / "both" / "comparison.html")
    write_index(folder)
    return folder


@pytest.fixture
def page(open_page, written):
    return open_page(written / "refusal.html")


def violations(page):
    """What axe-core finds, once everything on the page is drawn."""
    return [
        (found["id"], [node["target"] for node in found["nodes"]]) for found in Axe().run(page).response["violations"]
    ]


def cell_center(page, score, layer, alpha):
    """Where a cell of a map is on the screen: the third alpha of three is the top row."""
    field = page.locator(f"[data-grid={score}] .field")
    field.scroll_into_view_if_needed()
    box = field.bounding_box()
    return box["x"] + box["width"] * (layer + 0.5) / 30, box["y"] + box["height"] * (2.5 - alpha) / 3


def test_the_page_asks_for_nothing_and_has_no_errors(page, asked):
    assert page.title() == "refusal · smollm2-135m · interp-steer"
    assert page.locator("h1").inner_text().startswith("Layer\u00a014 at alpha\u00a00.3 raises refusal by")
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_every_figure_gets_drawn(page):
    page.wait_for_function(DRAWN)
    assert page.locator("[data-figure]").count() == 8
    page.wait_for_function("() => [...document.querySelectorAll('.colored')].every(text => text.innerText.length > 10)")


def test_a_click_on_a_cell_shows_what_it_wrote_beside_the_baseline(page, finished_run):
    page.mouse.click(*cell_center(page, "behavior", layer=9, alpha=2))
    assert page.locator("#texts-heading").inner_text() == "Layer 9 at alpha 0.45: what it wrote"
    said = page.locator("#completions details[open] > summary").inner_text()
    split, prompt = ("test", "test-1") if said.startswith("Held-out") else ("dev", "dev-1")
    texts = {
        generation.cell.key: generation.text
        for generation in finished_run.generations()
        if (generation.split, generation.prompt_id) == (split, prompt)
    }
    first = page.locator("#completions article").first
    shown = [box.inner_text() for box in first.locator(".answer .text").all()]
    assert shown == [texts["unsteered"], texts["steered@9:+0.45"]]
    assert re.search(r"behavior \d\.\d\d · coherence \d\.\d\d", first.locator(".scores").last.inner_text())


def test_the_map_says_its_interval_when_pointed_at(page):
    page.mouse.move(*cell_center(page, "combined", layer=14, alpha=1))
    said = page.locator("#map-tip").inner_text()
    assert re.fullmatch(r"layer 14, alpha 0\.3\s+combined 0\.\d\d \[0\.\d\d, [01]\.\d\d\]\s+n = 12", said), said
    page.mouse.move(2, 2)
    assert not page.locator("#map-tip").is_visible()


def test_the_maps_work_with_the_keyboard_alone(page):
    page.locator(".skip").focus()
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.grid") == "combined":
            break
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    assert page.locator("#map-said").inner_text().startswith("layer 13, alpha 0.45, combined")
    page.keyboard.press("Enter")
    assert page.locator("#texts-heading").inner_text() == "Layer 13 at alpha 0.45: what it wrote"
    assert page.evaluate("document.activeElement.id") == "texts-heading"


def test_the_rest_of_the_completions_is_one_press_away(page):
    page.locator("#texts-heading", has_text=BEST).wait_for()
    shown = page.locator("#completions details[open] article")
    assert shown.count() == 4
    page.get_by_role("button", name="Show the other 20").click()
    assert shown.count() == 24


def test_words_that_two_texts_do_not_share_are_marked(page):
    page.locator("#cell").select_option("steered@14:+0.3")
    items = [item for item in page.locator("#completions article").all() if item.locator("mark").count()]
    page.get_by_role("button", name="Show the other 20").click()
    items = [item for item in page.locator("#completions article").all() if item.locator("mark").count()]
    for item in items:  # what is left of both texts without the marks is the same, in the same order
        rest = item.locator(".text").evaluate_all(
            """texts => texts.map(text => {
                const copy = text.cloneNode(true);
                copy.querySelectorAll("mark").forEach(mark => mark.replaceWith(" "));
                return copy.textContent.split(/\\s+/).filter(Boolean).join(" ");
            })"""
        )
        assert rest[0] == rest[1] != ""
    alike = page.locator("#completions article", has_text="no wording in common")
    assert items or alike.count()
    page.get_by_label("Mark words that differ").uncheck()
    assert page.locator("#completions mark").count() == 0


def test_a_figure_comes_down_as_csv_with_every_digit(page, report):
    figure = page.locator("#figure-depth")
    figure.locator("summary").click()
    with page.expect_download() as caught:
        figure.get_by_role("button", name="Download as CSV").click()
    rows = list(csv.reader(io.StringIO(caught.value.path().read_text(encoding="utf-8-sig"))))
    assert rows[0][:4] == ["layer", "behavior", "behavior: low", "behavior: high"]
    assert len(rows) == 31
    assert rows[0][7:10] == ["combined", "combined: low", "combined: high"]
    assert float(rows[15][1]) == report.sweep.depth.series[0].y[14]


def test_hostile_text_is_shown_as_text(page, hostile):
    page.get_by_role("button", name="Show the other 20").click()
    text = page.locator("#completions .answer.steered .text", has_text="onerror").first
    shown = text.text_content()
    assert shown == hostile.replace("\x1b", "⟨U+001B⟩").replace("\u202e", "⟨U+202E⟩").replace("\u202c", "⟨U+202C⟩")
    assert page.locator("img").count() == 0
    assert page.evaluate("getComputedStyle(document.querySelector('#completions .text')).unicodeBidi") == "isolate"


def test_the_slider_moves_tokens_and_numbers_together(page):
    page.locator("#tokens").scroll_into_view_if_needed()
    slider = page.get_by_label("Layer", exact=False).and_(page.locator("input[type=range]"))
    slider.focus()
    number = page.locator("[data-cosines='0'] td:last-child").first
    before = number.text_content()
    page.keyboard.press("ArrowRight")
    assert page.locator("#layer-value").inner_text() == "21"
    assert page.locator("[data-promoted=up] li").first.inner_text().startswith("sorry 21")
    assert number.text_content() != before


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)])
def test_nobody_is_shut_out(open_page, written, scheme, width):
    """Contrast, labels, landmarks, roles; and nothing wider than the screen."""
    page = open_page(written / "refusal.html", scheme=scheme, width=width)
    page.wait_for_function(DRAWN)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(
    "page", sorted(path.name for path in COMMITTED.glob("*-smollm2-135m.html") if not path.name.startswith("study-"))
)
def test_the_committed_reports_open_from_disk(open_page, asked, page):
    """The real ones, with their libraries beside them; an error on the console fails the test at its end."""
    opened = open_page(COMMITTED / page)
    field = opened.locator("[data-grid=combined] .field")
    field.scroll_into_view_if_needed()
    before = opened.locator("#texts-heading").inner_text()
    box = field.bounding_box()
    opened.mouse.click(box["x"] + 5, box["y"] + 5)
    assert opened.locator("#texts-heading").inner_text() != before
    assert opened.locator("#completions article .answer.steered .text").first.inner_text()
    opened.wait_for_function(DRAWN)
    assert not opened.locator("#unreadable").is_visible()
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_the_committed_study_opens_from_disk(open_page, asked):
    opened = open_page(COMMITTED / "study-smollm2-135m.html", ready=False)
    plot = opened.locator("[data-figure]").first
    plot.scroll_into_view_if_needed()
    plot.locator("svg").first.wait_for()
    assert not opened.locator("#unreadable").is_visible()
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


@pytest.mark.parametrize("name", ["index.html", "both/comparison.html"])
def test_the_other_pages_shut_nobody_out_either(open_page, written, name):
    page = open_page(written / name, ready=False)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_a_study_shuts_nobody_out(open_page, report, tmp_path):
    about = {"model": "tiny", "behaviors": ["refusal"], "spec": {"scope": "all"}, "card": {"name": "tiny"}}
    write_text(tmp_path / "study.html", render_study(about, [report.selection, *report.analyses]))
    page = open_page(tmp_path / "study.html", ready=False)
    page.wait_for_function(DRAWN)
    assert violations(page) == []


def test_the_index_sorts_by_what_one_presses(open_page, written, bare_run):
    write_report(bare_run, written / "bare.html", assets="shared")
    write_index(written)
    page = open_page(written / "index.html", ready=False)
    links = page.locator("tbody a")
    assert {link.get_attribute("href") for link in links.all()} == {"refusal.html", "deeper/same.html", "bare.html"}
    page.get_by_role("button", name="Effect").click()
    assert links.last.get_attribute("href") == "bare.html"
    assert page.locator("[aria-sort=descending]").inner_text().startswith("Effect")
    page.get_by_role("button", name="Effect").click()
    assert links.first.get_attribute("href") == "bare.html"


PRINTABLE = """() => [...document.querySelectorAll("figure:has([data-figure])")].every(
    figure => figure.querySelector("[data-figure] svg") || figure.querySelector("details").open)"""


def test_print_has_every_figure_or_its_numbers(open_page, written):
    page = open_page(written / "refusal.html")
    assert page.evaluate("document.querySelectorAll('[data-figure] svg').length") == 0, "too late to show anything"
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(PRINTABLE)
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("figure:has([data-figure]) details[open]").count() == 0
    page.wait_for_function(DRAWN)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("figure:has([data-figure]) details[open]").count() == 0, "a figure that is drawn is enough"
    assert not page.locator(".contents").is_visible()


def test_paper_shows_what_a_reader_would_open_and_no_figure_wider_than_a_page(open_page, written):
    page = open_page(written / "refusal.html")
    page.wait_for_function(DRAWN)
    widths = "() => [...document.querySelectorAll('[data-figure] .main-svg')].map(svg => svg.clientWidth)"
    before = page.evaluate(widths)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert max(page.evaluate(widths)) <= 680 < min(before)
    assert page.get_by_text("Refuse every request").count()
    for shown in (".cells", ".scale .heat", "#provenance details p", ".more", ".paper"):
        assert page.locator(shown).first.is_visible(), shown
    said = "getComputedStyle(document.querySelector('.more'), '::after').content"
    assert page.evaluate(said) == '"The other 20 are in the page, not on paper."'
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(widths) == before
    assert not page.locator(".cells").is_visible()


def test_the_maps_are_there_before_any_library_and_a_click_waits_for_nothing_else(page):
    assert page.locator("[data-grid=combined] .field path").count() > 3
    page.mouse.click(*cell_center(page, "combined", layer=3, alpha=2))
    assert page.locator("#texts-heading").inner_text() == "Layer 3 at alpha 0.45: what it wrote"
    assert page.evaluate("typeof Plotly + typeof CircuitsVis") == "undefinedundefined"
    assert page.locator("[data-grid=combined] .chosen").get_attribute("x") == "3"


def test_a_phone_reads_the_labels_of_several_marks_in_a_list(open_page, written):
    page = open_page(written / "refusal.html", width=390)
    page.wait_for_function(DRAWN)
    figure = page.locator("#figure-analysis-magnitude-1")
    assert figure.locator(".marks li").all_inner_texts() == [
        "layer 14: best layer of the sweep",
        "layer 23: 80 % depth",
    ]
    assert figure.locator(".annotation").count() == 0
    cut = page.evaluate(
        """[...document.querySelectorAll("[data-figure] text")].filter(text => {
            const box = text.getBoundingClientRect();
            return box.width && (box.left < -1 || box.right > innerWidth + 1);
        }).map(text => text.textContent)"""
    )
    assert cut == []


def test_a_browser_that_cannot_unpack_says_so_and_shows_the_rest(browser, written):
    page = browser.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.add_init_script("delete window.DecompressionStream")
    page.goto((written / "refusal.html").as_uri())
    said = page.get_by_role("alert").inner_text()
    assert "This browser cannot unpack" in said
    assert "completions, figures and downloads" in said
    page.mouse.move(*cell_center(page, "combined", layer=14, alpha=1))
    assert page.locator("#map-tip").inner_text().startswith("layer 14, alpha 0.3")
    assert page.locator("h1").is_visible()
    assert errors == []
    page.close()


def test_a_library_that_is_not_beside_the_page_is_missed_in_words(browser, report, tmp_path):
    libraries = held_libraries({"plotly.js": "0", "circuitsvis.js": "0"}, "shared")
    write_text(tmp_path / "alone.html", render(report, libraries))
    page = browser.new_page()
    page.goto((tmp_path / "alone.html").as_uri())
    page.get_by_role("alert").filter(has_text="assets/").wait_for()
    page.close()
