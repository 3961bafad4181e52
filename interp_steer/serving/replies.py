"""Replies as their answers are written: waited for, or as server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from interp_steer.serving.answer import LiveAnswer, news
from interp_steer.serving.api_error import api_error
from interp_steer.serving.chat_answer import Envelope

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
"""The next message of a connection, as ASGI has it."""


async def whole(answers: Sequence[LiveAnswer], envelope: Envelope, receive: Receive) -> dict[str, Any]:
    """Wait for the answers and return them as one chat completion.

    Args:
        answers: One per choice.
        envelope: What the reply bears.
        receive: Tells when the client goes away; the answers are then cancelled.

    Raises:
        ApiError: If a row failed.
    """
    async with _cancelled_on_disconnect(answers, receive):
        async for _ in news(answers):
            if all(answer.ended for answer in answers):
                break
    try:
        found = [answer.result(0) for answer in answers]
    except Exception as error:
        raise api_error(error, "steering") from error
    n_tokens = sum(len(one.ids) for one in found)
    return envelope.whole([one.text for one in found], [one.finish for one in found], n_tokens)


@asynccontextmanager
async def _cancelled_on_disconnect(answers: Sequence[LiveAnswer], receive: Receive) -> AsyncIterator[None]:
    """End the answers when the client goes away, or the block is left."""

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        for answer in answers:
            answer.cancel()

    watcher = asyncio.create_task(watch())
    try:
        yield
    finally:
        watcher.cancel()
        for answer in answers:
            answer.cancel()


async def events(answers: Sequence[LiveAnswer], envelope: Envelope, *, usage: bool) -> AsyncIterator[str]:
    """Yield the server-sent events of a stream; closing it cancels the answers.

    Args:
        answers: One per choice.
        envelope: What every chunk bears.
        usage: Whether a last chunk counts the tokens.
    """
    seen, over = [0] * len(answers), [False] * len(answers)
    try:
        for i in range(len(answers)):
            yield _event(envelope.chunk(i, {"role": "assistant", "content": ""}))
        async for _ in news(answers):
            for i, answer in enumerate(answers):
                if over[i]:
                    continue
                pieces, over[i] = answer.read(seen[i])
                seen[i] += len(pieces)
                if text := "".join(piece.text for piece in pieces):
                    yield _event(envelope.chunk(i, {"content": text}))
                if over[i]:
                    yield _event(envelope.chunk(i, {}, answer.result(0).finish))
            if all(over):
                break
        if usage:
            yield _event(envelope.usage_chunk(sum(seen)))
        yield "data: [DONE]\n\n"
    except Exception as error:
        yield _event(api_error(error, "steering").body)
    finally:
        for answer in answers:
            answer.cancel()


def _event(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n"
