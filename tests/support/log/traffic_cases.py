"""The incident records of made traffic: a case, its containment, and the readmission."""

from collections.abc import Iterator
from typing import Final, TypeVar

from ironkeep.core.event import Entry
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.node import NodeKind, node, secret_version
from ironkeep.core.evidence.reach import EdgeKind
from tests.support.log.traffic_acts import Acts
from tests.support.log.traffic_estate import Actor, Estate, Secret, Session

S = TypeVar("S", bound=ev.Scope)

TARGETS: Final = 50
"""Secrets that the survey of a case links."""

_WINDOW_NS: Final = 72 * 3_600 * 1_000_000_000
_RULE: Final = "responder:2 incident/*"


class Cases:
    """Opens cases; the records of scope form one chain."""

    def __init__(self, estate: Estate, acts: Acts) -> None:
        self._estate: Final = estate
        self._acts: Final = acts
        self._mark: Final = estate.truth.mark
        self._seq = 0
        self._chain = ev.CHAIN_START
        self._opened = 0

    def open(self, now: int) -> Actor:
        """Open a case about a busy person and contain that person, who is returned."""
        suspect = self._estate.people[self._opened + 1]
        responder = self._acts.session(now, self._estate.people[0])
        if not self._opened:
            for uuid, path in self._estate.all_mounts():
                self._note(now, self._chained(ev.Mounted(*ev.UNPLACED, uuid, path)), None)
        self._opened += 1
        case = str(self._opened)
        principal = node(NodeKind.PERSON, suspect.subject.entity)
        since = now - _WINDOW_NS
        opened = ev.Opened(
            *ev.UNPLACED, case, "a laptop was stolen", (principal,), since, "the last good image"
        )
        self._note(now, self._chained(opened), responder)
        self._survey(now, case, suspect, since, responder)
        self._done(now, responder, "incident/cases")
        sessions = self._acts.end_tokens(suspect)
        gone = tuple(each for each in suspect.subject.accessors if each not in sessions)
        self._note(now, ev.Contained(case, principal, sessions, gone[-20:], 0), responder)
        self._done(now, responder, f"incident/cases/{case}/contain")
        suspect.contained = case
        return suspect

    def readmit(self, now: int, suspect: Actor) -> None:
        """Let the contained person act again."""
        responder = self._acts.session(now, self._estate.people[0])
        principal = node(NodeKind.PERSON, suspect.subject.entity)
        record = ev.Readmitted(suspect.contained, principal, "security", "has a new laptop")
        self._note(now, record, responder)
        self._done(now, responder, f"incident/cases/{suspect.contained}/readmit")
        suspect.contained = ""

    def _survey(self, now: int, case: str, suspect: Actor, since: int, by: Session) -> None:
        principal = node(NodeKind.PERSON, suspect.subject.entity)
        secrets = {each.api_path: each for each in self._some_secrets(suspect)}
        targets = tuple(
            secret_version(each.mount.uuid, each.path, each.version) for each in secrets.values()
        )
        basis = f"policies of that time: {', '.join(suspect.policies)}"
        link = ev.Linked(*ev.UNPLACED, principal, EdgeKind.MAY_READ, targets, since, basis)
        self._note(now, self._chained(link), by)
        done = ev.Surveyed(case, principal, since, now, tuple(suspect.policies), ())
        self._note(now, done, by)

    def _some_secrets(self, suspect: Actor) -> Iterator[Secret]:
        return (self._estate.secret(suspect) for _ in range(TARGETS))

    def _chained(self, record: S) -> S:
        self._seq += 1
        placed = ev.chained(record, self._seq, self._chain)
        self._chain = placed.chain
        return placed

    def _note(self, now: int, record: ev.Record, by: Session | None) -> None:
        op, audited = str(record.__struct_config__.tag), ev.to_audited(record)
        if by is None:
            self._acts.emit(Entry(kind="effect", time_ns=now, op=op, audited=audited))
            return
        entry = Entry(
            kind="effect", time_ns=now, request=self._acts.request_id(), op=op, entity=by.entity,
            name=by.name, accessor=by.accessor, device=by.device, remote=by.remote,
            audited=audited,
        )  # fmt: skip
        self._acts.emit(entry, *by.marks)

    def _done(self, now: int, by: Session, path: str) -> None:
        mount = self._estate.incident
        self._acts.request(now, by, "update", path, mount, rule=_RULE)
        self._acts.commit(now, 12)
