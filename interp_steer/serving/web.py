"""The OpenAI-compatible server: ``/v1/chat/completions``, ``/v1/models`` and ``/health`` on a :class:`LiveBatch`."""

import asyncio
import secrets
from typing import Any

from interp_steer.errors import InterpSteerError, ServingError
from interp_steer.serving.answer import LiveRequest
from interp_steer.serving.api_error import ApiError, api_error
from interp_steer.serving.catalog import Catalog, Plan
from interp_steer.serving.chat_answer import Envelope
from interp_steer.serving.chat_request import ChatRequest, read_request
from interp_steer.serving.live import LiveBatch
from interp_steer.serving.replies import events, whole
from interp_steer.steering.rows import DecodeRow, DecodeSettings

try:
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.middleware import Middleware
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import JSONResponse, Response, StreamingResponse
    from starlette.routing import Route

    from interp_steer.serving.guard import Guard
except ImportError as error:
    raise ServingError(
        'the server needs Starlette and uvicorn; install them with: pip install "interp-steer[serve]"'
    ) from error

MOST_BYTES = 2**20


class Api:
    """The endpoints."""

    def __init__(self, batch: LiveBatch, catalog: Catalog, *, max_tokens: int) -> None:
        """Take what answers.

        Args:
            batch: The engine.
            catalog: What can be steered.
            max_tokens: Longest completion, also of requests that do not say.
        """
        self._batch, self._catalog, self._max_tokens = batch, catalog, max_tokens

    async def health(self, _: Request) -> Response:
        """Say whether the engine runs."""
        failure = self._batch.failure
        state = {
            "status": "ok" if failure is None else "stopped",
            "open": self._batch.n_open,
            "slots": self._batch.slots,
        }
        return JSONResponse(state, status_code=200 if failure is None else 503)

    async def models(self, _: Request) -> Response:
        """List the model, and its name for the chosen cell of each run."""
        return JSONResponse({"object": "list", "data": [_model(*one) for one in self._catalog.names().items()]})

    async def model(self, request: Request) -> Response:
        """Describe one model."""
        name = request.path_params["name"]
        return JSONResponse(_model(name, self._plan(name, None)))

    async def chat(self, request: Request) -> Response:
        """Answer a conversation."""
        asked = read_request(await _body(request))
        plan = self._plan(asked.model, asked)
        rows = await asyncio.to_thread(self._requests, asked, plan)
        envelope = Envelope(
            model=asked.model,
            fingerprint=self._batch.model.card.fingerprint,
            plan=plan,
            n_prompt=len(rows[0].row.prompt_ids),
        )
        try:
            answers = self._batch.submit_all(rows)
        except InterpSteerError as error:
            raise api_error(error, "max_tokens" if isinstance(error, ServingError) else "steering") from error
        if asked.stream:
            usage = asked.stream_options is not None and asked.stream_options.include_usage
            return StreamingResponse(events(answers, envelope, usage=usage), media_type="text/event-stream")
        return JSONResponse(await whole(answers, envelope, request.receive))

    def _plan(self, name: str, asked: ChatRequest | None) -> Plan:
        try:
            named = self._catalog.parse(name)
            plan = self._catalog.plan(named)
        except InterpSteerError as error:
            raise ApiError(str(error), status=404, param="model", code="model_not_found") from error
        if asked is None or not asked.pushes:
            return plan
        try:
            return self._catalog.plan([*named, *asked.pushes])
        except InterpSteerError as error:
            raise api_error(error, "steering") from error

    def _requests(self, asked: ChatRequest, plan: Plan) -> list[LiveRequest]:
        n = asked.n or 1
        if n > self._batch.slots:
            raise ApiError(f"n is {n}; expected at most {self._batch.slots}", param="n", code="invalid_value")
        try:
            ids = tuple(self._batch.model.chat.turns_ids(asked.turns))
        except InterpSteerError as error:
            raise api_error(error, "messages") from error
        settings = DecodeSettings(
            scope=plan.scope,
            max_new_tokens=self._length(asked, len(ids)),
            temperature=1.0 if asked.temperature is None else asked.temperature,
            top_p=1.0 if asked.top_p is None else asked.top_p,
        )
        seed = secrets.randbits(62) if asked.seed is None else asked.seed
        return [
            LiveRequest(
                row=DecodeRow(prompt_ids=ids, interventions=plan.interventions, seed=(seed + i) % 2**63),
                settings=settings,
                stop=tuple(asked.stop or ()),
            )
            for i in range(n)
        ]

    def _length(self, asked: ChatRequest, n_prompt: int) -> int:
        room = self._batch.capacity - n_prompt
        if room < 1:
            raise ApiError(
                f"the messages have {n_prompt} tokens; prompt and completion share {self._batch.capacity}",
                param="messages",
                code="context_length_exceeded",
            )
        name = "max_tokens" if asked.max_completion_tokens is None else "max_completion_tokens"
        wanted: int | None = getattr(asked, name)
        if wanted is None:
            return min(self._max_tokens, room)
        if wanted > min(self._max_tokens, room):
            why = (
                f"a completion has at most {self._max_tokens} tokens here"
                if wanted > self._max_tokens
                else f"the messages have {n_prompt} tokens, and prompt and completion share {self._batch.capacity}"
            )
            raise ApiError(f"{name} is {wanted}, but {why}", param=name, code="context_length_exceeded")
        return wanted


def make_app(batch: LiveBatch, catalog: Catalog, *, max_tokens: int = 512, api_key: str | None = None) -> Starlette:
    """Return the server's application.

    Args:
        batch: The engine; it stays the caller's.
        catalog: What can be steered.
        max_tokens: Longest completion, also of requests that do not say.
        api_key: What clients must show; without, only those that name this machine as ``localhost`` are answered.

    Raises:
        ServingError: If the key cannot be sent.
    """
    if api_key is not None and not api_key.isascii():
        raise ServingError("the API key travels in a header; use ASCII characters only")
    api = Api(batch, catalog, max_tokens=max_tokens)
    return Starlette(
        routes=[
            Route("/health", api.health),
            Route("/v1/models", api.models),
            Route("/v1/models/{name:path}", api.model),
            Route("/v1/chat/completions", api.chat, methods=["POST"]),
        ],
        middleware=[Middleware(Guard, api_key=api_key)],
        exception_handlers={ApiError: _failed, HTTPException: _http_failed, Exception: _failed},
    )


async def _body(request: Request) -> bytes:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise ApiError("the body must be JSON: send 'Content-Type: application/json'", status=415)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise ApiError(f"the body is larger than {MOST_BYTES} bytes", status=413)
    return bytes(body)


def _model(name: str, plan: Plan) -> dict[str, Any]:
    pushes = [push.model_dump() for push in plan.pushes]
    return {"id": name, "object": "model", "created": 0, "owned_by": "interp-steer", "steering": pushes}


async def _failed(_: Request, error: Exception) -> Response:
    if isinstance(error, ClientDisconnect):
        return Response(status_code=499)
    found = api_error(error)
    headers = {"Retry-After": "1"} if found.status == 429 else None
    return JSONResponse(found.body, status_code=found.status, headers=headers)


async def _http_failed(_: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 500)
    return JSONResponse(ApiError(str(getattr(error, "detail", error)), status=status).body, status_code=status)
