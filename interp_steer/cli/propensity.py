"""``interp-steer propensity``: layers x alphas without generating."""

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interp_steer.cli.options import (
    LAYERS_HELP,
    AlphasOption,
    DeviceMapOption,
    DeviceOption,
    DtypeOption,
    JsonOption,
    OperationOption,
    RevisionOption,
    RunArgument,
    parse_layers,
    source,
    sweep_spec,
)
from interp_steer.terms import Operation, Scope

if TYPE_CHECKING:
    from rich.table import Table

    from interp_steer.run import Run
    from interp_steer.sweeps.margins import Propensity, PropensitySpec
    from interp_steer.vectors.vector import SteeringVectors

DEFAULT_RANDOM = 5


def propensity_command(
    run: RunArgument,
    layers: Annotated[str | None, typer.Option(help=LAYERS_HELP + " By default all.")] = None,
    alphas: AlphasOption = None,
    operation: OperationOption = None,
    scope: Annotated[Scope | None, typer.Option(help="Steered positions; by default as in the run's sweep.")] = None,
    random: Annotated[
        int | None, typer.Option(help=f"Random directions per layer; by default {DEFAULT_RANDOM}.", min=0)
    ] = None,
    as_json: JsonOption = False,
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    device_map: DeviceMapOption = None,
    revision: RevisionOption = None,
) -> None:
    """Measure which response of each dev pair steering makes likelier, and print the mean change by layer and alpha.

    Nothing is generated: a cheap first look at every cell. It goes into `propensity.safetensors` in the run, and is
    measured once: options that are not given are those it was measured with, others measure it anew.

    Example: `interp-steer propensity runs/refusal-smollm2-135m --alphas 0.1,0.2,0.3,0.4`
    """
    from rich.console import Console

    from interp_steer.begin import check_unchanged
    from interp_steer.run import open_run
    from interp_steer.teacher_forced import propensity_stage
    from interp_steer.vectors.vector import read_vectors

    opened = open_run(run)
    check_unchanged(opened, opened.manifest()["behavior_source"])
    vectors = read_vectors(opened.vectors_path)
    with opened.lock():
        spec = _spec(opened, vectors, layers, alphas, operation, scope, random)
        spec.check(vectors)
        model = source(opened.manifest()["model_name"], device, dtype, device_map, revision)
        found = propensity_stage(opened, model, spec, lambda text: typer.echo(text, err=True))
    if as_json:
        typer.echo(json.dumps(_summary(found)))
    else:
        Console().print(_table(found))


def _spec(
    run: "Run",
    vectors: "SteeringVectors",
    layers: str | None,
    alphas: str | None,
    operation: Operation | None,
    scope: Scope | None,
    n_random: int | None,
) -> "PropensitySpec":
    """Return what the options ask for, on top of what was measured before, or else of what the run's sweep covers."""
    from interp_steer.sweeps.margins import PropensitySpec
    from interp_steer.teacher_forced import held_propensity

    name, swept, held = run.manifest()["model_name"], run.manifest().get("sweep", {}), held_propensity(run)
    if held:
        spec = held.card.spec
    else:
        spec = PropensitySpec(
            layers=tuple(range(vectors.n_layers)),
            alphas=(),
            scope=swept.get("scope", "response"),
            n_random=DEFAULT_RANDOM,
            seed=swept.get("seed", 0),
            operation=swept.get("operation", "add"),
        )
    done = operation or spec.operation
    if not held and done == spec.operation:
        alphas = alphas or ",".join(str(alpha) for alpha in swept.get("alphas", ())) or None
    changes: dict[str, Any] = {}
    if alphas or not held or done != spec.operation:  # a grid is in the unit of its operation
        grid = sweep_spec(name, vectors.n_layers, alphas=alphas, operation=done)
        changes = {"alphas": grid.alphas, "random_alpha": grid.random_alphas[0], "operation": done}
    if layers:
        changes["layers"] = parse_layers(layers, vectors.n_layers)
    if scope:
        changes["scope"] = scope
    if n_random is not None:
        changes["n_random"] = n_random
    return replace(spec, **changes)


def _summary(found: "Propensity") -> dict[str, Any]:
    from interp_steer.records import to_json

    spec, change, random = found.card.spec, found.mean_change(), found.random_changes().mean(axis=-1)
    layer, alpha = found.best()
    return {
        "spec": to_json(spec),
        "n_pairs": found.tokens.shape[1],
        "unit": "nats per token",
        "best": {"layer": layer, "alpha": alpha, "change": float(change.max())},
        "mean_change": change.tolist(),
        "random_mean_change": random.tolist(),
        "mean_slope": found.slopes().mean(axis=-1).tolist(),
        "anti_steerable": found.anti_steerable().tolist(),
    }


def _table(found: "Propensity") -> "Table":
    from rich.table import Table
    from rich.text import Text

    spec, change, random = found.card.spec, found.mean_change(), found.random_changes().mean(axis=-1)
    best, slopes, wrong = found.best(), found.slopes().mean(axis=-1), found.anti_steerable()
    caption = f"best: layer {best[0]} at alpha {best[1]:g}: {change.max():+.2f} nats per token"
    if spec.n_random:
        caption += (
            f"; strongest of {random.size} random directions at {spec.random_alpha:g}: {random.max():+.2f}. "
            "Green: above every random direction at the layer"
        )
    table = Table(
        title=f"{found.card.behavior}: change of log p(positive) - log p(negative), {found.tokens.shape[1]} dev pairs",
        caption=f"{caption}. Red: the wrong way.",
    )
    for header in ("layer", *(f"{alpha:g}" for alpha in spec.alphas), "random", "slope", "pairs the wrong way"):
        table.add_column(header, justify="right")
    for i, layer in enumerate(spec.layers):
        cells = []
        for j, alpha in enumerate(spec.alphas):
            wrong_way = change[i, j] * alpha < 0
            above = bool(spec.n_random) and abs(change[i, j]) > abs(random[i]).max()
            mark = "*" if (layer, alpha) == best else " "
            cells.append(Text(f"{change[i, j]:+.2f}{mark}", style="red" if wrong_way else "green" if above else ""))
        noise = f"{random[i].mean():+.2f} ± {random[i].std():.2f}" if spec.n_random else "-"
        table.add_row(str(layer), *cells, noise, f"{slopes[i]:+.2f}", f"{wrong[i]:.0%}")
    return table
