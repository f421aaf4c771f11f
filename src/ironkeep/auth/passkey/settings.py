"""The settings of a passkey mount: relying party, requirements on authenticators, recovery.

    config -> the settings
    challenges -> the HMAC key of challenges

The relying party is shared by the whole vault, because the same authenticators sign step-ups and
approvals. A new `rp_id` would make every authenticator useless, so it can be set only once.
"""

import re
from dataclasses import dataclass, field
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from ironkeep.access.second_person import change_guard, waits
from ironkeep.access.step_up.authenticators import Authenticators
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.ids import EntityId
from ironkeep.core.units import SECOND_NS
from ironkeep.core.webauthn.webauthn import Demands, Party
from ironkeep.plugin.call import Call
from ironkeep.plugin.fields import CommaList, Duration
from ironkeep.plugin.response import Response
from ironkeep.store.record import Codec

MAX_ORIGINS: Final = 16
MAX_MODELS: Final = 256
MAX_ROOTS: Final = 32
MAX_HOST: Final = 253
MIN_QUORUM: Final = 2
"""People other than the one recovered; a single one could be the attacker."""
MIN_DELAY: Final = 60 * 60
"""Seconds in which the person or their team can notice a false recovery and stop it."""
DEFAULT_DELAY: Final = 24 * 60 * 60
MAX_DELAY: Final = 30 * 24 * 60 * 60
KEY_BYTES: Final = 32

_ORIGIN: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9]([a-z0-9.-]*[a-z0-9])?)(:[1-9][0-9]{0,4})?", re.ASCII
)
"""An origin as browsers write it, so without a default port."""


class PasskeySettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """The settings; `privileged` holds the demands on privileged people's authenticators."""

    for_all: Demands = Demands()
    privileged: Demands = Demands(device_bound=True)
    recovery_quorum: int = MIN_QUORUM
    recovery_delay_seconds: int = DEFAULT_DELAY

    def demands(self, *, privileged: bool) -> Demands:
        """Return the demands on a person's authenticators."""
        return self.privileged if privileged else self.for_all

    @property
    def delay_ns(self) -> int:
        """The delay of a recovery after its last needed approval, in nanoseconds."""
        return self.recovery_delay_seconds * SECOND_NS


_SETTINGS: Final = Codec(PasskeySettings)


@dataclass(frozen=True)
class ConfigInput:
    """The settings that a request changes; None leaves a setting as it is."""

    rp_id: str | None = field(
        default=None, metadata={"help": "The host name that passkeys belong to; set once."}
    )
    origins: CommaList | None = field(
        default=None, metadata={"help": "The exact origins of the pages, https://host[:port]."}
    )
    attestation: str | None = field(
        default=None, metadata={"help": "none or packed, for everybody's authenticators."}
    )
    privileged_attestation: str | None = field(
        default=None, metadata={"help": "none or packed, for privileged people's authenticators."}
    )
    aaguids: CommaList | None = field(
        default=None, metadata={"help": "Models that privileged people may use; empty for all."}
    )
    roots: str | None = field(
        default=None, metadata={"help": "PEM of the manufacturers' roots, for packed."}
    )
    recovery_quorum: int | None = field(
        default=None, metadata={"help": "Other people who must approve a recovery, at least 2."}
    )
    recovery_delay: Duration | None = field(
        default=None, metadata={"help": "The delay after the last needed approval, at least 1h."}
    )


def settings(call: Call) -> PasskeySettings:
    """Return the settings."""
    raw = call.store.get("config")
    return PasskeySettings() if raw is None else _SETTINGS.decode(raw)


def write_config(call: Call, given: ConfigInput) -> Response:
    """Change the settings that are given; later changes need another person's approval.

    The settings decide how many people recover an account, and at which origins authenticators
    sign.
    """
    party_before, party = _party(call, given)
    before = settings(call)
    roots = before.privileged.roots if given.roots is None else _roots(given.roots)
    after = PasskeySettings(
        _demands(before.for_all, given.attestation, None, roots),
        _demands(before.privileged, given.privileged_attestation, given.aaguids, roots),
        _within(given.recovery_quorum, before.recovery_quorum, MIN_QUORUM, 16, "recovery_quorum"),
        _within(
            given.recovery_delay,
            before.recovery_delay_seconds,
            MIN_DELAY,
            MAX_DELAY,
            "recovery_delay",
        ),
    )
    if party_before.rp_id and (after, party) != (before, party_before):
        text = f"the settings of {call.mount.path} were changed"
        waiting = change_guard(call, "passkey-config", text, weaker=True)
        if waits(waiting):
            return waiting
    if party != party_before:
        call.use(Authenticators).set_party(call.tx, party)
    call.store.put("config", _SETTINGS.encode(after))
    if call.store.get("challenges") is None:
        call.store.put("challenges", call.entropy.token(KEY_BYTES))
    return Response()


