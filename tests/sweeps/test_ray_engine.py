"""A real cluster of two nodes, with a CPU each, on this machine."""

import importlib
import logging
import os
import re
import signal
import socket
import sys
import threading

import psutil
import pytest
import ray
from ray.cluster_utils import Cluster

from interp_steer.errors import ModelError, SteeringError
from interp_steer.sweeps import ray_engine
from interp_steer.sweeps.answers import LocalEngine
from interp_steer.sweeps.grid import SweepSpec
from interp_steer.sweeps.ray_engine import RayEngine
from interp_steer.sweeps.run_sweep import sweep

BATCH = 6
SPEC = SweepSpec(layers=(0, 1, 2, 3), alphas=(0.1, 0.2, 0.3, 0.5), random_alphas=(0.3,), max_new_tokens=48)


def workers():
    """The processes that have a model, or are getting one."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        try:
            if process.cmdline()[:1] and process.cmdline()[0].startswith("ray::RayWorker"):
                found.add(process.pid)
        except psutil.Error:  # it ended meanwhile
            continue
    return found


class Killing:
    """An engine whose workers are all killed once, when the first answers are there."""

    def __init__(self, engine):
        self.engine, self.card, self.killed, self.before, self.later = engine, engine.card, set(), set(), set()
        self.tuples = []

    def answers(self, requests, settings):
        sent = ray.get(ray.put(requests))
        self.tuples = [len({id(request.interventions) for request in some}) for some in (requests, sent)]
        for batch in self.engine.answers(requests, settings):
            if not self.killed:
                self.before = {place for place, _ in batch}
                self.killed = workers()
                for pid in self.killed:
                    os.kill(pid, signal.SIGKILL)
            self.later |= workers() - self.killed
            yield batch

    def close(self):
        self.engine.close()


@pytest.fixture(scope="module")
def address():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        cluster.add_node(num_cpus=1)
        yield cluster.address
        cluster.shutdown()


@pytest.fixture(scope="module")
def folder(tiny_llama, plain_tiny_llama, tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    plain_tiny_llama.save_pretrained(path)
    tiny_llama.chat.tokenizer.save_pretrained(path)
    return str(path)


def test_killed_workers_lose_and_repeat_nothing(
    address, folder, make_run, tiny_llama, prompts, tmp_path, assert_same_rows, caplog
):
    local, remote, killed = (make_run(tmp_path / name) for name in ("local", "remote", "killed"))
    cells = SPEC.dev_cells()
    sweep(local, LocalEngine(tiny_llama, batch_size=BATCH), prompts, cells, SPEC)
    with RayEngine(folder, {"device": "cpu"}, address=address, batch_size=BATCH) as engine:
        assert engine.card.fingerprint == tiny_llama.card.fingerprint
        sweep(remote, engine, prompts, cells, SPEC)
        assert len(workers()) == 2
        assert_same_rows(remote.generations(), local.generations())

        killing = Killing(engine)
        with caplog.at_level(logging.WARNING):
            sweep(killed, killing, prompts, cells, SPEC)
        assert killing.tuples == [len(cells) - 1] * 2  # rows go on sharing them; 'unsteered' and 'prompted' share ()
        assert len(killing.killed) == 2
        assert killing.later  # others took over ...
        owed = [map(int, pair) for pair in re.findall(r"(\d+) of its (\d+) rows are asked again", caplog.text)]
        assert any(0 < left < n for left, n in owed)  # ... from one that was in the middle of a shard
        assert 0 < len(killing.before) < len(local.generations())
        assert_same_rows(killed.generations(), local.generations())
    assert not ray.is_initialized()


def test_workers_that_keep_dying_end_in_an_error(address, folder, monkeypatch):
    monkeypatch.setattr(ray_engine, "MOST_LOSSES", 2)
    done, killed = threading.Event(), set()

    def kill():
        while not done.wait(0.05):
            for pid in workers():
                killed.add(pid)
                os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with pytest.raises(SteeringError, match=r"no node that can work.*the last was lost: .*died"):
            RayEngine(folder, {"device": "cpu"}, address=address)
    finally:
        done.set()
        killer.join()
    assert len(killed) == 2 * 2  # on each node, the first and one more
    assert not ray.is_initialized()


def test_what_a_worker_raises_comes_back_as_it_is(address, tmp_path):
    with pytest.raises(ModelError, match=r"cannot load '.*missing'"):
        RayEngine(str(tmp_path / "missing"), {"device": "cpu"}, address=address)
    assert not ray.is_initialized()


def test_an_address_without_a_cluster_is_an_error():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(SteeringError, match=f"cannot join a Ray cluster at '{nobody}' .*refused.*expected 'auto'"):
            RayEngine("any", address=nobody)
    with pytest.raises(SteeringError, match="cannot join a Ray cluster at 'nonsense'"):
        RayEngine("any", address="nonsense")
    with pytest.raises(SteeringError, match="device 'cuda:1': Ray chooses the GPU"):
        RayEngine("any", {"device": "cuda:1"})


def test_without_ray_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, RayEngine.__module__)
    with pytest.raises(SteeringError, match=r'pip install "interp-steer\[ray\]"'):
        importlib.import_module(RayEngine.__module__)
