"""What a sweep will cost, measured on a few steps of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

from interp_steer.behaviors import EvaluationPrompt
from interp_steer.model.protocol import Model
from interp_steer.records import Cell
from interp_steer.run import Run
from interp_steer.steering.decode import auto_batch_size, memory_per_row
from interp_steer.steering.rows import DecodeRow, DecodeSettings
from interp_steer.sweeps.answers import LocalEngine, Request
from interp_steer.sweeps.grid import SweepSpec
from interp_steer.sweeps.rows import check_spec, rows_to_do
from interp_steer.sweeps.run_sweep import check_fits, decode_settings, requests_of

FEW, MORE = 2, 6


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Cost of what is missing of a sweep.

    Attributes:
        rows: Completions to make.
        prompt_tokens: Tokens of their prompts, each row's counted, though rows share them.
        new_tokens: Tokens to generate if no row ends early.
        batch_size: Rows decoded together.
        seconds: Time if no row ends early, likelihoods included, extrapolated from a few steps: about right.
        bytes: Memory for the rows in the batch, beside the model.
    """

    rows: int
    prompt_tokens: int
    new_tokens: int
    batch_size: int
    seconds: float
    bytes: int


def estimate(
    run: Run,
    model: Model,
    prompts: Sequence[EvaluationPrompt],
    cells: Sequence[Cell],
    spec: SweepSpec,
    *,
    batch_size: int | None = None,
) -> Estimate:
    """Measure one batch for a few steps and extrapolate; nothing is written.

    Args:
        run: Run directory with vectors.
        model: The model the vectors were made on.
        prompts: Evaluation prompts.
        cells: Points of the sweep.
        spec: Scope, length, sampling and seed.
        batch_size: Rows decoded together; by default what memory allows.

    Raises:
        RunError: If the run holds generations of another specification.
        SteeringError: If the specification does not fit the model.
        VectorError: If the vectors belong to another model.
    """
    check_fits(run, model.card, spec)
    done = {generation.key for generation in run.generations()}
    if done and "sweep" in run.manifest():
        check_spec(run, spec)
    rows = rows_to_do(prompts, cells, spec, done)
    if not rows:
        return Estimate(rows=0, prompt_tokens=0, new_tokens=0, batch_size=0, seconds=0.0, bytes=0)
    requests = requests_of(run, rows, spec)
    settings = decode_settings(spec)
    decoded = [
        DecodeRow(prompt_ids=tuple(model.chat.prompt_ids(one.prompt, one.system)), interventions=one.interventions)
        for one in requests
    ]
    size = min(batch_size or auto_batch_size(model, decoded, settings), len(rows))
    sample = [requests[i * len(requests) // size] for i in range(size)]
    engine = LocalEngine(model, batch_size=size)
    _seconds(engine, sample[:1], settings, FEW)  # the first pass of a process is slower than all others
    few, more = (_seconds(engine, sample, settings, steps) for steps in (FEW, MORE))
    step = max(0.0, more - few) / (MORE - FEW)
    batch = max(0.0, few - FEW * step) + spec.max_new_tokens * step
    return Estimate(
        rows=len(rows),
        prompt_tokens=sum(len(row.prompt_ids) for row in decoded),
        new_tokens=len(rows) * spec.max_new_tokens,
        batch_size=size,
        seconds=batch * len(rows) / size,
        bytes=size * memory_per_row(model, decoded, settings),
    )


def _seconds(engine: LocalEngine, requests: Sequence[Request], settings: DecodeSettings, steps: int) -> float:
    started = perf_counter()
    for _ in engine.answers(requests, replace(settings, max_new_tokens=steps, stop_early=False)):
        pass
    return perf_counter() - started
