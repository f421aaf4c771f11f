"""The connections to the server, under the current certificate.

A renewal opens new connections; the former ones close when their last request has ended.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx

from ironkeep.agent.certificates import Credential
from ironkeep.core.errors import Unavailable

MAX_CONNECTIONS: Final = 64
CONNECT_SECONDS: Final = 10.0
WAIT_SECONDS: Final = 120.0
"""Time for each part of a response; a database credential may take a minute."""


class _Connections:
    """The connections under one certificate, and the number of requests that use them."""

    def __init__(self, credential: Credential) -> None:
        self.client: Final = httpx.AsyncClient(
            verify=credential.context,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(WAIT_SECONDS, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=MAX_CONNECTIONS),
        )
        self.users = 0
        self.retired = False

    async def leave(self) -> None:
        """Close once they are retired and no request uses them."""
        if self.retired and not self.users:
            await self.client.aclose()


class Upstream:
    """The server that requests are forwarded to, and the current certificate for it."""

    def __init__(self, address: str) -> None:
        self.address: Final = address
        self.credential: Credential | None = None
        self.problem = "the agent has no certificate yet"
        """The reason why there is no certificate, or no newer one, in the server's own words."""
        self._now: _Connections | None = None

    async def adopt(self, credential: Credential) -> None:
        """Forward over new connections under credential from now on."""
        before, self._now = self._now, _Connections(credential)
        self.credential, self.problem = credential, ""
        await self._retire(before)

    async def close(self) -> None:
        """Close every connection without a request; the others close when theirs end."""
        before, self._now = self._now, None
        await self._retire(before)

    @asynccontextmanager
    async def client(self, now_ns: int) -> AsyncIterator[httpx.AsyncClient]:
        """Yield the current client; raise Unavailable without a valid certificate."""
        held, credential = self._now, self.credential
        if held is None or credential is None or now_ns >= credential.until_ns:
            raise Unavailable(f"this device has no valid certificate: {self.problem}")
        held.users += 1
        try:
            yield held.client
        finally:
            held.users -= 1
            await held.leave()

    @staticmethod
    async def _retire(held: _Connections | None) -> None:
        if held is not None:
            held.retired = True
            await held.leave()
