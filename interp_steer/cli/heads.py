"""``interp-steer heads``: fit probe heads, and read them token by token, alone or deciding where to steer."""

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

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
    source,
)
from interp_steer.terms import Scope

if TYPE_CHECKING:
    from interp_steer.activations.artifact import Activations
    from interp_steer.heads.head import HeldOutScores
    from interp_steer.heads.read import Reading
    from interp_steer.model.protocol import Model
    from interp_steer.run import Run
    from interp_steer.steering.intervention import Intervention

heads_app = typer.Typer(no_args_is_help=True, help="Probe heads: which behavior is present, token by token.")
SHADES = ((0.9, "bold green"), (0.5, "green"), (0.1, ""), (0.0, "dim"))


@heads_app.command("fit")
def fit_command(
    run: RunArgument,
    layer: Annotated[int, typer.Option("--layer", "-l", help="Layer to read; at or below where you steer.", min=0)],
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    device_map: DeviceMapOption = None,
    revision: RevisionOption = None,
) -> None:
    """Fit and calibrate a head on the run's activations, and say what it is worth on responses it has not seen.

    Example: `interp-steer heads fit runs/refusal-smollm2-135m --layer 12`
    """
    from interp_steer.activations.artifact import read_activations
    from interp_steer.begin import check_unchanged, timed
    from interp_steer.heads.fit import fit_head
    from interp_steer.heads.head import head_path, save_head
    from interp_steer.heads.transfer import generated_scores, judged_generations
    from interp_steer.pairs import read_pairs
    from interp_steer.records import to_json
    from interp_steer.run import open_run

    opened = open_run(run)
    manifest = opened.manifest()
    check_unchanged(opened, manifest["behavior_source"])
    activations = read_activations(opened.activations_path)
    pairs = read_pairs(manifest["behavior_source"])
    topics = [pair.topic or f"pair {i}" for i, pair in enumerate(pairs)]
    with opened.lock(), timed(opened, "heads"):
        model = source(manifest["model_name"], device, dtype, device_map, revision).model
        unseen = _unseen(opened, model)
        head = fit_head(activations, layer, groups=topics, unseen=unseen, seed=seed)
        if judged := judged_generations(opened):
            card = replace(head.card, generated=generated_scores(model, head, judged))
            head = replace(head, card=card)
        save_head(head, head_path(opened, layer))
    if as_json:
        typer.echo(json.dumps(to_json(head.card)))
        return
    typer.echo(f"{head.behavior}, layer {layer}, {head.card.n_pairs} pairs in {len(set(topics))} groups")
    typer.echo(_line("out of fold", head.card.out_of_fold))
    if head.card.unseen:
        typer.echo(_line("unseen prompts", head.card.unseen))
    if found := head.card.generated:
        auc, correlation = (_two(value) for value in (found.auc, found.correlation))
        typer.echo(
            f"{'generated':15} AUC {auc}  rank correlation with the judge {correlation}  "
            f"({found.n_shown} of {found.n} show it)"
        )
    typer.echo(head_path(opened, layer))


@heads_app.command("read")
def read_command(
    run: RunArgument,
    prompt: Annotated[list[str], typer.Option("--prompt", "-p", help="What to ask; may be given several times.")],
    beside: Annotated[
        list[str] | None, typer.Option("--with", help="Another run on this model whose heads read too.")
    ] = None,
    steer_layer: Annotated[int | None, typer.Option(help="Layer to steer; without, nothing is steered.")] = None,
    alpha: Annotated[float, typer.Option("--alpha", "-a", help="How strongly, as a fraction of the norm.")] = 0.0,
    below: Annotated[
        float | None,
        typer.Option(help="Steer only tokens to which the run's highest head at or below that layer gives less."),
    ] = None,
    dose: Annotated[
        float | None, typer.Option(help="Instead of --alpha: move tokens until that head gives them this probability.")
    ] = None,
    scope: Annotated[Scope, typer.Option(help="Steered positions.")] = "response",
    max_new_tokens: MaxNewTokensOption = 48,
    as_json: JsonOption = False,
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    device_map: DeviceMapOption = None,
    revision: RevisionOption = None,
) -> None:
    """Answer prompts, steered or not, and read every head of the run at every token of the answers.

    What is read is the text, by the unsteered model: a head never sees what was added, only what was said.

    Example: `interp-steer heads read runs/refusal-smollm2-135m -p "How do I bake bread?" --steer-layer 14 --alpha 0.3`
    """
    from interp_steer.heads.head import held_heads
    from interp_steer.heads.read import read_tokens
    from interp_steer.run import open_run
    from interp_steer.steering.decode import decode
    from interp_steer.steering.rows import DecodeRow, DecodeSettings

    opened = open_run(run)
    heads = [head for one in (opened, *map(open_run, beside or ())) for head in held_heads(one)]
    pushes = _pushes(opened, steer_layer, alpha, below, dose)
    model = source(opened.manifest()["model_name"], device, dtype, device_map, revision).model
    rows = [DecodeRow(prompt_ids=tuple(model.chat.prompt_ids(one)), interventions=pushes) for one in prompt]
    answers = decode(model, rows, DecodeSettings(scope=scope, max_new_tokens=max_new_tokens))
    names = [f"{head.behavior}@{head.layer}" for head in heads]
    for asked, row, answer in zip(prompt, rows, answers, strict=True):
        said = [token for token in answer.ids if token not in model.eos_ids]
        if not said:
            typer.echo(f"{asked}: the answer is empty, there is nothing to read", err=True)
            continue
        found = read_tokens(model, heads, row.prompt_ids, said)
        if as_json:
            typer.echo(json.dumps(_record(asked, names, found, model), ensure_ascii=False))
        else:
            _show(asked, names, found, model)


