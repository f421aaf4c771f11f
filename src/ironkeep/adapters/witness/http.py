"""HTTP to one witness, at its configured address only, with bounded answers."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from ironkeep.adapters.outbound import tls
from ironkeep.adapters.outbound.causes import cause
from ironkeep.adapters.outbound.deadline import DeadlineTransport
from ironkeep.core.errors import InvalidRequest, UpstreamFailed
from ironkeep.tlog.note import MAX_NOTE

OPERATION_SECONDS: Final = 2.0
"""Limit of connecting, writing and each wait; `adapters.outbound.deadline` bounds the whole."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP status and body."""

    status: int
    body: bytes


class WitnessHttp:
    """A client of one address. It follows no redirects and uses no proxy."""

    def __init__(self, address: str, ca_file: Path | None = None) -> None:
        self._base: Final = require_address(address)
        self._client: Final = httpx.Client(
            timeout=OPERATION_SECONDS,
            transport=DeadlineTransport(tls.context(ca_file)),
            trust_env=False,
            follow_redirects=False,
            headers={"Accept-Encoding": "identity", "User-Agent": "ironkeep"},
        )

    def get(self, path: str) -> Reply:
        """Fetch a path below the address; raise UpstreamFailed without an answer."""
        return self._send(self._client.build_request("GET", f"{self._base}/{path}"))

    def post(self, path: str, body: bytes, content_type: str) -> Reply:
        """Post body to a path below the address; raise UpstreamFailed without an answer."""
        headers = {"Content-Type": content_type}
        url = f"{self._base}/{path}"
        return self._send(self._client.build_request("POST", url, content=body, headers=headers))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _send(self, request: httpx.Request) -> Reply:
        body = b""
        try:
            response = self._client.send(request, stream=True)
            try:
                # Raw: no compression was requested, so a compressed answer is not unpacked either.
                for chunk in response.iter_raw():
                    body += chunk
                    if len(body) > MAX_NOTE:
                        raise UpstreamFailed("its answer is too long")
            finally:
                response.close()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UpstreamFailed(f"unreachable: {cause(error)}") from None
        return Reply(response.status_code, body)


def require_address(address: str) -> str:
    """Return an address without its last slash; raise InvalidRequest unless it is safe to use.

    Safe are https, and http to this machine. Over plain HTTP an attacker on the path could hide a
    rollback by making the witness seem unreachable.
    """
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        raise InvalidRequest(f"{address!r} is not the address of a witness") from None
    plain = url.scheme == "http" and _is_loopback(url.host)
    if not url.host or url.query or url.fragment or url.userinfo:
        raise InvalidRequest(f"{address!r}: a witness's address is https://host[:port][/path]")
    if url.scheme != "https" and not plain:
        raise InvalidRequest(f"{address!r}: http is for witnesses on this machine; use https")
    return address.removesuffix("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
