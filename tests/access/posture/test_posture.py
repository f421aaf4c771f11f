"""device/posture over a whole house: what a report brings, and what of it is not believed."""

from typing import Any, Final

import msgspec
import pytest

from ironkeep.access.posture.state import Exemption, PostureState, excused_now
from ironkeep.core.device import posture_report, posture_rules
from ironkeep.core.device.posture_report import Report, Software
from ironkeep.core.errors import (
    DeviceRefused,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    TooLarge,
)
from ironkeep.core.ids import DeviceId
from ironkeep.core.operation import Operation
from ironkeep.plugin.peer import Peer
from ironkeep.testing.parts import part, tables, text
from ironkeep.testing.vault import Reply
from tests.support.devices.device_estate import DeviceEstate
from tests.support.devices.soft_device import SoftDevice

PLEX_2022: Final = Software(
    src="programs", name="Plex Media Server", version="1.16.5.1488-deeb86e7f",
    publisher="Plex, Inc.", running=True,
)  # fmt: skip
PLEX_NOW: Final = msgspec.structs.replace(PLEX_2022, version="1.42.2.10156-f737b826c")


@pytest.fixture
def estate() -> DeviceEstate:
    return DeviceEstate()


def nonce_for(estate: DeviceEstate, device: SoftDevice) -> str:
    estate.vault.clock.advance(seconds=1)
    nonce: str = estate.write("device/posture/nonce", {"id": device.id}, token=None)["nonce"]
    return nonce


def said(device: SoftDevice, nonce: str, **changes: Any) -> bytes:
    report = msgspec.json.decode(device.report(nonce), type=Report)
    return posture_report.encode(msgspec.structs.replace(report, **changes))


def signed(device: SoftDevice, raw: bytes, by: SoftDevice | None = None) -> dict[str, str]:
    signature = (by or device).sign(posture_report.signed_bytes(raw))
    return {"id": device.id, "report": raw.decode(), "signature": signature}


def tell(estate: DeviceEstate, device: SoftDevice, **changes: Any) -> Any:
    raw = said(device, nonce_for(estate, device), **changes)
    return estate.write("device/posture/report", signed(device, raw), token=None)


def try_(estate: DeviceEstate, body: dict[str, Any], peer: Peer | None = None) -> Reply:
    return estate.refused("device/posture/report", body, token=None, peer=peer)


def alerts(estate: DeviceEstate, kind: str) -> list[str]:
    house = estate.vault.house
    tx = house.state.begin()
    found = [house.features.alerts.get(tx, number) for number in house.features.alerts.names(tx)]
    return [each.device for each in found if each and each.kind == kind]


def test_the_plex_machine_of_2022_is_refused_and_comes_back_when_mended(
    estate: DeviceEstate,
) -> None:
    device = estate.active("ann")
    peer = estate.peer(device)
    token = estate.login("ann", peer)
    estate.write("secret/data/x", {"data": {"a": "b"}}, token=token, peer=peer)

    answer = tell(estate, device, software=(PLEX_2022,))
    assert answer["compliant"] is False
    refused = estate.vault.read("secret/data/x", token=token, peer=peer)
    assert refused.error is DeviceRefused
    (words,) = refused.errors
    for said in (
        "Plex Media Server 1.16.5.1488-deeb86e7f is installed on this computer, and it is running",
        "it is too old",
        "fixed since version 1.19.3 (CVE-2020-5741, known to be used by attackers)",
        "https://www.plex.tv/media-server-downloads/",
        "Access returns by itself with the first report",
    ):
        assert said in words
    assert alerts(estate, "posture-lost") == [device.id]
    # Nor does it get a certificate, whose request carries the same report.
    device.software = (PLEX_2022,)
    with pytest.raises(AssertionError, match="Plex Media Server"):
        estate.peer(device)

    assert tell(estate, device, software=(PLEX_NOW,))["compliant"] is True
    assert estate.vault.read("secret/data/x", token=token, peer=peer).error is None


