"""Break-glass: `sys/break-glass`: a token of last resort, from codes that k of n people hold.

    sys/break-glass/config          how many people, which policies, for how long
    sys/break-glass/people/<name>   print codes for a person; shown once
    sys/break-glass/open            give one code; the last of k gets the token
    sys/break-glass/cases/<id>      what that token released, and what of it is not yet replaced

It works while every auth method is down, or in other hands. Opening it is an alert, and so is each
secret that is read with it; whatever it released counts as exposed until somebody else replaced it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ironkeep.core.errors import InvalidRequest, NotFound, PermissionDenied
from ironkeep.core.event import Entry, Released, Value
from ironkeep.core.goformat import rfc3339
from ironkeep.core.ids import MountUuid, base62
from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.kernel.break_glass import BROKEN, PATH, BreakGlass, Case, Config
from ironkeep.kernel.fields import Duration, PolicyNames
from ironkeep.kernel.house import House
from ironkeep.kernel.lifetimes import SECOND_NS
from ironkeep.kernel.places import MOUNTS
from ironkeep.kernel.plugin import Call, Response, Route
from ironkeep.kernel.record import Codec
from ironkeep.kernel.token import TokenSpec

ATTEMPT_SECONDS: Final = 900
"""In which k people give their codes: they are woken up, and on the telephone."""
MAX_ATTEMPTS: Final = 16
"""Under way at once."""
MAX_REASON: Final = 512
MAX_LOOKED_AT: Final = 100_000
"""Entries of the journal that one report goes through: some two seconds; `next` goes on."""

_WRITES: Final = frozenset({"create", "update", "patch"})
_BELOW: Final = ("", "data/", "rotate-role/")
"""Where a new value of the secret at a path is written: KV 1, KV 2, a database's static role."""


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """One opening that is under way."""

    reason: str
    people: tuple[str, ...]


_ATTEMPT: Final = Codec(Attempt)


@dataclass(frozen=True)
class SetConfig:
    """How it is opened; what is left out stays."""

    threshold: int | None = None
    policies: PolicyNames | None = None
    ttl: Duration | None = None


@dataclass(frozen=True)
class Who:
    """One holder of codes."""

    name: str


@dataclass(frozen=True)
class Give:
    """One person's code; the first also says why, the others which attempt."""

    name: str = ""
    code: Secret = Secret(b"")
    reason: str = ""
    attempt: str = ""


@dataclass(frozen=True)
class Which:
    """One opening; `first` goes on with a report that was not finished."""

    id: str
    first: int = 0


def read_config(call: Call) -> Response:
    """Return how it is opened, and who holds codes."""
    glass = _glass(call)
    config = glass.config(call.tx)
    people = {name: glass.left(call.tx, name) for name in glass.people(call.tx)}
    return Response(
        data={
            "threshold": config.threshold,
            "policies": list(config.policies),
            "ttl": config.ttl_seconds,
            "people": people,
        }
    )


def write_config(call: Call, given: SetConfig) -> Response:
    """Set how it is opened."""
    glass = _glass(call)
    before = glass.config(call.tx)
    fresh = Config(
        before.threshold if given.threshold is None else given.threshold,
        before.policies if given.policies is None else given.policies,
        before.ttl_seconds if given.ttl is None else given.ttl,
    )
    glass.set_config(call.tx, fresh)
    _alert(call, f"break-glass takes {fresh.threshold} people from now on")
    return Response()


def issue_codes(call: Call, given: Who) -> Response:
    """Make codes for a person, of whom earlier ones are void."""
    codes = _glass(call).issue(call.tx, given.name, call.entropy)
    _alert(call, f"break-glass codes were made for {given.name}")
    released = Released(call.mount.uuid, f"break-glass/people/{given.name}")
    return Response(data={"name": given.name, "codes": codes}, released=(released,))


def remove_person(call: Call, given: Who) -> Response:
    """Make a person's codes void."""
    _glass(call).remove(call.tx, given.name)
    _alert(call, f"the break-glass codes of {given.name} are void")
    return Response()


