"""A device that is turned away is not "no device": it ends every login, by every auth method."""

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec
import pytest

from ironkeep.app import PLUGINS
from ironkeep.core.errors import DeviceRefused
from ironkeep.core.ids import DeviceId, MountAccessor, MountUuid
from ironkeep.engines.system.mounts import AUTH_TYPES
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.peer import Peer
from ironkeep.plugin.route import Route
from tests.support.devices.device_estate import PASSWORD, DeviceEstate
from tests.support.devices.soft_device import SoftDevice

LOGINS: Final = [
    (kind, route)
    for kind in sorted(AUTH_TYPES)
    for route in PLUGINS[kind].routes(Mount("", kind, MountUuid(""), MountAccessor("")))
    if route.login or route.open
]
"""All that auth methods take without a token: a ticket, a challenge and a touch lead to a login."""


def revoked(e: DeviceEstate, device: SoftDevice) -> None:
    e.decide("revoke", device)


def late(e: DeviceEstate, _device: SoftDevice) -> None:
    e.vault.clock.advance(seconds=20 * 60 + 1)


def changed(**fields: Any) -> Callable[[DeviceEstate, SoftDevice], None]:
    def change(e: DeviceEstate, device: SoftDevice) -> None:
        house = e.vault.house
        tx = house.state.begin()
        record = house.features.devices.get(tx, DeviceId(device.id))
        assert record is not None
        house.features.devices.put(tx, msgspec.structs.replace(record, **fields))
        tx.merge()
        e.vault.flush()

    return change


ENDS: Final = {
    "revoked": revoked,
    "certificate ended": late,
    "until passed": changed(expires_ns=1),
    "posture lost": changed(posture_ok=False, findings=("the disk is not encrypted",)),
    "fallen silent": changed(posture_until_ns=1),
    "pending": changed(state="pending"),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_login_over_an_unwelcome_device_is_refused_and_told(end: str) -> None:
    e = DeviceEstate()
    device = e.active("ann")
    peer = e.peer(device)
    assert e.login("ann", peer)
    ENDS[end](e, device)
    sent = {"password": PASSWORD}
    reply = e.vault.write("auth/userpass/login/ann", sent, token=None, peer=peer)
    assert reply.error is DeviceRefused
    alerts = [each for _, each in e.vault.house.audit_reader().entries() if each.op == "alert"]
    assert alerts[-1].audited["alert"] == "device-refused"
    assert alerts[-1].device == device.id
    assert e.login("ann")


def unknown(peer: Peer) -> Peer:
    """Return the same certificate, as it would be of a device that is not there."""
    return msgspec.structs.replace(peer, device=DeviceId("00000000-0000-4000-8000-000000000000"))


@pytest.mark.parametrize(
    ("kind", "route"), LOGINS, ids=lambda value: getattr(value, "pattern", value)
)
def test_every_login_route_asks_before_anything_else(kind: str, route: Route) -> None:
    e = DeviceEstate(PLUGINS)
    if kind not in {"token", "userpass"}:
        e.write(f"sys/auth/{kind}", {"type": kind})
    device = e.active("ann")
    peer = e.peer(device)
    path = f"auth/{kind}/" + re.sub(r"\{\w+(\.\.\.)?\}", "x", route.pattern)
    for each in (unknown(peer), msgspec.structs.replace(peer, until_ns=1)):
        reply = e.vault.request(route.op, path, {}, token=None, peer=each)
        assert reply.error is DeviceRefused
    e.decide("revoke", device)
    assert e.vault.request(route.op, path, {}, token=None, peer=peer).error is DeviceRefused


def test_a_certificate_of_another_house_names_none_of_ours() -> None:
    e = DeviceEstate()
    peer = e.peer(e.active("ann"))
    forged = msgspec.structs.replace(peer, certificate=b"another authority's")
    assert (
        e.vault.write(
            "auth/userpass/login/ann", {"password": PASSWORD}, token=None, peer=forged
        ).error
        is DeviceRefused
    )
    elsewhere = msgspec.structs.replace(forged, device=DeviceId("x"), domain="elsewhere.example")
    assert e.login("ann", elsewhere)