def test_an_agent_that_falls_silent_loses_trust(estate: DeviceEstate) -> None:
    device = estate.active("ann")
    peer = estate.peer(device)
    token = estate.login("ann", peer)
    rules = msgspec.structs.replace(rules_in_force(estate), max_age_s=900)
    put_rules(estate, rules)
    tell(estate, device)
    estate.vault.clock.advance(seconds=899)
    assert estate.vault.read("auth/token/lookup-self", token=token, peer=peer).error is None
    estate.vault.clock.advance(seconds=1)
    refused = estate.vault.read("auth/token/lookup-self", token=token, peer=peer)
    assert refused.error is DeviceRefused
    assert "is too old" in refused.errors[0]


def rules_in_force(estate: DeviceEstate) -> posture_rules.Rules:
    return posture_rules.decode(
        text(estate.vault.read("device/posture/rules").data, "rules").encode()
    )


def put_rules(estate: DeviceEstate, rules: posture_rules.Rules) -> None:
    estate.write("device/posture/rules", {"rules": posture_rules.encode(rules).decode()})


def test_a_verdict_and_an_exception_of_the_future_have_ended(estate: DeviceEstate) -> None:
    """An earlier release stored them while the clock was 400 days ahead."""
    device = estate.active("ann")
    token, peer = estate.login("ann", estate.peer(device)), estate.peer(device)
    house, now = estate.vault.house, estate.vault.clock.now_ns()
    ahead = now + 400 * 86_400 * 10**9
    tx = house.state.begin()
    record = house.features.devices.get(tx, DeviceId(device.id))
    assert record is not None
    after = msgspec.structs.replace(record, posture_ok=True, posture_until_ns=ahead)
    house.features.devices.put(tx, after)
    tx.merge()
    estate.vault.flush()
    refused = estate.vault.request(Operation.READ, "auth/token/lookup-self", token=token, peer=peer)
    assert refused.error is DeviceRefused
    excused = {"old": Exemption("x", "y", ahead), "new": Exemption("x", "y", now + 10**9)}
    assert list(excused_now(PostureState(excused=excused), now)) == ["new"]


def test_a_report_counts_once(estate: DeviceEstate) -> None:
    device = estate.active("ann")
    good = signed(device, said(device, nonce_for(estate, device)))
    estate.write("device/posture/report", good, token=None)
    tell(estate, device, software=(PLEX_2022,))
    replayed = try_(estate, good)
    assert replayed.error is PermissionDenied
    assert "nonce was used" in replayed.errors[0]
    assert estate.vault.read(f"device/posture/devices/{device.id}").data["compliant"] is False


def test_an_older_nonce_and_an_expired_one_are_worth_nothing(estate: DeviceEstate) -> None:
    device = estate.active("ann")
    kept = signed(device, said(device, nonce_for(estate, device)))
    tell(estate, device)
    assert try_(estate, kept).error is PermissionDenied
    late = signed(device, said(device, nonce_for(estate, device)))
    estate.vault.clock.advance(seconds=300)
    assert "not fresh" in try_(estate, late).errors[0]


def test_what_was_altered_or_signed_by_another_is_refused_and_told(estate: DeviceEstate) -> None:
    device, other = estate.active("ann"), estate.active("bob")
    nonce = nonce_for(estate, device)
    bad = said(device, nonce, software=(PLEX_2022,))
    honest = signed(device, bad)
    mended = bad.replace(b"1.16.5.1488", b"1.99.5.1488")
    for body in (
        {**honest, "report": mended.decode()},
        {**honest, "id": other.id},
        signed(device, bad, by=other),
        {**honest, "signature": device.sign(bad)},  # without the context
        {**honest, "signature": ""},
        {**honest, "signature": honest["signature"][:-4]},
    ):
        assert try_(estate, body).error is PermissionDenied
    assert set(alerts(estate, "posture-forged")) == {device.id, other.id}
    # None of it used up the device's nonce.
    estate.write("device/posture/report", honest, token=None)


