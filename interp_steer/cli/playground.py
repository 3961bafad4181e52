"""``interp-steer playground``: a local page to turn the knobs by hand."""

from pathlib import Path
from typing import Annotated

import typer

from interp_steer.cli.options import DeviceMapOption, DeviceOption, DtypeOption, RevisionOption, source


def playground_command(
    run: Annotated[
        list[Path] | None,
        typer.Option(help="Run directory to play with; may be given several times. By default those in `runs`."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="Preset, Hugging Face id, or folder; by default the model of the runs.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen at; any but this machine's own demands a password.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="Port to listen at.", min=0, max=65535)] = 8001,
    password: Annotated[
        str | None,
        typer.Option(
            help="What visitors must know. Better in the environment: others see the command line.",
            envvar="INTERP_STEER_PASSWORD",
            show_default=False,
        ),
    ] = None,
    slots: Annotated[int, typer.Option(help="Most answers at a time.", min=1, max=512)] = 16,
    waiting: Annotated[int, typer.Option(help="Most answers that wait for a slot.", min=0)] = 64,
    context: Annotated[int, typer.Option(help="Most tokens of prompt and answer together.", min=32)] = 2048,
    max_tokens: Annotated[int, typer.Option(help="Longest answer, in tokens.", min=1)] = 256,
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    device_map: DeviceMapOption = None,
    revision: RevisionOption = None,
) -> None:
    """Open a page with steered answers beside unsteered ones, as they are written.

    Example: `interp-steer playground --run runs/refusal-smollm2-135m`
    """  # fmt: skip
    from interp_steer.playground.app import make_playground
    from interp_steer.playground.shelf import find_runs, read_shelf
    from interp_steer.run import open_run
    from interp_steer.serving.exposure import check_exposure
    from interp_steer.serving.live import LiveBatch
    from interp_steer.serving.server import run_server

    check_exposure(host, password, what="give visitors a password with --password or INTERP_STEER_PASSWORD")
    if run:
        name, runs = model or str(open_run(run[0]).manifest()["model_name"]), run
    else:
        name, runs = find_runs(Path("runs"), model)
    loaded = source(name, device, dtype, device_map, revision).model
    shelf = read_shelf(runs, loaded)
    with LiveBatch(loaded, slots=slots, capacity=context, waiting=waiting) as batch:
        app = make_playground(batch, shelf, max_tokens=max_tokens, password=password)
        run_server(app, host=host, port=port, ready=lambda url: typer.echo(f"open {url}", err=True))
