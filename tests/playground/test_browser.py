"""The playground in a real browser: headless Chromium against a real server, on a tiny model."""

import re

import pytest
import torch
from axe_playwright_python.sync_playwright import Axe

from interp_steer.model.load import load_model
from interp_steer.playground.app import make_playground
from interp_steer.serving.live import LiveBatch
from interp_steer.serving.server import running
from interp_steer.steering.decode import decode
from interp_steer.steering.intervention import Intervention
from interp_steer.steering.rows import DecodeRow, DecodeSettings

# NiceGUI asks every object there is what it is when it starts, and some of other libraries warn.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

HOSTILE = "</script><img src=x onerror=document.title='owned'><b>bold</b> {{ 7 * 7 }} \x1b[31m"
LONGEST = 20_000  # tokens: longer than a test waits


@pytest.fixture(scope="module")
def endless(folder):
    """The tiny model, which never ends a text by itself."""
    model = load_model(str(folder))
    model._eos_ids = frozenset()
    return model


@pytest.fixture(scope="module")
def engine(folder):
    """One engine that never ends a text by itself, with room for two answers at a time."""
    model = load_model(str(folder))
    model._eos_ids = frozenset()
    model.head = model.bridge.original_model.lm_head.original_component  # out of reach while rows decode
    with LiveBatch(model, slots=4, capacity=LONGEST + 200) as batch:
        yield batch


@pytest.fixture(scope="module")
def url(engine, shelf):
    with running(make_playground(engine, shelf, max_tokens=LONGEST)) as address:
        yield address


@pytest.fixture
def visit(browser, url):
    """Function that opens the page for another visitor; errors on the console fail the test at its end."""
    contexts, errors, asked = [], [], []

    def call(*, scheme="light", width=1280):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(url)
        page.get_by_role("button", name="Generate").wait_for()
        return page

    yield call
    for context in contexts:
        context.close()
    assert errors == []
    assert [one for one in asked if not one.startswith((url, url.replace("http", "ws"), "data:"))] == []


@pytest.fixture
def quiet(engine, until):
    """What a test has left behind is over before the next begins."""
    yield
    until(lambda: engine.n_open == 0)


def set_length(page, n):
    page.get_by_text("Length, sampling, colors").click()
    page.get_by_label("Tokens, at most").fill(str(n))
    page.get_by_label("Tokens, at most").blur()


def set_alpha(page, value):
    page.get_by_label("alpha 1", exact=True).fill(str(value))
    page.get_by_label("alpha 1", exact=True).blur()
    page.locator(".snippets", has_text=f"{value}").wait_for()


def wait_for_alpha(page, value):
    page.wait_for_function(
        "wanted => document.querySelector('[aria-label=\"alpha 1\"]').value === wanted", arg=f"{value:.2f}"
    )


def heard(page):
    """What a screen reader is told of the element that has the focus: role, name, value, and both ends."""
    nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    for node in nodes:
        states = {one["name"]: one["value"].get("value") for one in node.get("properties", [])}
        if states.get("focused") and node["role"]["value"] != "RootWebArea":
            said = [float(node["value"]["value"]), float(states["valuemin"]), float(states["valuemax"])]
            return node["role"]["value"], node["name"]["value"], *said
    return None


def press(page):
    page.get_by_role("button", name="Generate").click()
    page.locator(".answer").first.wait_for()


def texts(page):
    return [box.text_content() for box in page.locator(".answer .tokens").all()]


def wait_for_the_end(page, n=2):
    page.wait_for_function(
        "n => [...document.querySelectorAll('.answer .status')].filter(s => /^(cut|ended|stopped)/.test(s.innerText))"
        ".length === n",
        arg=n,
    )


def expected(endless, shelf, prompt, alpha, n):
    vectors = shelf.playables["refusal"].steerable.vectors
    pushes = (Intervention(layer=1, alpha=alpha, direction=vectors.at(1)),) if alpha else ()
    row = DecodeRow(prompt_ids=tuple(endless.chat.prompt_ids(prompt)), interventions=pushes)
    settings = DecodeSettings(scope="all", max_new_tokens=n)
    return endless.chat.decode(list(decode(endless, [row], settings)[0].ids))


