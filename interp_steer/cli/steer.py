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
    OperationOption,
    RevisionOption,
    RunArgument,
    SeedOption,
    TemperatureOption,
    parse_alphas,
    parse_layers,
    source,
)
from interp_steer.terms import Operation, Scope


def steer_command(
    run: RunArgument,
    prompt: Annotated[list[str], typer.Option("--prompt", "-p", help="What to ask; may be given several times.")],
    layer: Annotated[str, typer.Option("--layer", "-l", help="Layer, or several: `14` or `12,14`.")],
    alpha: Annotated[
        str, typer.Option("--alpha", "-a", help="Strength, or several to compare: `0.3` or `-0.2,0.2,0.4`.")
    ],
    operation: OperationOption = None,
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

    With how far the last token of the prompts was turned and stretched: their median at each layer.

    Example: `interp-steer steer runs/refusal-smollm2-135m -l 14 -a 0.3 -p "How do I bake bread?"`
    """
    from rich.console import Console
    from rich.text import Text

    from interp_steer.records import to_json
    from interp_steer.run import open_run
    from interp_steer.steering.effect import measure_effect
    from interp_steer.steering.intervention import interventions
    from interp_steer.steering.steer import steer
    from interp_steer.vectors.vector import read_vectors

    opened = open_run(run)
    manifest = opened.manifest()
    vectors = read_vectors(opened.vectors_path)
    layers, alphas = parse_layers(layer, vectors.n_layers), parse_alphas(alpha)
    for one in layers:
        vectors.at(one)
    model = source(manifest["model_name"], device, dtype, device_map, revision).model
    done: Operation = operation or "add"
    chosen_scope: Scope = scope or manifest.get("sweep", {}).get("scope", "response")
    ids = [tuple(model.chat.prompt_ids(one)) for one in prompt]
    console = Console()
    unsteered: tuple[float, Operation] = (0.0, "add")
    for strength, how in dict.fromkeys((unsteered, *((one, done) for one in alphas))):
        generations = steer(
            model,
            vectors,
            prompt,
            layer=layers,
            alpha=strength,
            operation=how,
            scope=chosen_scope,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            seed=seed,
        )
        if not as_json:
            for effect in measure_effect(model, interventions(vectors, layers, strength, how), ids):
                what = f"{how} {strength:+g} at layer {effect.layer}"
                console.print(
                    Text(f"{what}: turned by {effect.angle:.1f} degrees, norm x {effect.norm_ratio:.2f}", style="dim")
                )
        for generation in generations:
            if as_json:
                sys.stdout.write(json.dumps(to_json(generation), ensure_ascii=False) + "\n")
            else:
                console.print(Text(f"{generation.cell.key}  {generation.prompt}", style="bold"))
                console.print(Text(generation.text + "\n"))
