"""``interp-steer calibrate``: the alpha of equal disturbance at every layer."""

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interp_steer.cli.options import (
    LAYERS_HELP,
    DeviceMapOption,
    DeviceOption,
    DtypeOption,
    JsonOption,
    RevisionOption,
    RunArgument,
    parse_layers,
    source,
)
from interp_steer.terms import Scope

if TYPE_CHECKING:
    from rich.table import Table

    from interp_steer.run import Run
    from interp_steer.sweeps.calibration import Calibration, CalibrationSpec


def calibrate_command(
    run: RunArgument,
    target_kl: Annotated[
        float | None, typer.Option(help="95th percentile over positions of the KL to reach, in nats; by default 1.")
    ] = None,
    layers: Annotated[str | None, typer.Option(help=LAYERS_HELP + " By default all.")] = None,
    scope: Annotated[Scope | None, typer.Option(help="Steered positions; by default as in the run's sweep.")] = None,
    as_json: JsonOption = False,
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    device_map: DeviceMapOption = None,
    revision: RevisionOption = None,
) -> None:
    """Find the alpha at which steering disturbs the next-token predictions equally at every layer, and print it.

    Measured on the unsteered model's own answers to the first dev prompts. It goes into `calibration.json` in the
    run, and is solved once: options that are not given are those it was solved with, others solve it anew.

    Example: `interp-steer calibrate runs/refusal-smollm2-135m --target-kl 1.0`
    """
    from rich.console import Console

    from interp_steer.begin import check_unchanged
    from interp_steer.records import to_json
    from interp_steer.run import open_run
    from interp_steer.teacher_forced import calibrate_stage
    from interp_steer.vectors.vector import read_vectors

    opened = open_run(run)
    manifest = opened.manifest()
    check_unchanged(opened, manifest["behavior_source"])
    vectors = read_vectors(opened.vectors_path)
    given: dict[str, Any] = {"target_kl": target_kl, "scope": scope}
    given["layers"] = parse_layers(layers, vectors.n_layers) if layers else None
    with opened.lock():
        loaded = source(manifest["model_name"], device, dtype, device_map, revision)
        spec = _spec(opened, vectors.n_layers, {name: value for name, value in given.items() if value is not None})
        found = calibrate_stage(opened, loaded, spec, lambda text: typer.echo(text, err=True))
    if as_json:
        typer.echo(json.dumps(to_json(found)))
    else:
        Console().print(_table(found))
        typer.echo(_suggestion(found))


def _spec(run: "Run", n_layers: int, given: dict[str, Any]) -> "CalibrationSpec":
    """Return what the options ask for, on top of what was solved before, or else of the defaults."""
    from interp_steer.sweeps.calibration import CalibrationSpec
    from interp_steer.teacher_forced import held_calibration

    held = held_calibration(run)
    default = CalibrationSpec(
        layers=tuple(range(n_layers)), scope=run.manifest().get("sweep", {}).get("scope", "response")
    )
    return replace(held.spec if held else default, **given)


def _table(found: "Calibration") -> "Table":
    from rich.table import Table

    spec = found.spec
    table = Table(
        title=f"{found.behavior}: alpha at which p{100 * spec.quantile:g} of KL(steered || unsteered) is "
        f"{spec.target_kl:g} nats, over {found.n_positions} positions"
    )
    for header in ("layer", "alpha", "KL", "passes"):
        table.add_column(header, justify="right")
    table.add_column("why there is none")
    for one in found.layers:
        alpha, kl = ("-", "-") if one.alpha is None or one.kl is None else (f"{one.alpha:.3f}", f"{one.kl:.3f}")
        table.add_row(str(one.layer), alpha, kl, str(len(one.tried)), one.reason or "")
    return table


def _suggestion(found: "Calibration") -> str:
    from interp_steer.sweeps.calibration import suggested_alphas

    alphas = suggested_alphas(found)
    if not alphas:
        return "no layer reaches the target; choose another --target-kl"
    return f"to sweep around this disturbance: --alphas {','.join(f'{alpha:g}' for alpha in alphas)}"
