"""Find everything that is wrong, or suspicious, in the files of a behavior.

Reading stops at the first malformed line; checking goes on and reports every one. Errors make the behavior unusable or
its result wrong; warnings are for its author to judge.
"""

from interp_steer.pair_checks.check import MEAN_RATIO, PAIR_RATIO, check_behavior, content_words
from interp_steer.pair_checks.issue import Issue, Kind
from interp_steer.pair_checks.likeness import NEAR_DUPLICATE
from interp_steer.pair_checks.lines import MINIMUM

__all__ = ["MEAN_RATIO", "MINIMUM", "NEAR_DUPLICATE", "PAIR_RATIO", "Issue", "Kind", "check_behavior", "content_words"]
