"""The running agent: it renews its certificate and serves its listeners."""

import asyncio
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from ironkeep.agent.certificates import Certificates
from ironkeep.agent.enrolment import Enrolment
from ironkeep.agent.listening import server
from ironkeep.agent.proxy import Proxy
from ironkeep.agent.upstream import Upstream
from ironkeep.core.errors import IronkeepError
from ironkeep.core.ports import Clock
from ironkeep.core.units import SECOND_NS

RETRY_SECONDS: Final = 10.0
"""Pause after a failed renewal: short, so that people hardly notice a restart of the server."""
LOOK_SECONDS: Final = 15.0
"""Longest wait between checks of the clock: a laptop that was asleep may have an expired
certificate."""


class Agent:
    """Keeps the certificate fresh and forwards requests."""

    def __init__(
        self,
        enrolment: Enrolment,
        certificates: Certificates,
        clock: Clock,
        say: Callable[[str], None],
        prompt: Callable[[str], None],
    ) -> None:
        self._enrolment: Final = enrolment
        self._certificates: Final = certificates
        self._clock: Final = clock
        self._say: Final = say
        self._prompt: Final = prompt
        self._reload: Final = asyncio.Event()
        self._upstream: Final = Upstream(enrolment.address)

    async def run(
        self,
        unix: socket.socket,
        loopback: socket.socket | None,
        ready: Callable[[], None],
        watch: Callable[[Callable[[], None], Callable[[], None]], None],
    ) -> None:
        """Serve until told to stop; call ready when the first certificate has arrived.

        `watch` gets two callbacks: one stops the agent, the other gets a new certificate at once.
        """
        servers = [(server(self._proxy(guarded=False)), unix)]
        if loopback is not None:
            servers.append((server(self._proxy(guarded=True)), loopback))

        def stop() -> None:
            for each, _ in servers:
                each.should_exit = True

        watch(stop, self._reload.set)
        renewing = asyncio.create_task(self._renew(ready))
        try:
            await asyncio.gather(*(each.serve(sockets=[sock]) for each, sock in servers))
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            await self._upstream.close()

    def status(self) -> Mapping[str, Any]:
        """Return the status for people: device, kind of key, server, certificate and problem."""
        credential = self._upstream.credential
        good = credential is not None and self._clock.now_ns() < credential.until_ns
        return {
            "device": self._enrolment.device,
            "name": self._enrolment.name,
            "key_kind": self._enrolment.place.kind.value,
            "server": self._enrolment.address,
            "certificate": "valid" if good else "none",
            "until": "" if credential is None else _rfc3339(credential.until_ns),
            "problem": self._upstream.problem,
        }

    def _proxy(self, *, guarded: bool) -> Proxy:
        return Proxy(self._upstream, self._clock, self.status, self._prompt, guarded=guarded)

    async def _renew(self, ready: Callable[[], None]) -> None:
        """Renew the certificate at two thirds of its life, forever."""
        while True:
            credential, reload = self._upstream.credential, self._reload.is_set()
            self._reload.clear()
            if reload or credential is None or self._clock.now_ns() >= credential.renew_ns:
                if not await self._obtain():
                    await self._pause(RETRY_SECONDS)
                elif credential is None:
                    ready()
            else:
                left = (credential.renew_ns - self._clock.now_ns()) / SECOND_NS
                await self._pause(min(LOOK_SECONDS, max(left, 0)))

    async def _pause(self, seconds: float) -> None:
        """Wait, but end at once when a reload was asked for."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._reload.wait(), seconds)

    async def _obtain(self) -> bool:
        """Try once; return whether there is a new certificate. Report each new problem once."""
        try:
            now_ns = self._clock.now_ns()
            credential = await asyncio.to_thread(self._certificates.obtain, now_ns)
        except (IronkeepError, OSError) as error:
            if str(error) != self._upstream.problem:
                self._say(f"no new certificate: {error}")
            self._upstream.problem = str(error)
            return False
        await self._upstream.adopt(credential)
        self._say(f"certificate until {_rfc3339(credential.until_ns)}")
        return True


def _rfc3339(moment_ns: int) -> str:
    return datetime.fromtimestamp(moment_ns // SECOND_NS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
