"""Who may ask: clients with the key, or, without one, clients on this machine that name it as such."""

import hmac
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from interp_steer.serving.api_error import ApiError
from interp_steer.serving.exposure import is_loopback


class Guard:
    """Refuses requests before they are read; ``/health`` is open to all."""

    def __init__(self, app: ASGIApp, api_key: str | None) -> None:
        """Take the application behind it and the key clients must show."""
        self._app, self._key = app, api_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it with an error."""
        if scope["type"] == "http" and scope["path"] != "/health":
            refusal = self._refusal(Headers(scope=scope))
            if refusal is not None:
                await JSONResponse(refusal.body, status_code=refusal.status)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, headers: Any) -> ApiError | None:
        if self._key is not None:
            scheme, _, shown = headers.get("authorization", "").partition(" ")
            same = hmac.compare_digest(shown.strip().encode(), self._key.encode())
            if scheme.lower() != "bearer" or not same:
                return ApiError("the API key is missing or wrong", status=401, code="invalid_api_key")
        elif not is_loopback(_name(headers.get("host", ""))):
            # A page elsewhere may have its name resolve to this machine, and ask in its visitor's name.
            return ApiError("this server answers requests to localhost only; start it with an API key", status=403)
        return None


def _name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
