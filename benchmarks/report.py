"""A large report: seconds to build it, its size, and seconds until a browser has it open and answers a click."""

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import measuring
import typer
from measuring import Quick, Rounds, say

TEXT = (
    "the answer to this question depends on many small things that people seldom name and yet I cannot help with it "
    "because nobody asked what water does when it meets a wall of light near the harbor in late autumn"
)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]
LIMIT = 8_000_000  # bytes of a page
USABLE = 2.0  # seconds
CLICKED = """() => document.getElementById("texts-heading").innerText.startsWith("Layer 0 at alpha")
    && document.querySelector("#completions article .answer.steered .text").innerText.length > 60"""
app = typer.Typer(add_completion=False)


@app.command()
def main(
    layers: Annotated[int, typer.Option(min=2, help="Layers swept.")] = 32,
    alphas: Annotated[int, typer.Option(min=1, help="Alphas swept.")] = 10,
    prompts: Annotated[int, typer.Option(min=2, help="Prompts of each split.")] = 24,
    tokens: Annotated[int, typer.Option(min=4, help="Words of a completion.")] = 64,
    rounds: Rounds = 5,
    quick: Quick = False,
) -> None:
    """Build the report of a run made of numbers, and open it from disk in headless Chromium with the network off.

    Loaded is the page with its headline and its map on the screen and its completions unpacked; usable is when a click
    on a cell of the map has put that cell's own completions on the screen; drawn is when the first figure below them
    is there, which nobody waits for. The browser is started before the clock. Without a Chromium (or the path of one in
    CHROMIUM) only building is measured.

    `ok` says that the page is under 8 MB and its median is usable in under 2 seconds (null where it was not opened).

    Try:

        python benchmarks/report.py > report.json

        python benchmarks/report.py --quick
    """
    measuring.begin(1)
    from interp_steer.report.render import write_report

    if quick:
        layers, alphas, prompts, rounds = 8, 4, 8, 2
    with tempfile.TemporaryDirectory() as folder:
        run = _run(Path(folder) / "run", layers, alphas, prompts, tokens)
        say(f"{len(run.generations()):,} completions")
        page = Path(folder) / "report.html"
        build = []
        for _ in range(rounds):
            started = time.perf_counter()
            write_report(run, page)
            build.append(time.perf_counter() - started)
            say(f"built in {build[-1]:.2f} s, {page.stat().st_size / 1e6:.2f} MB")
        size = page.stat().st_size
        opened = _opened(page, rounds)
    medians: dict[str, Any] = {"build_seconds": statistics.median(build), "megabytes": size / 1e6}
    for name in ("loaded", "usable", "drawn"):
        medians[f"{name}_seconds"] = statistics.median(one[name] for one in opened) if opened else None
    usable = medians["usable_seconds"]
    ok = False if size > LIMIT else None if usable is None else usable < USABLE
    measuring.table("Report", ["", "median"], list(medians.items()))
    measuring.emit(
        "report",
        {
            "layers": layers, "alphas": alphas, "prompts": prompts, "tokens": tokens, "rounds": rounds, "quick": quick,
        },
        medians=medians,
        ratios={},
        ok=ok,
        rounds={"build": build, "opened": opened},
    )  # fmt: skip
    if ok is False:
        raise typer.Exit(1)


def _opened(page: Path, rounds: int) -> list[dict[str, float]]:
    with _browser() as browser:
        if browser is None:
            say("no Chromium here (install it, or name it in CHROMIUM): opening is not measured")
            return []
        found = []
        for _ in range(rounds):
            context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
            tab = context.new_page()
            started = time.perf_counter()
            tab.goto(page.as_uri())
            tab.wait_for_selector("html[data-ready]")
            loaded = time.perf_counter() - started
            tab.locator("h1").wait_for(state="visible")
            field = tab.locator("[data-grid=combined] .field")
            field.scroll_into_view_if_needed()
            box = field.bounding_box()
            tab.mouse.click(box["x"] + 5, box["y"] + 5)  # the first layer at the strongest alpha
            tab.wait_for_function(CLICKED)
            usable = time.perf_counter() - started
            tab.locator("[data-figure=strength] svg").first.wait_for()
            found.append({"loaded": loaded, "usable": usable, "drawn": time.perf_counter() - started})
            say(", ".join(f"{name} in {seconds:.2f} s" for name, seconds in found[-1].items()))
            context.close()
        return found


