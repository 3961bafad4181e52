"""The page: content and figures into one HTML file that needs nothing else, and fetches nothing."""

import dataclasses
import json
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import jinja2
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs, get_plotlyjs_version

from interp_steer.report import phrases
from interp_steer.report.build import build_report, figure_table
from interp_steer.report.content import Contrast, Report, Sample, Sweep
from interp_steer.report.figures import figure_json, grid_json
from interp_steer.report.tokens import TokenView, circuitsvis_bundle, safe_token
from interp_steer.run import Run, write_text


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
    libraries = {f"plotly-{get_plotlyjs_version()}.js": get_plotlyjs()}
    if report.tokens:
        libraries["circuitsvis.js"] = circuitsvis_bundle()
    if assets == "shared":
        for name, script in libraries.items():
            if not (file := path.parent / "assets" / name).exists() or file.read_text(encoding="utf-8") != script:
                write_text(file, script)
    write_text(path, render(report, libraries, assets))
    return path


def render(report: Report, libraries: dict[str, str], assets: Literal["inline", "shared"]) -> str:
    """Return the page of a report."""
    figures: dict[str, Any] = {}

    def plot(name: str, spec: str) -> str:
        figures[name] = json.loads(spec)
        return name

    environment = page_environment()
    environment.globals.update(
        figure=lambda name, figure: plot(name, figure_json(figure)),
        grid=lambda grid: plot(f"grid-{grid.score}", grid_json(grid)),
        figure_table=figure_table,
        whiskers=whiskers,
    )
    page = template_text("page.js")
    inline = list(libraries.values()) if assets == "inline" else []
    return environment.get_template("report.html.j2").render(
        report=report,
        style=Markup(template_text("style.css")),  # noqa: S704 (our own file)
        scripts=[Markup(script) for script in (*inline, page)],  # noqa: S704 (the libraries' and our own)
        sources=[f"assets/{name}" for name in libraries] if assets == "shared" else [],
        policy=_policy([*inline, page], shared=assets == "shared"),
        figures=figures,
        texts=_texts(report.sweep) if report.sweep else None,
        tokens_data=_tokens(report.tokens) if report.tokens else None,
        summary=dataclasses.asdict(report.summary),
    )


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


def whiskers(contrasts: tuple[Contrast, ...]) -> list[dict[str, float] | None]:
    """Return each effect as percentages of a common axis that holds every interval and zero."""
    effects = [contrast.effect for contrast in contrasts]
    low = min([0.0, *(effect.low for effect in effects if effect)])
    high = max([0.0, *(effect.high for effect in effects if effect)])
    span = (high - low) or 1.0

    def at(value: float) -> float:
        return round(2 + 96 * (value - low) / span, 2)

    return [
        {"zero": at(0.0), "low": at(effect.low), "mean": at(effect.mean), "high": at(effect.high)} if effect else None
        for effect in effects
    ]


def _ranged(text: str) -> Markup:
    """Set every ``[low, high]`` apart from its mean, and keep a number on the line of its name."""
    kept = re.sub(
        r"(?i)\b(layer|alpha) (?=[-−\d])", "\\1\u00a0", str(escape(text)).replace("held-out", "held\u2011out")
    )
    return Markup(  # noqa: S704 (escaped just now)
        re.sub(r"(\S+ )(\[[-−+\d., ]+\])", r'<span class="measure">\1<span class="range">\2</span></span>', kept)
    )


def _policy(scripts: list[str], shared: bool) -> str:
    """Return a content security policy: these very scripts run, nothing else does, and nothing is fetched."""
    hashes = [f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts]
    allowed = " ".join([*hashes, *(["'self'", "file:"] if shared else [])])
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'"


def _texts(sweep: Sweep) -> dict[str, Any]:
    def row(sample: Sample) -> list[Any]:
        return [sample.prompt_id, sample.text, sample.behavior, sample.coherence, sample.combined, sample.reason]

    return {
        "best": sweep.best.key,
        "prompts": dict(sweep.prompts),
        "cells": {
            item.cell.key: {
                "name": phrases.capital(item.name),
                "splits": {split: [row(sample) for sample in samples] for split, samples in item.splits},
            }
            for item in sweep.cells
        },
        "keys": sweep.grids[0].keys,
    }


def _tokens(view: TokenView) -> dict[str, Any]:
    return {
        "layers": view.layers,
        "bound": round(view.bound, 4),
        "texts": [
            {"tokens": [safe_token(token) for token in text.tokens], "cosines": text.cosines} for text in view.texts
        ],
    }
