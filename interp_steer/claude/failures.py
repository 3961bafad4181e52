"""Why the service gave no answer: for one request, or for all of them."""

from interp_steer.errors import JudgeError

REMEDY = "set ANTHROPIC_API_KEY in the environment, or judge offline with `--judge local`"

FOR_ALL = {
    401: "set ANTHROPIC_API_KEY to a key that is valid",
    402: "see the billing page of the account",
    403: "use a key that may do this",
    404: "check the name of the model, and that the key belongs to the workspace of earlier batches",
}
"""Statuses that hold for every question, with what to do."""

MAY_HAVE_RUN = frozenset({408, 502, 504, *range(520, 525)})
"""Statuses, of gateways on the way, with which a request may have been served and charged all the same."""

MAY_BE_TAKEN = frozenset({408, *range(500, 600)} - {503, 529})
"""Statuses with which a batch may have been taken all the same: its server may fail after it wrote the batch down."""


class MissingKeyError(JudgeError):
    """There is no key in the environment."""


class RefusedError(JudgeError):
    """The service refuses this request, and would refuse every other one."""


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


class UnknownBatchError(GoneError):
    """The service knows no such batch: it is too old, or another workspace holds it."""


def reason_for(status: int, said: str) -> str:
    """Return the reason for which a question has no answer, from the status of the service."""
    if status in (429, 503, 529):
        return "overloaded"
    if status >= 500 or status in (408, 409):
        return "server error"
    return f"rejected: {said}"
