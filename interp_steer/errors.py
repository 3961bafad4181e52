"""Every failure a user can cause.

A message says where, what, what was expected and what to do. The command line prints it as
``error: ...`` and exits with code 1; a script catches :class:`InterpSteerError`.
"""


class InterpSteerError(Exception):
    """Base class of the expected failures."""


class BehaviorError(InterpSteerError):
    """A behavior is missing or its ``behavior.toml`` cannot be used."""


class PairsError(InterpSteerError):
    """Contrastive pairs are missing, malformed, or too few for what was asked."""


class ModelError(InterpSteerError):
    """A model cannot be found, loaded, or read at the hook points this toolkit needs."""


class TemplateError(InterpSteerError):
    """The chat template breaks the seam between prompt and response."""


class VectorError(InterpSteerError):
    """Steering vectors cannot be fitted, read, or belong to another model."""


class SteeringError(InterpSteerError):
    """An intervention does not fit the model: layer, alpha, scope or shape."""


class HookError(InterpSteerError):
    """A hook did not fire as often as the forward passes it was meant to reach."""


class RunError(InterpSteerError):
    """A run directory is missing, locked, unwritable, or holds another run."""


class JudgeError(InterpSteerError):
    """A judge cannot start, or an artifact it needs is not there."""


class AnalysisError(InterpSteerError):
    """An analysis is unknown, or its input is undefined (NaN, Inf, no data)."""


class ServingError(InterpSteerError):
    """A request does not fit the engine, or the engine does not fit the machine."""


class BusyError(ServingError):
    """Too many requests wait already."""


class StoppedError(ServingError):
    """The engine was closed, or has died."""
