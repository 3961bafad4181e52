"""Every stage in order, from pairs to the report."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from interp_steer.analysis import analyze
from interp_steer.begin import Source, begin_run, no_stub, timed
from interp_steer.judges.claude_spec import ClaudeSpec
from interp_steer.judges.gate import require_scorer
from interp_steer.pairs import read_behavior
from interp_steer.report.render import write_report
from interp_steer.run import Run
from interp_steer.stages import (
    extract_stage,
    fit_stage,
    halve_stage,
    judge_stage,
    project_stage,
    sweep_stage,
)
from interp_steer.sweeps.grid import SweepSpec
from interp_steer.terms import Method, ReadPosition

if TYPE_CHECKING:
    from interp_steer.sweeps.answers import Engine


def run_behavior(
    behavior: str | Path,
    source: Source,
    *,
    out: str | Path,
    spec: Callable[[int], SweepSpec],
    method: Method = "mean_difference",
    read_position: ReadPosition = "mean_response",
    first_k: int = 5,
    engine: "Callable[[], Engine] | None" = None,
    judge_name: str = "local",
    claude: ClaudeSpec | None = None,
) -> Run:
    """Run every stage that is not done yet, and write the report.

    Args:
        behavior: Name or folder of the behavior.
        source: The model.
        out: The run directory.
        spec: From the number of layers to what the sweep covers.
        method: How differences become a vector.
        read_position: Where responses are read.
        first_k: Number of response tokens of the read position ``first_k``.
        engine: Starts what answers the sweep; by default the model, in this process.
        judge_name: Which judge scores the generations.
        claude: How Claude judges, where it is the judge.

    Returns:
        The finished run.

    Raises:
        InterpSteerError: Whatever stops a stage; what was done stays, and the same call continues.
    """
    found = read_behavior(behavior)
    if judge_name == "local":
        require_scorer(found)  # now, not after the sweep
    run = Run(Path(out))
    start = engine or source.engine
    with no_stub(run), run.lock():
        begin_run(run.path, behavior, source.name)
        extract_stage(run, behavior, source, read_position=read_position, first_k=first_k)
        fit_stage(run, method=method)
        wanted = spec(run.model_card().n_layers)
        halve_stage(run, behavior, source, wanted)
        sweep_stage(run, behavior, start, wanted, split="dev")
        judge_stage(run, judge_name, claude)
        sweep_stage(run, behavior, start, wanted, split="test")
        judge_stage(run, judge_name, claude)
        project_stage(run, behavior, source)
        with timed(run, "analyze"):
            analyze(run)
        with timed(run, "report"):
            write_report(run)
    return run
