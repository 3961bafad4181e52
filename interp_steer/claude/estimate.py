"""What questions would cost, before any is asked.

The tokens of a sample are counted by the service where there is a key, and extrapolated by length; otherwise three
bytes are taken for a token, which is right within about a third for English. Nothing is taken off for the cache, which
holds only what is long enough (4,096 tokens with Claude Haiku 4.5).
"""

import random
from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import dataclass

from interp_steer.claude.client import BATCHES_ABOVE
from interp_steer.claude.failures import MissingKeyError, RequestError
from interp_steer.claude.prices import PRICES_DATE, dollars_for, price_of
from interp_steer.claude.questions import Question, Usage
from interp_steer.claude.thinking import thinking_room

BYTES_PER_TOKEN = 3.0


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What questions would cost.

    Attributes:
        model: Name of the model.
        questions: Number of questions.
        batches: Whether they would be handed in as message batches.
        usage: Tokens, rounded; nothing is taken off for the cache.
        dollars: Their price; None if the model is not in the price table.
        counted: Number of questions whose tokens the service has counted; 0 where all is estimated from the length.
        prices_date: Day of the price table.
    """

    model: str
    questions: int
    batches: bool
    usage: Usage
    dollars: float | None
    counted: int
    prices_date: str = PRICES_DATE

    def __str__(self) -> str:
        """Say it in one sentence."""
        how = f"counted on a sample of {self.counted}" if self.counted else "estimated from the length"
        price = "the price is unknown" if self.dollars is None else f"${self.dollars:.2f}"
        way = "in batches" if self.batches else "one by one"
        return (
            f"{self.questions} questions to {self.model} {way}: {self.usage.input_tokens} tokens in ({how}), "
            f"{self.usage.output_tokens} out{thought_in_words(self.model)}; {price} (prices of {self.prices_date})"
        )


def estimate(
    questions: Iterable[Question],
    model: str,
    *,
    batches: bool | None = None,
    output_tokens: float | None = None,
    sample: int = 20,
) -> Estimate:
    """Estimate what questions would cost; none is asked.

    Args:
        questions: Drawn once, and not kept.
        model: Name of the model.
        batches: As for :class:`~interp_steer.claude.client.Claude`.
        output_tokens: Tokens of a typical answer without what is thought; by default each is as long as it may be.
        sample: Questions whose tokens are counted by the service, if there is a key.

    Raises:
        JudgeError: If the service refuses the key or the model.
    """
    number, size, longest = 0, 0, 0
    chosen: list[Question] = []
    at_random = random.Random(0)  # noqa: S311 - a sample, no secret
    for question in questions:
        number += 1
        size += length(question)
        longest += question.max_tokens + thinking_room(model)
        place = len(chosen) if len(chosen) < sample else at_random.randrange(number)
        if place < sample:
            chosen[place : place + 1] = [question]
    tokens = count(chosen, model)
    counted = sum(length(question) for question in chosen[: len(tokens)])
    per_byte = sum(tokens) / counted if counted else 1 / BYTES_PER_TOKEN
    usage = Usage(
        input_tokens=round(size * per_byte),
        output_tokens=longest if output_tokens is None else round(number * output_tokens),
    )
    in_batches = number > BATCHES_ABOVE if batches is None else batches
    price = price_of(model)
    return Estimate(
        model=model,
        questions=number,
        batches=in_batches,
        usage=usage,
        dollars=None if price is None else dollars_for(usage, price, batch=in_batches),
        counted=len(tokens),
    )


def thought_in_words(model: str) -> str:
    """Return what an estimate of typical answers leaves out, for a model that may think; else nothing."""
    return " (what it thinks besides costs more)" if thinking_room(model) else ""


def length(question: Question) -> int:
    """Return the bytes of a question's texts and schema."""
    return len(question.system.encode()) + len(question.prompt.encode()) + len(str(question.schema))


def count(questions: list[Question], model: str) -> list[int]:
    """Return the tokens of the first questions, as far as the service counts them; of none without a key."""
    from interp_steer.claude.service import Service

    tokens: list[int] = []
    with suppress(MissingKeyError, RequestError), closing(Service(model, retries=1, timeout=30.0)) as service:
        tokens.extend(map(service.count, questions))  # what was counted before counts
    return tokens
