"""A web server around an application: until Ctrl-C, or beside other work."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from interp_steer.errors import ServingError

try:
    import uvicorn
except ImportError as error:
    raise ServingError('the server needs uvicorn; install it with: pip install "interp-steer[serve]"') from error

SECONDS_TO_FINISH = 3


def run_server(app: Any, *, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until Ctrl-C.

    Args:
        app: ASGI application.
        host: Address to listen at.
        port: Port to listen at; 0 takes a free one.
        ready: Told the address once it is taken.

    Raises:
        ServingError: If nothing can listen there.
    """
    with _listening(host, port) as (listener, url):
        ready(url)
        with suppress(KeyboardInterrupt):  # uvicorn has finished, and hands it on
            _server(app).run(sockets=[listener])


@contextmanager
def running(app: Any, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve from a thread for the duration of the block.

    Args:
        app: ASGI application.
        host: Address to listen at.
        port: Port to listen at; 0 takes a free one.

    Yields:
        The address, e.g. ``http://127.0.0.1:8000``.

    Raises:
        ServingError: If nothing can listen there.
    """
    with _listening(host, port) as (listener, url):
        server = _server(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="interp-steer web server")
        thread.start()
        try:
            yield url
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def _listening(host: str, port: int) -> Iterator[tuple[socket.socket, str]]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise ServingError(f"cannot listen at {host}:{port}: {error.strerror or error}; choose another port") from error
    with listener:
        yield listener, f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


def _server(app: Any) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(app, log_level="warning", lifespan="on", timeout_graceful_shutdown=SECONDS_TO_FINISH)
    )
