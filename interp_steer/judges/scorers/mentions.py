"""Whether a text speaks of an entity, e.g. the Golden Gate Bridge."""

import re
from collections.abc import Sequence

from interp_steer.errors import BehaviorError

_FIELD_STEP = 0.1  # per distinct word of the semantic field
_FIELD_CEILING = 0.4  # below any score that a mention of the entity gets


def mentions(text: str, entity: Sequence[str] = (), field: Sequence[str] = ()) -> float:
    """Score mentions: 1.0 if the entity is named, else 0.1 per distinct word of its field, at most 0.4.

    Phrases match whole words, whatever their case; list plurals and spellings separately. Naming something once
    and speaking of nothing else score the same.

    Args:
        text: The completion.
        entity: Names of the entity, e.g. ``["Golden Gate Bridge", "Golden Gate"]``.
        field: Words that surround it, e.g. ``["bridge", "San Francisco", "cables"]``.

    Raises:
        BehaviorError: If no name is given, or an option is not a list of texts.
    """
    for option, phrases in (("entity", entity), ("field", field)):
        if isinstance(phrases, str) or not all(isinstance(phrase, str) and phrase.strip() for phrase in phrases):
            raise BehaviorError(f"{option} is {phrases!r}: expected a list of texts, none of them empty")
    if not entity:
        raise BehaviorError('no entity to look for: set entity = ["Golden Gate Bridge", ...] under [scorer]')
    if any(_holds(text, name) for name in entity):
        return 1.0
    distinct = {word.casefold() for word in field if _holds(text, word)}
    return min(_FIELD_CEILING, _FIELD_STEP * len(distinct))


def _holds(text: str, phrase: str) -> bool:
    spaced = r"\s+".join(map(re.escape, phrase.split()))
    return re.search(rf"(?<!\w){spaced}(?!\w)", text, flags=re.IGNORECASE) is not None
