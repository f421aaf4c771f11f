"""Configuration of the auth method `jwt`: the trusted issuer and its keys.

    config -> the keys, or the address where they are published
    jwks   -> the key set as last fetched
    tried  -> the time of the last fetch

A login that needs published keys fetches them on a worker; they are then cached. They are fetched
again when they are an hour old or when a token names an unknown key, but at most once in half a
minute, so that tokens with invented key ids cause no load at the issuer.
"""

import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import msgspec
from cryptography import x509

from ironkeep.access.second_person import change_guard
from ironkeep.auth.jwt.keys import (
    ALGORITHMS,
    MAX_DOCUMENT,
    Key,
    keys_of_jwks,
    keys_of_pems,
)
from ironkeep.core.errors import InvalidRequest, NotFound
from ironkeep.core.units import SECOND_NS
from ironkeep.identity.people import made_by
from ironkeep.plugin.call import Call
from ironkeep.plugin.fields import CommaList, FoldedText
from ironkeep.plugin.response import Response
from ironkeep.plugin.token import Made
from ironkeep.store.barrier import Store
from ironkeep.store.record import Codec

FRESH_NS: Final = 3_600 * SECOND_NS
"""Keys older than this are fetched again, so that a key the issuer withdrew stops working."""
STALE_NS: Final = 2 * FRESH_NS
"""Cached keys up to this age are still used while the issuer cannot be reached."""
PAUSE_NS: Final = 30 * SECOND_NS
MAX_URL: Final = 2_048
LOOPBACK: Final = frozenset({"127.0.0.1", "[::1]", "localhost"})

