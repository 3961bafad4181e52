"""Failures in the shape of the OpenAI API: ``{"error": {"message", "type", "param", "code"}}``."""

from typing import Any

from pydantic import ValidationError

from interp_steer.errors import BusyError, InterpSteerError, StoppedError

_TYPES = {401: "authentication_error", 429: "rate_limit_error"}


class ApiError(Exception):
    """A request that gets an error for an answer."""

    def __init__(self, message: str, *, status: int = 400, param: str | None = None, code: str | None = None) -> None:
        """Say what is wrong.

        Args:
            message: For people.
            status: Of HTTP.
            param: Which field of the request is wrong.
            code: For programs.
        """
        super().__init__(message)
        self.message, self.status, self.param, self.code = message, status, param, code

    @property
    def body(self) -> dict[str, Any]:
        """The answer as JSON."""
        kind = _TYPES.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


def api_error(error: Exception, param: str | None = None) -> ApiError:
    """Return any failure as one of the API; what nobody foresaw is not told in detail.

    Args:
        error: What went wrong.
        param: Which field of the request is to blame, if one is.
    """
    if isinstance(error, ApiError):
        return error
    if isinstance(error, ValidationError):
        return _invalid(error)
    if isinstance(error, BusyError):
        return ApiError(str(error), status=429, code="rate_limit_exceeded")
    if isinstance(error, StoppedError):
        return ApiError(str(error), status=503, code="engine_stopped")
    if isinstance(error, InterpSteerError):
        return ApiError(str(error), param=param, code="invalid_value")
    return ApiError(f"the server failed ({type(error).__name__}); its log says more", status=500)


def _invalid(error: ValidationError) -> ApiError:
    """Return the most specific of the complaints: with a choice of types, there is one for each."""
    found = max(
        error.errors(include_url=False, include_context=False, include_input=False), key=lambda e: len(e["loc"])
    )
    path = [str(part) for part in found["loc"] if isinstance(part, int) or (part.islower() and part.isidentifier())]
    param = ".".join(part for part in path if part not in {"int", "str", "list"}) or None
    code = "missing_required_parameter" if found["type"] == "missing" else "invalid_value"
    return ApiError(f"{param or 'the body'}: {found['msg']}", param=param, code=code)