def shown(text):
    return re.sub(r"⟨U\+([0-9A-F]{4})⟩", lambda found: chr(int(found[1], 16)), text)


def test_the_slider_tells_what_it_is_and_keeps_twelve_quick_presses(visit):
    page = visit()
    slider = page.get_by_role("slider", name="alpha")
    slider.focus()
    low, high = float(slider.get_attribute("min")), float(slider.get_attribute("max"))
    assert low < 0 < high
    before = float(page.get_by_label("alpha 1", exact=True).input_value())
    assert heard(page) == ("slider", "alpha", pytest.approx(before), pytest.approx(low), pytest.approx(high))
    for _ in range(12):
        page.keyboard.press("ArrowLeft")
    wait_for_alpha(page, before - 0.12)
    assert heard(page)[2] == pytest.approx(before - 0.12)
    page.keyboard.press("End")
    wait_for_alpha(page, high)
    set_alpha(page, 0.17)
    slider.focus()
    assert heard(page)[2] == pytest.approx(0.17), "what is typed moves the slider"


@pytest.mark.usefixtures("quiet")
def test_alpha_is_moved_and_both_texts_stream(visit, engine, until):
    page = visit()
    set_length(page, LONGEST)
    before = page.locator(".snippets").text_content()
    alpha = float(page.get_by_label("alpha 1", exact=True).input_value())
    page.get_by_role("slider", name="alpha").focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    wait_for_alpha(page, alpha + 0.05)
    page.wait_for_function("before => document.querySelector('.snippets').textContent !== before", arg=before)
    press(page)
    page.wait_for_function("[...document.querySelectorAll('.tokens')].every(t => t.textContent.length > 20)")
    first = texts(page)
    page.wait_for_function(
        "first => [...document.querySelectorAll('.tokens')].every((t, i) => t.textContent.length > first[i].length)",
        arg=first,
    )
    assert all(now.startswith(was) for now, was in zip(texts(page), first, strict=True))
    assert page.locator(".answer .status").all_inner_texts() == ["writing"] * 2
    page.get_by_role("button", name="Stop").click()
    until(lambda: engine.n_open == 0)
    wait_for_the_end(page)
    assert page.locator(".answer .status").all_inner_texts() == ["stopped"] * 2


@pytest.mark.usefixtures("quiet")
def test_two_visitors_share_the_engine_and_get_what_each_asked_for(visit, endless, shelf):
    pages = [visit(), visit()]
    for page, alpha, prompt in zip(pages, (0.2, -0.3), ("Name a color.", "Hi"), strict=True):
        page.get_by_label("Prompt").fill(prompt)
        set_length(page, 48)
        set_alpha(page, alpha)
    for page in pages:
        page.get_by_role("button", name="Generate").click()
    for page, alpha, prompt in zip(pages, (0.2, -0.3), ("Name a color.", "Hi"), strict=True):
        wait_for_the_end(page)
        found = [shown(text) for text in texts(page)]
        assert found == [expected(endless, shelf, prompt, strength, 48) for strength in (0, alpha)]
        assert found[0] != found[1]


@pytest.mark.usefixtures("quiet")
def test_every_token_is_colored_but_the_last(visit):
    page = visit()
    set_length(page, 12)
    press(page)
    wait_for_the_end(page)
    for tokens in page.locator(".tokens").all():
        spans = tokens.locator("span")
        assert spans.count() == 12
        assert spans.locator("xpath=self::*[contains(@class, 'read')]").count() == 11
        assert re.fullmatch(r"cosine −?0\.\d{3}", spans.first.get_attribute("title"))
    card = page.locator(".answer").first
    card.locator(".cosines summary").focus()
    page.keyboard.press("Enter")
    card.locator(".cosines tbody tr").last.wait_for()
    rows = card.locator(".cosines tbody tr").all()
    assert [row.locator("td").first.text_content() for row in rows] == card.locator(".tokens span").all_text_contents()
    values = [row.locator("td").last.inner_text() for row in rows]
    said = [span.get_attribute("title").removeprefix("cosine ") for span in card.locator(".tokens span").all()]
    assert values == said
    assert values[-1] == "not read"
    assert re.search(r"mean cosine −?0\.\d\d · 12 tokens", page.locator(".answer .measure").first.inner_text())
    assert page.locator(".legend").inner_text().startswith("cosine with refusal at layer 1")


