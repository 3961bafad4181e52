"""``interp-steer extract``: contrastive pairs to activations."""

import typer

from interp_steer.cli.options import (
    BehaviorArgument,
    DeviceMapOption,
    DeviceOption,
    DtypeOption,
    FirstKOption,
    ModelOption,
    OutOption,
    ReadPositionOption,
    RevisionOption,
    default_out,
    source,
)
from interp_steer.model.presets import DEFAULT_MODEL


def extract_command(
    behavior: BehaviorArgument,
    model: ModelOption = DEFAULT_MODEL,
    out: OutOption = None,
    read_position: ReadPositionOption = "mean_response",
    first_k: FirstKOption = 5,
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    device_map: DeviceMapOption = None,
    revision: RevisionOption = None,
) -> None:
    """Read the residual stream of every pair at every layer, and print the run directory.

    Example: `interp-steer extract refusal --model smollm2-135m`
    """
    from interp_steer.begin import begin_run, no_stub
    from interp_steer.pairs import read_behavior
    from interp_steer.run import Run
    from interp_steer.stages import extract_stage

    read_behavior(behavior)
    run = Run(out or default_out(behavior, model))
    with no_stub(run), run.lock():
        begin_run(run.path, behavior, model)
        loaded = source(model, device, dtype, device_map, revision)
        extract_stage(run, behavior, loaded, read_position=read_position, first_k=first_k)
    typer.echo(run.path)
