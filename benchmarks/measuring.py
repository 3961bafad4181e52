"""What every benchmark shares: the machine, the clock, and one line of JSON at the end.

Speed drifts on any machine, so both sides of a comparison are measured in one run, in turn (A B A B ...), and
what is reported is the median of the ratios round by round.
"""

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import typer

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("TQDM_DISABLE", "1")

Quick = Annotated[bool, typer.Option("--quick", help="A small run, under two minutes on 2 cores: does it work?")]
Rounds = Annotated[int, typer.Option(min=1, help="How often every side is measured, in turn.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads of torch, on both sides.")]

PACKAGES = ("interp-steer", "torch", "transformers", "transformer-lens")
_started = time.perf_counter()


@dataclass(frozen=True, kw_only=True)
class Timed:
    """One measurement.

    Attributes:
        seconds: Wall time.
        tokens: Tokens generated (or read) in that time.
    """

    seconds: float
    tokens: int

    @property
    def per_token(self) -> float:
        """Seconds per token: what sides that did a part of the work are compared by."""
        return self.seconds / self.tokens


def begin(threads: int) -> None:
    """Set the threads, silence third parties, and keep stdout for the one line of JSON."""
    sys.stdout = sys.stderr
    import torch
    import transformers

    torch.set_num_threads(threads)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


def say(text: str) -> None:
    """Tell on stderr what is going on."""
    typer.echo(f"[{time.perf_counter() - _started:6.1f} s] {text}", err=True)


def timed(work: Callable[[], int]) -> Timed:
    """Time a piece of work that returns its number of tokens."""
    started = time.perf_counter()
    tokens = work()
    return Timed(seconds=time.perf_counter() - started, tokens=tokens)


def interleaved(sides: Mapping[str, Callable[[], Timed]], rounds: int) -> dict[str, list[Timed]]:
    """Measure every side once per round, in turn."""
    found: dict[str, list[Timed]] = {name: [] for name in sides}
    for one in range(rounds):
        for name, side in sides.items():
            found[name].append(side())
            last = found[name][-1]
            speed = last.tokens / last.seconds
            say(f"round {one + 1}/{rounds}  {name:<40} {last.seconds:8.2f} s  {speed:8.1f} tokens/s")
    return found


def rates(found: Mapping[str, Sequence[Timed]]) -> dict[str, float]:
    """Return the median tokens per second of each side."""
    return {name: statistics.median(1 / one.per_token for one in each) for name, each in found.items()}


def speedups(found: Mapping[str, Sequence[Timed]], ours: str) -> dict[str, float]:
    """Return how many times longer a token takes on each other side: medians of the ratios round by round."""
    return {
        name: statistics.median(other.per_token / mine.per_token for other, mine in zip(each, found[ours], strict=True))
        for name, each in found.items()
        if name != ours
    }


def matmul_peak(n: int = 2048, repeats: int = 12, *, dtype: Any = None, device: str = "cpu") -> float:
    """Return the operations per second of an ``n x n`` matrix product: the median of some, after a warm-up."""
    import torch

    a, b = (torch.randn(n, n, device=device).to(dtype or torch.float32) for _ in range(2))
    return 2 * n**3 / _median_seconds(lambda: a @ b, repeats, device)


def copy_bandwidth(n_bytes: int, repeats: int = 12, *, device: str = "cpu") -> float:
    """Return the bytes per second of a copy, those read and those written counted."""
    import torch

    source = torch.ones(n_bytes, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * n_bytes / _median_seconds(lambda: target.copy_(source), repeats, device)


def _median_seconds(work: Callable[[], Any], repeats: int, device: str) -> float:
    def once() -> float:
        synchronize(device)
        started = time.perf_counter()
        work()
        synchronize(device)
        return time.perf_counter() - started

    return statistics.median([once() for _ in range(repeats + 2)][2:])


def synchronize(device: str) -> None:
    """Wait for an accelerator to finish."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.synchronize()


def fitted_slope(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Return the slope of ``log y`` against ``log x``; None with fewer than two points."""
    import numpy as np

    return float(np.polyfit(np.log(x), np.log(y), 1)[0]) if len(x) > 1 else None


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table on stderr."""
    from rich.console import Console
    from rich.table import Table

    shown = Table(title=title, title_justify="left")
    for i, column in enumerate(columns):
        shown.add_column(column, justify="left" if i == 0 else "right")
    for row in rows:
        shown.add_row(*(_cell(value) for value in row))
    Console(stderr=True).print(shown)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def emit(benchmark: str, settings: Mapping[str, Any], **found: Any) -> None:
    """Write the one line of JSON: settings and machine, ``ratios`` and ``medians``, and whatever else was found."""
    line = {
        "benchmark": benchmark,
        "settings": dict(settings),
        "machine": machine(),
        "wall_seconds": time.perf_counter() - _started,
        **found,
    }
    print(json.dumps(_rounded(line), allow_nan=False), file=sys.__stdout__, flush=True)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, Mapping):
        return {str(key): _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value


def machine() -> dict[str, Any]:
    """Return what the numbers were measured on."""
    import psutil
    import torch

    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": psutil.virtual_memory().total / 1e9,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:  # run from a checkout that is on the path only
        return None
