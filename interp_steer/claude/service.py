"""The service behind the questions: the only importer of ``anthropic``, and the end of its exceptions.

The SDK reads the key (``ANTHROPIC_API_KEY``) and the address (``ANTHROPIC_BASE_URL``) from the environment and
repeats what can be repeated, at the pace the service asks for. What still fails is either a :class:`RequestError`, for
this request, or a :class:`JudgeError`, for all of them. The exceptions of the SDK hold the request with its key, so
none is chained to ours, and what the service says is printed without the key.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import anthropic
import httpx2

from interp_steer.claude.questions import Question
from interp_steer.errors import JudgeError

REMEDY = "set ANTHROPIC_API_KEY in the environment, or judge offline with `--judge local`"

FOR_ALL = {
    401: "set ANTHROPIC_API_KEY to a key that is valid",
    402: "see the billing page of the account",
    403: "use a key that may do this",
    404: "check the name of the model, and that the key belongs to the workspace of earlier batches",
}
"""Statuses that hold for every question, with what to do."""


class MissingKeyError(JudgeError):
    """There is no key in the environment."""


class RequestError(Exception):
    """One request came to nothing; the next may not.

    Attributes:
        reason: Why, in a few words.
        lost: Whether it may have been served, and charged, all the same.
    """

    def __init__(self, reason: str, *, lost: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.lost = lost


class GoneError(RequestError):
    """The service does not hold a batch, or its results, any more."""


class Service:
    """The Messages, token-counting and Message Batches endpoints for one model.

    Args:
        model: Name of the model.
        retries: How often the SDK repeats a request that failed for a passing reason.
        timeout: Seconds that one attempt may take.

    Raises:
        MissingKeyError: If the environment holds no key.
    """

    def __init__(self, model: str, *, retries: int, timeout: float) -> None:
        self.model = model
        self._schemas: dict[str, dict[str, Any]] = {}
        try:
            self._client = anthropic.Anthropic(max_retries=retries, timeout=timeout, open_telemetry=False)
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
            "max_tokens": question.max_tokens,
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

    def message(self, question: Question) -> Any:
        """Ask one question and return the message, as JSON.

        Raises:
            RequestError: If this question has no message.
            JudgeError: If no question would have one.
        """
        with self._translated():
            response = self._client.messages.with_raw_response.create(**self.params(question))
            return _parsed(response.http_response.content)

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
            counted = _parsed(response.http_response.content)
        tokens = counted.get("input_tokens") if isinstance(counted, dict) else None
        if not isinstance(tokens, int):
            raise RequestError("unparsable")
        return tokens

    def submit(self, questions: Mapping[str, Question]) -> str:
        """Hand in a batch and return its id.

        A connection that is lost here is not tried again: the batch may have been taken, and would be paid twice.

        Args:
            questions: By custom id.

        Raises:
            RequestError: If the batch was not taken, or if that is not known.
            JudgeError: If the service refuses the key or the model.
        """
        requests: Any = [{"custom_id": name, "params": self.params(one)} for name, one in questions.items()]
        with self._translated():
            messages = self._client.with_options(middleware=[_not_repeated]).messages
            response = messages.batches.with_raw_response.create(requests=requests)
            batch = _parsed(response.http_response.content)
        if not isinstance(batch, dict) or not isinstance(batch.get("id"), str):
            raise RequestError("unparsable", lost=True)
        return batch["id"]

    def processing(self, batch: str) -> int | None:
        """Return how many questions of a batch are not through; None once the whole batch has ended.

        Raises:
            GoneError: If the service holds the batch or its results no more.
            RequestError: If it cannot be seen now.
            JudgeError: If the service refuses the key.
        """
        with self._translated():
            try:
                response = self._client.messages.batches.with_raw_response.retrieve(batch)
            except anthropic.NotFoundError:
                raise GoneError("no result") from None
            status = _parsed(response.http_response.content)
        try:
            if status["processing_status"] == "ended":
                if status.get("results_url") is None:
                    raise GoneError("no result")
                return None
            return int(status["request_counts"]["processing"])
        except (KeyError, TypeError):
            raise RequestError("unparsable") from None

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
                item = _json(line)
                if isinstance(item, dict) and isinstance(item.get("result"), dict):
                    yield str(item.get("custom_id")), item["result"]

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except anthropic.APITimeoutError:
            raise RequestError("timeout", lost=True) from None
        except anthropic.APIConnectionError:
            raise RequestError("connection lost", lost=True) from None
        except httpx2.HTTPError:  # while a body is streamed, the SDK does not wrap it
            raise RequestError("connection lost", lost=True) from None
        except anthropic.APIStatusError as error:
            raise self._status_error(error) from None
        except anthropic.AnthropicError as error:
            raise JudgeError(f"Claude cannot be asked: {self.scrubbed(str(error))}") from None

    def _status_error(self, error: anthropic.APIStatusError) -> Exception:
        said = self.scrubbed(error.api_message or f"status {error.status_code}")
        if "credit balance" in said.lower():  # whatever its status, it holds for every question
            return JudgeError(f"Claude refuses ({said}); {FOR_ALL[402]}")
        if error.status_code in FOR_ALL:
            return JudgeError(f"Claude refuses (status {error.status_code}: {said}); {FOR_ALL[error.status_code]}")
        return RequestError(reason_for(error.status_code, said))

    def scrubbed(self, text: str) -> str:
        """Return what the service said without the key, on one line, shortened."""
        for secret in (self._client.api_key, self._client.auth_token):
            if secret:
                text = text.replace(secret, "[key]")
        return " ".join(re.sub(r"sk-ant-[\w-]+", "[key]", text).split())[:300]


def reason_for(status: int, said: str) -> str:
    """Return the reason for which a question has no answer, from the status of the service."""
    if status in (429, 503, 529):
        return "overloaded"
    if status >= 500 or status in (408, 409):
        return "server error"
    return f"rejected: {said}"


def _not_repeated(request: Any, call_next: Any) -> Any:
    try:
        return call_next(request)
    except anthropic.APIConnectionError:
        # Ours, so that the SDK does not see one of its own and repeats the request.
        raise RequestError("connection lost", lost=True) from None


def _parsed(body: bytes) -> Any:
    value = _json(body)
    if value is None:
        raise RequestError("unparsable", lost=True)
    return value


def _json(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
