"""Pairs to pooled activations at every layer: this library against a plain loop and against steering-vectors.

All sides read the same texts. This library and the plain loop keep the mean over each response, at every layer;
steering-vectors keeps the last token, as its documentation does.
"""

import ctypes
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Annotated, Any

import measuring
import typer
from measuring import Quick, Rounds, Threads, Timed, say, timed
from peers import NoPeers, Peer, PeersFolder, peers

OURS, PLAIN = "interp-steer", "plain loop with output_hidden_states, batch 16"
PEER = "steering-vectors"
PLAIN_BATCH = 16
PEER_BATCHES = (1, 8)  # its default, and more
app = typer.Typer(add_completion=False)


@app.command()
def main(
    behavior: Annotated[str, typer.Option(help="Whose pairs are read.")] = "refusal",
    peers_folder: PeersFolder = None,
    no_peers: NoPeers = False,
    rounds: Rounds = 5,
    threads: Threads = 2,
    quick: Quick = False,
    memory_of: Annotated[int, typer.Option(hidden=True)] = 0,
) -> None:
    """Time the extraction of 64 pairs at all layers of SmolLM2-135M, and watch the memory of 16, 64 and 256 pairs.

    Try:

        python benchmarks/extract.py --peers ~/.cache/peers > extract.json

        python benchmarks/extract.py --quick
    """
    measuring.begin(threads)
    from interp_steer.activations.extract import extract
    from interp_steer.model.load import load_model
    from interp_steer.pairs import read_pairs

    rounds, n_pairs = (1, 8) if quick else (rounds, 64)
    model = load_model("smollm2-135m", device="cpu", dtype="float32")
    every = read_pairs(behavior)
    if memory_of:
        print(json.dumps(_peak(model, (every * memory_of)[:memory_of], behavior)), file=sys.__stdout__)
        return
    pairs = every[:n_pairs]
    chat = model.chat
    texts = [chat.pair_ids(pair.prompt, answer) for pair in pairs for answer in (pair.positive, pair.negative)]
    n_tokens = sum(len(ids) for ids, _ in texts)

    from subjects import n_parameters, plain_smollm2

    plain = plain_smollm2()
    means: dict[str, Any] = {}

    def mine() -> int:
        found = extract(model, pairs, behavior=behavior)
        means[OURS] = (found.positive - found.negative).mean(axis=1)
        return n_tokens

    def by_hand() -> int:
        pooled = _plain(plain, texts)
        means[PLAIN] = (pooled[0::2] - pooled[1::2]).mean(dim=0).numpy()
        return n_tokens

    def asked(peer: Peer, batch_size: int) -> Timed:
        return Timed(seconds=peer.ask(do="extract", batch_size=batch_size)["seconds"], tokens=n_tokens)

    sides = {OURS: lambda: timed(mine), PLAIN: lambda: timed(by_hand)}
    missing = {PEER: "left out on request"}
    versions: dict[str, Any] = {}
    with ExitStack() as stack:
        if not (no_peers or (quick and peers_folder is None)):
            written = [
                [chat.render(pair.prompt) + answer for answer in (pair.positive, pair.negative)] for pair in pairs
            ]
            running, missing = stack.enter_context(peers([PEER], peers_folder, {"threads": threads, "pairs": written}))
            for peer in running.values():
                versions = peer.versions
                for size in PEER_BATCHES:
                    sides[f"{PEER}, batch {size}"] = lambda peer=peer, size=size: asked(peer, size)
        say("warming up")
        mine()
        by_hand()
        found = measuring.interleaved(sides, rounds)
    rates, ratios = measuring.rates(found), measuring.speedups(found, OURS)
    seconds = statistics.median(one.seconds for one in found[OURS])
    once = sum(map(len, {tuple(ids[:n]) for ids, n in texts})) + sum(len(ids) - n for ids, n in texts)
    flop, peak = 2.0 * n_parameters(plain)[0] * once, measuring.matmul_peak()
    memory = [_memory(n, behavior, threads) for n in ((4, 8) if quick else (16, 64, 256))]
    measuring.table(
        f"Extraction of {n_pairs} pairs at every layer",
        ("side", "tokens/s", "times ours"),
        [(name, rate, ratios.get(name, 1.0)) for name, rate in rates.items()],
    )
    measuring.table(
        "Peak memory above the model",
        ("pairs", "MB", "of which the result, MB"),
        [(one["pairs"], one["peak_mb"], one["result_mb"]) for one in memory],
    )
    say(f"floor {flop / peak:.1f} s at {peak / 1e9:.0f} GFLOP/s; ours took {seconds:.1f} s")
    measuring.emit(
        "extract",
        {"model": model.card.name, "behavior": behavior, "pairs": n_pairs, "tokens": n_tokens, "rounds": rounds,
         "quick": quick},
        medians={"tokens_per_second": rates, "interp_steer_seconds": seconds},
        ratios={"seconds_against_ours": ratios, "share_of_floor": flop / peak / seconds},
        floor={"flop": flop, "matmul_gflops": peak / 1e9, "seconds": flop / peak},
        largest_difference_from_plain=float(abs(means[OURS] - means[PLAIN]).max() / abs(means[PLAIN]).max()),
        memory=memory,
        peers={PEER: versions or None},
        peers_missing=missing,
    )  # fmt: skip


