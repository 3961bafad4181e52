"""``interp-steer combine``: several layers at once, and other operations, at equal KL."""

import json
from typing import Annotated

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


def combine_command(
    run: RunArgument,
    target_kl: Annotated[float, typer.Option(help="95th percentile over positions of the KL to reach, in nats.")] = 1.0,
    layers: Annotated[str | None, typer.Option(help=LAYERS_HELP + " By default all.")] = None,
    width: Annotated[
        float | None, typer.Option(help="Standard deviation of the Gaussian, in layers; by default a tenth of all.")
    ] = None,
    scope: Annotated[Scope | None, typer.Option(help="Steered positions; by default as in the run's sweep.")] = None,
    as_json: JsonOption = False,
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    device_map: DeviceMapOption = None,
    revision: RevisionOption = None,
) -> None:
    """Compare the best layer with several at once, and adding with other operations, at equal KL.

    Each schedule is scaled until the model's own answers to neutral prompts are disturbed equally; then it is shown
    by how much it makes the positive response of each test pair likelier. Dev pairs choose the layers. The result
    goes among the run's analyses, where the report finds it.

    Example: `interp-steer combine runs/refusal-smollm2-135m --layers 6-22/2`
    """
    from rich.console import Console

    from interp_steer.begin import check_unchanged, timed
    from interp_steer.console import print_result
    from interp_steer.records import to_json
    from interp_steer.run import open_run
    from interp_steer.sweeps.calibration import CalibrationSpec
    from interp_steer.sweeps.combine import run_combination
    from interp_steer.vectors.vector import read_vectors

    opened = open_run(run)
    manifest = opened.manifest()
    check_unchanged(opened, manifest["behavior_source"])
    vectors = read_vectors(opened.vectors_path)
    every = tuple(layer for layer in range(vectors.n_layers) if vectors.direction[layer].any())
    spec = CalibrationSpec(
        layers=parse_layers(layers, vectors.n_layers) if layers else every,
        target_kl=target_kl,
        scope=scope or manifest.get("sweep", {}).get("scope", "response"),
    )
    loaded = source(manifest["model_name"], device, dtype, device_map, revision)
    with opened.lock(), timed(opened, "combine"):
        result = run_combination(opened, lambda: loaded.model, spec, width)
    if as_json:
        typer.echo(json.dumps(to_json(result), ensure_ascii=False))
        return
    print_result(result, Console())
