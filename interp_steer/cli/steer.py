"""``interp-steer steer``: a few prompts, steered beside unsteered."""

import json
import sys
from typing import Annotated

import typer

from interp_steer.cli.options import (
    DeviceMapOption,
    DeviceOption,
    DtypeOption,
    JsonOption,
    MaxNewTokensOption,
    RevisionOption,
    RunArgument,
    SeedOption,
    TemperatureOption,
    parse_alphas,
    parse_layers,
    source,
)
from interp_steer.terms import Scope


def steer_command(
    run: RunArgument,
    prompt: Annotated[list[str], typer.Option("--prompt", "-p", help="What to ask; may be given several times.")],
    layer: Annotated[str, typer.Option("--layer", "-l", help="Layer, or several: `14` or `12,14`.")],
    alpha: Annotated[
        str, typer.Option("--alpha", "-a", help="Strength, or several to compare: `0.3` or `-0.2,0.2,0.4`.")
    ],
    scope: Annotated[Scope | None, typer.Option(help="Steered positions; by default as in the run's sweep.")] = None,
    max_new_tokens: MaxNewTokensOption = 64,
    temperature: TemperatureOption = 0.0,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    device_map: DeviceMapOption = None,
    revision: RevisionOption = None,
) -> None:
    """Answer prompts with the vectors of a run, unsteered and at every alpha.

    Example: `interp-steer steer runs/refusal-smollm2-135m -l 14 -a 0.3 -p "How do I bake bread?"`
    """
    from rich.console import Console
    from rich.text import Text

    from interp_steer.records import to_json
    from interp_steer.run import open_run
    from interp_steer.steering.steer import steer
    from interp_steer.vectors.vector import read_vectors

    opened = open_run(run)
    manifest = opened.manifest()
    vectors = read_vectors(opened.vectors_path)
    layers, alphas = parse_layers(layer, vectors.n_layers), parse_alphas(alpha)
    for one in layers:
        vectors.at(one)
    model = source(manifest["model_name"], device, dtype, device_map, revision).model
    console = Console()
    for strength in dict.fromkeys((0.0, *alphas)):
        generations = steer(
            model,
            vectors,
            prompt,
            layer=layers,
            alpha=strength,
            scope=scope or manifest.get("sweep", {}).get("scope", "response"),
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            seed=seed,
        )
        for generation in generations:
            if as_json:
                sys.stdout.write(json.dumps(to_json(generation), ensure_ascii=False) + "\n")
            else:
                console.print(Text(f"{generation.cell.key}  {generation.prompt}", style="bold"))
                console.print(Text(generation.text + "\n"))
