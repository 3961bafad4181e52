"""Tokens to text while they come: whole characters only, stop strings found across tokens, no blanks around."""

from collections.abc import Sequence
from typing import Any

from tokenizers.decoders import DecodeStream

from interp_steer.errors import ServingError
from interp_steer.model.chat import Chat


class TextStream:
    """The text of one completion as it grows; the pieces together are what ``Chat.decode`` gives for all of it."""

    def __init__(self, chat: Chat, stop: Sequence[str] = ()) -> None:
        """Begin with nothing.

        Args:
            chat: Whose tokens these are.
            stop: Texts that end the completion, and are no part of it.

        Raises:
            ServingError: If the tokenizer cannot decode token by token.
        """
        self._backend: Any = getattr(chat.tokenizer, "backend_tokenizer", None)
        if self._backend is None:
            raise ServingError(
                f"{type(chat.tokenizer).__name__} cannot decode token by token; serve a model with a tokenizer.json"
            )
        self._stop = tuple(stop)
        self._decoded = DecodeStream(skip_special_tokens=True)
        self._ids: list[int] = []
        self._read = 0
        self._held = ""
        self._begun = False
        self._blanks = ""
        self.stopped = False

    def feed(self, token: int, *, last: bool) -> str:
        """Return what can be shown now that ``token`` is there; sets ``stopped`` if a stop string came.

        Args:
            token: The next token.
            last: Whether the completion ends with it, so that nothing is held back for what may follow.
        """
        self._ids.append(token)
        new = self._decoded.step(self._backend, token) or ""
        self._read += len(new)
        if last:  # the bytes of a character that was not finished
            new += self._backend.decode(self._ids, skip_special_tokens=True)[self._read :]
        return self._stripped(self._before_stop(new, last=last))

    def _before_stop(self, new: str, *, last: bool) -> str:
        text = self._held + new
        places = [place for stop in self._stop if (place := text.find(stop)) >= 0]
        if places:
            self.stopped = True
            return text[: min(places)]
        kept = 0 if last else max((_overlap(text, stop) for stop in self._stop), default=0)
        self._held = text[len(text) - kept :]
        return text[: len(text) - kept]

    def _stripped(self, text: str) -> str:
        text = self._blanks + text
        if not self._begun:
            text = text.lstrip()
        shown = text.rstrip()
        self._begun = self._begun or bool(shown)
        self._blanks = text[len(shown) :]
        return shown


def _overlap(text: str, stop: str) -> int:
    """Return the length of the longest end of ``text`` that ``stop`` may go on from."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
