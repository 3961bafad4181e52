"""The service behind the questions: the only importer of ``anthropic``, and the end of its exceptions.

The SDK reads the key (``ANTHROPIC_API_KEY``) and the address (``ANTHROPIC_BASE_URL``) from the environment and
repeats what can be repeated, at the pace the service asks for. What still fails is either a :class:`RequestError`, for
this request, or a :class:`JudgeError`, for all of them. The exceptions of the SDK hold the request with its key, so
none is chained to ours, and what the service says is printed without the key.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from threading import local
from typing import Any

import anthropic
import httpx2

from interp_steer.claude.bodies import Listed, item_of, page_of, parsed, processing_of
from interp_steer.claude.failures import (
    FOR_ALL,
    MAY_BE_TAKEN,
    MAY_HAVE_RUN,
    REMEDY,
    MissingKeyError,
    RefusedError,
    RequestError,
    UnknownBatchError,
    reason_for,
)
from interp_steer.claude.questions import Question
from interp_steer.claude.thinking import PATIENCE, patience_for, thinking_room
from interp_steer.errors import JudgeError

PAGE = 100
"""Batches on one page of the list."""


class Service:
    """The Messages, token-counting and Message Batches endpoints for one model.

    Args:
        model: Name of the model.
        retries: How often the SDK repeats a request that failed for a passing reason.
        timeout: Seconds that one attempt may take; None for what an answer of its greatest length takes.

    Raises:
        MissingKeyError: If the environment holds no key.
    """

    def __init__(self, model: str, *, retries: int, timeout: float | None) -> None:
        self.model = model
        self._retries = retries
        self._timeout = timeout
        self._schemas: dict[str, dict[str, Any]] = {}
        self._request = local()
        try:
            self._client = anthropic.Anthropic(
                max_retries=retries, timeout=timeout or PATIENCE, open_telemetry=False, middleware=[self._metered]
            )
        except anthropic.AnthropicError as error:
            raise MissingKeyError(f"Claude needs a key ({error}); {REMEDY}") from None
        if not (self._client.api_key or self._client.auth_token or self._client.credentials):
            raise MissingKeyError(f"Claude needs a key: {REMEDY}")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def params(self, question: Question) -> dict[str, Any]:
        """Return the request that asks a question; what its kind shares is marked for the cache."""
        params: dict[str, Any] = {
            "model": self.model,
            "max_tokens": question.max_tokens + thinking_room(self.model),
            "messages": [{"role": "user", "content": question.prompt}],
            "output_config": {"format": {"type": "json_schema", "schema": self._schema(question.schema)}},
        }
        if question.system:
            params["system"] = [{"type": "text", "text": question.system, "cache_control": {"type": "ephemeral"}}]
        return params

    def _schema(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """The part of a schema that the service enforces; the rest goes into the descriptions."""
        text = json.dumps(schema)
        if text not in self._schemas:
            self._schemas[text] = anthropic.transform_schema(json.loads(text))
        return self._schemas[text]

    def message(self, question: Question, again: Callable[[], bool]) -> Any:
        """Ask one question and return the message, as JSON.

        Args:
            question: The question.
            again: Asked before a request that got lost, and may have been charged, is repeated: whether it may be.

        Raises:
            RequestError: If this question has no message.
            JudgeError: If no question would have one.
        """
        params = self.params(question)
        timeout = self._timeout or patience_for(params["max_tokens"])
        with self._translated(), self._repeated_if(again):
            response = self._client.messages.with_raw_response.create(**params, timeout=timeout)
            return parsed(response.http_response.content)

    def count(self, question: Question) -> int:
        """Return the input tokens of a question, as the service counts them.

        Raises:
            RequestError: If they cannot be counted now.
            JudgeError: If the service refuses the key or the model.
        """
        params = self.params(question)
        del params["max_tokens"]
        with self._translated():
            response = self._client.messages.with_raw_response.count_tokens(**params)
            counted = parsed(response.http_response.content)
        tokens = counted.get("input_tokens") if isinstance(counted, dict) else None
        if not isinstance(tokens, int):
            raise RequestError("unparsable")
        return tokens

    def submit(self, questions: Mapping[str, Question]) -> str:
        """Hand in a batch and return its id.

        What is lost here, or meets an error of the server, is not tried again: the batch may have been taken, and would
        be paid twice.

        Args:
            questions: By custom id.

        Raises:
            RequestError: If the batch was not taken, or if that is not known.
            RefusedError: If the service refuses the key or the model.
        """
        requests: Any = [{"custom_id": name, "params": self.params(one)} for name, one in questions.items()]
        with self._translated(MAY_BE_TAKEN), self._repeated_if(lambda: False, MAY_BE_TAKEN):
            response = self._client.messages.batches.with_raw_response.create(requests=requests)
            batch = parsed(response.http_response.content)
        if not isinstance(batch, dict) or not isinstance(batch.get("id"), str):
            raise RequestError("unparsable", lost=True)
        return batch["id"]

    def listed(self) -> Iterator[Listed]:
        """Yield the batches that the service holds, the newest first.

        Raises:
            RequestError: If they cannot be listed now.
            JudgeError: If the service refuses the key.
        """
        after: dict[str, Any] = {}
        while True:
            with self._translated():
                response = self._client.messages.batches.with_raw_response.list(limit=PAGE, **after)
            page, last = page_of(response.http_response.content)
            yield from page
            if last is None:
                return
            after = {"after_id": last}

    def processing(self, batch: str) -> int | None:
        """Return how many questions of a batch are not through; None once the whole batch has ended.

        Raises:
            GoneError: If the service holds the batch or its results no more, or knows no such batch.
            RequestError: If it cannot be seen now.
            JudgeError: If the service refuses the key.
        """
        with self._translated():
            try:
                response = self._client.messages.batches.with_raw_response.retrieve(batch)
            except anthropic.NotFoundError:
                raise UnknownBatchError("no result") from None
        return processing_of(response.http_response.content)

    def results(self, batch: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield custom id and result of a batch that has ended; lines that are no result are passed over.

        Raises:
            RequestError: If the connection is lost on the way.
        """
        with (
            self._translated(),
            self._client.messages.batches.with_streaming_response.results(batch) as response,
        ):
            for line in response.iter_lines():
                if (item := item_of(line)) is not None:
                    yield item

    @contextmanager
    def _repeated_if(self, again: Callable[[], bool], unsure: Collection[int] = MAY_HAVE_RUN) -> Iterator[None]:
        """Ask, before a request of this thread that got lost, or met an unsure status, is repeated, whether it may."""
        self._request.again = again
        self._request.unsure = unsure
        try:
            yield
        finally:
            self._request.again = None

    def _metered(self, request: Any, call_next: Any) -> Any:
        """Make one attempt at a request; the SDK calls this for each of them, and repeats what it raises of its own."""
        again: Callable[[], bool] | None = getattr(self._request, "again", None)
        last = request.retries_taken >= self._retries
        try:
            response = call_next(request)
        except anthropic.APIConnectionError as error:
            if again is None or last or again():
                raise
            raise RequestError(_lost(error), lost=True) from None  # not the SDK's own, so that it is not repeated
        if again is not None and not last and response.status_code in self._request.unsure and not again():
            raise RequestError("server error", lost=True)
        return response

    @contextmanager
    def _translated(self, unsure: Collection[int] = MAY_HAVE_RUN) -> Iterator[None]:
        """Turn what the SDK raises into errors of ours; after an unsure status the request may have been served."""
        try:
            yield
        except anthropic.APIConnectionError as error:
            raise RequestError(_lost(error), lost=True) from None
        except httpx2.HTTPError:  # while a body is streamed, the SDK does not wrap it
            raise RequestError("connection lost", lost=True) from None
        except anthropic.APIStatusError as error:
            raise self._status_error(error, unsure) from None
        except anthropic.AnthropicError as error:
            raise JudgeError(f"Claude cannot be asked: {self.scrubbed(str(error))}") from None

    def _status_error(self, error: anthropic.APIStatusError, unsure: Collection[int]) -> Exception:
        said = self.scrubbed(error.api_message or f"status {error.status_code}")
        if "credit balance" in said.lower():  # whatever its status, it holds for every question
            return RefusedError(f"Claude refuses ({said}); {FOR_ALL[402]}")
        if error.status_code in FOR_ALL:
            return RefusedError(f"Claude refuses (status {error.status_code}: {said}); {FOR_ALL[error.status_code]}")
        return RequestError(reason_for(error.status_code, said), lost=error.status_code in unsure)

    def scrubbed(self, text: str) -> str:
        """Return what the service said without the key, on one line, shortened."""
        for secret in (self._client.api_key, self._client.auth_token):
            if secret:
                text = text.replace(secret, "[key]")
        return " ".join(re.sub(r"sk-ant-[\w-]+", "[key]", text).split())[:300]


def _lost(error: anthropic.APIConnectionError) -> str:
    return "timeout" if isinstance(error, anthropic.APITimeoutError) else "connection lost"
