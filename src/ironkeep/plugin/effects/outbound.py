"""Fetching a document from another system, as a port: the kernel and the rooms do no I/O."""

from typing import Protocol

from ironkeep.core.errors import UpstreamFailed


class Outbound(Protocol):
    """Fetches documents; used on a worker, never on the loop."""

    def get(self, url: str, ca_pem: str, limit: int) -> bytes:
        """Return the body at an https address, at most limit bytes.

        `ca_pem` names the only authorities to be trusted; "" is the system's. No redirect is
        followed. Raise UpstreamFailed unless it answers 200 in time.
        """
        ...


class Nowhere:
    """An Outbound that reaches nothing."""

    def get(self, url: str, ca_pem: str, limit: int) -> bytes:
        """Raise UpstreamFailed."""
        del url, ca_pem, limit
        raise UpstreamFailed("this server fetches nothing from elsewhere")
