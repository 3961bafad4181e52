"""Steered generation of a grid of layers and alphas: this library against what else one would do.

The same forced tokens on every side: SmolLM2-135M, float32, random directions, greedy. Sides that are slow do a part
of the grid, spread over it, and are compared by seconds per token.
"""

import contextlib
import statistics
from collections.abc import Callable
from typing import Annotated, Any

import measuring
import typer
from measuring import Quick, Rounds, Threads, Timed, say, timed
from peers import PEERS, NoPeers, Peer, PeersFolder, peers, steering_job, steers

OURS = "interp-steer"
SCORED = "interp-steer, and the likelihood of every completion"
HALF = "interp-steer, bfloat16"
app = typer.Typer(add_completion=False)


@app.command()
def main(
    scope: Annotated[str, typer.Option(help="Positions steered: response, generated or all.")] = "response",
    batch: Annotated[int, typer.Option(help="Most rows of one batch of ours.")] = 128,
    prompts: Annotated[int, typer.Option(help="Prompts to a cell.", min=1)] = 4,
    bf16: Annotated[bool, typer.Option("--bf16", help="Also run ours in bfloat16, and say what that changes.")] = False,
    natural: Annotated[
        bool, typer.Option("--natural", help="Instead: completions that end by themselves, up to 200 tokens.")
    ] = False,
    peers_folder: PeersFolder = None,
    no_peers: NoPeers = False,
    rounds: Rounds = 3,
    threads: Threads = 2,
    quick: Quick = False,
) -> None:
    """Time a sweep of 8 layers x 4 alphas x 4 prompts (or more) x 64 tokens.

    Sides: this library; a hand-written hook, one row at a time, and batched over the prompts of a cell; unsteered
    `generate` of the plain model at batch 8, 32 and 128; steering-vectors, repeng, and llama.cpp with control vectors,
    each in its own environment (the last is compiled there).
    Also: the floor that arithmetic sets.

    Try:

        python benchmarks/sweep.py --peers ~/.cache/peers > sweep.json

        python benchmarks/sweep.py --natural > natural.json

        python benchmarks/sweep.py --quick
    """
    if natural and scope != "response":
        raise typer.BadParameter("the other side of --natural steers scope response only", param_hint="--scope")
    measuring.begin(threads)
    import natural as natural_end
    from grid import make_grid, spread
    from subjects import plain_smollm2

    from interp_steer.model.load import load_model

    rounds = 1 if quick else rounds
    say("loading the model twice: plain, and wrapped")
    plain, model = plain_smollm2(), load_model("smollm2-135m", device="cpu", dtype="float32")
    n_layers, alphas, n_prompts, new_tokens = (
        (2, (0.2, 0.4), prompts, 8) if quick else (8, (0.1, 0.2, 0.3, 0.4), prompts, 64)
    )
    if natural:
        n_prompts, new_tokens = (4, 24) if quick else (8, 200)
    grid = make_grid(
        model,
        layers=spread(n_layers, model.card.n_layers),
        alphas=alphas,
        n_prompts=n_prompts,
        new_tokens=new_tokens,
        scope=scope,  # type: ignore[arg-type]
    )
    settings = {
        "model": model.card.name, "scope": scope, "batch": batch, "rounds": rounds, "quick": quick,
        "layers": sorted({cell.layer for cell in grid.cells}), "alphas": alphas, "prompts": n_prompts,
        "rows": len(grid.rows), "new_tokens": new_tokens,
    }  # fmt: skip
    if natural:
        measuring.emit("sweep-natural", settings, **natural_end.compare(model, plain, grid, batch=batch, rounds=rounds))
        return
    with contextlib.ExitStack() as stack:
        running: dict[str, Peer] = {}
        missing = dict.fromkeys(PEERS, "left out on request")
        if not (no_peers or (quick and peers_folder is None)):
            job = steering_job(model, grid, 1 if quick else 3, threads)
            running, missing = stack.enter_context(peers(list(PEERS), peers_folder, job))
        measuring.emit("sweep", settings, **_compare(model, plain, grid, running, missing, batch, rounds, bf16, quick))


