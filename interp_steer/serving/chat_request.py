"""The body of a chat completion request: what is understood, what is refused, what may be there and means nothing."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from interp_steer.model.chat import Turn
from interp_steer.serving.api_error import ApiError, api_error
from interp_steer.serving.catalog import Steering

IGNORED = {
    "user", "store", "metadata", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
    "parallel_tool_calls", "verbosity",
}  # fmt: skip
"""They say nothing about the answer."""

NEUTRAL: dict[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "repetition_penalty": (1,),
    "logit_bias": ({},),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "top_k": (0, -1),
    "min_p": (0,),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "modalities": (["text"],),
    "response_format": ({"type": "text"},),
    "reasoning_effort": ("none",),
    "stream_options": ({},),
}
"""They would change the answer: allowed only with the values that do not."""

MOST_TURNS = 1000


def _text(content: Any) -> Any:
    """Return the text of a content in parts."""
    if not isinstance(content, list):
        return content
    for part in content:
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            raise ValueError("expected a text, or parts of type 'text'")
    return "".join(part["text"] for part in content)


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Message(BaseModel):
    """One turn of the conversation."""

    model_config = ConfigDict(strict=True, extra="ignore")

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, BeforeValidator(_text)]

    @property
    def turn(self) -> Turn:
        """What the chat template knows it as."""
        return Turn(role="system" if self.role == "developer" else self.role, content=self.content)


class StreamOptions(BaseModel):
    """What else a stream brings."""

    model_config = ConfigDict(strict=True, extra="ignore")

    include_usage: bool = False


class ChatRequest(BaseModel):
    """A chat completion request; ``steering`` is ours, everything else is the API's."""

    model_config = ConfigDict(strict=True, extra="allow")

    model: str = Field(max_length=2000)
    messages: list[Message] = Field(min_length=1, max_length=MOST_TURNS)
    steering: Steering | list[Steering] | None = None
    temperature: float | None = Field(default=None, ge=0, le=100, allow_inf_nan=False)
    top_p: float | None = Field(default=None, gt=0, le=1)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    n: int | None = Field(default=None, ge=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    stop: Annotated[list[Annotated[str, Field(min_length=1, max_length=500)]] | None, BeforeValidator(_listed)] = Field(
        default=None, max_length=16
    )
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    @property
    def turns(self) -> list[Turn]:
        """The conversation, the system's turns at its head made one.

        Raises:
            ApiError: If it does not end with the user's turn.
        """
        turns = [message.turn for message in self.messages]
        if turns[-1].role != "user":
            raise ApiError("the last message must be the user's", param="messages", code="invalid_value")
        head = next(i for i, turn in enumerate(turns) if turn.role != "system")
        system = "\n\n".join(turn.content for turn in turns[:head] if turn.content)
        return [*([Turn(role="system", content=system)] if system else []), *turns[head:]]

    @property
    def pushes(self) -> list[Steering]:
        """What the field ``steering`` asks for."""
        if self.steering is None:
            return []
        return [self.steering] if isinstance(self.steering, Steering) else list(self.steering)


def read_request(body: bytes) -> ChatRequest:
    """Return the request of a body.

    Raises:
        ApiError: If it is no JSON, a field is wrong, or a parameter is not supported.
    """
    try:
        request = ChatRequest.model_validate_json(body)
    except ValueError as error:
        raise api_error(error) from error
    for name, value in (request.model_extra or {}).items():
        if name in NEUTRAL:
            if value is not None and value not in NEUTRAL[name]:
                raise ApiError(f"{name!r} is not supported; leave it out", param=name, code="unsupported_parameter")
        elif name not in IGNORED:
            raise ApiError(f"unknown parameter {name[:100]!r}", param=name[:100], code="unknown_parameter")
    return request
