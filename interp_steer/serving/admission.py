"""Reading the prompts of rows that are to join a batch."""

from collections.abc import Sequence

from interp_steer.model.protocol import Model
from interp_steer.model.readings import Prefix
from interp_steer.steering.batch import Member
from interp_steer.steering.hooks import BatchSteering
from interp_steer.steering.prefixes import read_prefixes
from interp_steer.terms import SCOPES


def read_prompts(
    model: Model, members: Sequence[Member], steering: BatchSteering
) -> tuple[list[tuple[Member, Prefix]], list[tuple[Member, Exception]]]:
    """Read prompts up to their last token, together; where that fails, one by one.

    Args:
        model: Reads; no hook is attached.
        members: Rows of any scope.
        steering: Knows the interventions of all of them.

    Returns:
        Each row with what it has read, in any order, and those that cannot be read with the reason.
    """
    found: list[tuple[Member, Prefix]] = []
    try:
        with model.hooks(steering.functions()):
            for scope in SCOPES:
                some = [one for one in members if one.settings.scope == scope]
                read = read_prefixes(model, [one.row for one in some], scope, steering)
                found += [(some[place], prefix) for place, prefix in read]
    except Exception as error:
        if len(members) == 1:
            return [], [(members[0], error)]
        each = [read_prompts(model, [one], steering) for one in members]
        return [one for read, _ in each for one in read], [one for _, failed in each for one in failed]
    return found, []