def test_another_devices_report_nonce_and_connection_are_refused(estate: DeviceEstate) -> None:
    device, other = estate.active("ann"), estate.active("bob")
    theirs = said(other, nonce_for(estate, other))
    assert "another device" in try_(estate, signed(device, theirs)).errors[0]
    stolen = said(device, nonce_for(estate, other))
    assert "not fresh" in try_(estate, signed(device, stolen)).errors[0]
    own = signed(device, said(device, nonce_for(estate, device)))
    assert try_(estate, own, peer=estate.peer(other)).error is PermissionDenied


def test_a_device_that_is_not_in_is_not_judged(estate: DeviceEstate) -> None:
    device = estate.pending("ann")
    body = signed(device, said(device, nonce_for(estate, device)))
    assert try_(estate, body).error is DeviceRefused
    stranger = SoftDevice()
    stranger.id = "00000000-0000-4000-8000-000000000000"
    body = signed(stranger, said(stranger, nonce_for(estate, stranger)))
    assert try_(estate, body).error is PermissionDenied


def test_what_is_no_report_is_refused(estate: DeviceEstate) -> None:
    device = estate.active("ann")
    for report in (
        "", "{}", "null", "[" * 5_000, "\ud800", "{\x00}", "\u202e{}", '{"v":1}', "x" * 196_608,
    ):  # fmt: skip
        raw = report.encode("utf-8", "surrogatepass")
        signature = device.sign(posture_report.signed_bytes(raw))
        body = {"id": device.id, "report": report, "signature": signature}
        assert try_(estate, body).error is InvalidRequest
    assert not estate.vault.defects


def test_what_is_sent_is_bounded(estate: DeviceEstate) -> None:
    device = estate.active("ann")
    huge = {"id": device.id, "report": "x" * (posture_report.MAX_REPORT + 1), "signature": ""}
    assert try_(estate, huge).error is TooLarge
    for field in ("id", "signature"):
        body = {**signed(device, said(device, nonce_for(estate, device))), field: "A" * 1_000_000}
        assert try_(estate, body).error in (InvalidRequest, PermissionDenied)
    rules = {"rules": " " * (posture_rules.MAX_RULES_BYTES + 1)}
    assert estate.refused("device/posture/rules", rules).error is TooLarge


def test_a_switch_flipped_once_a_day_buys_no_other_day(estate: DeviceEstate) -> None:
    device = estate.active("ann")
    assert tell(estate, device, firewall=False)["compliant"] is True
    for _ in range(3):
        estate.vault.clock.advance(seconds=6 * 3_600)
        tell(estate, device)
        assert tell(estate, device, firewall=False)["compliant"] is True
    estate.vault.clock.advance(seconds=6 * 3_600)
    tell(estate, device)
    answer = tell(estate, device, firewall=False)
    assert answer["compliant"] is False
    assert "firewall" in answer["refused_because"][0]


def test_an_exception_is_by_somebody_else_for_a_reason_and_ends(estate: DeviceEstate) -> None:
    device, own = estate.active("ann"), estate.pending("eve")
    path = f"device/posture/exceptions/{device.id}/disk-encryption"
    for wrong in ({"ttl": "1h"}, {"reason": "x"}, {"reason": "x", "ttl": "31d"}):
        assert estate.refused(path, wrong).error is InvalidRequest
    token = estate.login("eve")
    yes = {"reason": "disk is being encrypted", "ttl": "1h"}
    mine = f"device/posture/exceptions/{own.id}/disk-encryption"
    assert estate.refused(mine, yes, token=token).error is PermissionDenied
    assert estate.refused(path, yes, token=estate.login("bob")).error is PermissionDenied
    estate.write(path, yes, token=token)
    assert tell(estate, device, disk_encrypted=False)["compliant"] is True
    shown = estate.vault.read(f"device/posture/devices/{device.id}").data["exceptions"]
    assert part(shown, "disk-encryption", "reason") == "disk is being encrypted"
    estate.vault.clock.advance(seconds=3_600)
    assert tell(estate, device, disk_encrypted=False)["compliant"] is False
    estate.write(path, yes, token=token)
    assert tell(estate, device, disk_encrypted=False)["compliant"] is True
    estate.vault.delete(path)
    assert tell(estate, device, disk_encrypted=False)["compliant"] is False


