"""One page over the reports of a folder, from the summary that each of them carries."""

import json
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from markupsafe import Markup
from pydantic import ValidationError

from interp_steer.errors import RunError
from interp_steer.files import write_text
from interp_steer.records import from_json
from interp_steer.report.phrases import count, interval
from interp_steer.report.render import page_environment, page_policy, template_text
from interp_steer.report.summary import Summary
from interp_steer.stats import Interval

Held = TypeVar("Held")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A report in the index: its address, its summary with the interval in words, and where its map is outlined."""

    link: str
    summary: Summary
    interval: str
    best: tuple[tuple[int, int], ...]


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study in the index.

    Attributes:
        model: What was steered.
        behaviors: How many behaviors it compares.
        finding: What it says.
        link: Its address.
    """

    model: str
    behaviors: int
    finding: str
    link: str = ""


def write_index(folder: Path) -> Path:
    """Write ``index.html`` over the reports in a folder and the folders in it, sorted by behavior and model.

    Studies stand above the reports; pages without a summary are neither. A reader can sort by any column.

    Returns:
        The page.

    Raises:
        RunError: If there is no such folder, a summary cannot be read, or the page not written.
    """
    if not folder.is_dir():
        raise RunError(f"{folder} is not a folder; write reports into it first: 'interp-steer report RUN --out PAGE'")
    pages = sorted(path for path in folder.rglob("*.html") if path.name != "index.html")
    found = [(path, summary) for path in pages if (summary := read_summary(path)) is not None]
    found.sort(key=lambda pair: (pair[1].behavior, pair[1].model, pair[0].name))
    environment = page_environment()
    script = template_text("index.js")
    text = environment.get_template("index.html.j2").render(
        style=Markup(template_text("style.css")),  # noqa: S704 (our own file)
        title=_title([summary for _, summary in found]),
        studies=[
            replace(study, link=quote(path.relative_to(folder).as_posix()))
            for path in pages
            if (study := _held(path, "study", Study)) is not None
        ],
        entries=[_entry(folder, path, summary) for path, summary in found],
        script=Markup(script),  # noqa: S704 (our own file)
        policy=page_policy(script),
    )
    write_text(folder / "index.html", text)
    return folder / "index.html"


def read_summary(path: Path) -> Summary | None:
    """Return the summary that a report page carries; None if it carries none.

    Raises:
        RunError: If there is one that cannot be read.
    """
    return _held(path, "summary", Summary)


def _held(path: Path, name: str, kind: type[Held]) -> Held | None:
    finder = _Finder(name)
    finder.feed(path.read_text(encoding="utf-8"))
    if not finder.found:
        return None
    try:
        return from_json(kind, json.loads(finder.text))
    except (json.JSONDecodeError, ValidationError) as error:
        raise RunError(
            f"{path}: its {name} cannot be read ({error}); write it again with 'interp-steer "
            f"{'study' if name == 'study' else 'report'}'"
        ) from error


class _Finder(HTMLParser):
    """Collects the text of the script with an id."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self.found = self._inside = False
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag == "script" and ("id", self._name) in attrs
        self.found |= self._inside

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 (the signature of HTMLParser)
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.text += data


def _title(summaries: list[Summary]) -> str:
    if not summaries:
        return "No reports here yet."
    steered = sum(bool(summary.steers) for summary in summaries)
    verb = "finds" if steered == 1 else "find"
    return f"{steered} of {count(len(summaries), 'report')} {verb} a cell that steers."


def _entry(folder: Path, path: Path, summary: Summary) -> Entry:
    ends = None
    if summary.effect is not None and summary.low is not None and summary.high is not None:
        ends = Interval(mean=summary.effect, low=summary.low, high=summary.high, n=summary.n)
    return Entry(
        link=quote(path.relative_to(folder).as_posix()),
        summary=summary,
        interval=interval(ends).partition(" ")[2],
        best=best_box(summary),
    )


def best_box(summary: Summary) -> tuple[tuple[int, int], ...]:
    """Return the corner of the best cell in the map of a summary, whose cells are 10 by 10; none if it has no map."""
    if summary.layer not in summary.layers or summary.alpha not in summary.alphas:
        return ()
    row = len(summary.alphas) - 1 - summary.alphas.index(summary.alpha)
    return ((10 * summary.layers.index(summary.layer), 10 * row),)
