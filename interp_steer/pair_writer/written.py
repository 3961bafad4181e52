"""What a writer has done, in numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from interp_steer.pair_writer.filters import Reason


@dataclass(frozen=True, kw_only=True)
class Written:
    """What became of the proposals for a behavior, those of earlier calls included.

    Attributes:
        folder: The behavior's folder.
        wanted: Pairs that were asked for.
        pairs: Training pairs that are there now.
        accepted: How many of them this writer wrote.
        rejected: Proposals of training pairs that were not kept, by reason.
        held_out: For each held-out split, prompts with responses and prompts in all.
        unanswered: Proposals for held-out prompts that have no responses yet, by why they were not kept.
        sides: Answers sampled, by why they are unfit (``fit`` if they are not); only where the model writes itself.
        recognized: Share of sides that the model finds likelier under the instruction that wrote them than under its
            opposite; None where that was not measured. Near 0.5 it does not hear its instructions.
        echoed: Words that stand in the instructions that write a side and in those that confirm it, and not in their
            opposites: an answer that merely repeats them can pass. Only where the model writes itself.
        no_answer: Questions that Claude gave no answer to, by what they were for and why. Those that are not about a
            single pair are asked again by the next call.
        dollars: What the replies cost, by the price table, those of earlier calls included; None without a service, or
            where a price is not known.
        lost_dollars: Most dollars charged besides, for replies that got lost or wait in a batch; None without a
            service.
        stopped: Why there are fewer pairs than asked for; empty if there are not.
    """

    folder: str
    wanted: int
    pairs: int
    accepted: int
    rejected: Mapping[Reason, int]
    held_out: Mapping[str, tuple[int, int]]
    unanswered: Mapping[Reason, int] = field(default_factory=dict)
    sides: Mapping[str, int] = field(default_factory=dict)
    recognized: float | None = None
    echoed: tuple[str, ...] = ()
    no_answer: Mapping[str, int] = field(default_factory=dict)
    dollars: float | None = None
    lost_dollars: float | None = None
    stopped: str = ""