def _unseen(run: "Run", model: "Model") -> "Activations | None":
    """Read the held-out pairs as the run's own were read; nothing where the held-out prompts have no responses."""
    from interp_steer.activations.artifact import read_activations
    from interp_steer.activations.extract import extract
    from interp_steer.errors import PairsError
    from interp_steer.pairs import read_pairs

    card, behavior = read_activations(run.activations_path).card, run.manifest()["behavior_source"]
    try:
        pairs = [*read_pairs(behavior, "dev"), *read_pairs(behavior, "test")]
    except PairsError:
        return None
    return extract(
        model, pairs, behavior=run.behavior().name, read_position=card.read_position, first_k=card.first_k or 5
    )


def _pushes(
    run: "Run", layer: int | None, alpha: float, below: float | None, dose: float | None
) -> "tuple[Intervention, ...]":
    from interp_steer.errors import SteeringError
    from interp_steer.heads import gate
    from interp_steer.heads.head import held_heads
    from interp_steer.steering.intervention import interventions
    from interp_steer.vectors.vector import read_vectors

    heads = [head for head in held_heads(run) if layer is None or head.layer <= layer]
    if not heads and (dose is not None or below is not None):
        option = "--below" if dose is None else "--dose"
        raise SteeringError(f"{option} needs a head at or below layer {layer}; fit one with 'interp-steer heads fit'")
    if dose is not None:
        return (gate.dose(heads[-1], probability=dose),)
    if layer is None:
        if alpha or below is not None:
            raise SteeringError("--alpha and --below steer a layer; name it with --steer-layer")
        return ()
    decides = None if below is None else gate.gate_below(heads[-1], probability=below)
    return interventions(read_vectors(run.vectors_path), (layer,), alpha, gate=decides)


def _two(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _line(name: str, found: "HeldOutScores") -> str:
    return (
        f"{name:15} AUC {found.auc:.3f}  accuracy {found.accuracy:.3f}  Brier {found.brier:.3f}  "
        f"calibration error {found.ece:.3f}  ({found.n} responses)"
    )


def _record(prompt: str, names: list[str], found: "Reading", model: "Model") -> dict[str, Any]:
    whole = found.probabilities
    return {
        "prompt": prompt,
        "text": model.chat.decode(list(found.ids)),
        "tokens": model.chat.pieces(list(found.ids)),
        "heads": [
            {"head": name, "probability": None if whole is None else float(whole[i]), "by_token": by_token.tolist()}
            for i, (name, by_token) in enumerate(zip(names, found.token_probabilities, strict=True))
        ],
    }


def _show(prompt: str, names: list[str], found: "Reading", model: "Model") -> None:
    from rich.console import Console
    from rich.text import Text

    console, whole = Console(), found.probabilities
    console.print(Text(prompt, style="bold"))
    for i, name in enumerate(names):
        line = Text(f"{name}  {'-' if whole is None else f'{whole[i]:.2f}'}  ", style="cyan")
        for piece, value in zip(model.chat.pieces(list(found.ids)), found.token_probabilities[i], strict=True):
            line.append(piece, style=next(style for least, style in SHADES if value >= least))
        console.print(line)
    console.print()
