"""A batch that was handed in, and whose id never came: it is looked for at the service, so that it is not paid twice.

The list of the service says when a batch was taken and how many questions it has, and nothing of what they are; the
results, once it has ended, bear their custom ids. So a batch is recognized in two steps: it was taken about when ours
was handed in and is of its size, and then its results are those of our questions. One that is not on the list may come
onto it yet, so the list is read again until none can.
"""

import time
from itertools import islice

from interp_steer.claude.budget import Budget
from interp_steer.claude.failures import RequestError
from interp_steer.claude.patience import Patience, longer
from interp_steer.claude.questions import Usage
from interp_steer.claude.service import Service
from interp_steer.claude.state import Batch, State
from interp_steer.errors import JudgeError

CLOCKS = 600.0
"""Seconds by which the clock of this machine and that of the service may differ."""
TAKEN_WITHIN = 900.0
"""Seconds within which a batch is taken and on the list, if it ever is."""


def adopt(batch: Batch, service: Service, budget: Budget, state: State, patience: Patience) -> Batch | None:
    """Find out whether the service took a batch, and write that down.

    Batches of its size from that time are waited for, since only results tell whose they are; and the list, until the
    batch is on it or cannot come any more.

    Args:
        batch: One without an id.
        service: Has taken it or not.
        budget: What the batch may have cost counts as lost if it is not found: it may have been charged all the same.
        state: Where it is written down.
        patience: How it is waited for.

    Returns:
        The batch with its id; None if it was not taken, or is gone.

    Raises:
        JudgeError: If the service does not say, a batch of that size does not end, or patience ends before it is sure
            that the batch does not come.
    """
    wait = patience.waiting(service)
    known = {one.id for one in state.batches}
    began, pause = time.monotonic(), patience.poll
    left = min(batch.begun + TAKEN_WITHIN - time.time(), TAKEN_WITHIN)  # a clock that was set back delays nothing
    try:
        while True:
            waited = time.monotonic() - began
            names = [name for name in _candidates(batch, service) if name not in known]
            known.update(names)
            while names:
                name, gone = wait(dict.fromkeys(names, batch), state.kept)
                names.remove(name)
                if not gone and any(item in batch.items for item, _ in islice(service.results(name), 1)):
                    return state.name(batch, name)
            if waited >= left:
                break
            if waited >= patience.total:
                raise JudgeError(
                    f"a batch of {len(batch.items)} questions may have been handed in before and is not on the list of "
                    f"the service; it may still come within {(left - waited) / 60:.0f} minutes: run again to go on "
                    "waiting"
                )
            patience.show(len(batch.items), "looking for a batch that may have been handed in before")
            time.sleep(min(pause, left - waited, patience.total - waited))
            pause = longer(pause)
    except RequestError as failed:
        raise JudgeError(
            f"a batch of {len(batch.items)} questions may have been handed in before, and the service does not say "
            f"whether ({failed.reason}); run again to find out"
        ) from None
    budget.close(batch, Usage(), unread=len(batch.items))
    return None


def _candidates(batch: Batch, service: Service) -> list[str]:
    found = []
    for one in service.listed():
        if one.taken < batch.begun - CLOCKS:  # the list begins with the newest
            break
        if one.taken <= batch.begun + TAKEN_WITHIN + CLOCKS and one.n == len(batch.items):
            found.append(one.id)
    return found
