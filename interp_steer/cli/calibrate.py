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

    from interp_steer.begin import Source
    from interp_steer.run import Run
    from interp_steer.sweeps.calibrate import Calibration
    from interp_steer.vectors.vector import SteeringVectors

PROMPTS = 4


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
    from interp_steer.vectors.vector import read_vectors

    opened = open_run(run)
    manifest = opened.manifest()
    check_unchanged(opened, manifest["behavior_source"])
    vectors = read_vectors(opened.vectors_path)
    given: dict[str, Any] = {"target_kl": target_kl, "scope": scope}
    given["layers"] = parse_layers(layers, vectors.n_layers) if layers else None
    with opened.lock():
        loaded = source(manifest["model_name"], device, dtype, device_map, revision)
        found = _solved(opened, vectors, {name: value for name, value in given.items() if value is not None}, loaded)
    if as_json:
        typer.echo(json.dumps(to_json(found)))
    else:
        Console().print(_table(found))
        typer.echo(_suggestion(found))


def _held(run: "Run") -> "Calibration | None":
    """Return what was solved before; nothing if it cannot be read, since it can be solved again."""
    from pydantic import ValidationError

    from interp_steer.records import from_json
    from interp_steer.sweeps.calibrate import Calibration

    try:
        return from_json(Calibration, json.loads(run.calibration_path.read_bytes()))
    except (FileNotFoundError, ValueError, ValidationError):
        return None


def _solved(run: "Run", vectors: "SteeringVectors", given: dict[str, Any], source: "Source") -> "Calibration":
    """Return what the run holds if it is what is asked for; solve and keep it otherwise."""
    from interp_steer.begin import timed
    from interp_steer.files import write_json
    from interp_steer.pairs import read_prompts
    from interp_steer.records import digest, to_json
    from interp_steer.sweeps.calibrate import CalibrationSpec, calibrate
    from interp_steer.sweeps.margins import vectors_digest
    from interp_steer.sweeps.rows import claim_model

    manifest, held = run.manifest(), _held(run)
    default = CalibrationSpec(
        layers=tuple(range(vectors.n_layers)), scope=manifest.get("sweep", {}).get("scope", "response")
    )
    spec: CalibrationSpec = replace(held.spec if held else default, **given)
    spec.check(vectors)
    prompts = [prompt.text for prompt in read_prompts(manifest["behavior_source"], "dev")[:PROMPTS]]
    if held:
        if (held.spec, held.prompts, held.vectors) == (spec, digest(prompts), vectors_digest(vectors)):
            return held
        typer.echo(f"{run.calibration_path} was solved with other settings, vectors or prompts: solving anew", err=True)
    with timed(run, "load model"):
        model = source.model
    claim_model(run, model.card)
    with timed(run, "calibrate"):
        found = calibrate(model, vectors, prompts, spec)
    write_json(run.calibration_path, to_json(found))
    return found


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
    from interp_steer.sweeps.calibrate import suggested_alphas

    alphas = suggested_alphas(found)
    if not alphas:
        return "no layer reaches the target; choose another --target-kl"
    return f"to sweep around this disturbance: --alphas {','.join(f'{alpha:g}' for alpha in alphas)}"
