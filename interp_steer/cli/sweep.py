"""``interp-steer sweep``: layers x alphas x prompts."""

from typing import Annotated, Literal

import typer

from interp_steer.cli.options import (
    AlphasOption,
    BatchSizeOption,
    DeviceMapOption,
    DeviceOption,
    DtypeOption,
    LayersOption,
    MaxNewTokensOption,
    RevisionOption,
    RunArgument,
    ScopeOption,
    SeedOption,
    TemperatureOption,
    source,
    sweep_spec,
)


def sweep_command(
    run: RunArgument,
    split: Annotated[
        Literal["dev", "test"],
        typer.Option(help="`dev`: the whole grid. `test`: the cells that dev and its verdicts have chosen."),
    ] = "dev",
    layers: LayersOption = "all",
    alphas: AlphasOption = None,
    scope: ScopeOption = "response",
    max_new_tokens: MaxNewTokensOption = 48,
    temperature: TemperatureOption = 0.0,
    seed: SeedOption = 0,
    batch_size: BatchSizeOption = 64,
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    device_map: DeviceMapOption = None,
    revision: RevisionOption = None,
) -> None:
    """Answer every evaluation prompt at every cell, and print the path of the generations.

    Rows that are there already are kept: a stopped sweep goes on where it was.

    Example: `interp-steer sweep runs/refusal-smollm2-135m --layers 6-22/2 --alphas 0.2,0.3,0.4`
    """
    from interp_steer.run import open_run
    from interp_steer.stages import sweep_stage

    opened = open_run(run)
    manifest, card = opened.manifest(), opened.model_card()
    name = manifest["model_name"]
    spec = sweep_spec(
        name,
        card.n_layers,
        layers=layers,
        alphas=alphas,
        scope=scope,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        seed=seed,
    )
    with opened.lock():
        loaded = source(name, device, dtype, device_map, revision)
        sweep_stage(opened, manifest["behavior_source"], loaded, spec, split=split, batch_size=batch_size)
    typer.echo(opened.generations_path)
