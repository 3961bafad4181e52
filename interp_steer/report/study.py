"""The page of a study: its questions, each with its finding, pictures and tables; and every table as a CSV file."""

import csv
import json
import re
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from markupsafe import Markup
from plotly.offline import get_plotlyjs

from interp_steer.files import parsed, record_of, write_text
from interp_steer.findings import AnalysisResult, Table
from interp_steer.report.figures import figure_json
from interp_steer.report.packing import compressed
from interp_steer.report.render import held_libraries, page_environment, page_policy, page_script, template_text

ORDER = ("heuristics", "steerable", "claims", "responses", "off_target")


def write_study(folder: Path, out: Path) -> Path:
    """Write the page of a study, and its tables beside it.

    Args:
        folder: The study, with its answers in ``analyses/``.
        out: The page; its tables go into a folder of the same name without the ending.

    Returns:
        The page.

    Raises:
        RunError: If the study cannot be read or the page not written.
    """
    about, results = read_study(folder)
    for result in results:
        for table in result.tables:
            write_text(out.with_suffix("") / f"{result.name}-{_slug(table.title)}.csv", table_csv(table))
    write_text(out, render_study(about, results))
    return out


def read_study(folder: Path) -> tuple[Mapping[str, Any], list[AnalysisResult]]:
    """Return what a study was, and its answers in reading order.

    Raises:
        RunError: If it was not finished, or a file is damaged.
    """
    remedy = "run 'interp-steer study' again"
    path = folder / "study.json"
    about = record_of(dict, parsed(path.read_bytes(), str(path), remedy), str(path), remedy)
    found = {
        file.stem: record_of(AnalysisResult, parsed(file.read_bytes(), str(file), remedy), str(file), remedy)
        for file in sorted((folder / "analyses").glob("*.json"))
    }
    names = [*(name for name in ORDER if name in found), *(name for name in found if name not in ORDER)]
    return about, [found[name] for name in names]


def table_csv(table: Table) -> str:
    """Return a table as CSV; an undefined value is an empty field."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(["" if value is None else value for value in row] for row in table.rows)
    return text.getvalue()


def render_study(about: Mapping[str, Any], results: Sequence[AnalysisResult]) -> str:
    """Return the page."""
    figures: dict[str, Any] = {}
    tables: dict[str, Any] = {}

    def plot(name: str, spec: str) -> str:
        figures[name] = json.loads(spec)
        return name

    def keep(name: str, table: Table) -> str:
        tables[name] = {"columns": table.columns, "rows": table.rows}
        return name

    environment = page_environment()
    environment.globals.update(
        figure=lambda name, figure: plot(name, figure_json(figure)),
        csv=keep,
        packed=lambda: compressed({"generations": None, "projections": None, "tables": tables}),
    )
    libraries = held_libraries({"plotly.js": get_plotlyjs()}, "inline")
    page = page_script()
    return environment.get_template("study.html.j2").render(
        about=about,
        results=results,
        style=Markup(template_text("style.css")),  # noqa: S704 (our own file)
        script=Markup(page),  # noqa: S704 (our own)
        libraries=libraries,
        policy=page_policy(page, libraries),
        figures=figures,
    )


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60]
