import re
from html.parser import HTMLParser
from pathlib import Path

from interp_steer.findings import AnalysisResult, Table
from interp_steer.report.build import build_report


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):  # noqa: ARG002
        self.tags.append(tag)

    def handle_data(self, data):
        self.text += data


def test_a_report_shows_itself_in_a_notebook(report):
    found = Tags(report._repr_html_())
    assert report.headline.claim in found.text
    assert found.tags.count("rect") == 30 * 3 + 1
    assert report.headline.examples[0].samples[0].text in found.text
    assert "script" not in found.tags


def test_the_notebook_lines_of_the_readme_run(finished_run):
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    lines = re.search(r"In a notebook.*?```python\n(.*?)```", readme, re.DOTALL)[1]
    names = {}
    exec(lines.replace("runs/refusal-smollm2-135m", finished_run.path.as_posix()), names)  # noqa: S102 (our own README)
    assert names["report"].headline.claim in Tags(names["report"]._repr_html_()).text
    assert names["report"].selection.finding in Tags(names["report"].selection._repr_html_()).text


def test_a_bare_report_does_too(bare_run):
    assert "No result yet" in build_report(bare_run)._repr_html_()


def test_an_analysis_shows_itself_escaped():
    table = Table(title="<b>", columns=("a & b",), rows=(("<script>x</script>",), (0.12345,), (None,)), notes=("n",))
    result = AnalysisResult(name="x", title="t", question="q?", finding="<i>found</i>", tables=(table,))
    found = Tags(result._repr_html_())
    assert not {"script", "i"} & set(found.tags)
    for text in ("<i>found</i>", "<script>x</script>", "0.123", "–", "a & b", "n"):
        assert text in found.text
