"""Who can reach an address."""

import ipaddress

from interp_steer.errors import ServingError


def is_loopback(host: str) -> bool:
    """Whether a host is this machine and reachable from it alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_exposure(host: str, secret: str | None, *, what: str) -> None:
    """Refuse to listen where others can reach it without a secret.

    Args:
        host: Address to listen at.
        secret: Key or password that clients must show.
        what: How to give one.

    Raises:
        ServingError: If there is none, or an empty one.
    """
    if secret is not None and not secret.strip():
        raise ServingError(f"the secret is empty; {what}")
    if secret is None and not is_loopback(host):
        raise ServingError(f"others can reach this machine at {host!r}; {what}, or listen at 127.0.0.1")
