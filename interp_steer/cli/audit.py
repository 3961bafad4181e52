"""``interp-steer audit``: some completions scored by hand."""

from pathlib import Path
from typing import Annotated

import typer

from interp_steer.cli.options import RunArgument


def audit_command(
    run: RunArgument,
    n: Annotated[int, typer.Option("--n", min=1, help="Completions on the sheet.")] = 40,
    out: Annotated[Path | None, typer.Option(help="The sheet to write; by default `audit.csv` in the run.")] = None,
    read: Annotated[Path | None, typer.Option(help="A sheet that was filled in: take its scores over.")] = None,
) -> None:
    """Write a sheet of completions for a person to score, or read it back.

    The sheet shows neither scores nor where a completion is from, and is spread over the range of scores and the cells.
    Fill in `human_behavior` and `human_coherence` from 0 to 10 by the rubric in behavior.toml, then `--read` it: the
    scores join `interp-steer agreement` as the judge `human`.

    Example: `interp-steer audit runs/refusal-smollm2-135m --n 40 --out audit.csv`
    """
    from interp_steer.judges.audit import read_audit, write_audit
    from interp_steer.run import open_run

    if read is not None and out is not None:
        raise typer.BadParameter("give --out to write a sheet or --read to read one", param_hint="--read")
    opened = open_run(run)
    if read is not None:
        with opened.lock():
            rows = read_audit(opened, read)
        typer.echo(f"{rows} rows scored by hand; see 'interp-steer agreement {opened.path}'")
        return
    path = out or opened.path / "audit.csv"
    write_audit(opened, path, n)
    typer.echo(path)
