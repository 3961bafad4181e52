"""How Claude judges, apart from what it is told."""

from dataclasses import dataclass

DEFAULT_MODEL = "claude-haiku-4-5"


@dataclass(frozen=True, kw_only=True)
class ClaudeSpec:
    """How Claude judges.

    Attributes:
        model: The model; also the judge's name in verdicts.
        batches: Whether to hand questions in as batches, at half the price; by default where there are many.
        concurrency: Questions under way at once, where they are asked directly.
        max_cost: Most dollars that judging a run may cost, what it cost before and other models included.
        retry_unscored: Whether to ask again what was refused, cut off or unreadable.
    """

    model: str = DEFAULT_MODEL
    batches: bool | None = None
    concurrency: int = 8
    max_cost: float | None = None
    retry_unscored: bool = False
