"""The page: content and figures into one HTML file that needs nothing else, and fetches nothing."""

import dataclasses
import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import jinja2
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs, get_plotlyjs_version

from interp_steer.files import write_text
from interp_steer.findings import Table
from interp_steer.report import phrases
from interp_steer.report.build import build_report
from interp_steer.report.content import Report
from interp_steer.report.describe import figure_finding
from interp_steer.report.drawings import curve_dots, curve_path, whiskers
from interp_steer.report.figures import figure_json
from interp_steer.report.heuristics import heuristic_finding
from interp_steer.report.intervals import alike
from interp_steer.report.maps import layer_labels, map_data, shades, unscored
from interp_steer.report.packing import compressed_text, packed
from interp_steer.report.tables import figure_table, grid_table, panel_table, promoted_table, token_table
from interp_steer.report.tokens import circuitsvis_bundle
from interp_steer.run import Run

FOLDED = 1500  # characters of a text that stand on the page before one asks for the rest; as in page/5-cells.js
_ROOM = 7_400_000  # bytes for libraries and packed data together, of the 8 MB that a page may have


@dataclass(frozen=True, kw_only=True)
class Library:
    """A JavaScript library of a page; it is loaded when the first of its figures comes near.

    Attributes:
        name: Name in the page.
        source: Address of its file beside the page; empty where the page holds it.
        script: Its code, where the page holds it.
    """

    name: str
    source: str
    script: str

    @property
    def packed(self) -> str:
        """What stands in the page: the compressed code, or nothing."""
        return compressed_text(self.script) if self.script else ""


def write_report(run: Run, out: Path | None = None, assets: Literal["inline", "shared"] = "inline") -> Path:
    """Write a run's report.

    Args:
        run: The run directory; whatever stages it holds.
        out: The page to write, ``report.html`` in the run by default.
        assets: ``inline`` makes one self-contained file; ``shared`` keeps the two JavaScript libraries
            in ``assets/`` beside it, for a folder of many reports.

    Returns:
        The page.

    Raises:
        RunError: If the run cannot be read or the page not written.
    """
    path = out or run.report_path
    report = build_report(run)
    scripts = {f"plotly-{get_plotlyjs_version()}.js": get_plotlyjs()}
    if report.tokens:
        scripts["circuitsvis.js"] = circuitsvis_bundle()
    if assets == "shared":
        for name, script in scripts.items():
            if not (file := path.parent / "assets" / name).exists() or file.read_text(encoding="utf-8") != script:
                write_text(file, script)
    write_text(path, render(report, held_libraries(scripts, assets)))
    return path


def held_libraries(scripts: Mapping[str, str], assets: Literal["inline", "shared"]) -> list[Library]:
    """Return how a page holds its libraries.

    Args:
        scripts: Code by file name, ``NAME.js`` or ``NAME-VERSION.js``.
        assets: Whether it lies in the page or beside it.
    """
    return [
        Library(
            name=re.split(r"[-.]", file)[0],
            source=f"assets/{file}" if assets == "shared" else "",
            script="" if assets == "shared" else script,
        )
        for file, script in scripts.items()
    ]


def render(report: Report, libraries: Sequence[Library]) -> str:
    """Return the page of a report."""
    figures: dict[str, Any] = {}
    tables: dict[str, Any] = {}

    def plot(name: str, spec: str) -> str:
        figures[name] = json.loads(spec)
        return name

    def csv(name: str, table: Table) -> str:
        tables[name] = {"columns": table.columns, "rows": table.rows}
        return name

    environment = page_environment()
    environment.globals.update(
        figure=lambda name, figure: plot(name, figure_json(figure)),
        csv=csv,
        # The data is packed once every table of the page is known, which is when the template comes to its end.
        packed=lambda: packed(report, tables, _ROOM - sum(len(each.packed) for each in libraries)),
    )
    page = page_script()
    return environment.get_template("report.html.j2").render(
        report=report,
        headline_alike=any(item.effect and alike(item.effect) for item in report.headline.contrasts)
        if report.headline
        else False,
        style=Markup(template_text("style.css")),  # noqa: S704 (our own file)
        script=Markup(page),  # noqa: S704 (our own)
        libraries=libraries,
        policy=page_policy(page, libraries),
        figures=figures,
        summary=dataclasses.asdict(report.summary),
    )


def page_script() -> str:
    """Return the page's own code: the files of ``templates/page`` in their order, in one scope."""
    parts = sorted((Path(__file__).parent / "templates" / "page").glob("*.js"))
    code = "\n".join(part.read_text(encoding="utf-8") for part in parts)
    return f'"use strict";\n(() => {{\n{code}}})();'


def page_environment() -> jinja2.Environment:
    """Return the templates with their filters: everything escaped, nothing undefined."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("interp_steer.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=phrases.number,
        fixed=phrases.fixed,
        interval=phrases.interval,
        alpha=phrases.alpha,
        capital=phrases.capital,
        ranged=_ranged,
        zip=zip,
        data=script_json,
        shade=lambda value: min(4, int(5 * value)),
    )
    environment.globals.update(
        step=lambda summary: max(5, min(14, 240 // max(1, len(summary.layers)))),
        figure_finding=figure_finding,
        figure_table=figure_table,
        grid_table=grid_table,
        panel_table=panel_table,
        promoted_table=promoted_table,
        token_table=token_table,
        heuristic_finding=heuristic_finding,
        whiskers=whiskers,
        shades=shades,
        unscored=unscored,
        layer_labels=layer_labels,
        map_data=map_data,
        path=curve_path,
        dots=curve_dots,
        folded=FOLDED,
    )
    return environment


def template_text(name: str) -> str:
    """Return a file of the templates folder."""
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")


def script_json(value: Any) -> Markup:
    """Return JSON that is safe inside ``<script>``: no ``<`` is left, so no text can end the element.

    Raises:
        ValueError: If a number is NaN or infinite.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704 (escaped just now)


def _ranged(text: str) -> Markup:
    """Set every ``[low, high]`` apart from its mean; keep a number with its name or unit, a minus a minus."""
    plain = re.sub(r"(?<![\w.)-])-(?=\d)", "−", str(escape(phrases.visible(text))).replace("held-out", "held\u2011out"))
    kept = re.sub(r"(?<=\d) ?%", "\u00a0%", re.sub(r"(?i)\b(layer|alpha) (?=[-−\d])", "\\1\u00a0", plain))
    return Markup(  # noqa: S704 (escaped just now)
        re.sub(
            r"(\S+ )(\[(?:[-−+\d., ]+|all alike|one prompt)\])",
            r'<span class="measure">\1<span class="range">\2</span></span>',
            kept,
        )
    )


def page_policy(script: str = "", libraries: Sequence[Library] = ()) -> str:
    """Return a content security policy: these very scripts run, nothing else does, and nothing is fetched."""
    inline = [text for text in (script, *(each.script for each in libraries)) if text]
    hashes = [f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in inline]
    beside = ["'self'", "file:"] if any(each.source for each in libraries) else []
    allowed = " ".join([*hashes, *beside]) or "'none'"
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'"
