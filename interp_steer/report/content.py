"""What a report says, before it looks like anything: frozen dataclasses, no HTML."""

from dataclasses import dataclass

from interp_steer.behaviors import Behavior
from interp_steer.findings import AnalysisResult, Figure, Number, Table
from interp_steer.records import Cell, ModelCard
from interp_steer.report.strengths import Strength
from interp_steer.report.summary import Summary
from interp_steer.report.tokens import TokenView
from interp_steer.stats import Interval


@dataclass(frozen=True, kw_only=True)
class Missing:
    """Something the run does not hold yet, and the command that makes it."""

    what: str
    command: str


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One completion as it is shown: control characters made visible, scores rounded for reading.

    ``reason`` is why there is no score, or what a judge that explains itself says of it. ``finish`` says that the
    text was stopped (at its length, or in a loop); empty where it ended by itself.
    """

    prompt_id: str
    text: str
    behavior: float | None
    coherence: float | None
    combined: float | None
    reason: str
    finish: str


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """One cell answering the same prompts as the headline.

    Attributes:
        name: What was done, e.g. ``random direction``.
        meaning: Why it is there.
        cell: The point of the sweep.
        n: Completions.
        n_unscored: Completions without a combined score.
        behavior: Mean behavior score.
        coherence: Mean coherence score.
        effect: Change of the behavior score against the unsteered model; None for that model itself,
            or where no prompt was scored in both.
    """

    name: str
    meaning: str
    cell: Cell
    n: int
    n_unscored: int
    behavior: float | None
    coherence: float | None
    effect: Interval | None


@dataclass(frozen=True, kw_only=True)
class Example:
    """One prompt with its completions under several cells, in the order of ``names``."""

    rank: str
    prompt: str
    names: tuple[str, ...]
    samples: tuple[Sample, ...]


@dataclass(frozen=True, kw_only=True)
class Headline:
    """The answer: the cell that dev chose, seen on the prompts of ``split``.

    Attributes:
        claim: One sentence with its interval.
        comparison: What random directions and a system prompt do, as one sentence; may be empty.
        steers: Whether the interval excludes zero and the random direction.
        split: ``test``, or ``dev`` where the test prompts were not answered.
        scope: Which tokens are steered, in words; empty where the run does not say.
        cell: The cell.
        effect: Steered minus unsteered behavior score, over prompts.
        coherence: Mean coherence of the steered completions.
        detectable: Smallest effect that this many prompts would usually show, at 80 % power.
        contrasts: The controls beside it.
        examples: The best, the median and the worst prompt.
    """

    claim: str
    comparison: str
    steers: bool
    split: str
    scope: str
    cell: Cell
    effect: Interval
    coherence: float | None
    detectable: float | None
    contrasts: tuple[Contrast, ...]
    examples: tuple[Example, ...]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """One score over layers and alphas on the dev prompts.

    ``values[a][l]`` with its interval over prompts ``low`` and ``high``, ``n[a][l]`` (completions) and ``keys[a][l]``
    (of the cell) belong to ``alphas[a]`` and ``layers[l]``. ``finding`` says what the map shows.
    """

    score: str
    finding: str
    layers: tuple[int, ...]
    alphas: tuple[float, ...]
    values: tuple[tuple[Number, ...], ...]
    low: tuple[tuple[Number, ...], ...]
    high: tuple[tuple[Number, ...], ...]
    n: tuple[tuple[int, ...], ...]
    keys: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class CellTexts:
    """Every completion of one cell, by split."""

    cell: Cell
    name: str
    splits: tuple[tuple[str, tuple[Sample, ...]], ...]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Behavior and coherence against alpha at one layer: one picture of many.

    ``behavior`` and ``coherence`` are over the alphas of :class:`LayerCurves`; ``best`` is the position of the layer's
    best alpha, None where no cell of it was scored.
    """

    layer: int
    behavior: tuple[Number, ...]
    coherence: tuple[Number, ...]
    best: int | None


@dataclass(frozen=True, kw_only=True)
class LayerCurves:
    """The strength curves of every layer, side by side; ``alphas`` starts with 0, the unsteered model.

    ``axis`` says what the alphas are.
    """

    finding: str
    axis: str
    alphas: tuple[float, ...]
    panels: tuple[Panel, ...]


@dataclass(frozen=True, kw_only=True)
class SideEffects:
    """What steering changed beside the behavior, at the headline's cell and its controls."""

    finding: str
    table: Table


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Layers x alphas: scores, figures, and every text behind them.

    Attributes:
        finding: Heading: which cell is highest and how alone it is.
        note: What the same search finds with random directions; may be empty.
        best: Best cell on dev.
        unit: How its alphas are written.
        combined: What the combined score is, in words.
        grids: Behavior, coherence and combined.
        strength_finding: Heading of the strength curves.
        strength: Behavior and coherence against alpha at the best layer.
        by_layer: The same at every layer.
        depth_finding: Heading of the figure by layer.
        depth: Held-out behavior at each layer's own best alpha; None without test prompts.
        prompts: Text of each prompt, by id.
        cells: Completions, unsteered first.
    """

    finding: str
    note: str
    best: Cell
    unit: Strength
    combined: str
    grids: tuple[Grid, ...]
    strength_finding: str
    strength: Figure
    by_layer: LayerCurves
    depth_finding: str
    depth: Figure | None
    prompts: tuple[tuple[str, str], ...]
    cells: tuple[CellTexts, ...]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A titled list of name and value."""

    title: str
    rows: tuple[tuple[str, str], ...]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything on the page."""

    behavior: Behavior
    model: ModelCard
    missing: tuple[Missing, ...]
    headline: Headline | None
    side_effects: SideEffects | None
    sweep: Sweep | None
    selection: AnalysisResult | None
    heuristics: Figure | None
    analyses: tuple[AnalysisResult, ...]
    tokens: TokenView | None
    caveats: tuple[str, ...]
    provenance: tuple[Facts, ...]
    summary: Summary

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from interp_steer.report.notebook import report_html

        return report_html(self)
