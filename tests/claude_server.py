"""The Messages, token-counting and Message Batches endpoints on this machine, with faults on demand.

The real SDK talks to it; nothing is patched. `python tests/claude_server.py --rate 0.05` serves until it is stopped and
prints its address.
"""

import argparse
import hashlib
import json
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

STATUS_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


OF_ITEMS = ("expired", "canceled", "errored", "missing", "torn")
"""Kinds of fault that only an item of a batch can have; a plan may name them for messages, where nothing happens."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What goes wrong with one request.

    Attributes:
        kind: `status` (with `status`), `reset` (in mid-body), `hang` (for `seconds`), `garbage` (no JSON), `cut` (half
            a body of the right length), `not a message`; `refusal`, `truncated` (of the answer); `expired`, `canceled`,
            `errored` (with `status`), `missing`, `torn` (items of a batch).
        wait: Seconds of the retry-after header.
        served: Whether the request is carried out, and charged, before its answer goes wrong.
    """

    kind: str
    status: int = 500
    seconds: float = 0.0
    wait: float = 0.001
    message: str = "made to fail"
    served: bool = False


Answer = Callable[[dict[str, Any]], "dict[str, Any] | str | Fault"]
Faults = Callable[[str, Any, int], Fault | None]
"""From the place ('messages', 'count', 'batch', 'list', 'look', 'results', 'item'), the request and how often it was
here before (from 0)."""


def seeded(seed: int, rate: float, faults: list[Fault], places: tuple[str, ...] = ("messages", "item")) -> Faults:
    """Faults at random, the same for the same requests whatever their order."""

    def fault(place: str, body: Any, attempt: int) -> Fault | None:
        if place not in places:
            return None
        chance = random.Random(f"{seed} {place} {attempt} {content(body)}")  # noqa: S311 - a plan, no secret
        return chance.choice(faults) if chance.random() < rate else None

    return fault


def content(body: Any) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]


def example(schema: dict[str, Any]) -> Any:
    """A value that satisfies the schemas used here."""
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        return {name: example(inner) for name, inner in schema.get("properties", {}).items()}
    if kind == "array":
        return [example(schema["items"])]
    return {"string": "because", "integer": 5, "number": 5, "boolean": True}.get(kind)


def from_schema(request: dict[str, Any]) -> dict[str, Any]:
    return example(request["output_config"]["format"]["schema"])


@dataclass
class Batch:
    requests: list[dict[str, Any]]
    created: datetime
    looks: int = 0
    canceled: bool = False
    archived: bool = False


