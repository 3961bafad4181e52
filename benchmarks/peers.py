"""Other steering libraries, each in an environment of its own, kept waiting in a process between measurements."""

import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from measuring import say

TORCH = f"torch=={version('torch').partition('+')[0]}"
SUPPORTED = "transformers<5"  # what steering-vectors asks for, and what repeng was written against
LLAMA = ("llama-cpp-python==0.3.36", "gguf==0.19.0", "safetensors")


@dataclass(frozen=True, kw_only=True)
class Side:
    """Another library.

    Attributes:
        home: Folder of its environment.
        script: What runs there.
        imports: Modules that show it is installed.
        whole_prompt: Whether it steers every position of the prompt, or from the last one on.
        requires: What is installed; llama.cpp is compiled for this machine, which takes minutes.
    """

    home: str
    script: str
    imports: str
    whole_prompt: bool
    requires: tuple[str, ...]


PEERS = {
    "steering-vectors": Side(
        home="steering-vectors",
        script="peer.py",
        imports="torch, transformers, steering_vectors",
        whole_prompt=True,
        requires=(TORCH, "steering-vectors==0.12.2", SUPPORTED),
    ),
    "repeng": Side(
        home="repeng",
        script="peer.py",
        imports="torch, transformers, repeng",
        whole_prompt=True,
        requires=(TORCH, "repeng==0.4.0", SUPPORTED),
    ),
    **{
        f"llama.cpp, {dtype}": Side(
            home="llama-cpp-python",
            script="peer_llama.py",
            imports="llama_cpp, gguf, safetensors",
            whole_prompt=False,
            requires=LLAMA,
        )
        for dtype in ("float32", "float16")
    },
}

PeersFolder = Annotated[
    Path | None,
    typer.Option(
        "--peers", help="Where the peers' environments are kept between runs (2 GB); else a temporary folder."
    ),
]
NoPeers = Annotated[bool, typer.Option("--no-peers", help="Leave the other libraries out.")]


class Peer:
    """Another library, ready to do its job whenever it is asked."""

    def __init__(self, name: str, python: Path, model: Path, job: Mapping[str, Any]) -> None:
        """Start its process and wait until the model is loaded.

        Args:
            name: A key of ``PEERS``.
            python: Interpreter of its environment.
            model: Folder of the model.
            job: What it will be asked for; see its script.
        """
        self.job = job
        self._file = tempfile.NamedTemporaryFile("w", suffix=".json")  # noqa: SIM115 (it lives as long as the peer)
        json.dump(job, self._file)
        self._file.flush()
        self._process = subprocess.Popen(
            [python, Path(__file__).with_name(PEERS[name].script), name, model, self._file.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(job["threads"])},
        )
        self.versions: dict[str, str] = self._answer()["versions"]

    def ask(self, **what: Any) -> dict[str, Any]:
        """Have it do something once; return its answer, with the seconds it took."""
        if self._process.stdin is None:
            raise AssertionError("the process was started with a pipe")
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError(f"the process ended with {self._process.wait()}; its error is above")
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        """End its process."""
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait()
        self._file.close()


@contextmanager
def peers(
    names: list[str], folder: Path | None, job: Mapping[str, Any]
) -> Iterator[tuple[dict[str, Peer], dict[str, str]]]:
    """Start peers; give those that run, and for each that does not the reason."""
    from subjects import save_smollm2

    running: dict[str, Peer] = {}
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        save_smollm2(folder / "model")
        for name in names:
            try:
                running[name] = Peer(name, environment(name, folder), folder / "model", job)
                stack.callback(running[name].close)
                say(f"{name} is ready: {running[name].versions}")
            except (RuntimeError, OSError) as error:
                missing[name] = str(error)
                say(f"{name} is left out: {error}")
        yield running, missing


def environment(name: str, folder: Path) -> Path:
    """Return the interpreter of a peer's environment, which is made if it is not there.

    Raises:
        RuntimeError: If it cannot be installed.
    """
    side = PEERS[name]
    home = folder / side.home
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    check: list[str | Path] = [python, "-c", f"import {side.imports}"]
    if python.exists() and subprocess.run(check, capture_output=True, check=False).returncode == 0:
        return python
    say(f"installing {name} under {home} ...")
    venv.create(home, with_pip=True)
    done = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--prefer-binary", *side.requires],
        stdout=sys.stderr,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"pip cannot install {', '.join(side.requires)}: {done.stderr.strip().splitlines()[-1]}")
    return python


def steering_job(model: Any, grid: Any, n_cells: int, threads: int) -> dict[str, Any]:
    """Say what the peers do: they add a vector of fixed length, here alpha times the usual norm at that layer."""
    import torch

    from interp_steer.batches import pad

    norms: dict[int, float] = {}

    def reader(layer: int) -> Callable[[Any], None]:
        def read(resid: Any) -> None:
            norms[layer] = float(torch.linalg.vector_norm(resid[:, -1].float(), dim=-1).mean())

        return read

    input_ids, mask = pad(grid.prompts, "left")
    cells = [grid.cells[at] for at in grid.some_cells(n_cells)]
    with model.hooks({cell.layer: reader(cell.layer) for cell in cells}):
        model.forward(input_ids, mask, logits="none")
    return {
        "threads": threads,
        "new_tokens": grid.new_tokens,
        "input_ids": input_ids.tolist(),
        "mask": mask.tolist(),
        "cells": [
            {"layer": cell.layer, "alpha": cell.alpha, "vector": (norms[cell.layer] * cell.direction).tolist()}
            for cell in cells
        ],
    }


def steers(
    peer: Peer, steered: list[list[int]], unsteered: list[list[int]], hooked: list[list[int]]
) -> dict[str, float]:
    """Show that a peer ran the same model, and that its steering is the one that was asked for.

    Args:
        peer: The peer.
        steered: Its steered rows, cell by cell.
        unsteered: Unsteered rows of the plain model.
        hooked: Rows of its first cell, as a hook on the plain model says them.
    """
    n_prompts = len(hooked)
    plain = [ids for cell in peer.ask(do="unsteered")["found"] for ids in cell]
    same = [a == b for a, b in zip(plain, unsteered, strict=False)]
    changed = [ids != plain[i % n_prompts] for i, ids in enumerate(steered)]
    tokens = [a == b for one, other in zip(steered, hooked, strict=False) for a, b in zip(one, other, strict=True)]
    return {
        "unsteered_rows_equal_to_ours": sum(same) / len(same),
        "rows_changed": sum(changed) / len(changed),
        "tokens_equal_to_a_hook": sum(tokens) / len(tokens),
    }
