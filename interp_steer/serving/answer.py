"""What is asked of the engine, and the answer while it is written."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from interp_steer.serving.watch import Watch
from interp_steer.steering.rows import DecodeRow, DecodeSettings
from interp_steer.terms import Finish

Ending = Finish | Literal["stop", "cancelled"]


@dataclass(frozen=True, kw_only=True, eq=False)
class LiveRequest:
    """One completion to make beside others.

    Attributes:
        row: Prompt, interventions and seed.
        settings: Scope, length and sampling.
        stop: Texts that end the completion, and are no part of it.
        watch: Directions that every generated token is read for.
    """

    row: DecodeRow
    settings: DecodeSettings = field(default_factory=DecodeSettings)
    stop: tuple[str, ...] = ()
    watch: tuple[Watch, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One token, and the text that can be shown now that it is there: often none, sometimes that of several.

    ``before`` is the cosine of the token *before* this one with each watched direction: a token's residual is there
    once the next is made. None for the first, and where nothing is watched. The last token of an answer is not read.
    """

    token: int
    text: str
    before: tuple[float, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class LiveCompletion:
    """A whole answer.

    Attributes:
        text: Special tokens removed, surrounding blanks stripped, cut before a stop string.
        ids: Every generated token, also those after the cut.
        finish: ``eos``, ``length``, ``loop``, ``stop`` where a stop string came, or ``cancelled``.
    """

    text: str
    ids: tuple[int, ...]
    finish: Ending


class LiveAnswer:
    """An answer while it is written; every method may be called from any thread, iterators any number of times."""

    def __init__(self, request: LiveRequest) -> None:
        """Begin with no token."""
        self.request = request
        self._pieces: list[Piece] = []
        self._finish: Ending | None = None
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._listeners: list[Callable[[], None]] = []

    @property
    def ended(self) -> bool:
        """Whether nothing more comes."""
        return self._finish is not None or self._error is not None

    def __iter__(self) -> Iterator[Piece]:
        """Yield pieces as they come.

        Raises:
            InterpSteerError: If the row failed, after the pieces it had.
        """
        seen = 0
        while True:
            with self._changed:
                while not self.ended and len(self._pieces) == seen:
                    self._changed.wait()
            new, over = self.read(seen)
            yield from new
            seen += len(new)
            if over:
                return

    async def stream(self) -> AsyncIterator[Piece]:
        """Yield pieces as they come, in an event loop; see :meth:`__iter__`."""
        seen = 0
        async for _ in news([self]):
            new, over = self.read(seen)
            for piece in new:
                yield piece
            seen += len(new)
            if over:
                return

    def read(self, seen: int) -> tuple[list[Piece], bool]:
        """Return the pieces after the first ``seen``, and whether they are the last; never waits.

        Raises:
            InterpSteerError: If the row failed and there is no further piece.
        """
        with self._changed:
            new = self._pieces[seen:]
            if self._error is not None and not new:
                raise self._error
            return new, self._finish is not None

    def token(self, place: int) -> int | None:
        """Return the token at a place of the answer; None if it is not that long yet."""
        with self._changed:
            return self._pieces[place].token if place < len(self._pieces) else None

    def result(self, timeout: float | None = None) -> LiveCompletion:
        """Wait for the end and return all of it.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            TimeoutError: If it is not there in time.
            InterpSteerError: If the row failed.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self.ended, timeout):
                raise TimeoutError(f"no end after {timeout:g} s")
            if self._finish is None:
                raise self._error or AssertionError("an answer ended without a reason")
            text = "".join(piece.text for piece in self._pieces)
            return LiveCompletion(text=text, ids=tuple(one.token for one in self._pieces), finish=self._finish)

    def cancel(self) -> None:
        """End it here, unless it has ended; its slot is free before the next step."""
        self.end("cancelled")

    def listen(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` whenever there is news, from the engine's thread: it must be quick."""
        with self._changed:
            self._listeners.append(listener)
        listener()

    def put(self, piece: Piece) -> None:
        """Add a piece; the engine's part."""
        with self._changed:
            if not self.ended:
                self._pieces.append(piece)
        self._tell()

    def end(self, finish: Ending) -> None:
        """End it, unless it has ended."""
        with self._changed:
            if not self.ended:
                self._finish = finish
        self._tell()

    def fail(self, error: BaseException) -> None:
        """End it with an error, unless it has ended; the engine's part."""
        with self._changed:
            if not self.ended:
                self._error = error
        self._tell()

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()
            listeners = list(self._listeners)
        for listener in listeners:
            listener()


async def news(answers: Sequence[LiveAnswer]) -> AsyncIterator[None]:
    """Yield whenever one of several answers may have something new, in an event loop, at once for the first time."""
    loop, changed = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            loop.call_soon_threadsafe(changed.set)

    for answer in answers:
        answer.listen(wake)
    while True:
        await changed.wait()
        changed.clear()
        yield