def give(call: Call, given: Give) -> Response:
    """Take one person's code; with the last of k, issue the token to who gave it."""
    glass, house = _glass(call), _house(call)
    config = glass.config(call.tx)
    if not config.policies:
        raise InvalidRequest("break-glass is not set up: see sys/break-glass/config")
    attempt = _attempt(call, given)
    if not glass.use(call.account, given.name, given.code):
        holder = given.name if glass.left(call.tx, given.name) is not None else ""
        house.alerts.repeated(
            call.account, "break-glass", "a wrong break-glass code was given", call.now_ns,
            subject=holder, path=call.request.path,
        )  # fmt: skip
        raise PermissionDenied("that is no unused code of a holder of that name")
    if given.name in attempt.people:
        raise PermissionDenied("you have given a code for this already: another person is needed")
    people = (*attempt.people, given.name)
    name = given.attempt or base62(call.entropy.token(32), 16)
    if len(people) < config.threshold:
        raw = _ATTEMPT.encode(Attempt(attempt.reason, people))
        due_ns = call.now_ns + ATTEMPT_SECONDS * SECOND_NS
        call.store.put(f"break-glass/{name}", raw, due_ns)
        _alert(call, f"break-glass was begun by {given.name}: {attempt.reason}")
        data = {"attempt": name, "given": len(people), "needed": config.threshold}
        return Response(data=data, audited={"attempt": name})
    call.store.delete(f"break-glass/{name}")
    return _open(call, name, Attempt(attempt.reason, people), config)


def list_cases(call: Call) -> Response:
    """Return the ids of all openings."""
    keys = _glass(call).cases(call.tx)
    if not keys:
        raise NotFound("")
    return Response(data={"keys": keys})


def read_case(call: Call, given: Which) -> Response:
    """Return an opening with what it released, and what of it nobody else has replaced since."""
    case = _glass(call).case(call.tx, given.id)
    if case is None:
        raise NotFound("no opening of that id")
    exposed, further = _exposed(call, case, max(given.first, case.first))
    return Response(
        data={
            "id": case.id,
            "reason": case.reason,
            "people": list(case.people),
            "opened": rfc3339(case.opened_ns),
            "until": rfc3339(case.until_ns),
            "accessor": case.accessor,
            "released": exposed,
            "exposed": sum(not each["replaced"] for each in exposed),
            "next": further,
        }
    )


def _attempt(call: Call, given: Give) -> Attempt:
    if given.attempt:
        path = f"break-glass/{given.attempt}"
        row = call.store.row(path) if given.attempt.isalnum() else None
        if row is None or row.due_ns is None or row.due_ns <= call.now_ns:
            raise InvalidRequest("no attempt of that id is under way: begin anew")
        return _ATTEMPT.decode(call.store.open_row(call.store.key_of(path), row))
    if not given.reason or len(given.reason) > MAX_REASON or not given.reason.isprintable():
        raise InvalidRequest(f"say why, in at most {MAX_REASON} printable characters: reason=…")
    if len(call.store.list("break-glass")) >= MAX_ATTEMPTS:
        raise InvalidRequest(f"{MAX_ATTEMPTS} attempts are under way: wait until one lapses")
    return Attempt(given.reason, ())


def _open(call: Call, name: str, attempt: Attempt, config: Config) -> Response:
    house = _house(call)
    spec = TokenSpec(
        policies=config.policies,
        display_name=f"break-glass-{name}",
        path=PATH,
        meta={BROKEN: name},
        ttl_seconds=config.ttl_seconds,
        explicit_max_ttl_seconds=config.ttl_seconds,
        renewable=False,
    )
    # Straight from the tokens, not as a login: no device or mount is to stand in the way that day.
    issued = house.tokens.issue(call.tx, call.mount, spec, call.now_ns, call.entropy)
    until_ns = call.now_ns + config.ttl_seconds * SECOND_NS
    case = Case(
        name, attempt.reason, attempt.people, call.now_ns, until_ns, issued.record.accessor,
        house.journal.next_index,
    )  # fmt: skip
    _glass(call).put_case(call.tx, case)
    who = ", ".join(attempt.people)
    text = f"break-glass was opened by {who} until {rfc3339(until_ns)}: {attempt.reason}"
    house.alerts.raise_(call.tx, "break-glass-open", text, call.now_ns, path=call.request.path)
    audited: dict[str, Value] = {"case": name, "people": list(attempt.people)}
    return Response(auth=issued.auth(), warnings=list(issued.warnings), audited=audited)


