"""A thin client of the HTTP API: PUT for writes, LIST for lists, errors as exceptions.

It uses the standard library only, because loading httpx takes longer than a whole command should.
It follows no redirect and uses no proxy, so a token goes to the given address only. It does not
retry.
"""

import http.client
import shlex
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from ironkeep.cli.client.connection import Connection, connection_of
from ironkeep.cli.command import Context
from ironkeep.cli.failures import CurlString, Refused, Unreachable
from ironkeep.core.secret import Secret
from ironkeep.core.text.numbers import dumps, loads

MAX_ANSWER: Final = 64 << 20
"""Bytes of an answer: twice the size of the largest request."""

RECEIPT: Final = "X-Ironkeep-Audit"
"""The header with the position of the request's journal entry."""

_MERGE: Final = "application/merge-patch+json"
_PATH_SAFE: Final = "/-_.~:+@!$&'()*,;="
_NOT_FOUND: Final = 404
_WITH_DOCUMENT: Final = frozenset({200, _NOT_FOUND})
_WHERE: Final = "The address comes from -address, VAULT_ADDR, or the default."
_ERROR: Final = 400
_REDIRECT: Final = 300

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: status, body, its JSON document if any, and the receipt of its journal entry."""

    status: int
    body: bytes
    document: Document | None
    receipt: str = ""


class Client:
    """A client of one server, over one connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection: Final = connection
        self._http: http.client.HTTPConnection | None = None

    def read(self, path: str, query: Mapping[str, Any] | None = None) -> Document | None:
        """Return the answer to a read; None when there is no value at path.

        A 404 with data or warnings (of a deleted version) counts as an answer.
        """
        return self.present(self.send("GET", path, query=query), "GET", path)

    def list(self, path: str, query: Mapping[str, Any] | None = None) -> Document | None:
        """Return the answer to a list; None when there are no keys below path."""
        return self.present(self.send("LIST", path, query=query), "LIST", path)

    def write(self, path: str, data: Mapping[str, Any] | None = None) -> Document | None:
        """Write data; return the answer, None if it has no content."""
        return self._require(self.send("PUT", path, data=data or {}), "PUT", path).document

    def patch(self, path: str, data: Mapping[str, Any]) -> Document | None:
        """Merge data into the stored data; return the answer, None if it has no content."""
        return self._require(self.send("PATCH", path, data=data), "PATCH", path).document

    def delete(self, path: str, query: Mapping[str, Any] | None = None) -> Document | None:
        """Delete path; return the answer, None if it has no content."""
        reply = self.send("DELETE", path, query=query)
        return self._require(reply, "DELETE", path).document

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        token: Secret | None = None,
    ) -> Reply:
        """Send one request; return its answer if its status is good or 404, else raise Refused.

        `token` replaces the connection's token. Raises Unreachable without an answer, CurlString
        with -output-curl-string.
        """
        target = f"{self.connection.base}/v1/{quote(path.lstrip('/'), safe=_PATH_SAFE)}"
        if query:
            target += "?" + urlencode(query, doseq=True)
        body = None if data is None else dumps(data).encode()
        headers = self._headers(token, method, body)
        if self.connection.only_print:
            raise CurlString(_curl(self.connection, method, target, headers, body))
        reply = self._exchange(method, target, headers, body)
        self._require_document(reply)
        if reply.status != _NOT_FOUND:
            self._require(reply, method, path)
        return reply

    def close(self) -> None:
        """Close the connection."""
        if self._http is not None:
            self._http.close()

    def _headers(self, token: Secret | None, method: str, body: bytes | None) -> dict[str, str]:
        headers = {"X-Vault-Request": "true"}
        token = token or self.connection.token
        if token is not None:
            headers["X-Vault-Token"] = token.reveal().decode("ascii")
        if self.connection.namespace:
            headers["X-Vault-Namespace"] = self.connection.namespace
        if self.connection.wrap_ttl:
            headers["X-Vault-Wrap-TTL"] = self.connection.wrap_ttl
        if body is not None:
            headers["Content-Type"] = _MERGE if method == "PATCH" else "application/json"
        return headers

    def _exchange(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> Reply:
        if self._http is None:
            self._http = _open(self.connection)
        try:
            self._http.request(method, target, body, dict(headers))
            answer = self._http.getresponse()
            raw = answer.read(MAX_ANSWER + 1)
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(explain(self.connection, error)) from None
        if len(raw) > MAX_ANSWER:
            raise Unreachable(f"the answer is larger than {MAX_ANSWER} bytes")
        return Reply(answer.status, raw, _document(raw), answer.getheader(RECEIPT, ""))

    def present(self, reply: Reply, method: str, path: str) -> Document | None:
        """Return the document of an answer; None for a 404 without words, else raise Refused."""
        document = reply.document
        if reply.status != _NOT_FOUND:
            return document
        if document and (document.get("data") or document.get("warnings")):
            return document
        if document and document.get("errors"):
            self._require(reply, method, path)
        return None

    def _require_document(self, reply: Reply) -> None:
        """Raise Unreachable if a good status comes without JSON: not from a Vault server.

        The answer of a captive portal or another service to `operator seal` or a write would
        otherwise be reported as success.
        """
        if reply.document is None and reply.status in _WITH_DOCUMENT:
            raise Unreachable(
                f"the service at {self.connection.address}{self.connection.base} is not a Vault "
                f"server: status {reply.status} without a JSON document\n{_WHERE}"
            )

    def _require(self, reply: Reply, method: str, path: str) -> Reply:
        """Return reply if its status is good; else raise Refused with the server's errors."""
        if reply.status < _REDIRECT:
            return reply
        request = f"{method} {self.connection.address}{self.connection.base}/v1/{path}"
        if reply.status < _ERROR:
            hint = "The server redirects: set VAULT_ADDR to the active node's address."
            raise Refused(request, reply.status, (), hint)
        errors = (reply.document or {}).get("errors") or []
        texts = [str(error) for error in errors] if isinstance(errors, list) else [str(errors)]
        raise Refused(request, reply.status, texts, _hint(texts))


def connect(context: Context, connection: Connection | None = None) -> Client:
    """Return a client for connection, by default the one of the flags; context closes it."""
    client = Client(connection or connection_of(context.args))
    context.closing.callback(client.close)
    return client


def _open(connection: Connection) -> http.client.HTTPConnection:
    where, seconds = (connection.host, connection.port), connection.timeout_seconds
    if connection.tls is None:
        return http.client.HTTPConnection(*where, timeout=seconds)
    return http.client.HTTPSConnection(*where, timeout=seconds, context=connection.tls)


def _document(raw: bytes) -> Document | None:
    try:
        document = loads(raw)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def explain(connection: Connection, error: Exception) -> str:
    """Return the reason why connection got no answer, with a hint."""
    address = connection.address
    reason = str(getattr(error, "strerror", None) or type(error).__name__)
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = (
            f"its certificate is not trusted ({error.verify_message}). Give the CA that signed it "
            "with -ca-cert=FILE or VAULT_CACERT"
        )
    elif isinstance(error, ssl.SSLError):
        hint = (
            f"no TLS ({error.reason}). If the server speaks plain HTTP, set "
            f"VAULT_ADDR=http://{address.partition('://')[2]}; if it requires a client "
            "certificate, give -client-cert and -client-key"
        )
    elif isinstance(error, http.client.HTTPException | ConnectionResetError):
        hint = "no HTTP answer. If the server speaks TLS, its address starts with https://"
    elif isinstance(error, TimeoutError):
        hint = f"no answer within {connection.timeout_seconds or 0:g} seconds"
    else:
        hint = f"{reason}. Is the server running there?"
    return f"cannot reach {address}: {hint}\n{_WHERE}"


def _hint(errors: list[str]) -> str:
    """Return a hint for a common error; "" for any other."""
    text = " ".join(errors)
    if "missing client token" in text:
        return "Log in with `ironkeep login`, or set VAULT_TOKEN."
    if "Vault is sealed" in text:
        return "Unseal it with `ironkeep operator unseal`."
    if "is not initialized" in text:
        return "Initialise it with `ironkeep operator init`."
    if "permission denied" in text:
        return "`ironkeep token capabilities PATH` shows what your token may do."
    return ""


def _curl(
    connection: Connection,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes | None,
) -> str:
    """Return the request as a curl command that takes the token from the shell's variable."""
    words = ["curl"] if method == "GET" else ["curl", "-X", method]
    for name, value in headers.items():
        if name == "X-Vault-Token":
            words += ["-H", '"X-Vault-Token: $VAULT_TOKEN"']
        else:
            words += ["-H", shlex.quote(f"{name}: {value}")]
    if body is not None:
        words += ["-d", shlex.quote(body.decode())]
    return " ".join([*words, shlex.quote(connection.address + target)])
