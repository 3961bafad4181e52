import json
from html.parser import HTMLParser

import numpy as np
import pytest

from interp_steer.errors import RunError
from interp_steer.files import write_json
from interp_steer.report.tokens import circuitsvis_bundle, safe_token, token_view
from interp_steer.run import Run


class Markup(HTMLParser):
    """What a browser would make of a text that is written as HTML."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.tags, self.text = [], ""

    def handle_starttag(self, tag, attrs):  # noqa: ARG002
        self.tags.append(tag)

    def handle_endtag(self, tag):
        self.tags.append(tag)

    def handle_comment(self, data):  # noqa: ARG002
        self.tags.append("comment")

    def handle_decl(self, decl):  # noqa: ARG002
        self.tags.append("declaration")

    def handle_data(self, data):
        self.text += data


HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</script>",
    "<!-- x -->",
    "<!doctype html>",
    "<?x?>",
    "&lt;b&gt;",
    "&#60;b>",
    "<",
]


@pytest.mark.parametrize("token", HOSTILE)
def test_a_token_written_as_html_is_only_text(token):
    parser = Markup()
    parser.feed(safe_token(token))
    parser.close()
    assert parser.tags == []
    assert parser.text.replace("\u2060", "") == token


def test_an_ordinary_token_is_unchanged():
    assert [safe_token(token) for token in (" the", "é", "\n", "漢")] == [" the", "é", "\n", "漢"]


def write(run: Run, cosines) -> Run:
    texts = [{"title": "t", "group": "pair", "side": "positive", "tokens": ["a", " b", "c"], "cosines": cosines}]
    write_json(run.projections_path, {"layers": [3, 9], "texts": texts})
    return run


def test_the_view_opens_at_the_layer_that_was_asked_for(bare_run):
    write(bare_run, [[0.0, 0.0, 0.0], [0.1, 0.5, -0.3]])
    view = token_view(bare_run, layer=9)
    assert (view.layers, view.shown) == ((3, 9), 1)
    assert view.finding == "At layer 9 the mean cosine with the direction is 0.10 on 1 positive text"
    assert view.texts[0].description.endswith(
        "highest: “b” 0.50, “a” 0.10, “c” −0.30; lowest: “c” −0.30, “a” 0.10, “b” 0.50."
    )


def test_one_color_scale_serves_every_layer(bare_run):
    view = token_view(write(bare_run, [[0.0, 0.0, 0.0], [0.1, 0.5, -0.3]]))
    assert view.bound == pytest.approx(np.percentile([0, 0, 0, 0.1, 0.5, 0.3], 99))


@pytest.mark.parametrize("cosines", [[[0.1, 0.2, 0.3]], [[0.1, 0.2], [0.1, 0.2]], [[0.1], [0.1, 0.2, 0.3]]])
def test_cosines_that_do_not_fit_the_tokens_are_refused(bare_run, cosines):
    write(bare_run, cosines)
    with pytest.raises(RunError, match=r"projections\.json"):
        token_view(bare_run)


def test_promoted_tokens_are_shown_as_text_and_belong_to_a_layer(bare_run):
    write(bare_run, [[0.0, 0.0, 0.0], [0.1, 0.5, -0.3]])
    data = json.loads(bare_run.projections_path.read_text())
    promoted = [{"up": [[" a\x1b", 2.5]], "down": [["\n", -1.0]]}, {"up": [["b", 1.0]], "down": [["c", -2.0]]}]
    write_json(bare_run.projections_path, {**data, "promoted": promoted})
    view = token_view(bare_run)
    assert (view.promoted[0].up, view.promoted[0].down) == (((" a⟨U+001B⟩", 2.5),), (("␣", -1.0),))
    write_json(bare_run.projections_path, {**data, "promoted": promoted[:1]})
    with pytest.raises(RunError, match="promoted tokens of 1 layers, not of 2"):
        token_view(bare_run)


def test_without_projections_there_is_no_view(bare_run):
    assert token_view(bare_run) is None


def test_the_bundle_is_circuitsvis_without_its_map():
    bundle = circuitsvis_bundle()
    assert "ColoredTokens" in bundle
    assert "sourceMappingURL" not in bundle
