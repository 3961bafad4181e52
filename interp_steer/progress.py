"""One progress bar with an ETA, on stderr, for everything that takes long."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Advance = Callable[[int, str], None]
"""Called with how many units are done since the last call, and a short note to show."""


@contextmanager
def progress(description: str, total: int) -> Iterator[Advance]:
    """Show a progress bar for ``total`` units; on a pipe only its last state is printed."""
    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(description, total=total, note="")

        def advance(n: int, note: str = "") -> None:
            bar.update(task, advance=n, note=note)

        yield advance