class ClaudeServer:
    """A service on a port of its own; a context manager.

    Attributes:
        answer: From the parameters of a message to the answer (an object, a text as it stands, or a lasting fault).
        faults: What goes wrong on the way, see `Faults`.
        key: The only key that is taken; None takes any.
        times: When each call was made.
        timeouts: What the SDK says of how many seconds it waits for each call, in order.
        requests: Parameters of the messages, in the order of arrival.
        tokens: Number of tokens of a text.
        seconds: How long a message takes.
        keep_requests: Whether `requests` and `times` are kept; not for many.
        looks: How often a batch is looked at before it has ended; None: it never ends.
        clock: Seconds by which its clock is ahead.
        shuffled: Whether results come in another order.
        calls: How often each place was asked.
        asked: How often each message was asked for, direct or in a batch, by `content` of its parameters.
        most_at_once: Most messages that were being answered at a time.
        charged: Tokens of all messages, also of those whose answer went wrong on the way, by kind.
        connections: Connections that are open.
    """

    def __init__(self, answer: Answer = from_schema, faults: Faults | None = None, *, key: str | None = None) -> None:
        self.answer = answer
        self.faults = faults
        self.key = key
        self.tokens: Callable[[str], int] = quarter
        self.looks: int | None = 1
        self.clock = 0.0
        self.shuffled = True
        self.seconds = 0.0
        self.keep_requests = True
        self.requests: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.timeouts: list[str | None] = []
        self.calls: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.batches: dict[str, Batch] = {}
        self.most_at_once = 0
        self.charged: Counter[str] = Counter()
        self.connections = 0
        self._at_once = 0
        self._cached: set[str] = set()
        self._attempts: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()
        self._http = Http(("127.0.0.1", 0), Handler)
        self._http.claude = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> "ClaudeServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def count_connection(self, by: int) -> None:
        with self._lock:
            self.connections += by

    def fault_at(self, place: str, body: Any) -> Fault | None:
        with self._lock:
            self.calls[place] += 1
            if self.keep_requests:
                self.times.append(time.monotonic())
            name = content(body) if self.faults else ""
            attempt = self._attempts[place, name]
            if self.faults:
                self._attempts[place, name] += 1
        return self.faults(place, body, attempt) if self.faults else None

    def message(self, params: dict[str, Any]) -> "dict[str, Any] | Fault":
        """The message for one request, or the fault that its answer is."""
        with self._lock:
            self.asked[content(params)] += 1
            if self.keep_requests:
                self.requests.append(params)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            read = self.shared(params) in self._cached
        if self.seconds:
            time.sleep(self.seconds)
        try:
            answer = self.answer(params)
        finally:
            with self._lock:
                self._at_once -= 1
        if isinstance(answer, Fault) and answer.kind not in ("refusal", "truncated"):
            return answer
        return self.written(params, answer, read=read)

    def written(
        self, params: dict[str, Any], answer: "dict[str, Any] | str | Fault", *, read: bool = False
    ) -> dict[str, Any]:
        stop, text = "end_turn", answer if isinstance(answer, str) else json.dumps(answer, default=lambda _: None)
        if isinstance(answer, Fault):
            stop, text = {"refusal": ("refusal", ""), "truncated": ("max_tokens", '{"scor')}[answer.kind]
        return {
            "id": f"msg_{content(params)}",
            "type": "message",
            "role": "assistant",
            "model": params["model"],
            "content": [{"type": "text", "text": text}],
            "stop_reason": stop,
            "stop_sequence": None,
            "usage": self.usage(params, params["max_tokens"] if stop == "max_tokens" else self.tokens(text), read),
        }

    @staticmethod
    def shared(params: dict[str, Any]) -> str:
        return "".join(block["text"] for block in params.get("system", []) if block.get("cache_control"))

    def usage(self, params: dict[str, Any], output: int, read: bool) -> dict[str, int]:
        """What a message took; what it shares is in the cache for those that come after its end."""
        shared = self.shared(params)
        used = {
            "input_tokens": sum(self.tokens(one["content"]) for one in params["messages"]),
            "output_tokens": output,
            "cache_creation_input_tokens": 0 if read else self.tokens(shared),
            "cache_read_input_tokens": self.tokens(shared) if read else 0,
        }
        with self._lock:
            self._cached.add(shared)
            self.charged.update(used)
        return used

    def status(self, name: str) -> dict[str, Any]:
        batch = self.batches[name]
        ended = self.looks is not None and batch.looks > self.looks
        counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
        counts["succeeded" if ended else "processing"] = len(batch.requests)
        return {
            "id": name,
            "type": "message_batch",
            "processing_status": "ended" if ended else "canceling" if batch.canceled else "in_progress",
            "request_counts": counts,
            "created_at": batch.created.isoformat().replace("+00:00", "Z"),
            "expires_at": (batch.created + timedelta(days=1)).isoformat(),
            "ended_at": datetime.now(UTC).isoformat() if ended else None,
            "results_url": (f"{self.url}/v1/messages/batches/{name}/results" if ended and not batch.archived else None),
        }

    def listed(self, limit: int, after: str | None) -> dict[str, Any]:
        """A page of the batches, the newest first."""
        names = sorted(self.batches, reverse=True)
        names = names[names.index(after) + 1 if after else 0 :]
        page = names[:limit]
        return {
            "data": [self.status(name) for name in page],
            "has_more": len(names) > limit,
            "first_id": page[0] if page else None,
            "last_id": page[-1] if page else None,
        }

    def submit(self, requests: list[dict[str, Any]]) -> dict[str, Any]:
        names = [request["custom_id"] for request in requests]
        assert len(set(names)) == len(names)
        with self._lock:
            name = f"msgbatch_{len(self.batches):04d}"
            self.batches[name] = Batch(requests, datetime.now(UTC) + timedelta(seconds=self.clock))
        return self.status(name)

    def results(self, name: str) -> list[str]:
        lines = []
        for request in self.batches[name].requests:
            result = self.result(request["params"])
            line = json.dumps({"custom_id": request["custom_id"], "result": result})
            if result.get("type") != "missing":
                lines.append(line[: len(line) // 2] if result.get("type") == "torn" else line)
        if self.shuffled:
            random.Random(name).shuffle(lines)  # noqa: S311
        return lines

    def result(self, params: dict[str, Any]) -> dict[str, Any]:
        found = self.fault_at("item", params) or self.message(params)
        if not isinstance(found, Fault):
            return {"type": "succeeded", "message": found}
        if found.kind in ("refusal", "truncated"):
            return {"type": "succeeded", "message": self.written(params, found)}
        if found.kind in OF_ITEMS and found.kind != "errored":
            return {"type": found.kind}
        return {"type": "errored", "error": error_body(found)}


def quarter(text: str) -> int:
    return (len(text) + 3) // 4


def error_body(fault: Fault) -> dict[str, Any]:
    kind = STATUS_TYPES.get(fault.status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": fault.message}, "request_id": "req_1"}


class Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    claude: ClaudeServer

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is no error here."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: Http

    def setup(self) -> None:
        self.server.claude.count_connection(1)
        super().setup()

    def finish(self) -> None:
        self.server.claude.count_connection(-1)
        super().finish()

    def log_message(self, *_: object) -> None:
        """Silent."""

    def do_POST(self) -> None:
        claude = self.server.claude
        if claude.keep_requests:
            claude.timeouts.append(self.headers.get("x-stainless-timeout"))
        body = json.loads(self.rfile.read(int(self.headers["content-length"])) or b"{}")
        path = self.path.split("?")[0].strip("/").split("/")[2:]
        place = "/".join(path) or "messages"
        place = {"count_tokens": "count", "batches": "batch"}.get(place, "cancel" if path[-1:] == ["cancel"] else place)
        if self.refused() or self.goes_wrong(place, body):
            return
        if place == "messages":
            message = claude.message(body)
            if isinstance(message, Fault):
                self.go_wrong(message, {})
            else:
                self.send(200, message)
        elif place == "count":
            texts = [block["text"] for block in body.get("system", [])] + [m["content"] for m in body["messages"]]
            self.send(200, {"input_tokens": sum(map(claude.tokens, texts))})
        elif place == "batch":
            self.send(200, claude.submit(body["requests"]))
        elif path[1] in claude.batches:
            claude.batches[path[1]].canceled = True
            self.send(200, claude.status(path[1]))

    def do_GET(self) -> None:
        claude = self.server.claude
        url = urlsplit(self.path)
        path = url.path.strip("/").split("/")[3:]
        place = "list" if not path else "results" if path[-1] == "results" else "look"
        if self.refused() or self.goes_wrong(place, path):
            return
        if place == "list":
            query = parse_qs(url.query)
            self.send(200, claude.listed(int(query.get("limit", ["20"])[0]), query.get("after_id", [None])[0]))
        elif path[0] not in claude.batches:
            self.go_wrong(Fault(kind="status", status=404, message=f"no batch {path[0]}"), {})
        elif place == "look":
            claude.batches[path[0]].looks += 1
            self.send(200, claude.status(path[0]))
        else:
            self.write(200, "".join(line + "\n" for line in claude.results(path[0])).encode(), "application/x-jsonl")

    def refused(self) -> bool:
        key = self.headers.get("x-api-key") or self.headers.get("authorization", "").removeprefix("Bearer ")
        if self.server.claude.key in (None, key):
            return False
        self.server.claude.calls["refused"] += 1
        self.go_wrong(Fault(kind="status", status=401, message=f"invalid key {key}"), {})  # as nasty as can be
        return True

    def goes_wrong(self, place: str, body: Any) -> bool:
        fault = self.server.claude.fault_at(place, body)
        if fault is None or fault.kind in OF_ITEMS:
            return False
        if fault.kind in ("refusal", "truncated"):
            self.send(200, self.server.claude.written(body, fault))
            return True
        if fault.served:
            {"messages": self.server.claude.message, "batch": lambda one: self.server.claude.submit(one["requests"])}[
                place
            ](body)
        path = self.path.split("?")[0].strip("/").split("/")
        whole = "".join(line + "\n" for line in self.server.claude.results(path[3])) if place == "results" else ""
        self.go_wrong(fault, whole or {"type": "message", "content": [{"type": "text", "text": "{}"}]})
        return True

    def go_wrong(self, fault: Fault, whole: Any) -> None:
        body = whole.encode() if isinstance(whole, str) else json.dumps(whole).encode()
        if fault.kind == "status":
            self.send(fault.status, error_body(fault), {"retry-after-ms": str(1000 * fault.wait)})
        elif fault.kind == "garbage":
            self.write(200, b"<html>bad gateway</html>", "text/html")
        elif fault.kind == "cut":
            self.write(200, body[: len(body) // 2], "application/json")
        elif fault.kind == "not a message":
            self.send(200, {"odd": True})
        elif fault.kind == "hang":
            time.sleep(fault.seconds)
            self.close_connection = True
        elif fault.kind == "reset":
            self.head(200, len(body), "application/json", {})
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            # Closing with data unsent and no time to linger sends a reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.shutdown(socket.SHUT_RD)
            self.close_connection = True

    def send(self, status: int, value: Any, headers: "dict[str, str] | None" = None) -> None:
        self.write(status, json.dumps(value).encode(), "application/json", headers)

    def write(self, status: int, body: bytes, kind: str, headers: "dict[str, str] | None" = None) -> None:
        self.head(status, len(body), kind, headers or {})
        self.wfile.write(body)
        self.wfile.flush()

    def head(self, status: int, size: int, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {
            "content-type": kind,
            "content-length": str(size),
            "request-id": "req_1",
            **headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("--rate", type=float, default=0.0)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    some = [Fault(kind="status", status=429), Fault(kind="status", status=529), Fault(kind="status", status=500)]
    some += [Fault(kind="reset"), Fault(kind="cut"), Fault(kind="refusal"), Fault(kind="truncated")]
    some += [Fault(kind="expired"), Fault(kind="missing")]
    with ClaudeServer(faults=seeded(chosen.seed, chosen.rate, some) if chosen.rate else None) as serving:
        serving.keep_requests = False
        print(serving.url, flush=True)  # noqa: T201
        threading.Event().wait()