@contextmanager
def _browser() -> Iterator[Any]:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        yield None
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def _run(path: Path, layers: int, alphas: int, prompts: int, tokens: int) -> Any:
    """Write a run with every stage but the activations: planted in the middle layer, noise elsewhere."""
    import numpy as np

    from interp_steer.files import append_records, write_json
    from interp_steer.findings import AnalysisResult, Figure, Series
    from interp_steer.outcomes import PROMPTED, UNSTEERED
    from interp_steer.pairs import read_behavior
    from interp_steer.records import Cell, Generation, ModelCard, Verdict, text_sha256, to_json
    from interp_steer.run import Run

    rng, words = np.random.default_rng(0), TEXT.split()
    run = Run(path)
    card = ModelCard(
        name="numbers", revision="0", fingerprint="0" * 16, dtype="bfloat16", n_layers=layers, d_model=4096,
        layer_types=("full_attention",) * layers, template="0",
    )  # fmt: skip
    strengths = [round(0.05 * (a + 1), 2) for a in range(alphas)]
    steered = [Cell(control="steered", layer=layer, alpha=a) for layer in range(layers) for a in strengths]
    best = Cell(control="steered", layer=layers // 2, alpha=strengths[-1])
    random = Cell(control="random", layer=best.layer, alpha=best.alpha)
    write_json(run.manifest_path, {"behavior": to_json(read_behavior("refusal")), "model": to_json(card)})

    def answers(split: str, cells: list[Cell]) -> None:
        generations, verdicts = [], []
        for cell in cells:
            for n in range(1, prompts + 1):
                high = cell.layer == best.layer and cell.control == "steered"
                one = Generation(
                    behavior="refusal", split=split, prompt_id=f"{split}-{n}", prompt=f"What is the answer to {n}?",
                    cell=cell, sample=0, text=" ".join(rng.choice(words, tokens)), n_tokens=tokens, finish="length",
                    nll=float(rng.random()),
                )  # fmt: skip
                behavior, coherence = float((0.8 if high else 0.1) + 0.1 * rng.random()), float(0.9 * rng.random())
                generations.append(one)
                verdicts.append(
                    Verdict(
                        generation=one.key, text_sha256=text_sha256(one.text), judge="local", judge_digest="0",
                        behavior=behavior, coherence=coherence,
                        combined=2 * behavior * coherence / (behavior + coherence),
                    )
                )  # fmt: skip
        append_records(run.generations_path, generations)
        append_records(run.verdicts_path, verdicts)

    answers("dev", [UNSTEERED, PROMPTED, *steered, random])
    answers("test", [UNSTEERED, PROMPTED, *(cell for cell in steered if cell.alpha == best.alpha), random])
    for k in range(6):
        curves = tuple(Series(name=f"curve {i}", y=tuple(rng.random(layers).tolist())) for i in range(3))
        figures = tuple(
            Figure(
                kind=kind, title=f"Figure {kind} {k}", x_label="layer", y_label="value", x=tuple(range(layers)),
                series=curves,
            )
            for kind in ("lines", "heatmap")
        )  # fmt: skip
        result = AnalysisResult(
            name=f"analysis_{k}", title=f"Analysis {k}", question="What is it?", finding="It is noise.", figures=figures
        )
        write_json(run.analysis_path(result.name), to_json(result))
    texts = [
        {
            "title": f"Text {i}", "group": "pair", "side": "positive", "tokens": [f" {word}" for word in words],
            "cosines": (rng.random((layers, len(words))) - 0.5).round(4).tolist(),
        }
        for i in range(8)
    ]  # fmt: skip
    write_json(run.projections_path, {"layers": list(range(layers)), "texts": texts})
    return run


if __name__ == "__main__":
    app()
