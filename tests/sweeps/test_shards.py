from collections import deque
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp_steer.steering.intervention import Intervention
from interp_steer.sweeps.answers import Answer, Request
from interp_steer.sweeps.places import worker_places
from interp_steer.sweeps.shards import MOST_BATCHES, Shards

DIRECTION = np.eye(2, dtype=np.float32)[0]
ANSWER = Answer(text="", n_tokens=1, finish="eos", nll=(None,))


def requests_of(sizes):
    """Requests of cells of these sizes, the rows of different cells mixed, as in a sweep."""
    rows = [(number, cell) for cell, size in enumerate(sizes) for number in range(size)]
    tuples = [(Intervention(layer=0, alpha=float(cell), direction=DIRECTION),) for cell in range(len(sizes))]
    return [Request(prompt="", system=None, interventions=tuples[cell], seed=0) for _, cell in sorted(rows)]


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(1, 40), max_size=30),
    batch=st.integers(1, 20),
    workers=st.integers(1, 8),
    fates=st.lists(st.integers(0, 50), max_size=20),
)
def test_every_row_is_kept_once_however_many_workers_are_lost(sizes, batch, workers, fates):
    requests = requests_of(sizes)
    shards, kept, lost_after = Shards(requests, batch), [], deque(fates)
    while shard := shards.next(workers):
        assert shard.places
        n = lost_after.popleft() if lost_after else len(shard.places)
        kept += [place for place, _ in shards.answered(shard, [(i, ANSWER) for i in range(len(shard.places))[:n]])]
        if shard.left:
            again = shards.put_back(shard)
            assert set(again.places) == shard.left
            assert again.losses == (shard.losses + 1 if n == 0 else 1)
        assert shards.unanswered == len(requests) - len(kept)
    assert sorted(kept) == list(range(len(requests)))


@settings(deadline=None)
@given(st.integers(1, 400), st.integers(1, 30), st.integers(1, 8))
def test_shards_keep_batches_full_and_workers_busy(n, batch, workers):
    shards, sizes = Shards(requests_of([1] * n), batch), []
    while shard := shards.next(workers):
        sizes.append(len(shard.places))
    assert all(first >= second for first, second in pairwise(sizes))
    assert max(sizes) <= MOST_BATCHES * batch
    assert all(size >= min(batch, n / workers) for size in sizes[:-1])
    assert max(sizes) <= -(-n // workers)
    assert sum(sizes) == n


def test_cells_stay_whole_unless_they_are_larger_than_a_shard():
    requests = requests_of([5] * 20 + [100])
    shards, cells = Shards(requests, 8), []
    while shard := shards.next(2):
        cells.append({requests[place].interventions for place in shard.places})
    whole = [
        cell for cell in {request.interventions for request in requests} if sum(cell in part for part in cells) == 1
    ]
    assert len(whole) == 20


def node(name, cpus, gpus=0, alive=True):
    return {"NodeID": name, "Alive": alive, "Resources": {"CPU": float(cpus), **({"GPU": float(gpus)} if gpus else {})}}


@pytest.mark.parametrize(
    ("nodes", "options", "expected"),
    [
        ([node("a", 4), node("b", 2), node("c", 8, alive=False), node("d", 0)], {}, [("a", 0, 4), ("b", 0, 2)]),
        ([node("head", 8), node("a", 16, 2)], {"device": None}, [("a", 1, 8), ("a", 1, 8)]),
        ([node("a", 1, 2)], {"device": "cuda"}, [("a", 1, 0), ("a", 1, 0)]),
        ([node("a", 16, 2), node("b", 16, 4)], {"device_map": "auto"}, [("a", 2, 16), ("b", 4, 16)]),
        ([node("a", 16, 2), node("b", 3)], {"device": "cpu"}, [("a", 0, 16), ("b", 0, 3)]),
        ([], {}, []),
    ],
)
def test_every_gpu_has_a_worker_or_every_node(nodes, options, expected):
    found = worker_places(nodes, options)
    assert [(place.node, place.gpus, place.cpus) for place in found] == expected
    assert len(set(found)) == len(found)
