"""One problem of a behavior's files."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "behavior",
    "file",
    "malformed_line",
    "bad_field",
    "unknown_key",
    "identical_sides",
    "duplicate_prompt",
    "near_duplicate_prompt",
    "duplicate_response",
    "split_leakage",
    "length_imbalance",
    "no_shared_content",
    "too_few",
    "gate",
]


@dataclass(frozen=True, kw_only=True)
class Issue:
    """One problem of a behavior's files.

    Attributes:
        severity: ``error``: unusable, or the result would be wrong; ``warning``: for the author to judge.
        kind: What kind of problem it is.
        where: File, with the line from 1 where there is one: ``pairs/refusal/train.jsonl:17``.
        message: What is wrong, what was expected, what to do.
    """

    severity: Literal["error", "warning"]
    kind: Kind
    where: str
    message: str
