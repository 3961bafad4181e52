"""A batch that was handed in, and whose id never came: it is looked for at the service, so that it is not paid twice.

The list of the service says when a batch was taken and how many questions it has, and nothing of what they are; the
results, once it has ended, bear their custom ids. So a batch is recognized in two steps: it was taken about when ours
was handed in and is of its size, and then its results are those of our questions.
"""

from itertools import islice

from interp_steer.claude.budget import Budget
from interp_steer.claude.failures import RequestError
from interp_steer.claude.patience import Wait
from interp_steer.claude.questions import Usage
from interp_steer.claude.service import Service
from interp_steer.claude.state import Batch, State
from interp_steer.errors import JudgeError

CLOCKS = 600.0
"""Seconds by which the clock of this machine and that of the service may differ."""
TAKEN_WITHIN = 1800.0
"""Seconds within which a batch is taken, if it is."""


def adopt(batch: Batch, service: Service, budget: Budget, state: State, wait: Wait) -> Batch | None:
    """Find out whether the service took a batch, and write that down.

    Batches of its size from that time are waited for, since only results tell whose they are.

    Args:
        batch: One without an id.
        service: Has taken it or not.
        budget: What it may have cost is not held any longer if it was not taken, and is lost if that cannot be told.
        state: Where it is written down.
        wait: Waits for one of several batches.

    Returns:
        The batch with its id; None if it was not taken, or is gone.

    Raises:
        JudgeError: If the service does not say, or a batch of that size does not end.
    """
    known = {one.id for one in state.batches}
    sure = True
    try:
        names = [name for name in _candidates(batch, service) if name not in known]
        while names:
            name, gone = wait(dict.fromkeys(names, batch), state.kept)
            names.remove(name)
            if gone:
                sure = False
            elif any(item in batch.items for item, _ in islice(service.results(name), 1)):
                return state.name(batch, name)
    except RequestError as failed:
        raise JudgeError(
            f"a batch of {len(batch.items)} questions may have been handed in before, and the service does not say "
            f"whether ({failed.reason}); run again to find out"
        ) from None
    budget.close(batch, Usage(), unread=0 if sure else len(batch.items))
    return None


def _candidates(batch: Batch, service: Service) -> list[str]:
    found = []
    for one in service.listed():
        if one.taken < batch.begun - CLOCKS:  # the list begins with the newest
            break
        if one.taken <= batch.begun + TAKEN_WITHIN and one.n == len(batch.items):
            found.append(one.id)
    return found
