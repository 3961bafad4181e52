"""Thousands of generations judged by Claude, as a service on this machine answers it, with faults on the way."""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import measuring
import typer
from measuring import Quick, say

TESTS = Path(__file__).parents[1] / "tests"
SERVER = """
import sys, threading
sys.path.insert(0, sys.argv[1])
from claude_server import ClaudeServer, Fault, seeded
from judging import honest, judged_text
from interp_steer.pairs import read_behavior

gate = read_behavior("refusal").gate
obvious = {*gate.high, *gate.low, *gate.gibberish}
some = [Fault(kind="status", status=status) for status in (429, 500, 529)]
some += [Fault(kind="reset"), Fault(kind="cut"), Fault(kind="refusal"), Fault(kind="truncated")]
random_faults = seeded(0, float(sys.argv[2]), some)
item_faults = seeded(1, float(sys.argv[2]), [*some[:3], *some[5:], Fault(kind="expired"), Fault(kind="missing")])

def faults(place, body, attempt):
    if place not in ("messages", "item") or judged_text(body) in obvious:
        return None
    return (random_faults if place == "messages" else item_faults)(place, body, attempt)

with ClaudeServer(honest, faults) as server:
    server.keep_requests = False
    print(server.url, flush=True)
    threading.Event().wait()
"""
JUDGE = """
import json, sys, time
from dataclasses import asdict
from pathlib import Path
from interp_steer.judges.claude import judge_with_claude
from interp_steer.judges.claude_spec import ClaudeSpec
from interp_steer.run import Run

import anthropic

def peak():  # not getrusage, whose peak may be that of the process that started this one
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), None)

started = time.perf_counter()
summary = judge_with_claude(Run(Path(sys.argv[1])), ClaudeSpec(batches=sys.argv[2] == "batches"))
seconds = time.perf_counter() - started
print(json.dumps({"seconds": seconds, "peak_mb": peak(), **asdict(summary)}))
"""
WAYS = ("one by one", "batches")
LEAST_RATE = 200.0
"""Items a second, on two cores that the service shares."""
MOST_GROWTH_MB = 16.0
"""Memory that 8,000 generations more may take: what a question waits by is kept, texts are not."""
app = typer.Typer(add_completion=False)


@app.command()
def main(
    n: Annotated[int, typer.Option(min=100, help="Generations to judge.")] = 10_000,
    fewer: Annotated[int, typer.Option(min=50, help="Generations of the run whose memory it is held against.")] = 2_000,
    rate: Annotated[float, typer.Option(min=0, max=0.5, help="Share of requests that fail.")] = 0.05,
    only: Annotated[str | None, typer.Option(help="`one by one` or `batches`; by default both.")] = None,
    quick: Quick = False,
) -> None:
    """Judge runs of two sizes with the real SDK against a server in another process, one by one and in batches.

    Every text differs, so every generation is a question. Faults: 429, 500, 529, resets, bodies cut short, refusals,
    truncated answers; in batches also expired and missing items. Then the larger run is judged once more, which tries
    again what failed for a passing reason. Exit code 1 if a generation has no verdict, or two from one pass; if fewer
    than 200 are judged a second; or if the memory grows by more than 16 MB (both not with --quick, whose runs are too
    short to tell).

    Try:

        python benchmarks/judge.py > judge.json

        python benchmarks/judge.py --quick
    """
    measuring.begin(1)
    n, fewer = (400, 100) if quick else (n, fewer)
    ways = [only] if only else WAYS
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, _server(rate) as environment:
        for way in ways:
            small, large = (_run(Path(folder) / f"{way}-{size}", size) for size in (fewer, n))
            held = _judged(small, way, environment)
            first = _judged(large, way, environment)
            lines = Counter(verdict.generation for verdict in large.verdicts())
            again = _judged(large, way, environment)
            peaks = (held["peak_mb"], first["peak_mb"])  # where the system tells
            growth = None if None in peaks else peaks[1] - peaks[0]
            found[way] = {
                "seconds": first["seconds"],
                "items_per_second": n / first["seconds"],
                "verdict_lines": lines.total(),
                "generations": n,
                "doubled": lines.total() - len(lines),
                "unscored": first["unscored"],
                "tried_again": again["scored"] + sum(again["unscored"].values()),
                "left_unscored": dict(_unscored(large)),
                "peak_mb": dict(zip((str(fewer), str(n)), peaks, strict=True)),
                "growth_mb": growth,
            }
            say(f"{way}: {found[way]['items_per_second']:.0f} a second, {growth} MB more")
    keys = ("items_per_second", "verdict_lines", "doubled", "growth_mb")
    measuring.table("Judged", ["", *keys], [[way, *(found[way][key] for key in keys)] for way in ways])
    faults = [fault for way, each in found.items() for fault in _faults(way, each, n, quick=quick)]
    measuring.emit(
        "judge",
        {"n": n, "fewer": fewer, "rate": rate, "quick": quick},
        medians={way: {"items_per_second": each["items_per_second"]} for way, each in found.items()},
        ratios={},
        ok=not faults,
        faults=faults,
        ways=found,
    )
    if faults:
        say("; ".join(faults))
        raise typer.Exit(1)


