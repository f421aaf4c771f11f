"""The port for fetching documents from other systems, since kernel and plugins do no I/O."""

from typing import Protocol

from ironkeep.core.errors import UpstreamFailed


class Outbound(Protocol):
    """Fetches documents; called on a worker thread, never on the event loop."""

    def get(self, url: str, ca_pem: str, limit: int) -> bytes:
        """Return the body at an https URL, at most limit bytes.

        `ca_pem` holds the only CAs to trust; "" means the system's. Redirects are not followed.
        Raise UpstreamFailed unless the server responds with 200 in time.
        """
        ...


class Nowhere:
    """An Outbound without a network: every fetch fails."""

    def get(self, url: str, ca_pem: str, limit: int) -> bytes:
        """Raise UpstreamFailed."""
        del url, ca_pem, limit
        raise UpstreamFailed("this server cannot fetch documents from other systems")
