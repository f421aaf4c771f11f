"""Parses HTTP into a `Request` by Vault's transport rules, with a limit on everything.

Source: the Vault HTTP API (its documentation, and the behaviour that clients depend on). Verbs map
to operations; query parameters are data on GET, LIST and DELETE; a body is read as a JSON object
whatever its Content-Type, since curl labels JSON as a form.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs, unquote_to_bytes

import msgspec

from ironkeep.core.errors import (
    InvalidRequest,
    NotFound,
    TooLarge,
    UnsupportedMedia,
    UnsupportedOperation,
)
from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.core.text.numbers import MAX_NUMBER, Spelt, whole
from ironkeep.plugin.fields import duration
from ironkeep.plugin.request import Request

MAX_BODY: Final = 32 << 20
"""Vault's default max_request_size."""
MAX_JSON_TOKENS: Final = 100_000
"""Commas and colons in a JSON body. They bound parsing, which blocks the loop, to some 0.1 s and
some 15 MiB: unauthenticated clients can send bodies too."""
MAX_DEPTH: Final = 64
"""Nested objects and lists: deeper documents would overflow recursive code."""
MAX_PARAMETERS: Final = 256
MAX_FORM: Final = 1 << 16
"""Bytes of a form: parsing costs some 60 ns for each byte, and forms are small."""
MAX_TOKEN: Final = 8_192

PREFIX: Final = "/v1/"

_VERBS: Final[Mapping[str, Operation]] = {
    "GET": Operation.READ,
    "HEAD": Operation.READ,
    "LIST": Operation.LIST,
    "POST": Operation.UPDATE,
    "PUT": Operation.UPDATE,
    "PATCH": Operation.PATCH,
    "DELETE": Operation.DELETE,
}
_TRUE: Final = {"1", "t", "T", "true", "TRUE", "True"}
_FALSE: Final = {"0", "f", "F", "false", "FALSE", "False", ""}
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
_SURROGATE: Final = re.compile(r"\\u[dD][89abAB]|\\u[dD][c-fC-F]")


def parse(
    method: str,
    raw_path: bytes,
    query: bytes,
    headers: Mapping[bytes, bytes],
    body: bytes,
    remote: str,
) -> Request:
    """Return the request; raise the error that answers it. Header names are in lower case."""
    op = _VERBS.get(method)
    if op is None:
        raise UnsupportedOperation("")
    path = _path(raw_path)
    parameters = _query(query) if query else {}
    if op is Operation.READ:
        op = _reading(parameters)
    if op is Operation.LIST and not path.endswith("/"):
        path += "/"
    data: dict[str, Any] = {}
    if op in (Operation.READ, Operation.LIST, Operation.DELETE):
        data = {k: v[0] if len(v) == 1 else v for k, v in parameters.items() if k not in _CONTROL}
    elif op is not Operation.HELP:
        kind = headers.get(b"content-type", b"")
        if op is Operation.PATCH and _media_type(kind) != b"application/merge-patch+json":
            raise UnsupportedMedia("a PATCH body is of type application/merge-patch+json")
        data = parse_body(body, kind)
    return Request(op, path, data, **from_headers(headers), remote=remote)


_CONTROL: Final = frozenset({"list", "help"})


def from_headers(headers: Mapping[bytes, bytes]) -> dict[str, Any]:
    """Return the Request fields token, wrap_ttl_seconds and namespace from the headers."""
    token = headers.get(b"x-vault-token", b"").decode("latin-1").strip()
    if not token:
        scheme, _, rest = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        token = rest.strip() if scheme.lower() == "bearer" else ""
    if token and (len(token) > MAX_TOKEN or _TOKEN.fullmatch(token) is None):
        raise InvalidRequest("invalid header value")
    wrap = headers.get(b"x-vault-wrap-ttl", b"").decode("latin-1").strip()
    wrap_ttl = duration(wrap) if wrap else None
    return {
        "token": Secret(token.encode()) if token else None,
        "wrap_ttl_seconds": wrap_ttl or None,
        "namespace": headers.get(b"x-vault-namespace", b"").decode("latin-1"),
    }


def _path(raw_path: bytes) -> str:
    try:
        path = unquote_to_bytes(raw_path).decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequest("the path is not UTF-8") from None
    if not path.startswith(PREFIX) or path == PREFIX:
        raise NotFound("")
    return path[len(PREFIX) :].lstrip("/")