def _faults(way: str, found: dict[str, Any], n: int, *, quick: bool) -> list[str]:
    """Return what is not as it should be."""
    faults = []
    if found["verdict_lines"] != n or found["doubled"]:
        faults.append(f"{way}: {found['verdict_lines']} verdicts on {n} generations, {found['doubled']} doubled")
    if quick:
        return faults
    if found["items_per_second"] < LEAST_RATE:
        faults.append(f"{way}: {found['items_per_second']:.0f} a second, expected at least {LEAST_RATE:g}")
    if found["growth_mb"] is None or found["growth_mb"] > MOST_GROWTH_MB:
        faults.append(f"{way}: memory grew by {found['growth_mb']} MB, expected at most {MOST_GROWTH_MB:g}")
    return faults


@contextmanager
def _server(rate: float) -> Iterator[dict[str, str]]:
    """Start the service and return the environment in which the SDK finds it."""
    if not (TESTS / "claude_server.py").exists():
        raise SystemExit(f"{TESTS / 'claude_server.py'} is not there; run this from a clone")
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(TESTS), str(rate)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            url = process.stdout.readline().strip() if process.stdout else ""
            yield {**os.environ, "ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "no-key", "NO_PROXY": "127.0.0.1"}
        finally:
            process.kill()


def _run(path: Path, n: int) -> Any:
    """Make a run of ``n`` generations to 24 prompts, no two of which are the same text."""
    sys.path.insert(0, str(TESTS))
    from judging import UNSTEERED, answer, generation, refusal

    from interp_steer.files import append_records
    from interp_steer.pairs import read_behavior
    from interp_steer.records import Cell, to_json
    from interp_steer.run import Run

    run = Run(path)
    run.update_manifest(behavior=to_json(read_behavior("refusal")))
    prompts = 24
    append_records(run.generations_path, [generation(answer(p), UNSTEERED, prompt=p) for p in range(prompts)])
    steered = (
        generation(f"{refusal(i % prompts, i)} {i}" * 2, Cell(control="steered", layer=i // prompts, alpha=0.3),
                   prompt=i % prompts)
        for i in range(n - prompts)
    )  # fmt: skip
    append_records(run.generations_path, steered)
    return run


def _judged(run: Any, way: str, environment: dict[str, str]) -> dict[str, Any]:
    """Judge a run in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", JUDGE, str(run.path), way],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=environment,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _unscored(run: Any) -> Counter[str]:
    latest = {verdict.generation: verdict for verdict in run.verdicts()}
    return Counter(str(verdict.reason) for verdict in latest.values() if verdict.combined is None)


if __name__ == "__main__":
    app()