@pytest.mark.usefixtures("quiet")
def test_a_visitor_who_leaves_frees_the_slots(visit, engine, until):
    page = visit()
    set_length(page, LONGEST)
    press(page)
    until(lambda: engine.n_open == 2)
    page.close()
    until(lambda: engine.n_open == 0)


@pytest.mark.usefixtures("quiet")
def test_pressing_again_ends_what_was_asked_before(visit, engine, until):
    page = visit()
    set_length(page, LONGEST)
    press(page)
    until(lambda: engine.n_open == 2)
    page.get_by_label("Tokens, at most").fill("5")
    page.get_by_label("Tokens, at most").blur()
    page.locator(".snippets", has_text="max_new_tokens=5)").wait_for()
    page.get_by_role("button", name="Generate").click()
    wait_for_the_end(page)
    assert page.locator(".answer").count() == 2
    until(lambda: engine.n_open == 0)


@pytest.mark.usefixtures("quiet")
def test_a_ladder_of_alphas_in_one_batch(visit, endless, shelf):
    page = visit()
    page.get_by_label("Prompt").fill("Hi")
    set_length(page, 16)
    page.get_by_text("Ladder of alphas").click()
    page.get_by_label("Rungs").fill("3")
    page.get_by_label("Rungs").blur()
    page.get_by_text("alphas 0, ").wait_for()
    press(page)
    wait_for_the_end(page, 3)
    alphas = [float(one) for one in page.locator(".ladder .hint").inner_text().removeprefix("alphas ").split(", ")]
    assert [shown(text) for text in texts(page)] == [expected(endless, shelf, "Hi", alpha, 16) for alpha in alphas]


@pytest.mark.usefixtures("quiet")
def test_what_is_out_of_bounds_is_said_and_not_computed(visit, engine):
    page = visit()
    page.get_by_label("Prompt").fill("")
    page.get_by_role("button", name="Generate").click()
    page.get_by_role("alert").filter(has_text="write a prompt first").wait_for()
    assert engine.n_open == 0
    assert page.locator(".answer").count() == 0


@pytest.mark.usefixtures("quiet")
def test_model_text_is_shown_as_text(visit, engine):
    """The model is made to say it: at each step the logits are those of the next byte."""
    ids, said = list(HOSTILE.encode()), []
    vocabulary = engine.model.chat.tokenizer

    def dictate(_module, _args, logits):
        wanted = vocabulary(HOSTILE, add_special_tokens=False)["input_ids"]
        out = torch.full_like(logits, -1.0)
        out[:, -1, wanted[min(len(said), len(wanted) - 1)]] = 1.0
        said.append(0)
        return out

    page = visit()
    set_length(page, len(ids))
    handle = engine.model.head.register_forward_hook(dictate)
    try:
        press(page)
        wait_for_the_end(page)
    finally:
        handle.remove()
    assert {HOSTILE.replace("\x1b", "⟨U+001B⟩")} == set(texts(page))
    assert page.locator(".answer img, .answer b, .answer script").count() == 0
    assert page.title() == "interp-steer playground"


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390)])
def test_nobody_is_shut_out(visit, scheme, width):
    """Contrast, labels, landmarks, roles; and nothing wider than the screen."""
    page = visit(scheme=scheme, width=width)
    set_length(page, 30)
    press(page)
    wait_for_the_end(page)
    page.locator(".snippets summary").first.click()
    page.wait_for_timeout(500)  # colors fade in
    found = Axe().run(page).response["violations"]
    assert "\n".join(f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]) == ""
    assert page.evaluate("document.documentElement.scrollWidth") <= width
