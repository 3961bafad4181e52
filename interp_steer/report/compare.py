"""Two runs side by side: two models, two pair sets, two methods, or the same thing twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup

from interp_steer.files import write_text
from interp_steer.findings import AnalysisResult
from interp_steer.outcomes import UNSTEERED, Outcomes, read_outcomes
from interp_steer.records import Cell, digest
from interp_steer.report.build import build_report
from interp_steer.report.content import Example, Report, Sample
from interp_steer.report.headline import shown_sample
from interp_steer.report.index import best_box
from interp_steer.report.phrases import alpha, count, fixed, interval, visible
from interp_steer.report.provenance import latest_verdicts
from interp_steer.report.render import page_environment, page_policy, template_text
from interp_steer.run import Run
from interp_steer.stats import Interval, paired_bootstrap

_SHOWN = 4  # prompts whose texts stand side by side


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What two reports say of the same things.

    Attributes:
        names: What to call each run: what differs between them, as short as that allows.
        finding: Which effect is larger, with the interval of the difference where the prompts are the same.
        reports: Both reports.
        rows: Name of a quantity, and its value in each run.
        findings: Title of an analysis, and what it found in each run.
        examples: Prompts both answered, with the text of each run's best cell.
    """

    names: tuple[str, str]
    finding: str
    reports: tuple[Report, Report]
    rows: tuple[tuple[str, str, str], ...]
    findings: tuple[tuple[str, str, str], ...]
    examples: tuple[Example, ...]


def write_comparison(first: Run, second: Run, out: Path | None = None) -> Path:
    """Write the page that holds two runs side by side.

    Args:
        first: A run directory.
        second: Another.
        out: The page; by default ``FIRST-vs-SECOND.html`` beside the first run.

    Returns:
        The page.

    Raises:
        RunError: If a run cannot be read or the page not written.
    """
    path = out or first.path.parent / f"{first.path.name}-vs-{second.path.name}.html"
    comparison = compare(first, second)
    text = (
        page_environment()
        .get_template("compare.html.j2")
        .render(
            comparison=comparison,
            boxes=[best_box(report.summary) for report in comparison.reports],
            style=Markup(template_text("style.css")),  # noqa: S704 (our own file)
            policy=page_policy(),
        )
    )
    write_text(path, text)
    return path


def compare(first: Run, second: Run) -> Comparison:
    """Return what two runs say of the same things."""
    reports = (build_report(first), build_report(second))
    outcomes = (read_outcomes(first), read_outcomes(second))
    judges = [_judged_by(run, one) for run, one in zip((first, second), outcomes, strict=True)]
    names = _names(first, second, reports)
    quantities = [_quantities(report) for report in reports]
    analyses = [{item.name: item for item in (*_selection(report), *report.analyses)} for report in reports]
    return Comparison(
        names=names,
        finding=_finding(names, reports, outcomes, judges),
        reports=reports,
        rows=tuple(
            (name, quantities[0].get(name, "–"), quantities[1].get(name, "–"))
            for name in {**quantities[0], **quantities[1]}
        ),
        findings=tuple(
            (item.title, _said(analyses[0].get(name)), _said(analyses[1].get(name)))
            for name, item in {**analyses[1], **analyses[0]}.items()
        ),
        examples=_examples(names, reports, outcomes),
    )


def _said(result: AnalysisResult | None) -> str:
    return result.finding if result else "Not in this run."


def _selection(report: Report) -> list[AnalysisResult]:
    return [report.selection] if report.selection else []


def _names(first: Run, second: Run, reports: Sequence[Report]) -> tuple[str, str]:
    models = [report.model.name for report in reports]
    behaviors = [report.behavior.name for report in reports]
    for pair in (models, behaviors, [first.path.name, second.path.name], [str(first.path), str(second.path)]):
        if pair[0] != pair[1]:
            return visible(pair[0]), visible(pair[1])
    return "first", "second"


