"""Who may come in: this machine alone, or whoever knows the password; and what a page may reach, which is nothing else.

Without a password only requests that name this machine are answered, and with or without one only those that come from
our own page: a page elsewhere must not ask in its visitor's name.
"""

import asyncio
import hmac
import re
import secrets
from collections import deque
from typing import Any
from urllib.parse import parse_qs, urlsplit

from interp_steer.errors import ServingError
from interp_steer.serving.exposure import is_loopback

try:
    from starlette.datastructures import Headers, MutableHeaders
    from starlette.requests import Request
    from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
except ImportError as error:
    raise ServingError(
        'the playground needs NiceGUI; install it with: pip install "interp-steer[playground]"'
    ) from error

COOKIE = "interp_steer_playground"
MOST_SESSIONS = 1000
MOST_BYTES = 4096
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self' {sockets}; frame-ancestors 'none'; form-action 'self'; base-uri 'self'"
)
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>interp-steer playground</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
:root {{ color-scheme: light dark; }}
body {{ display: grid; place-items: center; min-height: 100vh; margin: 0; font: 1.0625rem/1.6 system-ui, sans-serif;
  background: light-dark(#fdfdfb, #131417); color: light-dark(#1a1c20, #e6e6e3); }}
form {{ width: min(22rem, 88vw); }}
h1 {{ font: 600 1.5rem/1.25 Charter, Georgia, serif; }}
input, button {{ font: inherit; width: 100%; box-sizing: border-box; padding: 0.5rem 0.75rem; margin-top: 0.35rem;
  border: 1px solid light-dark(#8a8d94, #6b6f77); border-radius: 4px; background: transparent; color: inherit; }}
button {{ margin-top: 1rem; background: light-dark(#005a9c, #78b7ec); color: light-dark(#fff, #10151b); border: 0; }}
[role=alert] {{ color: light-dark(#9a4a00, #f0ad6a); }}
</style></head><body><main><form method="post" action="/login"><h1>interp-steer playground</h1>
<label>Password <input type="password" name="password" autocomplete="current-password" required autofocus></label>
<button>Enter</button>{said}</form></main></body></html>"""


class Door:
    """Stands before an application: HTTP and web sockets alike; ``/health`` is open to all."""

    def __init__(self, app: ASGIApp, password: str | None) -> None:
        """Take the application behind it and the password; without one, only this machine is let in."""
        self.app = app
        self._password = password
        self._sessions: deque[str] = deque(maxlen=MOST_SESSIONS)
        self._one_guess = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] not in {"http", "websocket"} or scope["path"] == "/health":
            await self.app(scope, receive, send)
            return
        answer = await self._answer(scope, receive)
        if answer is None:
            await self.app(scope, receive, _with_policy(send, scope))
        elif scope["type"] == "http":
            await answer(scope, receive, _with_policy(send, scope))
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: Scope, receive: Receive) -> Response | None:
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return PlainTextResponse("requests from other pages are not answered", status_code=403)
        if self._password is None:
            if is_loopback(urlsplit(f"//{host}").hostname or ""):
                return None
            return PlainTextResponse("this server answers requests to localhost only", status_code=403)
        if scope["path"] == "/login" and scope["type"] == "http":
            return await self._login(Request(scope, receive))
        shown = _cookie(headers)
        if any(hmac.compare_digest(shown, session) for session in self._sessions):
            return None
        if scope["path"] == "/":
            return RedirectResponse("/login", status_code=303)
        return PlainTextResponse("the password is needed", status_code=401)

    async def _login(self, request: Request) -> Response:
        if request.method != "POST":
            return HTMLResponse(PAGE.format(said=""))
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MOST_BYTES:
                return PlainTextResponse("that is too long", status_code=413)
        guess = parse_qs(body.decode("utf-8", "replace")).get("password", [""])[0]
        async with self._one_guess:  # a wrong guess takes a second, and the next one waits for it
            if not hmac.compare_digest(guess.encode(), (self._password or "").encode()):
                await asyncio.sleep(1)
                return HTMLResponse(PAGE.format(said="<p role=alert>That is not the password.</p>"), status_code=401)
        session = secrets.token_urlsafe(32)
        self._sessions.append(session)
        answer = RedirectResponse("/", status_code=303)
        answer.set_cookie(COOKIE, session, httponly=True, samesite="strict", secure=request.url.scheme == "https")
        return answer


def _cookie(headers: Any) -> str:
    for part in headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE and value.isascii():
            return str(value)
    return ""


def _sockets(scope: Scope) -> str:
    """Return the addresses of this very server for web sockets, which ``'self'`` does not cover in every browser."""
    host = Headers(scope=scope).get("host", "")
    return f"ws://{host} wss://{host}" if re.fullmatch(r"[\w.\-]+(:\d+)?|\[[0-9a-fA-F:]+\](:\d+)?", host) else ""


def _with_policy(send: Send, scope: Scope) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Content-Security-Policy"] = POLICY.format(sockets=_sockets(scope))
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Referrer-Policy"] = "same-origin"
        await send(message)

    return sent