def _plain(hf: Any, texts: Sequence[tuple[list[int], int]]) -> Any:
    """Return the mean over each response after every block, ``[text, layer, d_model]``, batch by batch as given."""
    import torch

    from interp_steer.batches import pad

    pooled = []
    n_layers = hf.config.num_hidden_layers
    last: list[Any] = []  # hidden_states ends with the final norm, so the last block needs a hook
    handle = hf.model.layers[-1].register_forward_hook(lambda _m, _i, out: last.append(out))
    try:
        for at in range(0, len(texts), PLAIN_BATCH):
            batch = texts[at : at + PLAIN_BATCH]
            input_ids, mask = pad([ids for ids, _ in batch], "right")
            response = torch.zeros_like(mask, dtype=torch.float32)
            for row, (ids, n_prompt) in enumerate(batch):
                response[row, n_prompt : len(ids)] = 1 / (len(ids) - n_prompt)
            with torch.inference_mode():
                out = hf.model(input_ids, attention_mask=mask, output_hidden_states=True, use_cache=False)
            final = last.pop()
            states = [*out.hidden_states[1:n_layers], final[0] if isinstance(final, tuple) else final]
            pooled.append(torch.stack([(state * response.unsqueeze(-1)).sum(1) for state in states], dim=1))
    finally:
        handle.remove()
    return torch.cat(pooled)


def _memory(n_pairs: int, behavior: str, threads: int) -> dict[str, float]:
    """Extract in a fresh process; see :func:`_peak`."""
    say(f"memory of {n_pairs} pairs")
    command = [sys.executable, __file__, "--memory-of", str(n_pairs), "--behavior", behavior]
    done = subprocess.run([*command, "--threads", str(threads)], stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _peak(model: Any, pairs: Sequence[Any], behavior: str) -> dict[str, float]:
    """Return the most memory this process had while it extracted, above what it had with the model alone."""
    import psutil

    from interp_steer.activations.extract import extract

    extract(model, pairs[:1], behavior=behavior)  # what is loaded or compiled once
    if sys.platform == "linux":
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # memory that was given back must not hide what comes
    process, done = psutil.Process(), threading.Event()
    before = process.memory_info().rss
    seen = [before]

    def watch() -> None:
        while not done.is_set():
            seen.append(process.memory_info().rss)
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    found = extract(model, pairs, behavior=behavior)
    done.set()
    watcher.join()
    result = sum(one.nbytes for one in (found.positive, found.negative, found.positive_norms, found.negative_norms))
    return {"pairs": len(pairs), "peak_mb": (max(seen) - before) / 1e6, "result_mb": result / 1e6}


if __name__ == "__main__":
    app()