def test_rules_are_changed_by_sudo_and_gone_back_from(estate: DeviceEstate) -> None:
    token = estate.login("ann")
    shipped = estate.vault.read("device/posture/rules").data
    assert shipped["shipped"] is True
    assert shipped["data_as_of"] == "2025-08-25"
    body = {"rules": shipped["rules"]}
    assert estate.refused("device/posture/rules", body, token=token).error is PermissionDenied
    for bad in ("", "{}", "\ud800", text(shipped, "rules").replace('"1.19.3"', '"soon"')):
        assert estate.refused("device/posture/rules", {"rules": bad}).error is InvalidRequest
    put_rules(estate, msgspec.structs.replace(rules_in_force(estate), disk_encryption=None))
    device = estate.active("ann")
    assert tell(estate, device, disk_encrypted=None)["compliant"] is True
    estate.vault.delete("device/posture/rules")
    assert tell(estate, device, disk_encrypted=None)["compliant"] is False


def catalogue(day: str, *rows: tuple[str, str, str]) -> str:
    entries = [
        {"cveID": cve, "vendorProject": vendor, "product": product, "dateAdded": day}
        for cve, vendor, product in rows
    ]
    document = {
        "catalogVersion": day, "dateReleased": day, "count": len(rows), "vulnerabilities": entries,
    }  # fmt: skip
    return msgspec.json.encode(document).decode()


def test_a_newer_catalogue_asks_for_rules_on_what_devices_have(estate: DeviceEstate) -> None:
    device = estate.active("ann")
    rows = ("CVE-2026-11111", "VideoLAN", "VLC"), ("CVE-2026-22222", "Nobody", "Fortress")
    body = {"catalogue": catalogue("2026-01-10", *rows)}
    user = estate.login("ann")
    assert estate.refused("device/posture/kev", body, token=user).error is PermissionDenied
    estate.write("device/posture/kev", body)
    vlc = msgspec.structs.replace(PLEX_NOW, name="VLC media player", version="3.0.20")
    # It refuses nobody: there is no range to refuse by.
    assert tell(estate, device, software=(vlc,))["compliant"] is True
    shown = estate.vault.read("device/posture/kev").data
    assert shown["needs_version_rule"] == {"CVE-2026-11111 VideoLAN VLC": [device.id]}
    older = {"catalogue": catalogue("2026-01-09", *rows)}
    assert "newer" in estate.refused("device/posture/kev", older).errors[0]
    for bad in ("", "{}", "[" * 5_000, "\ud800"):
        assert estate.refused("device/posture/kev", {"catalogue": bad}).error is InvalidRequest


def test_strangers_write_nothing_by_asking(estate: DeviceEstate) -> None:
    device = estate.active("ann")
    nonce_for(estate, device)
    before = len(list(estate.vault.storage.scan(b"")))
    for _ in range(50):
        estate.write("device/posture/nonce", {"id": device.id}, token=None)
    assert len(list(estate.vault.storage.scan(b""))) == before
    for bad in ("", "x", "../../x", "\ud800", device.id.upper()):
        reply = estate.refused("device/posture/nonce", {"id": bad}, token=None)
        assert reply.error is InvalidRequest


def test_what_is_known_of_devices_is_listed(estate: DeviceEstate) -> None:
    assert estate.vault.list("device/posture/devices/").error is NotFound
    device = estate.active("ann")
    tell(estate, device, firewall=None)
    assert estate.vault.list("device/posture/devices/").keys == [device.id]
    shown = estate.vault.read(f"device/posture/devices/{device.id}").data
    assert shown["os"] == "windows 10.0.26100"
    assert [each["rule"] for each in tables(shown, "findings")] == ["firewall"]
    reply = estate.vault.request(Operation.READ, "device/posture/devices/x")
    assert reply.error is InvalidRequest
