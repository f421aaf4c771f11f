"""Random logs with cases: people, devices, sessions and secrets, and records of every kind.

The records are plausible enough to expose something, and careless enough to leave items open. Most
entries are ordinary reads by people whom no case is about, as in any vault.
"""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final

from ironkeep.core.credential.connector import Probe
from ironkeep.core.event import Released
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.node import secret_family, secret_version
from ironkeep.core.evidence.reach import EdgeKind
from tests.support.incident.sample_case import MOUNT, UNPLACED, Line, SampleCase, at

CASES: Final = ("1", "2")
PEOPLE: Final = [f"person:p{n}" for n in range(5)]
SESSIONS: Final = [f"session:s{n}" for n in range(12)]
DEVICES: Final = ["device:d0", "device:d1"]
PATHS: Final = ("a", "b", "c/d", "e")
SYSTEMS: Final = ["system:x", "system:y", "store:z"]
_NAMES: Final = ("sys/policies/acl/x", "auth/token/create", "identity/entity", "kv/data/a", "q/w")


class RandomCase:
    """Draws the lines of one log from a seeded generator."""

    def __init__(self, seed: int, lines: int = 60) -> None:
        self.random: Final = Random(seed)
        self.length: Final = lines
        self._gates = 0

    def case(self) -> SampleCase:
        """Return the lines as a case; the breach of each case is somewhere in the middle."""
        lines = [Line(0, "mounted", ev.Mounted(*UNPLACED, MOUNT, "secret/"))]
        for second in range(1, self.length):
            made = self.random.choices((self._request, self._record), weights=(3, 2))[0]()
            lines.append(Line(second, f"line {second}", *made))
        return SampleCase(tuple(lines))

    def _request(self) -> tuple[None, dict[str, Any]]:
        pick = self.random
        person = pick.choice([*PEOPLE, "", "person:stranger"]).partition(":")[2]
        session = pick.choice([*SESSIONS, ""]).partition(":")[2]
        device = pick.choice([*DEVICES, "", "", ""]).partition(":")[2]
        fields: dict[str, Any] = {"path": pick.choice(_NAMES), "op": "read", "rule": "r:x"}
        kind = pick.randrange(6)
        if kind == 0:
            person = session = device = pick.choice(("", person))
        if kind <= 2:
            paths = pick.sample(PATHS, pick.choice((1, 1, 2)))
            fields["released"] = tuple(
                Released(MOUNT, path, pick.randint(1, 3), ("f",)) for path in paths
            )
        elif kind == 3:
            fields |= {"op": "update", "issued": pick.choice(SESSIONS).partition(":")[2]}
        elif kind == 4:
            fields |= {"op": pick.choice(("update", "delete", "create"))}
            fields |= pick.choice(({}, {"request": f"r{pick.randrange(4)}"}))
        elif pick.random() < 0.5:
            fields |= self._set_up()
        return None, {
            **fields, "entity": person, "accessor": session, "device": device,
            "name": f"name of {person}" if person else "",
            "outcome": pick.choice(("ok", "ok", "ok", "permission_denied", "pending")),
        }  # fmt: skip

    def _set_up(self) -> dict[str, Any]:
        """Return the fields of a login that relied on what others did, or of such a deed."""
        pick = self.random
        person = pick.choice(PEOPLE).partition(":")[2]
        if pick.random() < 0.5:
            op = pick.choice(("update", "delete"))
            wrote = f"{pick.choice(PATHS)}@{pick.randint(1, 3)}"
            audited = pick.choice(({"factor_of": person}, {"wrote": wrote}))
            return {"op": op, "mount": pick.choice((MOUNT, MOUNT, "")), "audited": audited}
        names = [each.replace(":", "/") for each in (*PEOPLE, *SESSIONS, *DEVICES)]
        name = pick.choice((*names, ""))
        makers = [f"{name}@{self._instant()}@{self._instant()}"]
        return {
            "op": "update", "rule": "login", "path": "auth/userpass/login/x",
            "issued": pick.choice(SESSIONS).partition(":")[2], "audited": {"made_by": makers},
        }  # fmt: skip

    def _record(self) -> tuple[ev.Record, dict[str, Any]]:
        makers: list[Callable[[], ev.Record]] = [
            self._linked, self._linked, self._linked, self._unlinked, self._gated, self._opened,
            self._opened, self._widened, self._contained, self._contained, self._readmitted,
            self._revoked, self._revoked, self._probed, self._surveyed, self._delivered,
            self._swept, self._exempted, self._other,
            self._confirmed, self._confirmed, self._compared,
        ]  # fmt: skip
        who: dict[str, Any] = {}
        if self.random.random() < 0.2:
            who = {"entity": self.random.choice(PEOPLE).partition(":")[2], "accessor": ""}
        return self.random.choice(makers)(), who

    def version(self) -> str:
        return secret_version(MOUNT, self.random.choice(PATHS), self.random.randint(1, 3))

    def _family(self) -> str:
        return secret_family(MOUNT, self.random.choice(PATHS))

    def _instant(self) -> int:
        return at(self.random.randrange(self.length))

    def _principal(self) -> str:
        return self.random.choice([*PEOPLE, *SESSIONS, *DEVICES])

    def _case(self) -> str:
        return self.random.choice(CASES)

    def _linked(self) -> ev.Record:
        pick = self.random
        source = pick.choice([self.version(), self._family(), self._principal(), "store:z"])
        targets = pick.choice(
            [(self._family(),), (self.version(), self.version()), (pick.choice(SYSTEMS),)]
        )
        kind = pick.choice(
            [EdgeKind.OPENS, EdgeKind.HOLDS, EdgeKind.WRAPS, EdgeKind.MAY_READ, EdgeKind.DECRYPTS]
        )
        until = pick.choice((0, 0, self._instant()))
        return ev.Linked(
            *UNPLACED, source, kind, targets, pick.choice((0, self._instant())), "b", until
        )

    def _unlinked(self) -> ev.Record:
        return ev.Unlinked(
            *UNPLACED, self._family(), EdgeKind.OPENS, (self.random.choice(SYSTEMS),)
        )

    def _gated(self) -> ev.Record:
        self._gates += 1
        known, live = (self.version(), self.version()), (self.version(),)
        need = self.random.randint(1, len({*known, *live}))
        target = self.random.choice([self.version(), "system:x"])
        return ev.Gated(
            *UNPLACED, f"gate {self._gates}", need, known, live, EdgeKind.OPENS, target, 0, "b"
        )

    def _subjects(self) -> tuple[str, ...]:
        pick = self.random
        return tuple(
            pick.choice([self._principal(), self.version()]) for _ in range(pick.randint(1, 2))
        )

    def _opened(self) -> ev.Record:
        return ev.Opened(*UNPLACED, self._case(), "t", self._subjects(), self._instant(), "b")

    def _widened(self) -> ev.Record:
        return ev.Widened(*UNPLACED, self._case(), self._subjects(), self._instant(), "b")

    def _contained(self) -> ev.Record:
        sessions = tuple(each.partition(":")[2] for each in self.random.sample(SESSIONS, 2))
        return ev.Contained(self._case(), self._principal(), sessions[:1], sessions[1:], 0)

    def _readmitted(self) -> ev.Record:
        factors = self.random.choice(((), ("passkey:c",), (ev.UNKNOWN_FACTOR,)))
        return ev.Readmitted(self._case(), self._principal(), "owner", "reason", factors)

    def _revoked(self) -> ev.Record:
        replacement = self.random.choice([self.version(), ""])
        system = self.random.choice(SYSTEMS)
        return ev.Revoked(
            self._case(), self.version(), system, self._instant(), "m", "r", replacement,
            measured=self.random.random() < 0.5,
        )  # fmt: skip

    def _confirmed(self) -> ev.Record:
        pick = self.random
        items = tuple(f"entry:{pick.randrange(self.length)}" for _ in range(pick.randint(1, 30)))
        people = pick.choice([(), (pick.choice(PEOPLE).partition(":")[2],)])
        return ev.Confirmed(self._case(), items, people)

    def _compared(self) -> ev.Record:
        same = self.random.random() < 0.3
        return ev.Compared(self._case(), self.version(), self._instant(), same, "as it is")

    def _probed(self) -> ev.Record:
        state = self.random.choice([Probe.DEAD, Probe.DEAD, Probe.ALIVE, Probe.UNKNOWN])
        system = self.random.choice(SYSTEMS)
        return ev.Probed(
            self._case(), self.version(), system, "h", state, "", "r", at(self.length), 1
        )

    def _surveyed(self) -> ev.Record:
        return ev.Surveyed(self._case(), self._principal(), 0, self._instant(), ("p",), ())

    def _delivered(self) -> ev.Record:
        plane = self.random.choice(SYSTEMS)
        return ev.Delivered(self._case(), self.version(), self._principal(), plane)

    def _swept(self) -> ev.Record:
        system = self.random.choice(SYSTEMS)
        return ev.Swept(
            self._case(), system, "aa", "bb", 1, ("role x",), (), (), ("role x",), ("g",)
        )

    def _exempted(self) -> ev.Record:
        item = self.random.choice([self.version(), self._principal()])
        return ev.Exempted(self._case(), item, "owner", "reason", at(10 * self.length))

    def _other(self) -> ev.Record:
        return self.random.choice([
            ev.Baselined(*UNPLACED, self.random.choice(SYSTEMS), "aa", 1, ()),
            ev.Residue(self._case(), "words"),
            ev.Sourced(*UNPLACED, "log", 5),
            ev.Heartbeat("log", 3, self.random.randint(0, 1)),
            ev.RootChecked(self._case(), ev.ROOT_ITEMS[0], sound=True, detail="d"),
            ev.Ended(self._case(), self.version(), self.random.choice(SYSTEMS), 0, 1, 0),
        ])  # fmt: skip


def window(evidence: ev.Evidence, start: int) -> tuple[tuple[int, Any], ...]:
    """Return the entries of a window from start on, with the records of scope before it."""
    return tuple(_window(evidence, start))


def _window(evidence: ev.Evidence, start: int) -> Iterator[tuple[int, Any]]:
    for index, entry in evidence.entries:
        if index >= start or isinstance(ev.record_of(entry), ev.Scope):
            yield index, entry