def read_config(call: Call) -> Response:
    """Return the settings."""
    found = settings(call)
    party = call.use(Authenticators).party(call.tx)
    return Response(
        data={
            "rp_id": party.rp_id,
            "origins": list(party.origins),
            "attestation": found.for_all.attestation,
            "privileged_attestation": found.privileged.attestation,
            "aaguids": list(found.privileged.aaguids),
            "roots": len(found.privileged.roots),
            "recovery_quorum": found.recovery_quorum,
            "recovery_delay": found.recovery_delay_seconds,
        }
    )


def challenge_key(call: Call) -> bytes:
    """Return the HMAC key of challenges; raise InvalidRequest before the mount is configured."""
    raw: bytes | None = call.store.get("challenges")
    if raw is None:
        raise InvalidRequest("passkeys are not configured at this mount: write config first")
    return raw


def handle_of(entity: EntityId) -> bytes:
    """Return the WebAuthn user handle of an entity: an opaque id, which reveals no name."""
    return entity.encode()


def _party(call: Call, given: ConfigInput) -> tuple[Party, Party]:
    """Return the relying party before and after the request's changes."""
    try:
        before = call.use(Authenticators).party(call.tx)
    except InvalidRequest:
        before = Party("", ())
    party = Party(
        before.rp_id if given.rp_id is None else given.rp_id,
        before.origins if given.origins is None else given.origins,
    )
    if before.rp_id and party.rp_id != before.rp_id:
        raise InvalidRequest("rp_id is already set: another would make every passkey useless")
    _check_party(party)
    return before, party


def _check_party(party: Party) -> None:
    host = party.rp_id
    if len(host) > MAX_HOST or _ORIGIN.fullmatch(f"https://{host}") is None:
        raise InvalidRequest("rp_id must be a host name in lower case, like vault.example.com")
    if not 1 <= len(party.origins) <= MAX_ORIGINS:
        raise InvalidRequest(
            f"give 1 to {MAX_ORIGINS} origins, like https://vault.example.com:8200"
        )
    for origin in party.origins:
        _check_origin(origin, host)


def _check_origin(origin: str, rp_id: str) -> None:
    parts = _ORIGIN.fullmatch(origin)
    local = parts is not None and parts["scheme"] == "http" and parts["host"] == "localhost"
    if parts is None or not (parts["scheme"] == "https" or local):
        raise InvalidRequest(f"{origin!r} is not an origin like https://host[:port]")
    host = parts["host"]
    if host != rp_id and not host.endswith(f".{rp_id}"):
        raise InvalidRequest(f"{origin!r} is neither at the host {rp_id} nor below it")


def _demands(
    before: Demands, attestation: str | None, aaguids: CommaList | None, roots: tuple[bytes, ...]
) -> Demands:
    chosen = before.attestation if attestation is None else attestation
    models = before.aaguids if aaguids is None else tuple(each.lower() for each in aaguids)
    if chosen not in {"none", "packed"}:
        raise InvalidRequest("an attestation is either none or packed")
    if chosen == "packed" and not roots:
        raise InvalidRequest("packed attestation proves nothing without the manufacturers' roots")
    if models and chosen != "packed":
        raise InvalidRequest("aaguids prove nothing without packed attestation: set that too")
    if len(models) > MAX_MODELS:
        raise InvalidRequest(f"at most {MAX_MODELS} models")
    packed = chosen == "packed"
    return msgspec.structs.replace(
        before, attestation="packed" if packed else "none", aaguids=models, roots=roots
    )


def _roots(pem: str) -> tuple[bytes, ...]:
    if not pem.strip():
        return ()
    try:
        found = x509.load_pem_x509_certificates(pem.encode())
    except (ValueError, UnicodeError):
        raise InvalidRequest("roots must be certificates in PEM") from None
    if len(found) > MAX_ROOTS:
        raise InvalidRequest(f"at most {MAX_ROOTS} roots")
    return tuple(sorted(_der(each) for each in found))


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def _within(given: int | None, before: int, least: int, most: int, name: str) -> int:
    if given is None:
        return before
    if not least <= given <= most:
        raise InvalidRequest(f"{name} must be {least} to {most}")
    return given
