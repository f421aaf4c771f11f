"""osquery's TLS remote API: enroll, config, logger, distributed read and write.

Source: osquery documentation, deployment/remote. Only the client certificate identifies the device;
node_key, a bearer secret, proves nothing here. Run osqueryd with --tls_client_cert,
--tls_client_key and --disable_enrollment. Answers are bare JSON; a device that is not accepted gets
node_invalid.

The id of a distributed query contains a nonce for the device that asked. So only rows that answer
a query of the last minutes are judged, and only once. The settings that a failed query asks for are
unknown.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

import msgspec

from ironkeep.access.devices import nonces
from ironkeep.access.devices.devices import DeviceRecord, Devices
from ironkeep.access.posture.state import OSQUERY, judge, rules_of, state_of
from ironkeep.core.device.posture_report import (
    MAX_LISTENING,
    MAX_SOFTWARE,
    Family,
    Listening,
    Report,
    Software,
    Source,
    System,
    encode,
    unseen,
)
from ironkeep.core.errors import InvalidRequest, TooLarge
from ironkeep.core.operation import Operation
from ironkeep.core.units import SECOND_NS
from ironkeep.plugin.call import Call
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route

MAX_LOGGED: Final = 10_000
"""Lines of one logger request; they are counted and dropped."""

_PREFIX: Final = "ironkeep"
_SOFTWARE: Final[Mapping[str, Source]] = {
    "programs": "programs",
    "apps": "apps",
    "deb": "deb_packages",
    "rpm": "rpm_packages",
    "homebrew": "homebrew_packages",
}
QUERIES: Final[Mapping[str, str]] = {
    "os": "SELECT name, version, build, platform, arch FROM os_version",
    "programs": "SELECT name, version, publisher FROM programs",
    "apps": "SELECT name, bundle_short_version AS version FROM apps",
    "deb": "SELECT name, version FROM deb_packages",
    "rpm": "SELECT name, version FROM rpm_packages",
    "homebrew": "SELECT name, version FROM homebrew_packages",
    "disk": "SELECT d.encrypted AS on_ FROM mounts m JOIN disk_encryption d ON d.name = m.device "
    "WHERE m.path = '/'",
    "bitlocker": "SELECT protection_status AS on_ FROM bitlocker_info WHERE drive_letter = 'C:'",
    "firewall_mac": "SELECT global_state > 0 AS on_ FROM alf",
    "firewall_windows": "SELECT firewall = 'Good' AS on_ FROM windows_security_center",
    "secure_boot": "SELECT secure_boot AS on_ FROM secureboot",
    "sip": "SELECT enabled AS on_ FROM sip_config WHERE config_flag = 'sip'",
    "lock_mac": "SELECT CASE enabled WHEN 1 THEN max(grace_period, 1) ELSE 0 END AS seconds "
    "FROM screenlock",
    "lock_windows": "SELECT data AS seconds FROM registry WHERE path = 'HKEY_LOCAL_MACHINE"
    "\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Policies\\System\\InactivityTimeoutSecs'",
    "listening": "SELECT l.port, l.protocol, p.name FROM listening_ports l "
    "LEFT JOIN processes p USING (pid) WHERE l.port > 0",
}
"""The queries by name; on a platform without its table a query fails, as its status shows."""

_FAMILIES: Final[Mapping[str, Family]] = {
    "windows": "windows",
    "darwin": "macos",
    "debian": "debian",
    "ubuntu": "ubuntu",
    "fedora": "fedora",
}
_NEVER_EMPTY: Final[Mapping[Family, frozenset[Source]]] = {
    "windows": frozenset({"programs"}),
    "macos": frozenset({"apps"}),
    "debian": frozenset({"deb_packages"}),
    "ubuntu": frozenset({"deb_packages"}),
    "fedora": frozenset({"rpm_packages"}),
    "linux": frozenset({"deb_packages", "rpm_packages"}),
}
"""Sources that cannot be empty: each system has at least its own packages or programs."""
_PROTOCOLS: Final = {"6": "tcp", "17": "udp"}
_NUMBERS: Final = re.compile(r"\d+(?:\.\d+)*", re.ASCII)
_DIGITS: Final = re.compile(r"\d{1,8}", re.ASCII)

Rows = list[dict[str, str]]


def enroll(call: Call) -> Response:
    """Answer with the id of the certificate's device; the rest of the request is ignored."""
    record = _device(call)
    if record is None:
        return _invalid()
    return Response(body={"node_key": record.id, "node_invalid": False})


