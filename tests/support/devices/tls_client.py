"""A plain HTTPS client for tests: one connection, with or without a client certificate."""

import http.client
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote, urlsplit

TIMEOUT_SECONDS: Final = 180


class TlsClient:
    """Speaks to one server; `certificate` and `key` are files in PEM, of who it is."""

    def __init__(
        self, address: str, ca: Path, certificate: Path | None = None, key: Path | None = None
    ) -> None:
        at = urlsplit(address)
        context = ssl.create_default_context(cafile=ca)
        if certificate is not None:
            context.load_cert_chain(certificate, key)
        self._connection: Final = http.client.HTTPSConnection(
            str(at.hostname), at.port, timeout=TIMEOUT_SECONDS, context=context
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def send(
        self,
        method: str,
        path: str,
        data: Mapping[str, Any] | None = None,
        token: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Send one request; return the status and the answer, parsed where it is JSON.

        Raise OSError when the handshake fails, ssl.SSLError among them.
        """
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        sent = {"Content-Type": kind, **(headers or {})}
        if token:
            sent["X-Vault-Token"] = token
        body = None if data is None else json.dumps(data)
        try:
            self._connection.request(method, f"/v1/{quote(path, safe='/?=&')}", body, sent)
            answer = self._connection.getresponse()
            raw = answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise
        if answer.headers.get_content_type() != "application/json" or not raw:
            return answer.status, raw
        return answer.status, json.loads(raw)

    def post(self, path: str, data: Mapping[str, Any] | None = None, token: str = "") -> Any:
        """Send what must succeed; return the whole answer."""
        status, body = self.send("POST", path, data or {}, token)
        if status >= 300:  # everything below is a success
            raise AssertionError((path, status, body))
        return body
