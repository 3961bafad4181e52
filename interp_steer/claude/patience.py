"""How batches are waited for."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from interp_steer.claude.failures import GoneError, RequestError, UnknownBatchError
from interp_steer.claude.service import Service
from interp_steer.claude.state import Batch
from interp_steer.errors import JudgeError

LONGEST_PAUSE = 60.0

HELD_FOR = 29 * 24 * 3600.0
"""Seconds for which the service holds a batch with its results."""

Wait = Callable[[Mapping[str, Batch], str], tuple[str, bool]]
"""From batches by id, and where their ids are kept, to the first that has ended, and whether its results are gone."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How batches are waited for.

    Attributes:
        poll: Seconds between two looks at first; half as long again each time, up to a minute.
        total: Seconds after which a batch is not waited for any longer.
        show: Told at each look how many questions are under way, and a note.
    """

    poll: float
    total: float
    show: Callable[[int, str], None]

    def waiting(self, service: Service) -> Wait:
        """Return a function that waits for one of several batches.

        It raises a JudgeError if none ends in time, the service refuses the key, or it does not know a batch that it
        must still hold: the answers are paid, and another key reads them.
        """

        def wait(batches: Mapping[str, Batch], kept: str) -> tuple[str, bool]:
            began, pause = time.monotonic(), self.poll
            while True:
                processing = 0
                for name, batch in batches.items():
                    try:
                        left = service.processing(name)
                    except UnknownBatchError:
                        if (age := time.time() - batch.begun) < HELD_FOR:
                            raise JudgeError(
                                f"the service does not know batch {name}, {age / 86400:.1f} days old, though it holds "
                                f"batches for {HELD_FOR / 86400:.0f}; {kept}: use a key of the workspace that it was "
                                "handed in to, or, if it was deleted there, delete its entry to pay for it again"
                            ) from None
                        return name, True
                    except GoneError:
                        return name, True
                    except RequestError:  # looking costs nothing: a service that is out for an hour is waited for
                        left = len(batch.items)
                    if left is None:
                        return name, False
                    processing += left
                waited = time.monotonic() - began
                if waited >= self.total:
                    raise JudgeError(
                        f"no batch of {', '.join(batches)} has ended after {waited / 3600:.2g} hours; "
                        f"{kept}: run again to go on waiting"
                    )
                self.show(processing, f"{len(batches)} batches under way")
                time.sleep(min(pause, self.total - waited))
                pause = longer(pause)

        return wait


def longer(pause: float) -> float:
    """Return the seconds of the pause that comes after one."""
    return min(1.5 * pause, LONGEST_PAUSE)
