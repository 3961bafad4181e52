"""``interp-steer pairs generate``: contrastive pairs written by Claude, or by the model that is to be steered."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from interp_steer.cli.options import UNSCORED, DeviceOption, DtypeOption, JsonOption, source

if TYPE_CHECKING:
    from interp_steer.pair_writer.written import Written


def generate_command(
    behavior: Annotated[str, typer.Argument(help="Name of a new behavior, or of one that is there and is extended.")],
    description: Annotated[
        str | None, typer.Option("--description", "-d", help="What a new behavior is, in a sentence.")
    ] = None,
    n: Annotated[
        int, typer.Option("--n", "-n", help="Training pairs wanted, those that are there included.", min=1)
    ] = 100,
    writer: Annotated[
        Literal["claude", "self"],
        typer.Option(help="`claude`, or `self`: the model that is to be steered, under contrastive system prompts."),
    ] = "claude",
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Who writes: by default `claude-opus-4-6`, or the default model to steer."),
    ] = None,
    judge_model: Annotated[
        str, typer.Option(help="Claude model that confirms each pair; better not the one that writes.")
    ] = "claude-haiku-4-5",
    trait: Annotated[
        Path | None, typer.Option(help="Trait file (system prompts and questions) that a new behavior is made from.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of behaviors.")] = Path("pairs"),
    max_cost: Annotated[
        float | None, typer.Option(help="Most dollars to spend on this behavior, earlier calls included.", min=0)
    ] = None,
    batches: Annotated[
        bool | None, typer.Option(help="Message batches, half the price; by default for over 50 questions at once.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost; write and ask nothing.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the sampling of `--writer self`.")] = 0,
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write contrastive pairs, check each of them, and keep those that a judge (or the model itself) confirms.

    Pairs go to `train.jsonl` as they are accepted, everything else to `rejected.jsonl` with the reason. Stop it at any
    time: the same command goes on, and nothing is asked twice. Claude costs money: `--dry-run` says how much before
    anything is asked, `--max-cost` sets a limit. Exit code 3 says that there are fewer pairs than `--n`.

    Example: `interp-steer pairs generate polite -d "Answers with marked politeness" --n 100`

    Without a key: `interp-steer pairs generate poetic --trait poetic.json --writer self --model smollm2-135m --n 24`
    """
    from interp_steer.model.presets import DEFAULT_MODEL
    from interp_steer.pair_writer.claude_writer import WRITER
    from interp_steer.pair_writer.generate import ByClaude, BySelf, generate
    from interp_steer.pair_writer.outlook import outlook
    from interp_steer.records import to_json

    by: ByClaude | BySelf
    if writer == "claude":
        by = ByClaude(model=model or WRITER, judge_model=judge_model, batches=batches, max_cost=max_cost)
    else:
        loaded = source(model or DEFAULT_MODEL, device, dtype, None, None)
        by = BySelf(load=lambda: loaded.model, seed=seed)
    if dry_run:
        found = outlook(behavior, by, n=n, out=out, description=description, trait=trait)
        typer.echo(json.dumps(to_json(found)) if as_json else found)
        return
    written = generate(behavior, by, n=n, out=out, description=description, trait=trait)
    typer.echo(json.dumps(to_json(written), ensure_ascii=False) if as_json else "\n".join(_lines(written)))
    if written.stopped:
        typer.echo(f"finished with {written.pairs} of {n} pairs: {written.stopped}", err=True)
        raise typer.Exit(UNSCORED)


def _lines(written: "Written") -> Iterator[str]:
    proposed = written.accepted + sum(written.rejected.values())
    yield f"pairs       {written.pairs}, of which {written.accepted} of {proposed} proposals were accepted"
    yield from (f"            {count} rejected: {reason}" for reason, count in _by_count(written.rejected))
    for split, (done, every) in written.held_out.items():
        yield f"{split:<12}{done} of {every} prompts have both responses"
    yield from (f"            {count} held out rejected: {reason}" for reason, count in _by_count(written.unanswered))
    if written.sides:
        yield f"samples     {sum(written.sides.values())} sides, of which {written.sides.get('fit', 0)} are fit"
        unfit = {reason: count for reason, count in written.sides.items() if reason != "fit"}
        yield from (f"            {count} unfit: {reason}" for reason, count in _by_count(unfit))
    if written.recognized is not None:
        yield f"recognized  {written.recognized:.0%} of sides, by the model, as what their instruction asked for"
    if written.echoed:
        yield f"echoed      {', '.join(written.echoed)}: the instructions that confirm a side use these words too, so"
        yield "            an answer that merely repeats them can pass; a trait file words its instructions differently"
    yield from (f"no answer   {count} of {what}" for what, count in _by_count(written.no_answer))
    if written.lost_dollars is not None:
        known = (
            "unknown: the price table does not hold the model" if written.dollars is None else f"${written.dollars:.2f}"
        )
        lost = f"; up to ${written.lost_dollars:.2f} besides, for replies that got lost" if written.lost_dollars else ""
        yield f"cost        {known}{lost}"
    yield written.folder


def _by_count(counts: Mapping[Any, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