def _compare(
    model: Any, plain: Any, grid: Any, running: dict[str, Peer], missing: dict[str, str], batch: int, rounds: int,
    bf16: bool, quick: bool,
) -> dict[str, Any]:  # fmt: skip
    import ours
    import plain as by_hand
    import torch
    from grid import agreement, upto_end
    from precision import texts_changed
    from subjects import n_parameters

    from interp_steer.model.load import load_model

    said: dict[str, list[list[int]]] = {}
    latest: dict[str, Timed] = {}
    some = grid.some_cells(1 if quick else 3)
    n_prompts = len(grid.prompts)

    def side(name: str, work: Callable[[], list[list[int]]]) -> Callable[[], Timed]:
        def run() -> int:
            said[name] = work()
            return sum(map(len, said[name]))

        return lambda: timed(run)

    def asked(name: str) -> Timed:
        answer = running[name].ask(do="steer")
        said[name] = [ids for cell in answer["found"] for ids in cell]
        return Timed(seconds=answer["seconds"], tokens=sum(map(len, said[name])))

    def complete() -> Timed:
        latest[OURS] = side(OURS, lambda: ours.complete(model, grid.rows, grid.new_tokens, grid.scope, batch=batch))()
        return latest[OURS]

    def scored() -> Timed:
        """Add to the completions just timed what reading them takes: a sweep does one after the other."""
        reading = timed(lambda: ours.score(model, grid.rows, said[OURS]))
        return Timed(seconds=latest[OURS].seconds + reading.seconds, tokens=latest[OURS].tokens)

    def unsteered(n: int) -> list[list[int]]:
        return by_hand.generate(plain, (grid.prompts * n)[:n], grid.new_tokens)

    alone, per_cell = "hook, one row at a time", "hook, batched over the prompts of a cell"
    sides: dict[str, Callable[[], Timed]] = {
        OURS: complete,
        SCORED: scored,
        alone: side(
            alone,
            lambda: [
                by_hand.generate_cell(plain, grid, grid.cells[at], [grid.prompts[i % n_prompts]])[0]
                for i, at in enumerate(some)
            ],
        ),
        per_cell: side(
            per_cell,
            lambda: [ids for at in some for ids in by_hand.generate_cell(plain, grid, grid.cells[at], grid.prompts)],
        ),
    }
    sizes = (8,) if quick else (8, 32, 128)
    for n in sizes:
        sides[f"unsteered generate, batch {n}"] = side(f"unsteered {n}", lambda n=n: unsteered(n))
    for name in running:
        sides[name] = lambda name=name: asked(name)
    half = load_model("smollm2-135m", device="cpu", dtype="bfloat16") if bf16 else None
    if half is not None:
        sides[HALF] = side("bfloat16", lambda: ours.complete(half, grid.rows, grid.new_tokens, grid.scope, batch=batch))
    say("warming up")
    for one in (model, *((half,) if half is not None else ())):
        ours.complete(one, grid.rows, 2, grid.scope, batch=batch)
    unsteered(1)
    for peer in running.values():
        peer.ask(do="unsteered")
    found = measuring.interleaved(sides, rounds)
    rates, ratios = measuring.rates(found), measuring.speedups(found, OURS)

    fast = None
    if half is not None:
        slow = zip(found[alone], found[HALF], strict=True)
        fast = statistics.median(one.per_token / other.per_token for one, other in slow)
        say(f"bfloat16: {fast:.1f} times as fast as one row at a time in float32")
    before_end = [upto_end(ids, model.eos_ids, included=False) for ids in said[OURS]]  # which others are denied
    mine = {
        alone: [before_end[at * n_prompts + i % n_prompts] for i, at in enumerate(some)],
        per_cell: [before_end[at * n_prompts + i] for at in some for i in range(n_prompts)],
    }
    same = {name: agreement(expected, said[name]) for name, expected in mine.items()}

    def hooked(name: str) -> list[list[int]]:
        cell = running[name].job["cells"][0]
        push = cell["alpha"] * torch.tensor(cell["vector"])
        whole = PEERS[name].whole_prompt
        return by_hand.generate_constant(plain, grid.prompts, grid.new_tokens, cell["layer"], push, whole_prompt=whole)

    shown = {
        name: {"versions": one.versions, **steers(one, said[name], said["unsteered 8"], hooked(name))}
        for name, one in running.items()
    }
    floor, peak = grid.flop_floor(*n_parameters(plain)), measuring.matmul_peak()
    seconds = statistics.median(one.seconds for one in found[OURS])
    bound = sum(floor.values()) / peak
    measuring.table(
        "A sweep", ("side", "tokens/s", "times ours", "equal tokens"),
        [(name, rate, ratios.get(name, 1.0), same.get(name, {}).get("equal_tokens")) for name, rate in rates.items()],
    )  # fmt: skip
    say(f"floor {bound:.1f} s at {peak / 1e9:.0f} GFLOP/s; ours took {seconds:.1f} s, {seconds / bound:.2f} times that")
    return {
        "medians": {"tokens_per_second": rates, "interp_steer_seconds": seconds},
        "ratios": {
            "seconds_per_token_against_ours": ratios,
            "float32_one_at_a_time_against_bfloat16": fast,
            "ours_against_floor": seconds / bound,
        },
        "scaled": {alone: len(some), per_cell: len(some) * n_prompts, **dict.fromkeys(running, len(some) * n_prompts)},
        "agreement": same,
        "peers": {**shown, **dict.fromkeys(missing)},
        "peers_missing": missing,
        "floor": {"flop": floor, "matmul_gflops": peak / 1e9, "seconds": bound},
        "bfloat16": texts_changed(model, grid, said[OURS], said["bfloat16"]) if half is not None else None,
    }


if __name__ == "__main__":
    app()