def _exposed(call: Call, case: Case, first: int) -> tuple[list[dict[str, Any]], int | None]:
    """Return what a case's token released from an index on, and where to go on, None at the end."""
    house = _house(call)
    table = house.mounts.table(house.store(call.tx, MOUNTS)).by_path.values()
    paths = {mount.uuid: mount.path for mount in table}
    size = house.journal.durable_size
    end = min(size, first + MAX_LOOKED_AT)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for index, entry in house.audit_reader().entries(first, end):
        if entry.accessor == case.accessor:
            for one in entry.released:
                found[one.mount, one.path] = _shown(one, entry, index, paths)
        elif entry.op in _WRITES and entry.outcome == "ok":
            _replace(found, entry, paths)
    return list(found.values()), end if end < size else None


def _shown(
    one: Released, entry: Entry, index: int, paths: Mapping[MountUuid, str]
) -> dict[str, Any]:
    return {
        "mount": paths.get(MountUuid(one.mount), one.mount),
        "path": one.path,
        "version": one.version,
        "time": rfc3339(entry.time_ns),
        "entry": index,
        "replaced": False,
    }


def _replace(
    found: Mapping[tuple[str, str], dict[str, Any]], entry: Entry, paths: Mapping[MountUuid, str]
) -> None:
    """Mark what an entry wrote a new value of."""
    mount = paths.get(MountUuid(entry.mount), "")
    relative = entry.path.removeprefix(mount)
    for below in _BELOW:
        path = relative.removeprefix(below)
        if relative.startswith(below) and (entry.mount, path) in found:
            found[entry.mount, path]["replaced"] = True


def _alert(call: Call, text: str) -> None:
    record = call.session.record if call.session is not None else None
    _house(call).alerts.raise_(
        call.tx, "break-glass-set", text, call.now_ns,
        entity=record.entity if record else "", path=call.request.path,
    )  # fmt: skip


def _glass(call: Call) -> BreakGlass:
    return BreakGlass(_house(call).store)


def _house(call: Call) -> House:
    found: House = call.house
    return found


ROUTES: Final = (
    Route(
        Operation.READ, "break-glass/config", read_config, sudo=True,
        help="How is the glass broken, and who holds codes?",
    ),
    Route(
        Operation.UPDATE, "break-glass/config", write_config, SetConfig, sudo=True, quorum=True,
        audited=("threshold", "policies", "ttl"), help="Set how the glass is broken.",
    ),
    Route(
        Operation.UPDATE, "break-glass/people/{name}", issue_codes, Who, sudo=True, quorum=True,
        makes=True, releases=True, audited=("name",), help="Make codes for a person; shown once.",
    ),
    Route(
        Operation.DELETE, "break-glass/people/{name}", remove_person, Who, sudo=True,
        audited=("name",), help="Make a person's codes void.",
    ),
    Route(
        Operation.UPDATE, "break-glass/open", give, Give, open=True, releases=True,
        audited=("name", "reason", "attempt"), help="Give a code; the last of k gets a token.",
    ),
    Route(Operation.LIST, "break-glass/cases/", list_cases, sudo=True, help="All openings."),
    Route(
        Operation.READ, "break-glass/cases/{id}", read_case, Which, sudo=True,
        help="What did an opening release, and is it replaced?",
    ),
)  # fmt: skip
