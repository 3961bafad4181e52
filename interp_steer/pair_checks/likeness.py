"""How alike two prompts are, and which of many say nearly the same."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from interp_steer.words import words

NEAR_DUPLICATE = 0.6  # Jaccard overlap of character 4-grams; prompts that only share "How do I ..." stay below 0.5

_BLOCK = 256  # prompts compared with all others at a time


def key(text: str) -> str:
    """Return the text case, spacing and punctuation aside; the text itself if it is nothing but these."""
    return " ".join(words(text)) or text.strip()


def grams(text: str) -> frozenset[str]:
    """Return the character 4-grams of a key."""
    return frozenset(text[start : start + 4] for start in range(max(1, len(text) - 3)))


def overlap(first: frozenset[str], second: frozenset[str]) -> float:
    """Return the Jaccard overlap of two sets of grams; 0 where it cannot reach :data:`NEAR_DUPLICATE`."""
    smaller, larger = sorted((len(first), len(second)))
    if smaller < NEAR_DUPLICATE * larger:  # spares most intersections
        return 0.0
    return len(first & second) / len(first | second)


def repeats(prompts: Sequence[str]) -> list[dict[int, float]]:
    """Return, for each prompt, the earlier ones that it nearly repeats, by position, with their overlap.

    The number of shared grams comes from a sparse product, a block of prompts at a time: a thousand prompts take a
    fraction of a second, where comparing each with each takes many.
    """
    found = [grams(key(prompt)) for prompt in prompts]
    columns = {gram: column for column, gram in enumerate(sorted(frozenset().union(*found)))}
    indices = [columns[gram] for each in found for gram in each]
    starts = np.cumsum([0, *map(len, found)])
    table = csr_array((np.ones(len(indices), dtype=np.int32), indices, starts), shape=(len(found), len(columns)))
    sizes = np.diff(starts)
    near: list[dict[int, float]] = []
    for start in range(0, len(found), _BLOCK):
        shared = (table[start : start + _BLOCK] @ table.T).tocoo()
        later = shared.row + start
        overlaps = shared.data / (sizes[later] + sizes[shared.col] - shared.data)
        kept = (overlaps >= NEAR_DUPLICATE) & (shared.col < later)
        block: list[dict[int, float]] = [{} for _ in found[start : start + _BLOCK]]
        for row, column, overlap in zip(shared.row[kept], shared.col[kept], overlaps[kept], strict=True):
            block[row][int(column)] = float(overlap)
        near += block
    return near


def families(prompts: Sequence[str]) -> list[list[int]]:
    """Group prompts so that no two of different groups are nearly the same.

    Returns:
        Positions of each group, ascending; groups in the order of their first member.
    """
    edges = [(later, earlier) for later, near in enumerate(repeats(prompts)) for earlier in near]
    links = coo_array((np.ones(len(edges)), tuple(zip(*edges, strict=True)) or ([], [])), shape=(len(prompts),) * 2)
    groups: dict[int, list[int]] = {}
    for position, label in enumerate(connected_components(links, directed=False)[1].tolist()):
        groups.setdefault(label, []).append(position)
    return list(groups.values())
