"""Configuration of the auth method `jwt`: whose signatures are believed.

    config -> the keys, or where they are published
    jwks   -> the key set as it was last fetched
    tried  -> when it was last asked for

Published keys are fetched by a login that needs them, on a worker, and kept. They are fetched again
when they are an hour old, or when a token names a key that is not among them, but never twice in
half a minute: who sends tokens with invented key ids makes nobody work.
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
"""Keys older than this are fetched again: one that the issuer withdrew is out of force by then."""
STALE_NS: Final = 2 * FRESH_NS
"""Until then the old ones are believed while the issuer cannot be asked."""
PAUSE_NS: Final = 30 * SECOND_NS
MAX_URL: Final = 2_048
LOOPBACK: Final = frozenset({"127.0.0.1", "[::1]", "localhost"})

_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(?::\d{1,5})?(?:/[!-\"$-~]*)?",
    re.ASCII,
)
"""Without a user, whom logs would show, and without a fragment."""


@dataclass(frozen=True)
class ConfigInput:
    """Whose signatures are believed: exactly one of three sources."""

    jwks_url: str = field(default="", metadata={"help": "Where keys are published, https."})
    jwks_ca_pem: str = field(default="", metadata={"help": "The only CAs trusted at jwks_url."})
    jwks: Any = field(default="", metadata={"help": "A key set (RFC 7517), pasted."})
    jwt_validation_pubkeys: CommaList = field(default=(), metadata={"help": "Public keys, PEM."})
    bound_issuer: str = field(default="", metadata={"help": "What iss must be."})
    jwt_supported_algs: CommaList = field(
        default=(), metadata={"help": "Algorithms; all asymmetric ones if not given."}
    )
    default_role: FoldedText = field(default="", metadata={"help": "Of logins that name none."})
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
        """What a fetched key set belongs to: another address or CA has nothing to do with it."""
        return sha256(f"{self.jwks_url}\0{self.jwks_ca_pem}".encode()).hexdigest()


class Fetched(msgspec.Struct, frozen=True, omit_defaults=True):
    """A key set as it was published; `fetched_ns` is POSIX nanoseconds."""

    source: str
    document: str
    fetched_ns: int


class Tried(msgspec.Struct, frozen=True, omit_defaults=True):
    """When a key set was last asked for."""

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
        raise InvalidRequest(f"jwt_supported_algs are of {', '.join(ALGORITHMS)}")
    config = Config(
        jwks_url=given.jwks_url,
        jwks_ca_pem=given.jwks_ca_pem,
        jwks=_pasted(given.jwks),
        jwt_validation_pubkeys=given.jwt_validation_pubkeys,
        bound_issuer=given.bound_issuer,
        jwt_supported_algs=given.jwt_supported_algs,
        default_role=given.default_role,
        # Whose keys are believed decides who may log in as anybody.
        made=made_by(call.session, call.now_ns),
    )
    if config.jwks_url:
        _check_url(config.jwks_url)
        _check_ca(config.jwks_ca_pem)
    else:
        static_keys(config)
    call.store.put("config", _CONFIG.encode(config))
    text = f"whose signed tokens log in at {call.mount.path} was changed"
    return change_guard(call, "login-keys", text, weaker=False)


def read_config(call: Call) -> Response:
    """Return the configuration; there are no secrets in it."""
    config = find_config(call)
    if config is None:
        raise NotFound("")
    data = msgspec.structs.asdict(config)
    del data["made"]
    return Response(data=data)


def static_keys(config: Config) -> tuple[Key, ...]:
    """Return the keys that stand in the configuration; raise InvalidRequest for bad ones."""
    if config.jwks:
        return keys_of_jwks(config.jwks)
    return keys_of_pems(config.jwt_validation_pubkeys)


def fetched(call: Call, config: Config) -> Fetched | None:
    """Return the key set as last fetched from where config says, unless it is too old."""
    raw = _lasting(call).get("jwks")
    found = None if raw is None else _FETCHED.decode(raw)
    if found is None or found.source != config.source:
        return None
    return found if 0 <= call.now_ns - found.fetched_ns < STALE_NS else None


def may_fetch(call: Call, config: Config) -> bool:
    """Return whether the issuer may be asked now; if so it counts as asked."""
    store = _lasting(call)
    raw = store.get("tried")
    last = None if raw is None else _TRIED.decode(raw)
    if last and last.source == config.source and 0 <= call.now_ns - last.tried_ns < PAUSE_NS:
        return False
    store.put("tried", _TRIED.encode(Tried(config.source, call.now_ns)))
    return True


def keep(call: Call, config: Config, body: bytes) -> bool:
    """Keep a key set that was fetched; answer whether it is one. A refusal does not undo it."""
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
    """Raise InvalidRequest unless url is one that keys may be fetched from."""
    found = _URL.fullmatch(url)
    if len(url) > MAX_URL or found is None:
        raise InvalidRequest("jwks_url is an address like https://issuer.example/keys")
    if found["scheme"] != "https" and found["host"] not in LOOPBACK:
        raise InvalidRequest("jwks_url is https: whoever stands between could forge the keys")


def _check_ca(pem: str) -> None:
    """Raise InvalidRequest unless pem is empty or holds certificates."""
    try:
        if pem:
            x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise InvalidRequest("jwks_ca_pem is no PEM of certificates") from None
