"""``interp-steer pushes``: how far one small push at each layer moves the model's predictions."""

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
    from interp_steer.sweeps.shifts import Pushes, PushSpec

SHOWN = 5


def pushes_command(
    run: RunArgument,
    layers: Annotated[str | None, typer.Option(help=LAYERS_HELP + " By default all.")] = None,
    alpha: Annotated[float | None, typer.Option(help="The equal dose of every layer; by default 0.1.")] = None,
    scope: Annotated[Scope | None, typer.Option(help="Pushed positions; by default as in the run's sweep.")] = None,
    random: Annotated[int | None, typer.Option(help="Random directions per layer; by default 5.", min=0)] = None,
    as_json: JsonOption = False,
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    device_map: DeviceMapOption = None,
    revision: RevisionOption = None,
) -> None:
    """Push once at every layer on neutral texts, and print how far the predictions move.

    Nothing is generated under steering and no behavior is asked for: a label-free heuristic for the layer. It goes
    into `pushes.safetensors` in the run, which `analyze` reads, and is measured once: options that are not given are
    those it was measured with, others measure it anew.

    Example: `interp-steer pushes runs/refusal-smollm2-135m`
    """
    from rich.console import Console

    from interp_steer.begin import check_unchanged, timed
    from interp_steer.run import open_run
    from interp_steer.sweeps.pushes import run_pushes

    opened = open_run(run)
    check_unchanged(opened, opened.manifest()["behavior_source"])
    given: dict[str, Any] = {"alpha": alpha, "scope": scope, "n_random": random}
    with opened.lock():
        spec = _spec(opened, layers, {name: value for name, value in given.items() if value is not None})
        model = source(opened.manifest()["model_name"], device, dtype, device_map, revision)
        with timed(opened, "pushes"):
            found = run_pushes(opened, lambda: model.model, spec)
    if as_json:
        typer.echo(json.dumps(_summary(found)))
    else:
        Console().print(_table(found))


def _spec(run: "Run", layers: str | None, given: dict[str, Any]) -> "PushSpec":
    """Return what the options ask for, on top of what was measured before, or else of the defaults."""
    from interp_steer.sweeps.pushes import default_spec, held_pushes
    from interp_steer.vectors.vector import read_vectors

    vectors, held = read_vectors(run.vectors_path), held_pushes(run)
    spec = held.card.spec if held else default_spec(run, vectors)
    if layers:
        given = {**given, "layers": parse_layers(layers, vectors.n_layers)}
    return replace(spec, **given)


def _summary(found: "Pushes") -> dict[str, Any]:
    from interp_steer.records import to_json

    def described(kl: Any) -> dict[str, list[float]]:
        import numpy as np

        p95 = np.quantile(kl, 0.95, axis=-1)
        return {"mean": kl.mean(axis=-1).tolist(), "median": np.median(kl, axis=-1).tolist(), "p95": p95.tolist()}

    return {
        "spec": to_json(found.card.spec),
        "n_places": int(found.answers.size),
        "unit": "nats per token",
        "equal": described(found.equal),
        "natural": {"alpha": found.natural_alpha.tolist(), **described(found.natural)},
        "random": found.random.mean(axis=-1).tolist(),
        "sensitivity": found.moved.mean(axis=-1).tolist(),
        "alignment": found.alignment.tolist(),
        "promoted": [list(tokens) for tokens in found.card.promoted],
    }


def _table(found: "Pushes") -> "Table":
    from rich.table import Table
    from rich.text import Text

    spec, said = found.card.spec, _summary(found)
    table = Table(
        title=f"{found.card.behavior}: KL(unsteered || steered) in nats over {found.answers.size} tokens of "
        "neutral answers",
        caption=f"equal dose: alpha {spec.alpha:g}; natural dose: the magnitude ratio; random: mean KL and its "
        "deviation over random directions at the equal dose; sensitivity: change of the logits per alpha",
    )
    for header in ("layer", "mean", "median", "p95", "random", "natural alpha", "mean there", "sensitivity", "lens"):
        table.add_column(header, justify="right")
    table.add_column("promotes")
    for i, layer in enumerate(spec.layers):
        random = found.random[i].mean(axis=-1)
        table.add_row(
            str(layer),
            *(f"{said['equal'][name][i]:.3f}" for name in ("mean", "median", "p95")),
            f"{random.mean():.3f} ± {random.std():.3f}" if random.size else "-",
            f"{found.natural_alpha[i]:.2f}",
            f"{said['natural']['mean'][i]:.3f}",
            f"{said['sensitivity'][i]:.0f}",
            f"{found.alignment[i]:+.2f}",
            Text(" ".join(repr(token) for token in found.card.promoted[i][:SHOWN])),
        )
    return table
