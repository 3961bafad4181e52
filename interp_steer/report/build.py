"""All numbers and sentences of a report, from whatever stages a run holds. No HTML here."""

from collections.abc import Mapping, Sequence
from typing import Any

from interp_steer.findings import AnalysisResult
from interp_steer.outcomes import Outcomes, read_outcomes
from interp_steer.report.content import Headline, Missing, Report, Sweep
from interp_steer.report.grid import build_sweep
from interp_steer.report.headline import build_headline
from interp_steer.report.heuristics import heuristic_map
from interp_steer.report.provenance import caveats, latest_verdicts, provenance
from interp_steer.report.side_effects import side_effects
from interp_steer.report.strengths import strength_of
from interp_steer.report.summary import Summary
from interp_steer.report.tokens import token_view
from interp_steer.run import Run

SELECTION = "layer_selection"
_ORDER = ("pair_quality", "explained_variance", "adjacent_similarity", "magnitude", "probe_accuracy")


def build_report(run: Run) -> Report:
    """Return the content of a run's report.

    A stage that was not run leaves its part empty, and ``missing`` says which command makes it.

    Args:
        run: A run directory whose manifest names at least the behavior and the model.

    Raises:
        RunError: If the manifest lacks either, or a file of the run cannot be read.
    """
    behavior, model, manifest = run.behavior(), run.model_card(), run.manifest()
    outcomes = read_outcomes(run)
    verdicts = latest_verdicts(outcomes)
    unit = strength_of(manifest)
    scope = str((manifest.get("sweep") or {}).get("scope") or "")
    headline = build_headline(outcomes, behavior.name, model.name, scope, unit)
    sweep = build_sweep(outcomes, unit)
    names = run.analyses()
    analyses = _analyses(run, names)
    generated = {generation.key for generation in run.generations()}
    return Report(
        behavior=behavior,
        model=model,
        missing=_missing(run, outcomes, len(generated), len(verdicts), names),
        headline=headline,
        side_effects=side_effects(outcomes, headline),
        sweep=sweep,
        selection=run.analysis(SELECTION) if SELECTION in names else None,
        heuristics=heuristic_map(analyses, sweep),
        analyses=analyses,
        tokens=token_view(run, sweep.best.layer if sweep else None),
        caveats=caveats(behavior, model, headline, sweep, verdicts, manifest.get("sweep") or {}),
        provenance=provenance(run, manifest, verdicts),
        summary=_summary(behavior.name, model.name, manifest, headline, sweep, bool(generated), bool(verdicts)),
    )


def _analyses(run: Run, names: Sequence[str]) -> tuple[AnalysisResult, ...]:
    known = [name for name in _ORDER if name in names]
    others = [name for name in names if name not in (*_ORDER, SELECTION)]
    return tuple(run.analysis(name) for name in (*known, *others))


def _missing(run: Run, outcomes: Outcomes, generated: int, judged: int, names: Sequence[str]) -> tuple[Missing, ...]:
    manifest = run.manifest()
    behavior, model = (
        manifest.get("behavior_source", run.behavior().name),
        manifest.get("model_name", run.model_card().name),
    )
    source = f"{behavior} --model {model}"
    found = []
    if not run.activations_path.exists():
        found.append(Missing(what="Activations", command=f"interp-steer extract {source} --out {run.path}"))
    if not run.vectors_path.exists():
        found.append(Missing(what="Steering vectors", command=f"interp-steer fit {run.path}"))
    if not generated:
        found.append(Missing(what="The sweep", command=f"interp-steer sweep {run.path}"))
    elif judged < generated:
        what = f"Scores of {generated - judged:,} of {generated:,} completions"
        found.append(Missing(what=what, command=f"interp-steer judge {run.path}"))
    elif not outcomes.cells("test", "steered"):
        what = "The best cells on the test prompts"
        found.append(Missing(what=what, command=f"interp-steer sweep {run.path} --split test"))
    absent = [name for name in (SELECTION, *_ORDER) if name not in names]
    if absent:
        what = f"{'Analysis' if len(absent) == 1 else 'Analyses'}: {', '.join(absent)}"
        command = f"interp-steer analyze {absent[0] if len(absent) == 1 else 'all'} {run.path}"
        found.append(Missing(what=what, command=command))
    return tuple(found)


def _summary(
    behavior: str,
    model: str,
    manifest: Mapping[str, Any],
    headline: Headline | None,
    sweep: Sweep | None,
    generated: bool,
    judged: bool,
) -> Summary:
    date = str(manifest.get("created") or "")[:10]
    if headline is None or sweep is None:
        reason = (
            "the sweep was not run"
            if not generated
            else "the completions have not been judged"
            if not judged
            else "no steered completion could be compared with an unsteered one"
        )
        return Summary(behavior=behavior, model=model, headline=f"No result yet: {reason}.", date=date)
    grid = sweep.grids[0]
    return Summary(
        behavior=behavior,
        model=model,
        headline=headline.claim,
        steers=headline.steers,
        layer=headline.cell.layer,
        alpha=headline.cell.alpha,
        effect=headline.effect.mean,
        low=headline.effect.low,
        high=headline.effect.high,
        n=headline.effect.n,
        split=headline.split,
        coherence=headline.coherence,
        date=date,
        layers=grid.layers,
        alphas=grid.alphas,
        unit=sweep.unit.suffix,
        combined=grid.values,
    )
