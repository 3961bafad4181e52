"""Requests to answers: what a model does with the rows of a sweep, wherever it runs.

A request holds text and vectors, no tokens and no model, so that it can be answered in another process.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from interp_steer.likelihood import mean_nll
from interp_steer.model.protocol import Model
from interp_steer.records import ModelCard
from interp_steer.steering.decode import stream
from interp_steer.steering.intervention import Intervention
from interp_steer.steering.rows import DecodeRow, DecodeSettings
from interp_steer.terms import Finish


@dataclass(frozen=True, kw_only=True, eq=False)
class Request:
    """One completion to make and to measure.

    Attributes:
        prompt: What the user asks.
        system: System prompt, if any.
        interventions: What is added to the residual stream; requests of one cell share the same tuple.
        seed: Seed of its sampling.
        contexts: System prompts (None for none) under each of which the unsteered model reads the completion.
    """

    prompt: str
    system: str | None
    interventions: tuple[Intervention, ...]
    seed: int
    contexts: tuple[str | None, ...] = (None,)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A completion and how likely it is.

    Attributes:
        text: The completion.
        n_tokens: Its length, the end-of-turn token included.
        finish: Why it ended.
        nll: Mean negative log-likelihood under the unsteered model in each context, nats per token; None where
            the text is empty.
    """

    text: str
    n_tokens: int
    finish: Finish
    nll: tuple[float | None, ...]


@runtime_checkable
class Engine(Protocol):
    """Answers requests, on this machine or on others; the answers do not depend on which."""

    @property
    def card(self) -> ModelCard:
        """What identifies the model."""
        ...

    def answers(self, requests: Sequence[Request], settings: DecodeSettings) -> Iterator[list[tuple[int, Answer]]]:
        """Yield answers, each with the position of its request, some at a time as they are ready."""
        ...

    def close(self) -> None:
        """Give back what the engine holds."""
        ...


class LocalEngine:
    """The default engine: one model in this process."""

    def __init__(self, model: Model, *, batch_size: int | None = None) -> None:
        """Take a model.

        Args:
            model: Decodes and measures.
            batch_size: Most rows at a time; by default what memory allows.
        """
        self._model = model
        self._batch_size = batch_size

    @property
    def card(self) -> ModelCard:
        """What identifies the model."""
        return self._model.card

    def answers(self, requests: Sequence[Request], settings: DecodeSettings) -> Iterator[list[tuple[int, Answer]]]:
        """Yield answers as their rows leave the batch; see :class:`Engine`."""
        chat = self._model.chat
        ids = {key: tuple(chat.prompt_ids(*key)) for key in _texts(requests)}
        rows = [
            DecodeRow(prompt_ids=ids[one.prompt, one.system], interventions=one.interventions, seed=one.seed)
            for one in requests
        ]
        for batch in stream(self._model, rows, settings, batch_size=self._batch_size):
            asked, said = [requests[place] for place, _ in batch], [completion.ids for _, completion in batch]
            contexts = [(i, ids[one.prompt, system]) for i, one in enumerate(asked) for system in one.contexts]
            values = iter(mean_nll(self._model, [context for _, context in contexts], [said[i] for i, _ in contexts]))
            yield [
                (
                    place,
                    Answer(
                        text=chat.decode(list(completion.ids)),
                        n_tokens=len(completion.ids),
                        finish=completion.finish,
                        nll=tuple(next(values) for _ in one.contexts),
                    ),
                )
                for (place, completion), one in zip(batch, asked, strict=True)
            ]

    def close(self) -> None:
        """Keep the model: it is the caller's."""


def _texts(requests: Sequence[Request]) -> set[tuple[str, str | None]]:
    return {(one.prompt, system) for one in requests for system in (one.system, *one.contexts)}
