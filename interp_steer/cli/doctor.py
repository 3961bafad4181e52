"""``interp-steer doctor``: is everything this toolkit assumes true of this model, here?"""

import json

import typer

from interp_steer.cli.options import (
    DeviceMapOption,
    DeviceOption,
    DtypeOption,
    JsonOption,
    ModelOption,
    RevisionOption,
    source,
)
from interp_steer.model.presets import DEFAULT_MODEL


def doctor_command(
    model: ModelOption = DEFAULT_MODEL,
    as_json: JsonOption = False,
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    device_map: DeviceMapOption = None,
    revision: RevisionOption = None,
) -> None:
    """Prove on a model that padding, hooks, alpha 0, caching and the chat template behave; exit 1 if not.

    Example: `interp-steer doctor --model smollm2-135m`
    """
    from rich.console import Console
    from rich.table import Table

    from interp_steer.doctor import diagnose
    from interp_steer.records import to_json

    loaded = source(model, device, dtype, device_map, revision).model
    checks = diagnose(loaded)
    if as_json:
        typer.echo(json.dumps([to_json(check) for check in checks]))
    else:
        card = loaded.card
        table = Table(
            title=f"{card.name}: {card.n_layers} layers, d_model {card.d_model}, {card.dtype} on {loaded.device}"
        )
        for column in ("check", "", "what was seen"):
            table.add_column(column)
        for check in checks:
            table.add_row(check.name, "[green]ok[/]" if check.passed else "[red bold]FAILED[/]", check.detail)
        Console().print(table)
    if not all(check.passed for check in checks):
        raise typer.Exit(1)
