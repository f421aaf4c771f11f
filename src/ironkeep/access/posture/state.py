"""The posture state of each device, and the way from a report to the verdict on its record.

    posture / rules          -> this vault's own rules file, if it has one
    posture / kev            -> a digest of CISA's catalogue, if one was loaded
    posture / state / device -> faults and when they were first seen, exceptions, blocks by others

Everything is written in the transaction that outlives a refusal, so the failure of a device that is
refused is kept. A fault that disappears and comes back within `REMEMBERED_NS` keeps its grace
period, so that turning a setting on and off once a day does not gain another grace period.
"""

from functools import lru_cache
from importlib.resources import files
from typing import Final

import msgspec

from ironkeep.access.alerts.alerts import Alerts
from ironkeep.access.devices.devices import DeviceRecord, Devices
from ironkeep.access.posture import events as posture_events
from ironkeep.core.device import posture_rules
from ironkeep.core.device.kev import Catalogue, unruled
from ironkeep.core.device.posture import Finding, Verdict, evaluate
from ironkeep.core.device.posture_report import Report
from ironkeep.core.device.posture_rules import Rules
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.ids import DeviceId
from ironkeep.identity.lifetimes import is_running
from ironkeep.plugin.call import Call
from ironkeep.store.barrier import Store
from ironkeep.store.record import Codec

REMEMBERED_NS: Final = 30 * 86_400 * 1_000_000_000
MAX_EXCEPTION_S: Final = 30 * 86_400
MAX_NEEDED: Final = 100
"""Catalogue entries without a rule that are kept for one device."""

AGENT: Final = "agent"
OSQUERY: Final = "osquery"

MAX_TOLD: Final = 8
"""Reasons in one refusal; the owner sees further ones after these are fixed. All are in `State`."""

RULES: Final = "posture/rules"
KEV: Final = "posture/kev"
SHIPPED: Final = files("ironkeep.access.posture").joinpath("rules.json").read_bytes()


class Seen(msgspec.Struct, frozen=True):
    """When a fault was first and last reported."""

    first_ns: int
    last_ns: int


class Exemption(msgspec.Struct, frozen=True):
    """A decision that a device need not meet a rule until a time."""

    by: str
    reason: str
    until_ns: int


class Block(msgspec.Struct, frozen=True):
    """Another system's event on a device. While `active` it blocks; only that system lifts it."""

    reason: str
    at_ns: int
    active: bool


class PostureState(msgspec.Struct, frozen=True, omit_defaults=True):
    """One device's posture state, beside the verdict on its record."""

    reported_ns: int = 0
    source: str = ""
    system: str = ""
    data_as_of: str = ""
    findings: tuple[Finding, ...] = ()
    seen: dict[str, Seen] = {}
    excused: dict[str, Exemption] = {}
    blocks: dict[str, Block] = {}
    needs_rule: tuple[str, ...] = ()


_STATE: Final = Codec(PostureState)
_KEV: Final = Codec(Catalogue)


def store_of(call: Call) -> Store:
    """Return this mount's store in the transaction that outlives a refusal."""
    store: Store = call.lasting
    return store


def rules_of(call: Call) -> Rules:
    """Return the rules in force: this vault's own, or those shipped."""
    return _decoded(store_of(call).get(RULES) or SHIPPED)


@lru_cache(maxsize=4)
def _decoded(raw: bytes) -> Rules:
    return posture_rules.decode(raw)


def catalogue_of(call: Call) -> Catalogue | None:
    """Return the loaded catalogue, or None."""
    raw = store_of(call).get(KEV)
    return None if raw is None else _KEV.decode(raw)


def keep_catalogue(call: Call, catalogue: Catalogue) -> None:
    """Store a catalogue in place of the previous one."""
    store_of(call).put(KEV, _KEV.encode(catalogue))


def state_of(call: Call, device: DeviceId) -> PostureState:
    """Return the state of a device, an empty one if it has none."""
    raw = store_of(call).get(_path(device))
    return PostureState() if raw is None else _STATE.decode(raw)


def excused_now(state: PostureState, now_ns: int) -> dict[str, Exemption]:
    """Return the exceptions that hold, by rule."""
    every = state.excused.items()
    return {rule: e for rule, e in every if is_running(e.until_ns, MAX_EXCEPTION_S, now_ns)}


def keep_state(call: Call, device: DeviceId, state: PostureState) -> None:
    """Store a device's state."""
    store_of(call).put(_path(device), _STATE.encode(state))


def judge(call: Call, record: DeviceRecord, report: Report, source: str) -> Verdict:
    """Evaluate a report whose sender is authenticated, and store the verdict.

    `source` is AGENT or OSQUERY; raise InvalidRequest if the rules do not accept osquery's reports.
    The verdict is returned as stored: a block by another system makes it not compliant.
    """
    rules = rules_of(call)
    if source == OSQUERY and not rules.osquery:
        raise InvalidRequest("the posture rules do not accept reports by osquery")
    now_ns, before = call.now_ns, state_of(call, record.id)
    excused = excused_now(before, now_ns)
    first = {rule: each.first_ns for rule, each in before.seen.items()}
    verdict = evaluate(report, rules, now_ns, first, excused.keys())
    ends = (each.until_ns for each in excused.values())
    verdict = msgspec.structs.replace(verdict, until_ns=min(verdict.until_ns, *ends, 2**63 - 1))
    state = PostureState(
        now_ns, source, f"{report.os.name} {report.os.version}"[:128], rules.data_as_of,
        verdict.findings, _seen(before.seen, verdict, now_ns), excused, before.blocks,
        _needed(call, report, rules),
    )  # fmt: skip
    keep_state(call, record.id, state)
    return conclude(call, record, state, verdict)


def conclude(call: Call, record: DeviceRecord, state: PostureState, verdict: Verdict) -> Verdict:
    """Write a verdict and the blocks to a device's record; emit an event of a change, and alert."""
    blocks = [f"{name} says: {each.reason}" for name, each in state.blocks.items() if each.active]
    compliant = verdict.compliant and not blocks
    faults = [each.text for each in verdict.findings if each.rule in verdict.refusing]
    findings = tuple((blocks + faults)[:MAX_TOLD])
    after = msgspec.structs.replace(
        record, posture_ok=compliant, posture_until_ns=verdict.until_ns, findings=findings
    )
    call.use(Devices).put(call.account, after)
    if compliant != record.posture_ok:
        posture_events.emit(call, record, compliant, findings[0] if findings else "")
        if not compliant and record.posture_ok:
            call.use(Alerts).raise_(
                call.account, "posture-lost",
                f"device {record.id} is refused: {findings[0] if findings else ''}",
                call.now_ns, entity=record.owner, device=record.id, path=call.request.path,
            )  # fmt: skip
    return msgspec.structs.replace(verdict, compliant=compliant)


def _seen(before: dict[str, Seen], verdict: Verdict, now_ns: int) -> dict[str, Seen]:
    after = {rule: each for rule, each in before.items() if now_ns - each.last_ns < REMEMBERED_NS}
    for finding in verdict.findings:
        known = after.get(finding.rule)
        after[finding.rule] = Seen(known.first_ns if known else now_ns, now_ns)
    return after


def _needed(call: Call, report: Report, rules: Rules) -> tuple[str, ...]:
    catalogue = catalogue_of(call)
    if catalogue is None:
        return ()
    found = unruled(catalogue, rules, {each.name for each in report.software})
    return tuple(f"{each.cve} {each.vendor} {each.product}" for each in found[:MAX_NEEDED])


def _path(device: DeviceId) -> str:
    return f"posture/state/{device}"
