"""What tokens cost: list prices of the service, as they were on one day.

Prices are US dollars for a million tokens, at prompts of at most 100,000 tokens. A cache write is the five-minute
one. A batch costs half. Check them before a large run; a model that is not in the table is counted in tokens only.

Source:
    https://platform.claude.com/docs/en/about-claude/pricing
"""

import re
from dataclasses import dataclass

from interp_steer.claude.questions import Usage

PRICES_DATE = "2026-10-24"
"""Day at which the table was last held against the published one."""

BATCH_FACTOR = 0.5


@dataclass(frozen=True, kw_only=True)
class Price:
    """Dollars for a million tokens."""

    input: float
    output: float
    cache_read: float

    @property
    def cache_write(self) -> float:
        """Writing to the cache costs a quarter more than reading afresh."""
        return 1.25 * self.input


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Tokens, and their price where the model's is known."""

    usage: Usage
    dollars: float | None


_OPUS = Price(input=5.0, output=25.0, cache_read=0.5)
_SONNET_4 = Price(input=3.0, output=15.0, cache_read=0.3)

PRICES = {
    "claude-haiku-4-5": Price(input=1.0, output=5.0, cache_read=0.1),
    "claude-haiku-5-5": Price(input=0.1, output=0.5, cache_read=0.01),
    "claude-sonnet-4-5": _SONNET_4,
    "claude-sonnet-4-6": _SONNET_4,
    "claude-sonnet-5": Price(input=2.0, output=10.0, cache_read=0.2),
    "claude-sonnet-5-5": Price(input=2.0, output=10.0, cache_read=0.1),
    "claude-opus-4-5": _OPUS,
    "claude-opus-4-6": _OPUS,
    "claude-opus-4-7": _OPUS,
    "claude-opus-4-8": _OPUS,
    "claude-opus-5": _OPUS,
    "claude-opus-5-5": Price(input=4.0, output=20.0, cache_read=0.2),
}


def price_of(model: str) -> Price | None:
    """Return the price of a model, by its name or its dated name; None if it is not in the table."""
    return PRICES.get(re.sub(r"-20\d{6}$", "", model))


def dollars_for(usage: Usage, price: Price, *, batch: bool) -> float:
    """Return what tokens cost."""
    millionths = (
        usage.input_tokens * price.input
        + usage.output_tokens * price.output
        + usage.cache_write_tokens * price.cache_write
        + usage.cache_read_tokens * price.cache_read
    )
    return millionths / 1e6 * (BATCH_FACTOR if batch else 1.0)
