"""The playground as a web application on a :class:`~interp_steer.serving.live.LiveBatch`."""

import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from interp_steer.errors import ServingError
from interp_steer.playground.door import Door
from interp_steer.playground.shelf import Shelf
from interp_steer.serving.live import LiveBatch

try:
    from fastapi import FastAPI
    from nicegui import ui

    from interp_steer.playground.page import Page
except ImportError as error:
    raise ServingError(
        'the playground needs NiceGUI; install it with: pip install "interp-steer[playground]"'
    ) from error

_STYLE = Path(__file__).with_name("style.css")
_ICON = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><circle cx='8' cy='8' r='6' fill='#0067ad'/></svg>"


def make_playground(batch: LiveBatch, shelf: Shelf, *, max_tokens: int = 256, password: str | None = None) -> Door:
    """Return the application; a process can hold one.

    Args:
        batch: The engine; it stays the caller's.
        shelf: What can be played with.
        max_tokens: Longest completion.
        password: What visitors must know; without, only this machine is let in.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/health")
    def health() -> dict[str, Any]:
        return {"status": "stopped" if batch.failure else "ok", "open": batch.n_open, "slots": batch.slots}

    def page() -> None:
        ui.add_css(_STYLE)
        ui.colors(primary="#005a9c")  # in the light; the style has another for the dark
        Page(batch, shelf, max_tokens=max_tokens)

    ui.run_with(
        app,
        root=page,
        title="interp-steer playground",
        favicon=_ICON,
        dark=None,
        language="en-US",
        tailwind=False,
        show_welcome_message=False,
    )
    app.router.lifespan_context = _started_quietly(app.router.lifespan_context)
    return Door(app, password)


def _started_quietly(lifespan: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Silence warnings while the application starts.

    Looking for its server, NiceGUI touches every object there is, deprecated ones of other libraries among them.
    """

    @asynccontextmanager
    async def started(app: FastAPI) -> AsyncIterator[Any]:
        async with AsyncExitStack() as stack:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                state = await stack.enter_async_context(lifespan(app))
            yield state

    return started