def config(call: Call) -> Response:
    """Return a configuration that schedules nothing: all queries are distributed ones."""
    return _invalid() if _device(call) is None else Response(body={"schedule": {}})


def logger(call: Call) -> Response:
    """Accept log lines, and keep none of them."""
    if _device(call) is None:
        return _invalid()
    if call.raw.get("log_type") not in ("result", "status"):
        raise InvalidRequest("log_type is result or status")
    lines = call.raw.get("data")
    if not isinstance(lines, list):
        raise InvalidRequest("data is a list")
    if len(lines) > MAX_LOGGED:
        raise TooLarge(f"at most {MAX_LOGGED} lines at once")
    return Response(body={}, audited={"lines": len(lines)})


def distributed_read(call: Call) -> Response:
    """Return the queries once the last report is older than a third of its greatest age."""
    record = _device(call)
    if record is None:
        return _invalid()
    age_ns = call.now_ns - state_of(call, record.id).reported_ns
    if age_ns < rules_of(call).max_age_s * SECOND_NS // 3:
        return Response(body={"queries": {}})
    nonce = nonces.give(call, record.id)
    asked = {f"{_PREFIX}.{name}.{nonce}": text for name, text in QUERIES.items()}
    return Response(body={"queries": asked})


def distributed_write(call: Call) -> Response:
    """Judge the rows that answer our queries; each answer is accepted once."""
    record = _device(call)
    if record is None:
        return _invalid()
    nonce, answers = _answers(call.raw)
    report = translate(record.id, nonce, call.now_ns // SECOND_NS, answers)
    nonces.take(call, record.id, nonce)
    verdict = judge(call, record, report, OSQUERY)
    return Response(
        body={},
        audited={
            "device": record.id,
            "compliant": verdict.compliant,
            "findings": [each.rule for each in verdict.findings],
            "data_as_of": rules_of(call).data_as_of,
        },
    )


def translate(device: str, nonce: str, ts: int, answers: Mapping[str, Rows]) -> Report:
    """Return the rows by query as a report; raise InvalidRequest if they do not make one.

    A query that is not in `answers` failed, so its settings are unknown. Text that is too long is
    cut, except versions: a cut version would be another version, so it is left empty and counts as
    unreadable.
    """
    system = _system(answers.get("os", []))
    report = Report(
        v=1,
        device_id=device,
        nonce=nonce,
        ts=ts,
        os=system,
        disk_encrypted=_flag(answers, "bitlocker" if system.name == "windows" else "disk"),
        screen_lock_s=_seconds(answers, "lock_windows" if system.name == "windows" else "lock_mac"),
        firewall=_flag(answers, "firewall_windows" if system.name == "windows" else "firewall_mac"),
        secure_boot=_flag(answers, "sip" if system.name == "macos" else "secure_boot"),
        os_auto_update=None,
        admin_user=None,
        edr=(),
        software=_software(answers),
        listening=_listening(answers.get("listening", [])),
        agent_version="osquery",
        unseen=unseen(system.name, _read(system.name, answers)),
    )
    try:
        # Rows of tables have to meet the same limits as a report that an agent signs.
        return msgspec.json.decode(encode(report), type=Report)
    except (msgspec.MsgspecError, UnicodeError):
        raise InvalidRequest("the rows make no posture report") from None


def _device(call: Call) -> DeviceRecord | None:
    found: DeviceRecord | None = call.use(Devices).device_of(
        call.tx, call.request.peer, call.now_ns
    )
    return found


def _invalid() -> Response:
    return Response(body={"node_invalid": True})


def _answers(raw: Mapping[str, Any]) -> tuple[str, dict[str, Rows]]:
    """Return the nonce and the rows by query; raise InvalidRequest for malformed answers."""
    queries, statuses = raw.get("queries"), raw.get("statuses", {})
    if not isinstance(queries, dict) or not isinstance(statuses, dict):
        raise InvalidRequest("queries and statuses are objects")
    found: set[str] = set()
    answers: dict[str, Rows] = {}
    for query, rows in queries.items():
        prefix, _, rest = query.partition(".")
        name, _, nonce = rest.partition(".")
        if prefix != _PREFIX or name not in QUERIES:
            raise InvalidRequest("there is an answer to a query that was not sent")
        found.add(nonce)
        if str(statuses.get(query, "")) == "0":
            answers[name] = _rows(rows)
    if len(found) != 1:
        raise InvalidRequest("all answers must be to the queries of one distributed_read")
    return found.pop(), answers


def _rows(rows: object) -> Rows:
    if not isinstance(rows, list) or len(rows) > MAX_SOFTWARE:
        raise InvalidRequest(f"the answer to a query is a list of at most {MAX_SOFTWARE} rows")
    for row in rows:
        if not isinstance(row, dict) or not all(isinstance(value, str) for value in row.values()):
            raise InvalidRequest("a row is an object of strings")
    return cast("Rows", rows)


def _system(rows: Rows) -> System:
    if len(rows) != 1:
        raise InvalidRequest("os_version has one row")
    row = rows[0]
    family = _FAMILIES.get(row.get("platform", ""), "linux")
    version = _NUMBERS.search(row.get("version", ""))
    shown = version[0] if version else ""
    return System(family, shown[:64], row.get("build", "")[:64], row.get("arch", "")[:64])


def _flag(answers: Mapping[str, Rows], query: str) -> bool | None:
    """Return whether a setting is on in all rows; None without any row."""
    rows = answers.get(query)
    return all(row.get("on_") == "1" for row in rows) if rows else None


def _seconds(answers: Mapping[str, Rows], query: str) -> int | None:
    values = [row.get("seconds", "") for row in answers.get(query, [])]
    if not values or not all(_DIGITS.fullmatch(value) for value in values):
        return None
    return 0 if "0" in values else max(int(value) for value in values)


def _read(family: Family, answers: Mapping[str, Rows]) -> Iterator[Source]:
    """Yield the sources of programs that were read.

    A source that cannot be empty on its system does not count as read without rows, and no source
    counts as read if one of its rows has no name.
    """
    named = {query: rows for query, rows in answers.items() if all(row.get("name") for row in rows)}
    for query, source in _SOFTWARE.items():
        if named.get(query) or (query in named and source not in _NEVER_EMPTY[family]):
            yield source
    if family == "linux" and (named.get("deb") or named.get("rpm")):
        # A system uses one of the two, so the other may be empty.
        yield from ("deb_packages", "rpm_packages")


def _software(answers: Mapping[str, Rows]) -> tuple[Software, ...]:
    listed = [
        Software(
            source,
            # Collapse blanks before cutting: leading ones would push the name out of the limit.
            " ".join(row.get("name", "").split())[:128],
            _version(row),
            row.get("publisher", "")[:128],
            None,
        )
        for query, source in _SOFTWARE.items()
        for row in answers.get(query, [])
    ]
    if len(listed) > MAX_SOFTWARE:
        raise TooLarge(f"at most {MAX_SOFTWARE} programs")
    return tuple(listed)


def _version(row: Mapping[str, str]) -> str:
    version = row.get("version", "")
    return version if len(version) <= 64 else ""  # noqa: PLR2004 - Word's length


def _listening(rows: Rows) -> tuple[Listening, ...]:
    found = [
        Listening("tcp" if row["protocol"] == "6" else "udp", int(row["port"]), _name(row))
        for row in rows
        if row.get("protocol") in _PROTOCOLS and _DIGITS.fullmatch(row.get("port", ""))
    ]
    return tuple(found[:MAX_LISTENING])


def _name(row: Mapping[str, str]) -> str:
    return row.get("name", "")[:128]


ROUTES: Final = (
    Route(Operation.UPDATE, "osquery/enroll", enroll, open=True, help="osquery: enroll."),
    Route(Operation.UPDATE, "osquery/config", config, open=True, help="osquery: configuration."),
    Route(Operation.UPDATE, "osquery/logger", logger, open=True, help="osquery: log lines."),
    Route(
        Operation.UPDATE, "osquery/distributed_read", distributed_read, open=True,
        help="osquery: the queries for this device.",
    ),
    Route(
        Operation.UPDATE, "osquery/distributed_write", distributed_write, open=True,
        help="osquery: this device's answers.",
    ),
)  # fmt: skip
