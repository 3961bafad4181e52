"""How excited a text sounds: exclamation marks and words of strong affect, per sentence. English only.

The word list is short and the scorer knows no context: a random direction that makes a model gush scores as high as
the right one, which is why a sweep has random controls.
"""

import re

from interp_steer.words import sentences

# Beginnings of words, unless they end in "$".
_AFFECT = """
absolutely ador amaze$ amazed$ amazing astonish astound awe$ awesome beaming bliss bravo breathtaking brilliant
bursting$ celebrat cheer$ dazzl delicious delight ecsta enchant exceptional excit exhilarat extraordinary fabulous
fantastic fascinat glorious gorgeous grin$ heavenly hooray hurray incredibl inspiring irresistibl joy jubil love$
lovely magic magnificen majestic marvel mesmeri mind-blowing oh$ ooh obsess outstanding overjoyed passionate phenomenal
rejoice sensational sparkl spectacular splend squeal stunning superb terrific thrill totally triumph ultimate$
unbelievabl unforgettable wahoo whoa wonderful woohoo wondrous wow yay yum yippee
"""
_PHRASES = (
    r"can't wait|can't get enough|so (?:much )?fun|such a treat|how (?:fun|cool)|over the moon|the best|best ever"
)
_STEMS = "|".join(stem[:-1] + r"\b" if stem.endswith("$") else stem for stem in _AFFECT.split())
_AFFECTED = re.compile(rf"\b(?:{_STEMS}|{_PHRASES})")
_SATURATION = 0.6  # exclamation marks, or words of affect, per sentence, beyond which more of them adds nothing


def enthusiasm(text: str) -> float:
    """Score excitement: half for exclamation marks, half for words of affect.

    Each half grows with the number per sentence and is full at 0.6 of them, so neutral sentences that merely end
    in exclamation marks score 0.5 at most. A text without words scores 0.0.
    """
    n_sentences = len(sentences(text))
    if n_sentences == 0:
        return 0.0
    marks = len(re.findall("[!！]+", text))
    affect = len(_AFFECTED.findall(text.replace("’", "'").casefold()))
    return sum(min(1.0, count / n_sentences / _SATURATION) for count in (marks, affect)) / 2
