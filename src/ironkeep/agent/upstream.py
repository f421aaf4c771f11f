"""The connections to the server, under the certificate of the moment.

A renewal starts new connections; those of before end when the requests on them have ended.
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
"""For each further part of an answer: a database credential may take a minute."""


class _Connections:
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
        """Close when nobody uses it any more."""
        if self.retired and not self.users:
            await self.client.aclose()


class Upstream:
    """Whom requests are forwarded through."""

    def __init__(self, address: str) -> None:
        self.address: Final = address
        self.credential: Credential | None = None
        self.problem = "the agent has no certificate yet"
        """Why there is none, or none newer: the server's own words."""
        self._now: _Connections | None = None

    async def adopt(self, credential: Credential) -> None:
        """Forward through connections that show credential from now on."""
        before, self._now = self._now, _Connections(credential)
        self.credential, self.problem = credential, ""
        await self._retire(before)

    async def close(self) -> None:
        """Close every connection that nobody uses."""
        before, self._now = self._now, None
        await self._retire(before)

    @asynccontextmanager
    async def client(self, now_ns: int) -> AsyncIterator[httpx.AsyncClient]:
        """Yield the client of the moment; raise Unavailable without a certificate that is good."""
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
