"""What judging a run has cost, kept in its manifest under the judge's name and added up over every session."""

from pathlib import Path
from typing import Any

from interp_steer.claude.prices import PRICES_DATE, Cost
from interp_steer.claude.questions import Usage
from interp_steer.claude.state import Charges
from interp_steer.judges.instrument import Instrument
from interp_steer.records import to_json
from interp_steer.run import Run


def account_path(run: Run) -> Path:
    """Return the file with the batches under way and the charges of every model that judges a run."""
    return run.judging_path / "account.json"


class Account:
    """The cost of one judge on one run."""

    def __init__(self, run: Run, instrument: Instrument) -> None:
        """Go on from what the manifest holds."""
        self._run = run
        self._instrument = instrument
        held = run.manifest().get("judges", {}).get(instrument.model, {})
        self._asked = int(held.get("asked", 0))
        self.session = Cost(usage=Usage(), dollars=0.0)
        self.asked = 0

    def add(self, cost: Cost, asked: int) -> None:
        """Add what one round of questions took."""
        both = (self.session.dollars, cost.dollars)
        dollars = None if None in both else sum(price for price in both if price is not None)
        self.session = Cost(usage=self.session.usage + cost.usage, dollars=dollars)
        self.asked += asked

    def save(self, charges: Charges, asked: int = 0) -> None:
        """Write the manifest.

        Args:
            charges: What the model has cost on this run.
            asked: Questions answered in a round that is not finished.
        """
        manifest = self._run.manifest()
        entry: dict[str, Any] = {
            "digest": self._instrument.digest,
            **self._instrument.decisive,
            "asked": self._asked + self.asked + asked,
            "usage": to_json(charges.usage),
            "dollars": charges.dollars,
            "lost_dollars": charges.lost,
            "prices": PRICES_DATE,
        }
        self._run.update_manifest(judges={**manifest.get("judges", {}), self._instrument.model: entry})
