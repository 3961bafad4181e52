"""Where the workers of a cluster belong: one on every GPU, or on every node where there are none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Place:
    """What one worker takes.

    Attributes:
        node: Identity of the node.
        number: Which of the node's workers it is, from 0.
        gpus: GPUs it takes.
        cpus: CPUs it takes; it computes with so many threads, and with one where it is 0.
    """

    node: str
    number: int
    gpus: int
    cpus: int


def worker_places(nodes: Sequence[Mapping[str, Any]], options: Mapping[str, str | None]) -> list[Place]:
    """Return the places of a cluster.

    Where there are GPUs, each gets a worker, with its share of the node's CPUs; a model that is spread over devices
    (``device_map``) gets all GPUs of a node. Elsewhere, or with ``device="cpu"``, each node gets one worker with
    all its CPUs.

    Args:
        nodes: As Ray lists them.
        options: Keyword arguments of ``load_model``.
    """
    alive = [(node["NodeID"], node["Resources"]) for node in nodes if node["Alive"]]
    on_gpus = options.get("device") != "cpu" and any(resources.get("GPU", 0) >= 1 for _, resources in alive)
    places = []
    for node, resources in alive:
        gpus, cpus = (int(resources.get(kind, 0)) for kind in ("GPU", "CPU"))
        units = gpus if on_gpus else cpus
        n = units if on_gpus and options.get("device_map") is None else min(units, 1)
        places += [
            Place(node=node, number=number, gpus=gpus // n if on_gpus else 0, cpus=cpus // n) for number in range(n)
        ]
    return places
