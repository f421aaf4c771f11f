"""Tokens of machines: short, and good only from the machine that logged in.

A machine shows what its platform says of it (a signed token, a certificate) as often as it likes,
so it never needs a credential that lasts. Source: RFC 8705, section 3, for binding a token to the
key of a client certificate.
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
"""The longest life of a machine's token, renewals included: the life of the shortest platform
credentials in use (Kubernetes gives ten minutes at the least), and what a copy is worth at most."""

REQUIRED: Final = "required"
OFFERED: Final = "offered"
"""Values of a role's `token_bound_peer`: no token without a client certificate, or bound if there
is one."""


def check_bound_peer(value: str) -> None:
    """Raise InvalidRequest unless value is one of `token_bound_peer`."""
    if value not in {REQUIRED, OFFERED}:
        raise InvalidRequest(f"token_bound_peer is {REQUIRED!r} or {OFFERED!r}")


def check_machine(params: TokenParams) -> None:
    """Raise InvalidRequest for token parameters that would outlive `MACHINE_SECONDS`."""
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
    """Return spec for a token that no renewal keeps alive past `MACHINE_SECONDS`."""
    longest = min(spec.max_ttl_seconds or MACHINE_SECONDS, MACHINE_SECONDS)
    seconds = min(spec.ttl_seconds or longest, longest)
    return replace(spec, ttl_seconds=seconds, max_ttl_seconds=longest, period_seconds=0)


def bound(call: Call, spec: TokenSpec, rule: str) -> TokenSpec:
    """Return spec bound to the key of the caller's client certificate, if there is one.

    A device's token is bound to the device instead (House.issue): its certificates' keys change.
    Raise PermissionDenied when rule is `REQUIRED` and there is none, or as `is_device`.
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

    Anybody has a certificate of their own making: that the key is held says nothing of who it is.
    """
    authorities = (*call.use(Devices).client_cas, *call.use(Devices).trusted(call.account))
    return vouched(peer, authorities, call.now_ns)


def is_device(call: Call, peer: Peer) -> bool:
    """Return whether the other end is an enrolled device; the pipeline refused unwelcome ones."""
    return call.use(Devices).device_of(call.account, peer, call.now_ns) is not None
