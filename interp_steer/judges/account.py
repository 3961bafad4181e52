"""What judging a run has cost, kept in its manifest under the judge's name and added up over every session."""

from typing import Any

from interp_steer.claude.prices import PRICES_DATE, Cost
from interp_steer.claude.questions import Usage
from interp_steer.errors import JudgeError
from interp_steer.judges.instrument import Instrument
from interp_steer.records import from_json, to_json
from interp_steer.run import Run


class Account:
    """The cost of one judge on one run."""

    def __init__(self, run: Run, instrument: Instrument) -> None:
        """Go on from what the manifest holds."""
        self._run = run
        self._instrument = instrument
        held = run.manifest().get("judges", {}).get(instrument.model, {})
        self._usage = from_json(Usage, held.get("usage", {}))
        self._dollars: float | None = held.get("dollars", 0.0)
        self._asked = int(held.get("asked", 0))
        self.session = Cost(usage=Usage(), dollars=0.0)
        self.asked = 0

    def left(self, max_cost: float | None) -> float | None:
        """Return what may still be spent of a limit that holds for the run as a whole.

        Raises:
            JudgeError: If nothing is left.
        """
        if max_cost is None:
            return None
        spent = _sum(self._dollars, self.session.dollars)
        left = max_cost - (spent or 0.0)
        if left <= 0:
            raise JudgeError(
                f"judging {self._run.path} with {self._instrument.model} has cost ${spent or 0:.4f} so far, and the "
                f"limit is ${max_cost:g}; raise --max-cost to go on"
            )
        return left

    def add(self, cost: Cost, asked: int) -> None:
        """Add what one round of questions took."""
        self.session = Cost(usage=self.session.usage + cost.usage, dollars=_sum(self.session.dollars, cost.dollars))
        self.asked += asked

    def save(self, under_way: Cost | None = None, asked: int = 0) -> None:
        """Write the manifest.

        Args:
            under_way: What the round of questions that is not finished took so far.
            asked: Questions answered in it.
        """
        cost = under_way or Cost(usage=Usage(), dollars=0.0)
        manifest = self._run.manifest()
        entry: dict[str, Any] = {
            "digest": self._instrument.digest,
            **self._instrument.decisive,
            "asked": self._asked + self.asked + asked,
            "usage": to_json(self._usage + self.session.usage + cost.usage),
            "dollars": _sum(_sum(self._dollars, self.session.dollars), cost.dollars),
            "prices": PRICES_DATE,
        }
        self._run.update_manifest(judges={**manifest.get("judges", {}), self._instrument.model: entry})


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other