_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(?::\d{1,5})?(?:/[!-\"$-~]*)?",
    re.ASCII,
)
"""A URL without user info, which logs would show, and without a fragment."""


@dataclass(frozen=True)
class ConfigInput:
    """Exactly one of three sources of keys, and rules for all tokens."""

    jwks_url: str = field(default="", metadata={"help": "The https address of the key set."})
    jwks_ca_pem: str = field(default="", metadata={"help": "The only CAs trusted at jwks_url."})
    jwks: Any = field(default="", metadata={"help": "A key set (RFC 7517), pasted."})
    jwt_validation_pubkeys: CommaList = field(default=(), metadata={"help": "Public keys, PEM."})
    bound_issuer: str = field(default="", metadata={"help": "The required iss."})
    jwt_supported_algs: CommaList = field(
        default=(), metadata={"help": "Algorithms; all asymmetric ones if not given."}
    )
    default_role: FoldedText = field(
        default="", metadata={"help": "The role of logins without one."}
    )
    oidc_discovery_url: str = field(default="", metadata={"help": "Not supported."})
    oidc_discovery_ca_pem: str = field(default="", metadata={"help": "Not supported."})
    oidc_client_id: str = field(default="", metadata={"help": "Not supported."})


class Config(msgspec.Struct, frozen=True, omit_defaults=True):
    """The configuration as stored."""

    jwks_url: str = ""
    jwks_ca_pem: str = ""
    jwks: str = ""
    jwt_validation_pubkeys: tuple[str, ...] = ()
    bound_issuer: str = ""
    jwt_supported_algs: tuple[str, ...] = ()
    default_role: str = ""
    made: Made = Made()

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The algorithms allowed."""
        return self.jwt_supported_algs or ALGORITHMS

    @property
    def source(self) -> str:
        """The hash of address and CA: a cached key set from another source is not used."""
        return sha256(f"{self.jwks_url}\0{self.jwks_ca_pem}".encode()).hexdigest()


class Fetched(msgspec.Struct, frozen=True, omit_defaults=True):
    """A fetched key set as stored; `fetched_ns` is POSIX nanoseconds."""

    source: str
    document: str
    fetched_ns: int


class Tried(msgspec.Struct, frozen=True, omit_defaults=True):
    """The last attempt to fetch a key set; `tried_ns` is POSIX nanoseconds."""

    source: str
    tried_ns: int


_CONFIG: Final = Codec(Config)
_FETCHED: Final = Codec(Fetched)
_TRIED: Final = Codec(Tried)


def find_config(call: Call) -> Config | None:
    """Return the configuration, or None."""
    raw = call.store.get("config")
    return None if raw is None else _CONFIG.decode(raw)


def write_config(call: Call, given: ConfigInput) -> Response:
    """Replace the configuration; nothing is fetched before the first login."""
    if given.oidc_discovery_url or given.oidc_client_id:
        raise InvalidRequest("OIDC discovery is not supported: give jwks_url and bound_issuer")
    sources = (given.jwks_url, given.jwks, given.jwt_validation_pubkeys)
    if sum(1 for each in sources if each) != 1:
        raise InvalidRequest(
            "exactly one of 'jwt_validation_pubkeys', 'jwks_url' or 'jwks' must be set"
        )
    unknown = sorted(set(given.jwt_supported_algs) - set(ALGORITHMS))
    if unknown:
        raise InvalidRequest(f"jwt_supported_algs must be among {', '.join(ALGORITHMS)}")
    config = Config(
        jwks_url=given.jwks_url,
        jwks_ca_pem=given.jwks_ca_pem,
        jwks=_pasted(given.jwks),
        jwt_validation_pubkeys=given.jwt_validation_pubkeys,
        bound_issuer=given.bound_issuer,
        jwt_supported_algs=given.jwt_supported_algs,
        default_role=given.default_role,
        # An author of the configuration could have set their own keys and logged in as anybody.
        made=made_by(call.session, call.now_ns),
    )
    if config.jwks_url:
        _check_url(config.jwks_url)
        _check_ca(config.jwks_ca_pem)
    else:
        static_keys(config)
    call.store.put("config", _CONFIG.encode(config))
    text = f"the trusted issuer and keys of {call.mount.path} were changed"
    return change_guard(call, "login-keys", text, weaker=False)


def read_config(call: Call) -> Response:
    """Return the configuration, which holds no secrets."""
    config = find_config(call)
    if config is None:
        raise NotFound("")
    data = msgspec.structs.asdict(config)
    del data["made"]
    return Response(data=data)


def static_keys(config: Config) -> tuple[Key, ...]:
    """Return the configured keys; raise InvalidRequest for invalid ones."""
    if config.jwks:
        return keys_of_jwks(config.jwks)
    return keys_of_pems(config.jwt_validation_pubkeys)


def fetched(call: Call, config: Config) -> Fetched | None:
    """Return the cached key set of this configuration's source, None when absent or too old."""
    raw = _lasting(call).get("jwks")
    found = None if raw is None else _FETCHED.decode(raw)
    if found is None or found.source != config.source:
        return None
    return found if 0 <= call.now_ns - found.fetched_ns < STALE_NS else None


def may_fetch(call: Call, config: Config) -> bool:
    """Return whether a fetch is allowed now; if so, record it as the last attempt.

    Written through `call.account`, so that a refused login does not undo it.
    """
    store = _lasting(call)
    raw = store.get("tried")
    last = None if raw is None else _TRIED.decode(raw)
    if last and last.source == config.source and 0 <= call.now_ns - last.tried_ns < PAUSE_NS:
        return False
    store.put("tried", _TRIED.encode(Tried(config.source, call.now_ns)))
    return True


def keep(call: Call, config: Config, body: bytes) -> bool:
    """Cache a fetched key set; return whether it is valid. A refused login does not undo it."""
    try:
        document = body.decode()
        keys_of_jwks(document)
    except (UnicodeDecodeError, InvalidRequest):
        return False
    found = Fetched(config.source, document, call.now_ns)
    _lasting(call).put("jwks", _FETCHED.encode(found))
    return True


def _lasting(call: Call) -> Store:
    store: Store = call.lasting
    return store


def _pasted(given: Any) -> str:
    text = given if isinstance(given, str) else msgspec.json.encode(given).decode()
    if len(text) > MAX_DOCUMENT:
        raise InvalidRequest(f"a key set has at most {MAX_DOCUMENT} bytes")
    return text


def _check_url(url: str) -> None:
    """Raise InvalidRequest unless keys may be fetched from url."""
    found = _URL.fullmatch(url)
    if len(url) > MAX_URL or found is None:
        raise InvalidRequest("jwks_url must be an address like https://issuer.example/keys")
    if found["scheme"] != "https" and found["host"] not in LOOPBACK:
        raise InvalidRequest("jwks_url must be https: without TLS the keys could be forged")


def _check_ca(pem: str) -> None:
    """Raise InvalidRequest unless pem is empty or holds certificates."""
    try:
        if pem:
            x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise InvalidRequest("jwks_ca_pem must be certificates in PEM") from None
