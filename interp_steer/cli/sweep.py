"""``interp-steer sweep``: layers x alphas x prompts."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from interp_steer.cli.options import (
    LAYERS_HELP,
    AddressOption,
    AlphasOption,
    BatchSizeOption,
    DeviceMapOption,
    DeviceOption,
    DtypeOption,
    EngineOption,
    OperationOption,
    RevisionOption,
    RunArgument,
    StrategyOption,
    default_amounts,
    engine_starter,
    parse_alphas,
    parse_layers,
    random_alpha,
    source,
    sweep_spec,
)
from interp_steer.terms import Scope, Split

if TYPE_CHECKING:
    from interp_steer.begin import Source
    from interp_steer.run import Run
    from interp_steer.sweeps.grid import SweepSpec


def sweep_command(
    run: RunArgument,
    split: Annotated[
        Literal["dev", "test"],
        typer.Option(help="`dev`: the whole grid. `test`: the cells that dev and its verdicts have chosen."),
    ] = "dev",
    layers: Annotated[str | None, typer.Option(help=LAYERS_HELP)] = None,
    alphas: AlphasOption = None,
    strategy: StrategyOption = None,
    operation: OperationOption = None,
    scope: Annotated[Scope | None, typer.Option(help="Steered positions.")] = None,
    max_new_tokens: Annotated[int | None, typer.Option(help="Longest completion, in tokens.", min=1)] = None,
    temperature: Annotated[float | None, typer.Option(help="0 decodes greedily.", min=0)] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of sampling and of the random directions.")] = None,
    batch_size: BatchSizeOption = None,
    engine: EngineOption = "local",
    address: AddressOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Measure a few steps and print what the rest will cost; generate nothing.")
    ] = False,
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    device_map: DeviceMapOption = None,
    revision: RevisionOption = None,
) -> None:
    """Answer every evaluation prompt at every cell, and print the path of the generations.

    Rows that are there already are kept: a stopped sweep goes on where it was, with the options it was begun with.
    Another grid needs another run directory.

    Example: `interp-steer sweep runs/refusal-smollm2-135m --layers 6-22/2 --alphas 0.2,0.3,0.4`
    """
    from interp_steer.records import from_json
    from interp_steer.run import open_run
    from interp_steer.stages import halve_stage, sweep_stage
    from interp_steer.sweeps.grid import SweepSpec

    opened = open_run(run)
    manifest, card = opened.manifest(), opened.model_card()
    name = manifest["model_name"]
    options: dict[str, Any] = {
        "layers": layers,
        "alphas": alphas,
        "strategy": strategy,
        "operation": operation,
        "scope": scope,
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
        "seed": seed,
    }
    given: dict[str, Any] = {option: value for option, value in options.items() if value is not None}
    if "sweep" in manifest:
        changes, held = dict(given), from_json(SweepSpec, manifest["sweep"])
        done = operation or held.operation
        if layers is not None:
            changes["layers"] = parse_layers(layers, card.n_layers)
        if alphas is not None or done != held.operation:  # a grid is in the unit of its operation
            changes["alphas"] = parse_alphas(alphas) if alphas is not None else default_amounts(name, done)
            changes["random_alphas"] = (random_alpha(name, changes["alphas"], done),)
        spec = replace(held, **changes)
    else:
        spec = sweep_spec(name, card.n_layers, **given)
    loaded, behavior = source(name, device, dtype, device_map, revision), manifest["behavior_source"]
    if dry_run:
        _print_estimate(opened, loaded, behavior, spec, split, batch_size)
        return
    with opened.lock():
        start = engine_starter(engine, loaded, batch_size=batch_size, address=address)
        halve_stage(opened, behavior, loaded, spec)
        sweep_stage(opened, behavior, start, spec, split=split)
    typer.echo(opened.generations_path)


def _print_estimate(
    run: "Run", model: "Source", behavior: str, spec: "SweepSpec", split: Split, batch_size: int | None
) -> None:
    from interp_steer.stages import choose_cells, held_halving, sweep_plan
    from interp_steer.sweeps.estimate import estimate

    halving = None
    if spec.strategy == "halving" and split == "dev":
        halving = held_halving(run, spec) or choose_cells(run, behavior, model, spec)
    prompts, cells = sweep_plan(run, behavior, spec, split=split, halving=halving)
    cost = estimate(run, model.model, prompts, cells, spec, batch_size=batch_size)
    minutes, seconds = divmod(round(cost.seconds), 60)
    typer.echo(f"rows        {cost.rows:,} still to do: {len(cells)} cells x {len(prompts)} prompts")
    typer.echo(f"tokens      {cost.new_tokens:,} to generate at most, after {cost.prompt_tokens:,} of prompts")
    typer.echo(f"time        {minutes} min {seconds} s if no row ends early, {cost.batch_size} rows at a time")
    typer.echo(f"memory      {cost.bytes / 1e9:.2f} GB beside the model")
