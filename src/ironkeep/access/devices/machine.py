"""Tokens of machines: short-lived, and usable only by the machine that logged in.

A machine can present its platform's statement about it (a signed token, a certificate) as often as
it needs, so it never needs a lasting credential. Source: RFC 8705, section 3, for binding a token
to the key of a client certificate.
"""

from dataclasses import replace
from typing import Final

from ironkeep.access.devices.devices import Devices
from ironkeep.core.errors import InvalidRequest, PermissionDenied
from ironkeep.identity.token_params import TokenParams
from ironkeep.plugin.call import Call
from ironkeep.plugin.peer import Peer, vouched
from ironkeep.plugin.token import TokenSpec

MACHINE_SECONDS: Final = 15 * 60
"""The longest life of a machine's token, renewals included, and so the longest use of a copy. It is
about the life of the shortest platform credentials (Kubernetes gives ten minutes at the least)."""

REQUIRED: Final = "required"
OFFERED: Final = "offered"
"""Values of a role's `token_bound_peer`: REQUIRED gives no token without a client certificate,
OFFERED binds the token to one if it is presented."""


def check_bound_peer(value: str) -> None:
    """Raise InvalidRequest unless value is one of `token_bound_peer`."""
    if value not in {REQUIRED, OFFERED}:
        raise InvalidRequest(f"token_bound_peer is {REQUIRED!r} or {OFFERED!r}")


def check_machine(params: TokenParams) -> None:
    """Raise InvalidRequest for parameters of tokens that would outlive `MACHINE_SECONDS`."""
    if params.token_period:
        raise InvalidRequest(
            "tokens of machines are not periodic: the machine logs in again when it needs to"
        )
    lengths = (params.token_ttl, params.token_max_ttl, params.token_explicit_max_ttl)
    if max(lengths) > MACHINE_SECONDS:
        raise InvalidRequest(
            f"a machine's token lives at most {MACHINE_SECONDS} seconds: it logs in again"
        )


def shortened(spec: TokenSpec) -> TokenSpec:
    """Return spec limited so that no renewal keeps the token alive past `MACHINE_SECONDS`."""
    longest = min(spec.max_ttl_seconds or MACHINE_SECONDS, MACHINE_SECONDS)
    seconds = min(spec.ttl_seconds or longest, longest)
    return replace(spec, ttl_seconds=seconds, max_ttl_seconds=longest, period_seconds=0)


def bound(call: Call, spec: TokenSpec, rule: str) -> TokenSpec:
    """Return spec bound to the key of the caller's client certificate, if there is one.

    A device's token is bound to the device instead (House.issue), because the keys of its
    certificates change. Raise PermissionDenied if rule is `REQUIRED` and no CA that the vault
    trusts vouches for a certificate.
    """
    peer = call.request.peer
    if rule == REQUIRED and (peer is None or not _is_vouched(call, peer)):
        raise PermissionDenied(
            "this role gives tokens only over a connection with a client certificate of a CA that "
            "the vault trusts"
        )
    if peer is None:
        return spec
    return spec if is_device(call, peer) else replace(spec, peer=peer.key)


def _is_vouched(call: Call, peer: Peer) -> bool:
    """Return whether a CA of a listener, of a role or of devices vouches for a certificate.

    Without such a CA the certificate proves nothing: anybody can make one for their own key.
    """
    authorities = (*call.use(Devices).client_cas, *call.use(Devices).trusted(call.account))
    return vouched(peer, authorities, call.now_ns)


def is_device(call: Call, peer: Peer) -> bool:
    """Return whether the other end is an enrolled device; login.py has refused all others."""
    return call.use(Devices).device_of(call.account, peer, call.now_ns) is not None