def _query(query: bytes) -> dict[str, list[str]]:
    try:
        return parse_qs(
            query.decode("ascii"),
            keep_blank_values=True,
            max_num_fields=MAX_PARAMETERS,
            errors="strict",
        )
    except ValueError:
        raise InvalidRequest("malformed query") from None


def _reading(parameters: Mapping[str, list[str]]) -> Operation:
    if "help" in parameters:
        return Operation.HELP
    value = parameters.get("list", [""])[0]
    if value in _TRUE:
        return Operation.LIST
    if value in _FALSE:
        return Operation.READ
    raise InvalidRequest("the list parameter takes true or false")


def parse_body(body: bytes, content_type: bytes) -> dict[str, Any]:
    """Return the fields in a body: JSON, or a form if declared so and not shaped like JSON.

    A pushed Security Event Token (RFC 8935) becomes the field `set`.
    """
    text = body.lstrip(b" \t\r\n")
    if not text:
        return {}
    if _media_type(content_type) == b"application/secevent+jwt":
        return {"set": text.rstrip(b" \t\r\n").decode("ascii", "replace")}
    if text[:1] not in b"{[" and _media_type(content_type) == b"application/x-www-form-urlencoded":
        if len(text) > MAX_FORM:
            raise TooLarge(f"a form has at most {MAX_FORM} bytes: send JSON")
        return {k: v[0] if len(v) == 1 else v for k, v in _query(text).items()}
    return parse_json(body)


def _media_type(content_type: bytes) -> bytes:
    return content_type.split(b";")[0].strip().lower()


def _reject_constant(name: str) -> None:
    raise ValueError(name)


_QUICK: Final = msgspec.json.Decoder(dict[str, Any], float_hook=Spelt)
_DECODER: Final = json.JSONDecoder(
    parse_float=Spelt, parse_int=whole, parse_constant=_reject_constant
)
_UNCOMMON: Final = re.compile(
    rb"[:,\[\s](?:-0|-[0-9]{%d}|[0-9]{%d})" % (MAX_NUMBER, MAX_NUMBER + 1)
)
"""Numbers that the quick decoder reads otherwise: zeros with a sign, and those that are refused."""


def parse_json(body: bytes) -> dict[str, Any]:
    """Return the JSON object in body; raise InvalidRequest or TooLarge.

    Numbers keep their exact spelling (a fraction becomes a Spelt), so that a stored number is read
    back as it was written.
    """
    if body.count(b",") + body.count(b":") > MAX_JSON_TOKENS:
        raise TooLarge("the JSON body holds too many values")
    shallow = body.count(b"{") + body.count(b"[") <= MAX_DEPTH
    suspect = len(body) > MAX_NUMBER or b"-0" in body
    if shallow and not (suspect and _UNCOMMON.search(body)):
        try:
            return _QUICK.decode(body)
        except (msgspec.MsgspecError, ValueError):
            pass  # the other decoder knows what is wrong
    return _parse_slowly(body)


def _parse_slowly(body: bytes) -> dict[str, Any]:
    """Return the same for any body, in ten times the time."""
    try:
        text = body.decode("utf-8")
        document = _DECODER.decode(text)
    except RecursionError:
        raise InvalidRequest("the JSON body is nested too deeply") from None
    except ValueError:
        raise InvalidRequest("failed to parse JSON input") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise InvalidRequest("the body is not a JSON object")
    if not _is_shallow(document, MAX_DEPTH):
        raise InvalidRequest("the JSON body is nested too deeply")
    if _SURROGATE.search(text):
        _require_text(document)
    return document


def _is_shallow(value: object, depth: int) -> bool:
    if isinstance(value, dict):
        return depth > 0 and all(_is_shallow(item, depth - 1) for item in value.values())
    if isinstance(value, list):
        return depth > 0 and all(_is_shallow(item, depth - 1) for item in value)
    return True


def _require_text(document: dict[str, Any]) -> None:
    """Raise InvalidRequest when a string contains an unpaired surrogate, which has no UTF-8."""
    try:
        json.dumps(document, ensure_ascii=False, default=str).encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidRequest("the JSON body contains an unpaired surrogate") from None
