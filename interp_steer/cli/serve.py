"""``interp-steer serve``: an OpenAI-compatible endpoint whose answers can be steered."""

from pathlib import Path
from typing import Annotated

import typer

from interp_steer.cli.options import DeviceMapOption, DeviceOption, DtypeOption, ModelOption, RevisionOption, source
from interp_steer.model.presets import DEFAULT_MODEL


def serve_command(
    model: ModelOption = DEFAULT_MODEL,
    run: Annotated[
        list[Path] | None,
        typer.Option(help="Run directory whose behavior can be steered; may be given several times."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen at; any but this machine's own demands a key.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="Port to listen at.", min=0, max=65535)] = 8000,
    api_key: Annotated[
        str | None,
        typer.Option(
            help="What clients must show. Better in the environment: others see the command line.",
            envvar="INTERP_STEER_API_KEY",
            show_default=False,
        ),
    ] = None,
    slots: Annotated[int, typer.Option(help="Most completions at a time.", min=1, max=512)] = 16,
    waiting: Annotated[int, typer.Option(help="Most completions that wait for a slot.", min=0)] = 64,
    context: Annotated[int, typer.Option(help="Most tokens of prompt and completion together.", min=32)] = 2048,
    max_tokens: Annotated[int, typer.Option(help="Longest completion, in tokens.", min=1)] = 512,
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    device_map: DeviceMapOption = None,
    revision: RevisionOption = None,
) -> None:
    """Answer OpenAI-style requests, steered as each asks; requests with different interventions share a batch.

    Example: `interp-steer serve --model smollm2-135m --run runs/refusal-smollm2-135m`
    """
    from interp_steer.serving.catalog import read_catalog
    from interp_steer.serving.exposure import check_exposure
    from interp_steer.serving.live import LiveBatch
    from interp_steer.serving.server import run_server
    from interp_steer.serving.web import make_app

    check_exposure(host, api_key, what="give clients a key with --api-key or INTERP_STEER_API_KEY")
    loaded = source(model, device, dtype, device_map, revision).model
    catalog = read_catalog(run or [], loaded)
    with LiveBatch(loaded, slots=slots, capacity=context, waiting=waiting) as batch:
        app = make_app(batch, catalog, max_tokens=max_tokens, api_key=api_key)
        for name in catalog.names():
            typer.echo(name, err=True)
        run_server(app, host=host, port=port, ready=lambda url: typer.echo(f"listening at {url}/v1", err=True))