def _quantities(report: Report) -> dict[str, str]:
    headline = report.headline
    found = {"Behavior": report.behavior.name, "Model": report.model.name}
    if headline is None:
        return {**found, "Result": report.summary.headline}
    layer, unit = headline.cell.layer or 0, report.summary.unit
    depth = layer / max(1, report.model.n_layers - 1)
    found |= {
        "Best cell": f"layer {layer} ({depth:.0%} of the depth) at alpha {alpha(headline.cell.alpha)}{unit}".replace(
            "%", " %"
        ),
        "Shown to steer": "yes" if headline.steers else "no",
    }
    for item in headline.contrasts:
        name = "Best cell" if item.cell == headline.cell else item.name.capitalize()
        if item.effect is None:
            found["Behavior, unsteered"] = fixed(item.behavior)
        else:
            found[f"Change: {name.lower()}"] = interval(item.effect)
    found |= {
        "Coherence at the best cell": fixed(headline.coherence),
        "Prompts": f"{headline.effect.n} {'held-out' if headline.split == 'test' else 'dev'}",
        "Steered": headline.scope or "–",
    }
    facts = {(facts.title, name): value for facts in report.provenance for name, value in facts.rows}
    for title, name in (("Vectors", "Method"), ("Vectors", "Read position"), ("Pairs", "SHA-256"), ("Judge", "Name")):
        found[f"{title}: {name.lower()}" if name != "SHA-256" else "Pairs: SHA-256"] = facts.get((title, name), "–")
    return found


def _finding(
    names: Sequence[str], reports: Sequence[Report], outcomes: Sequence[Outcomes], judges: Sequence[str]
) -> str:
    headlines = [report.headline for report in reports]
    if headlines[0] is None or headlines[1] is None:
        return "One of these runs has no result yet"
    effects = [headline.effect for headline in headlines if headline]
    if reports[0].behavior.name != reports[1].behavior.name:
        return (
            f"{names[0]} moves by {interval(effects[0])}, {names[1]} by {interval(effects[1])}: two behaviors on two "
            "scales, not to be subtracted"
        )
    if judges[0] != judges[1]:
        return (
            f"{names[0]} moves by {interval(effects[0])}, {names[1]} by {interval(effects[1])}: scored by different "
            f"judges ({judges[0]}; {judges[1]}), so not to be subtracted"
        )
    difference = _difference(outcomes, [headline.cell for headline in headlines if headline], headlines[0].split)
    if difference is None or headlines[0].split != headlines[1].split:
        return f"{names[0]} moves by {interval(effects[0])}, {names[1]} by {interval(effects[1])}, on different prompts"
    more = "more" if difference.mean >= 0 else "less"
    size = difference
    if difference.mean < 0:
        size = Interval(mean=-difference.mean, low=-difference.high, high=-difference.low, n=difference.n)
    unsure = "" if difference.low > 0 or difference.high < 0 else "; the interval holds zero"
    return (
        f"Steering moves {names[0]} by {interval(size)} {more} than {names[1]} on the "
        f"{count(size.n, 'prompt')} both answered{unsure}"
    )


def _judged_by(run: Run, outcomes: Outcomes) -> str:
    """Return who scored the behavior of a run, and by which rules.

    The rules of the local judge are its version and scorer. Its digest holds more: what counts as coherent is fitted to
    the answers of each model, and the behavior score does not depend on it.
    """
    judges, found = run.manifest().get("judges") or {}, set()
    for one in latest_verdicts(outcomes):
        held = judges.get(one.judge) or {}
        if held.get("digest") == one.judge_digest and "scorer" in held:
            rules = digest([held.get("version"), held["scorer"]])
        else:
            rules = one.judge_digest
        rubric = "" if one.rubric_version is None else f"rubric {one.rubric_version}, "
        found.add(f"{one.judge}, {rubric}rules {rules}")
    return " and ".join(sorted(found))


def _difference(outcomes: Sequence[Outcomes], cells: Sequence[Cell], split: str) -> Interval | None:
    changes = []
    for one, cell in zip(outcomes, cells, strict=True):
        steered, base = one.scores(split, cell, "behavior"), one.scores(split, UNSTEERED, "behavior")
        texts = {item.generation.prompt_id: item.generation.prompt for item in one.judged(split, cell)}
        changes.append(
            {
                texts[prompt]: value - reference
                for prompt, value in steered.items()
                if value is not None and (reference := base.get(prompt)) is not None
            }
        )
    shared = [prompt for prompt in changes[0] if prompt in changes[1]]
    return paired_bootstrap(np.array([changes[0][p] - changes[1][p] for p in shared])) if shared else None


def _examples(names: tuple[str, str], reports: Sequence[Report], outcomes: Sequence[Outcomes]) -> tuple[Example, ...]:
    found: list[dict[str, Sample]] = []
    for report, one in zip(reports, outcomes, strict=True):
        if report.headline is None:
            return ()
        judged = one.judged(report.headline.split, report.headline.cell)
        found.append({item.generation.prompt: shown_sample(item) for item in reversed(judged)})
    shared = [prompt for prompt in reversed(found[0]) if prompt in found[1]][:_SHOWN]
    return tuple(
        Example(rank="", prompt=visible(prompt), names=names, samples=(found[0][prompt], found[1][prompt]))
        for prompt in shared
    )
