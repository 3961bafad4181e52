"""Names of new behaviors: names of folders on every system, and readable on a command line."""

import re

from interp_steer.errors import BehaviorError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def check_name(name: str) -> None:
    """Refuse what is no name for a new behavior.

    Raises:
        BehaviorError: If so.
    """
    if not _NAME.fullmatch(name):
        raise BehaviorError(
            f"{name!r} is no name for a behavior: expected letters, digits, '_' and '-', as in 'polite'"
        )
