"""The agent's own calls to its server: https only, no proxy, no redirects, responses bounded."""

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from ironkeep.core.errors import InvalidRequest, PermissionDenied, UpstreamFailed
from ironkeep.core.secret import Secret

TIMEOUT_SECONDS: Final = 30.0
TOTAL_SECONDS: Final = 60.0
"""The limits for each part of an exchange and for the whole."""
MAX_ANSWER: Final = 1 << 18
"""Bytes; a certificate and its CA's have about 2 KiB."""

_ERROR: Final = 300
_FORBIDDEN: Final = 403
_SERVER: Final = 500


class Vault:
    """A server at an https address, verified by the CA in a file, or the system's CAs for ""."""

    def __init__(self, address: str, ca_cert: str = "") -> None:
        url = httpx.URL(address)
        if url.scheme != "https" or not url.host or url.userinfo or url.query or url.fragment:
            raise InvalidRequest(
                f"{address!r}: an agent needs https://host:port, because the server recognises the "
                "device by its client certificate"
            )
        self.address: Final = address.rstrip("/")
        self.ca_cert: Final = str(Path(ca_cert).absolute()) if ca_cert else ""

    def context(self) -> ssl.SSLContext:
        """Return a fresh TLS context that verifies the server."""
        # Not ssl.create_default_context, which would write session keys to SSLKEYLOGFILE.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            if self.ca_cert:
                context.load_verify_locations(cafile=self.ca_cert)
            else:
                context.load_default_certs()
        except OSError as error:
            raise InvalidRequest(f"{self.ca_cert}: {error.strerror or 'no CA file'}") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    def post(
        self, path: str, data: Mapping[str, Any], token: Secret | None = None
    ) -> dict[str, Any]:
        """Write data to path; return the response's data, or raise the server's error."""
        headers = {"X-Vault-Request": "true", "Accept-Encoding": "identity"}
        if token is not None:
            headers["X-Vault-Token"] = token.reveal().decode("ascii")
        try:
            return _data(*asyncio.run(self._asked(f"{self.address}/v1/{path}", data, headers)))
        except TimeoutError:
            said = f"{self.address} took longer than {TOTAL_SECONDS:.0f} seconds"
            raise UpstreamFailed(said) from None
        except httpx.HTTPError as error:
            said = f"cannot reach {self.address}: {type(error).__name__}: {error}"
            raise UpstreamFailed(said) from None

    async def _asked(
        self, url: str, data: Mapping[str, Any], headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        """Return status and body, bounded in bytes and in time even when the server is slow.

        A compressed body is refused: a few bytes could expand to hundreds of megabytes.
        """
        client = httpx.AsyncClient(verify=self.context(), trust_env=False, timeout=TIMEOUT_SECONDS)
        asking = client.stream("POST", url, json=dict(data), headers=headers)
        async with asyncio.timeout(TOTAL_SECONDS), client, asking as response:
            if response.headers.get("content-encoding", "identity") != "identity":
                raise UpstreamFailed("the server's answer is compressed, which was not asked for")
            body = b""
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_ANSWER:
                    raise UpstreamFailed("the server's answer is too large")
        return response.status_code, body


def _data(status: int, body: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(body) if body else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamFailed(f"the server answered {status} without valid JSON") from None
    document = document if isinstance(document, dict) else {}
    if status < _ERROR:
        data = document.get("data")
        return data if isinstance(data, dict) else {}
    errors = document.get("errors")
    said = "; ".join(map(str, errors)) if isinstance(errors, list) else ""
    said = said or f"the server answered {status}"
    if status == _FORBIDDEN:
        raise PermissionDenied(said)
    raise UpstreamFailed(said) if status >= _SERVER else InvalidRequest(said)
