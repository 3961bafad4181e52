"""What the service sends, read as JSON: a body that is not what it should be is an answer that got lost."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from interp_steer.claude.failures import GoneError, RequestError


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A batch on the list of the service.

    Attributes:
        id: Its id.
        taken: When the service took it, in seconds since 1970.
        n: Number of its questions.
    """

    id: str
    taken: float
    n: int


def json_of(text: str | bytes) -> Any:
    """Return the value of a JSON text; None if it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def parsed(body: bytes) -> Any:
    """Return the value of a body.

    Raises:
        RequestError: If it is no JSON.
    """
    value = json_of(body)
    if value is None:
        raise RequestError("unparsable", lost=True)
    return value


def page_of(body: bytes) -> tuple[list[Listed], str | None]:
    """Return the batches on one page of the list, and where the next page begins; None if there is none.

    Raises:
        RequestError: If it is no such page.
    """
    page = parsed(body)
    try:
        found = [
            Listed(
                id=str(batch["id"]),
                taken=datetime.fromisoformat(batch["created_at"]).timestamp(),
                n=sum(batch["request_counts"].values()),
            )
            for batch in page["data"]
        ]
        return found, str(page["last_id"]) if page["has_more"] else None
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RequestError("unparsable") from None


def processing_of(body: bytes) -> int | None:
    """Return how many questions of a batch are not through; None once the whole batch has ended.

    Raises:
        GoneError: If its results are held no more.
        RequestError: If the body says nothing of the kind.
    """
    status = parsed(body)
    try:
        if status["processing_status"] == "ended":
            if status.get("results_url") is None:
                raise GoneError("no result")
            return None
        return int(status["request_counts"]["processing"])
    except (KeyError, TypeError):
        raise RequestError("unparsable") from None


def item_of(line: str) -> tuple[str, Mapping[str, Any]] | None:
    """Return custom id and result on a line of results; None if it holds none."""
    item = json_of(line)
    if isinstance(item, dict) and isinstance(item.get("result"), dict):
        return str(item.get("custom_id")), item["result"]
    return None
