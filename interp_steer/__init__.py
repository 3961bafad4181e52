"""Activation steering of language models, from contrastive pairs to a report.

Everything a script needs is importable from here; heavy libraries load when a name is first used::

    from interp_steer import extract, fit, load_model, read_pairs, steer

    model = load_model("smollm2-135m")
    vectors = fit(extract(model, read_pairs("enthusiastic"), behavior="enthusiastic"))
    steer(model, vectors, ["How do I boil pasta?"], layer=18, alpha=0.2)
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interp_steer.activations.artifact import read_activations, save_activations
    from interp_steer.activations.extract import extract
    from interp_steer.analysis import analyze
    from interp_steer.begin import begin_run
    from interp_steer.doctor import diagnose
    from interp_steer.errors import InterpSteerError
    from interp_steer.heads.fit import fit_head
    from interp_steer.heads.gate import dose, gate_below
    from interp_steer.heads.head import read_head, save_head
    from interp_steer.heads.read import read_text
    from interp_steer.judges.claude_spec import ClaudeSpec
    from interp_steer.judges.judge import judge
    from interp_steer.model.load import load_model, wrap_model
    from interp_steer.outcomes import read_outcomes
    from interp_steer.pair_import.importing import import_pairs
    from interp_steer.pairs import list_behaviors, read_behavior, read_pairs, read_prompts
    from interp_steer.pipeline import run_behavior
    from interp_steer.report.render import write_report
    from interp_steer.run import open_run
    from interp_steer.steering.steer import generate, steer
    from interp_steer.study import StudySpec, run_study
    from interp_steer.sweeps.answers import LocalEngine
    from interp_steer.sweeps.calibrate import calibrate
    from interp_steer.sweeps.calibration import CalibrationSpec
    from interp_steer.sweeps.combine import combine
    from interp_steer.sweeps.grid import SweepSpec
    from interp_steer.sweeps.halving import halve
    from interp_steer.sweeps.margins import PropensitySpec, read_propensity, save_propensity
    from interp_steer.sweeps.propensity import propensity
    from interp_steer.sweeps.pushes import NEUTRAL_PROMPTS, pushes
    from interp_steer.sweeps.run_sweep import sweep
    from interp_steer.sweeps.shifts import PushSpec, read_pushes, save_pushes
    from interp_steer.vectors.fit import fit
    from interp_steer.vectors.vector import read_vectors, save_vectors

_HOMES = {
    "CalibrationSpec": "sweeps.calibrate",
    "ClaudeSpec": "judges.claude_spec",
    "InterpSteerError": "errors",
    "LocalEngine": "sweeps.answers",
    "NEUTRAL_PROMPTS": "sweeps.pushes",
    "PropensitySpec": "sweeps.margins",
    "PushSpec": "sweeps.shifts",
    "StudySpec": "study",
    "SweepSpec": "sweeps.grid",
    "analyze": "analysis",
    "begin_run": "begin",
    "calibrate": "sweeps.calibrate",
    "combine": "sweeps.combine",
    "diagnose": "doctor",
    "dose": "heads.gate",
    "extract": "activations.extract",
    "fit": "vectors.fit",
    "fit_head": "heads.fit",
    "gate_below": "heads.gate",
    "generate": "steering.steer",
    "halve": "sweeps.halving",
    "import_pairs": "pair_import.importing",
    "judge": "judges.judge",
    "list_behaviors": "pairs",
    "load_model": "model.load",
    "open_run": "run",
    "propensity": "sweeps.propensity",
    "pushes": "sweeps.pushes",
    "read_activations": "activations.artifact",
    "read_behavior": "pairs",
    "read_head": "heads.head",
    "read_outcomes": "outcomes",
    "read_pairs": "pairs",
    "read_prompts": "pairs",
    "read_propensity": "sweeps.margins",
    "read_pushes": "sweeps.shifts",
    "read_text": "heads.read",
    "read_vectors": "vectors.vector",
    "run_behavior": "pipeline",
    "run_study": "study",
    "save_activations": "activations.artifact",
    "save_head": "heads.head",
    "save_propensity": "sweeps.margins",
    "save_pushes": "sweeps.shifts",
    "save_vectors": "vectors.vector",
    "steer": "steering.steer",
    "sweep": "sweeps.run_sweep",
    "wrap_model": "model.load",
    "write_report": "report.render",
}

__all__ = [
    "NEUTRAL_PROMPTS",
    "CalibrationSpec",
    "ClaudeSpec",
    "InterpSteerError",
    "LocalEngine",
    "PropensitySpec",
    "PushSpec",
    "StudySpec",
    "SweepSpec",
    "analyze",
    "begin_run",
    "calibrate",
    "combine",
    "diagnose",
    "dose",
    "extract",
    "fit",
    "fit_head",
    "gate_below",
    "generate",
    "halve",
    "import_pairs",
    "judge",
    "list_behaviors",
    "load_model",
    "open_run",
    "propensity",
    "pushes",
    "read_activations",
    "read_behavior",
    "read_head",
    "read_outcomes",
    "read_pairs",
    "read_prompts",
    "read_propensity",
    "read_pushes",
    "read_text",
    "read_vectors",
    "run_behavior",
    "run_study",
    "save_activations",
    "save_head",
    "save_propensity",
    "save_pushes",
    "save_vectors",
    "steer",
    "sweep",
    "wrap_model",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"interp_steer.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
