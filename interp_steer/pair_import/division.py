"""Divide prompts into train, dev and test so that no two splits share nearly the same prompt."""

from collections.abc import Sequence
from dataclasses import dataclass

from interp_steer.errors import PairsError
from interp_steer.pair_checks.likeness import families, key
from interp_steer.records import text_sha256
from interp_steer.terms import Split


@dataclass(frozen=True, kw_only=True)
class Division:
    """How large the held-out splits are.

    Attributes:
        dev: Prompts that choose a cell; by default 15 % of them, 12 at most: a sweep asks each in every cell.
        test: Prompts that confirm it; by default 25 %, 24 at most.
        shares: Shares of train, dev and test, such as ``0.6/0.15/0.25``; takes the place of the two others.
    """

    dev: int | None = None
    test: int | None = None
    shares: str | None = None

    def sizes(self, n: int) -> tuple[int, int]:
        """Return how many of n prompts are for dev and for test.

        Raises:
            PairsError: If the shares cannot be read, a size is not positive, or fewer than two are left to train on.
        """
        if self.shares is not None:
            return Division(dev=_part(self.shares, 1, n), test=_part(self.shares, 2, n)).sizes(n)
        dev = min(12, max(1, round(0.15 * n))) if self.dev is None else self.dev
        test = min(24, max(1, round(0.25 * n))) if self.test is None else self.test
        if dev < 1 or test < 1 or n - dev - test < 2:
            raise PairsError(
                f"{n} prompts cannot be divided into {dev} for dev, {test} for test and at least 2 for training; bring "
                "more, or give evaluation prompts with --prompts"
            )
        return dev, test


def _part(shares: str, index: int, n: int) -> int:
    try:
        parts = [float(part) for part in shares.split("/")]
    except ValueError:
        parts = []
    if len(parts) != 3 or min(parts) <= 0 or not abs(sum(parts) - 1) <= 0.001:
        raise PairsError(f"cannot read the shares {shares!r}: expected three that sum to 1, such as 0.6/0.15/0.25")
    return max(1, round(parts[index] * n))


def divide(prompts: Sequence[str], division: Division) -> list[Split]:
    """Say which split each prompt belongs to.

    Prompts that nearly repeat one another, as ``pairs check`` measures it, stay together. The order of these
    families is that of the hashes of their prompts: it depends on nothing but the texts.

    Raises:
        PairsError: If there are too few prompts, or they repeat one another so much that a split stays empty.
    """
    dev, test = division.sizes(len(prompts))
    left: dict[Split, int] = {"test": test, "dev": dev}
    found: list[Split] = ["train"] * len(prompts)
    for family in sorted(families(prompts), key=lambda family: min(text_sha256(key(prompts[i])) for i in family)):
        fits: Split = next((split for split, room in left.items() if len(family) <= room), "train")
        if fits != "train":
            left[fits] -= len(family)
        for position in family:
            found[position] = fits
    if empty := [split for split in ("train", "dev", "test") if split not in found]:
        raise PairsError(
            f"nothing is left for {' and '.join(empty)}: too many of the {len(prompts)} prompts are nearly the "
            "same, and those must stay in one split; give evaluation prompts with --prompts"
        )
    return found
