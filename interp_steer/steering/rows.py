"""What a batch is asked for, and what each of its rows becomes."""

from dataclasses import dataclass

from interp_steer.steering.intervention import Intervention
from interp_steer.terms import Finish, Scope


@dataclass(frozen=True, kw_only=True, eq=False)
class DecodeRow:
    """One completion to make.

    Attributes:
        prompt_ids: Tokens of the rendered prompt.
        interventions: What is added to the residual stream, and where; empty is unsteered. Rows of one cell
            should share the very same tuple.
        seed: Seed of this row's sampling; rows do not share random numbers.
    """

    prompt_ids: tuple[int, ...]
    interventions: tuple[Intervention, ...] = ()
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Completion:
    """Generated tokens, the end-of-turn token included if there is one.

    ``finish`` is ``eos``, ``length``, or ``loop`` where the text repeated itself without end.
    """

    ids: tuple[int, ...]
    finish: Finish


@dataclass(frozen=True, kw_only=True)
class DecodeSettings:
    """What all rows of a batch share.

    Attributes:
        scope: Positions that are steered.
        max_new_tokens: Longest completion.
        temperature: 0 decodes greedily.
        top_p: Mass of the nucleus when sampling.
        stop_early: Whether the end-of-turn token and loops end a row; without, all have ``max_new_tokens``.
        stop_loops: Whether, in greedy decoding, a loop (:mod:`interp_steer.steering.loops`) ends a row.
    """

    scope: Scope = "response"
    max_new_tokens: int = 64
    temperature: float = 0.0
    top_p: float = 1.0
    stop_early: bool = True
    stop_loops: bool = True
