"""What an index page and a comparison need to know about a report."""

from dataclasses import dataclass

from interp_steer.findings import Number


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What an index page needs to know about a report; embedded in the page as JSON.

    Attributes:
        behavior: Name of the behavior.
        model: Name of the model.
        headline: The claim, or what is missing.
        steers: Whether a cell steers; None without a headline.
        layer: Layer of the best cell.
        alpha: Alpha of the best cell.
        effect: Mean change of the behavior score.
        low: Lower end of its interval.
        high: Upper end of its interval.
        n: Prompts behind it.
        split: Which prompts these are.
        coherence: Mean coherence of the steered completions.
        date: When the run was made, ``YYYY-MM-DD``; may be empty.
        layers: Layers of the sparkline.
        alphas: Alphas of the sparkline.
        unit: What stands behind an alpha; empty where it is a plain number.
        combined: Combined score, ``[alpha][layer]``.
    """

    behavior: str
    model: str
    headline: str
    steers: bool | None = None
    layer: int | None = None
    alpha: float | None = None
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    split: str = ""
    coherence: float | None = None
    date: str = ""
    layers: tuple[int, ...] = ()
    alphas: tuple[float, ...] = ()
    unit: str = ""
    combined: tuple[tuple[Number, ...], ...] = ()
