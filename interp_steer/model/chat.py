"""Prompts and responses to token ids, with the seam between them checked.

Training text is ``template(prompt) + response``: what the model has read when it has just written the
response. Thinking is off: templates that know ``enable_thinking`` are told so. A template already holds
every special token, so nothing is added by the tokenizer ever after.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from jinja2.exceptions import TemplateError as TemplateRefusal

from interp_steer.errors import TemplateError


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What one side of a conversation says."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, eq=False)
class Chat:
    """A tokenizer and its chat template.

    A tokenizer without a template (a base model) is fed the prompt and a line break, after its own
    beginning-of-text token if it has one.
    """

    tokenizer: Any

    @property
    def digest(self) -> str:
        """Hash of vocabulary and template: what decides which ids a text becomes."""
        vocabulary = sorted(self.tokenizer.get_vocab().items(), key=lambda item: item[1])
        text = repr((vocabulary, self.tokenizer.chat_template))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def render(self, prompt: str, system: str | None = None) -> str:
        """Return the text a model reads before it answers ``prompt``.

        A template that refuses the system role (Gemma's does) gets the system text at the head of the user's turn.
        """
        user = Turn(role="user", content=prompt)
        return self.render_turns([Turn(role="system", content=system), user] if system else [user])

    def render_turns(self, turns: Sequence[Turn]) -> str:
        """Return the text a model reads before it answers the last turn of a conversation; see :meth:`render`.

        Raises:
            TemplateError: If the template does not take such turns.
        """
        if self.tokenizer.chat_template is None:
            ends = ["\n" if turn.role == "user" else "\n\n" for turn in turns]
            return (self.tokenizer.bos_token or "") + "".join(
                turn.content + end for turn, end in zip(turns, ends, strict=True)
            )
        messages = [{"role": turn.role, "content": turn.content} for turn in turns]
        try:
            return self._apply(messages)
        except TemplateRefusal as error:
            if len(turns) > 1 and (turns[0].role, turns[1].role) == ("system", "user"):
                head = Turn(role="user", content=f"{turns[0].content}\n\n{turns[1].content}")
                return self.render_turns([head, *turns[2:]])
            roles = ", ".join(turn.role for turn in turns)
            raise TemplateError(
                f"the model's chat template refuses turns of {roles}: {error}; begin with the user, and take turns"
            ) from error

    def turns_ids(self, turns: Sequence[Turn]) -> list[int]:
        """Return the tokens of a rendered conversation.

        Raises:
            TemplateError: If the template does not take such turns, or they render to no token.
        """
        ids = self._ids(self.render_turns(turns))
        if not ids:
            raise TemplateError("the conversation renders to no token; give it a text")
        return ids

    def prompt_ids(self, prompt: str, system: str | None = None) -> list[int]:
        """Return the tokens of a rendered prompt.

        Raises:
            TemplateError: If the prompt renders to no token.
        """
        ids = self._ids(self.render(prompt, system))
        if not ids:
            raise TemplateError(f"the prompt {prompt[:60]!r} renders to no token; give it a text")
        return ids

    def pair_ids(self, prompt: str, response: str, system: str | None = None) -> tuple[list[int], int]:
        """Return the tokens of prompt and response, and how many of them are the prompt's.

        Raises:
            TemplateError: If the response has no token, or tokens merge across the seam, so that the
                prompt's tokens are not a prefix of the whole.
        """
        rendered = self.render(prompt, system)
        head, whole = self._ids(rendered), self._ids(rendered + response)
        if whole[: len(head)] != head:
            raise TemplateError(
                f"tokens merge across the seam of prompt {prompt[:60]!r} and response {response[:40]!r}; "
                "begin the response with a letter, or use a chat template that ends in a line break"
            )
        if len(whole) == len(head):
            raise TemplateError(f"the response {response[:40]!r} to prompt {prompt[:60]!r} has no token of its own")
        return whole, len(head)

    def decode(self, ids: list[int]) -> str:
        """Return the text of generated tokens, special tokens removed, surrounding blanks stripped."""
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True)
        return text.strip()

    def pieces(self, ids: list[int]) -> list[str]:
        """Return the text of each token on its own, special tokens kept (for colored tokens)."""
        return [self.tokenizer.decode([token]) for token in ids]

    def _apply(self, messages: list[dict[str, str]]) -> str:
        text: str = self.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
        return text

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids
