"""Connecting to a Ray cluster, or starting one on this machine."""

import logging
import os
import socket
from typing import Any

import ray

from interp_steer.errors import SteeringError

SECONDS_TO_CONNECT = 10.0
OBJECT_STORE_BYTES = 2**28


def connect(address: str | None) -> bool:
    """Connect to Ray, quietly; return whether this did it.

    Raises:
        SteeringError: If there is no cluster at the address.
    """
    if ray.is_initialized():
        return False
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # On the loopback interface, for Ray runs what anyone who reaches it asks for.
        quiet |= {
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
            "_node_ip_address": "127.0.0.1",
        }
        ray.init(address="local", **quiet)
        return True
    try:
        if address != "auto":  # Ray itself would try for many minutes
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), timeout=SECONDS_TO_CONNECT).close()
        ray.init(address=address, **quiet)
    except (OSError, ValueError, RuntimeError) as error:
        raise SteeringError(
            f"cannot join a Ray cluster at {address!r} ({error}); expected 'auto' or the host:port of a running one "
            "that this machine is a node of ('ray start'), or no address, to start Ray here"
        ) from error
    return True
