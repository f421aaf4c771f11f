"""The routes of `sys/break-glass`: a token of last resort, from the codes of k of n people.

    sys/break-glass/config          number of people, policies, lifetime of the token
    sys/break-glass/people/<name>   name a holder of codes
    sys/break-glass/codes           the holder fetches their codes; shown once
    sys/break-glass/open            give one code; the last of k gets the token
    sys/break-glass/cases/<id>      secrets that the token released, and which are not replaced yet

Holders are people with an entity. A holder cannot be one of the people who wrote the settings or
who named that holder, and each holder fetches their own codes. A change to settings or holders
needs the approval of another person. Of several holders whom the same person set up, one counts.

Break-glass works while every auth method is down or compromised. Opening it raises an alert, and so
does each secret read with its token. A released secret counts as exposed until another person has
replaced it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import msgspec

from ironkeep.access.alerts.alerts import Alerts
from ironkeep.access.break_glass import cases as break_glass_cases
from ironkeep.access.break_glass.break_glass import (
    BROKEN,
    PATH,
    BreakGlass,
    Case,
    Config,
    check_config,
)
from ironkeep.access.second_person import require_another_than_root, waits
from ironkeep.access.step_up.fresh_touch import take_fresh_touch
from ironkeep.core.errors import InvalidRequest, NotFound, PermissionDenied
from ironkeep.core.event import FACTOR_OF, MADE_BY, Released, Value
from ironkeep.core.ids import EntityId, base62
from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.core.text.goformat import rfc3339
from ironkeep.core.units import SECOND_NS
from ironkeep.identity.entities import Entity, Identity
from ironkeep.identity.people import APART, hand_of, handed_out, is_one_hand
from ironkeep.identity.tokens import Tokens
from ironkeep.journal.journal import Journal
from ironkeep.plugin.call import Call
from ironkeep.plugin.fields import Duration, PolicyNames
from ironkeep.plugin.mounts import Mounts
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route
from ironkeep.plugin.token import TokenSpec
from ironkeep.store.record import Codec
from ironkeep.store.reserved import MOUNTS

ATTEMPT_SECONDS: Final = 900
"""Time for k people to give their codes: they may be woken up and coordinate by telephone."""
MAX_ATTEMPTS: Final = 16
"""Attempts under way at the same time."""
MAX_REASON: Final = 512


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """One opening that is under way."""

    reason: str
    people: tuple[str, ...]


_ATTEMPT: Final = Codec(Attempt)


@dataclass(frozen=True)
class SetConfig:
    """The settings to change; an omitted one stays as it is."""

    threshold: int | None = None
    policies: PolicyNames | None = None
    ttl: Duration | None = None


@dataclass(frozen=True)
class Who:
    """One holder of codes."""

    name: str


@dataclass(frozen=True)
class Give:
    """One person's code; the first holder also gives the reason, the others the attempt."""

    name: str = ""
    code: Secret = Secret(b"")
    reason: str = ""
    attempt: str = ""


def read_config(call: Call) -> Response:
    """Return the settings, and the holders with how many codes each has left."""
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
    """Change the settings."""
    glass = _glass(call)
    before = glass.config(call.tx)
    fresh = Config(
        before.threshold if given.threshold is None else given.threshold,
        before.policies if given.policies is None else given.policies,
        before.ttl_seconds if given.ttl is None else given.ttl,
    )
    fresh = msgspec.structs.replace(fresh, set_by=_behind(call))
    held = [name for name in glass.people(call.tx) if _is_hand(call, glass, name, fresh.set_by)]
    if held:
        raise PermissionDenied(
            "a person who writes these settings must not hold codes: void those of "
            f"{held[0]} first, or have another person write them"
        )
    check_config(fresh)
    waiting = require_another_than_root(call)
    if waits(waiting):
        return waiting
    glass.set_config(call.tx, fresh)
    _alert(call, f"break-glass takes {fresh.threshold} people from now on")
    return Response()


def name_person(call: Call, given: Who) -> Response:
    """Let a person fetch codes; earlier codes of that person become void."""
    glass = _glass(call)
    person = _find(call, given.name)
    named_by = _behind(call)
    if is_one_hand((*named_by, *glass.config(call.tx).set_by), {person.id}):
        raise PermissionDenied(
            "a holder must be a person other than those who name them or wrote the settings"
        )
    waiting = require_another_than_root(call)
    if waits(waiting):
        return waiting
    glass.name(call.tx, given.name, person.id, named_by)
    _alert(call, f"{given.name} was named a holder of break-glass codes, and is to fetch them")
    return Response(
        data={"name": given.name, "entity_id": person.id},
        warnings=[f"{given.name} fetches the codes: write sys/break-glass/codes as that person"],
    )


def fetch_codes(call: Call) -> Response:
    """Make the caller's own codes, once after each naming."""
    entity = call.actor().record.entity
    take_fresh_touch(call, call.op, call.request.path, "fetching break-glass codes")
    made = _glass(call).issue(call.tx, entity, call.entropy) if entity else None
    if made is None:
        raise NotFound("no break-glass codes are waiting for you")
    name, codes = made
    _alert(call, f"break-glass codes were handed to {name}")
    released = Released(call.mount.uuid, f"break-glass/people/{name}")
    return Response(data={"name": name, "codes": codes}, released=(released,))


def _find(call: Call, name: str) -> Entity:
    """Return the one person with this entity id, entity name, or name at an auth method."""
    identity, mounts = (
        call.use(Identity),
        call.use(Mounts).table(call.services.store(call.tx, MOUNTS)).by_path,
    )
    found = [identity.get(call.tx, EntityId(name)), identity.by_name(call.tx, name)]
    found += [identity.by_alias(call.tx, mount.accessor, name) for mount in mounts.values()]
    people = {each.id: each for each in found if each is not None}
    if len(people) != 1:
        raise InvalidRequest(
            f"{'no' if not people else 'more than one'} person of that name is known: codes are "
            "for people who have logged in; give the entity's id"
        )
    (person,) = people.values()
    if person.disabled:
        raise InvalidRequest("that person is disabled")
    return person


def _behind(call: Call) -> tuple[str, ...]:
    return tuple(sorted(call.actor().people))


def _is_hand(call: Call, glass: BreakGlass, name: str, people: Collection[str]) -> bool:
    known = glass.holder(call.tx, name)
    return known is not None and known.entity in people


def _hands(call: Call, name: str) -> frozenset[str]:
    """Return all people behind a holder; raise PermissionDenied if the holder's entity is gone."""
    known = _glass(call).holder(call.tx, name)
    if known is None or not known.entity:
        return frozenset({name})
    person = call.use(Identity).get(call.tx, known.entity)
    if person is None or person.disabled:
        raise PermissionDenied("that is no unused code of a holder of that name")
    return hand_of(call.use(Identity), call.tx, known.entity)


def remove_person(call: Call, given: Who) -> Response:
    """Void a person's codes, without an approval: somebody else may have the codes."""
    known = _glass(call).holder(call.tx, given.name)
    _glass(call).remove(call.tx, given.name)
    _alert(call, f"the break-glass codes of {given.name} are void")
    entity = "" if known is None else known.entity
    return Response(audited={FACTOR_OF: entity, "codes_of": given.name} if entity else {})


def give(call: Call, given: Give) -> Response:
    """Take one person's code; the caller who gives the last of k gets the token."""
    glass = _glass(call)
    config = glass.config(call.tx)
    if not config.policies:
        raise InvalidRequest("break-glass is not set up: see sys/break-glass/config")
    attempt = _attempt(call, given)
    if not glass.use(call.account, given.name, given.code):
        holder = given.name if glass.left(call.tx, given.name) is not None else ""
        call.use(Alerts).repeated(
            call.account, "break-glass", "a wrong break-glass code was given", call.now_ns,
            subject=holder, path=call.request.path,
        )  # fmt: skip
        raise PermissionDenied("that is no unused code of a holder of that name")
    if given.name in attempt.people:
        raise PermissionDenied(
            "you have given a code for this attempt already: another person is needed"
        )
    hands = _hands(call, given.name)
    if any(is_one_hand(hands, _hands(call, each)) for each in attempt.people):
        raise PermissionDenied(
            f"one person stands behind you and an earlier holder, so you count as one: {APART}"
        )
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


def _attempt(call: Call, given: Give) -> Attempt:
    if given.attempt:
        path = f"break-glass/{given.attempt}"
        row = call.store.row(path) if given.attempt.isalnum() else None
        if row is None or row.due_ns is None or row.due_ns <= call.now_ns:
            raise InvalidRequest("no attempt with that id is under way: start again")
        return _ATTEMPT.decode(call.store.open_row(call.store.key_of(path), row))
    if not given.reason or len(given.reason) > MAX_REASON or not given.reason.isprintable():
        raise InvalidRequest(
            f"give a reason of at most {MAX_REASON} printable characters: reason=…"
        )
    if len(call.store.list("break-glass")) >= MAX_ATTEMPTS:
        raise InvalidRequest(f"{MAX_ATTEMPTS} attempts are under way: wait until one lapses")
    return Attempt(given.reason, ())


def _open(call: Call, name: str, attempt: Attempt, config: Config) -> Response:
    spec = TokenSpec(
        policies=config.policies,
        display_name=f"break-glass-{name}",
        path=PATH,
        meta={BROKEN: name},
        ttl_seconds=config.ttl_seconds,
        explicit_max_ttl_seconds=config.ttl_seconds,
        renewable=False,
    )
    # Issued directly, not as a login: no rule on devices or mounts may block it in an emergency.
    issued = call.use(Tokens).issue(call.tx, call.mount, spec, call.now_ns, call.entropy)
    until_ns = call.now_ns + config.ttl_seconds * SECOND_NS
    hands = frozenset[str]().union(*(_hands(call, each) for each in attempt.people))
    case = Case(
        name, attempt.reason, attempt.people, call.now_ns, until_ns, issued.record.accessor,
        call.use(Journal).next_index, tuple(sorted(hands)),
    )  # fmt: skip
    _glass(call).put_case(call.tx, case)
    who = ", ".join(attempt.people)
    text = f"break-glass was opened by {who} until {rfc3339(until_ns)}: {attempt.reason}"
    call.use(Alerts).raise_(call.tx, "break-glass-open", text, call.now_ns, path=call.request.path)
    told: dict[str, Value] = {"case": name, "people": list(attempt.people)}
    told[MADE_BY] = handed_out(hands, call.now_ns)
    return Response(auth=issued.auth(), warnings=list(issued.warnings), audited=told)


def _alert(call: Call, text: str) -> None:
    record = call.session.record if call.session is not None else None
    call.use(Alerts).raise_(
        call.tx, "break-glass-set", text, call.now_ns,
        entity=record.entity if record else "", path=call.request.path,
    )  # fmt: skip


def _glass(call: Call) -> BreakGlass:
    return BreakGlass(call.services.store)


ROUTES: Final = (
    Route(
        Operation.READ, "break-glass/config", read_config, sudo=True,
        help="The settings, and the holders of codes.",
    ),
    Route(
        Operation.UPDATE, "break-glass/config", write_config, SetConfig, sudo=True, quorum=True,
        audited=("threshold", "policies", "ttl"), help="Change the settings.",
    ),
    Route(
        Operation.UPDATE, "break-glass/people/{name}", name_person, Who, sudo=True, quorum=True,
        makes=True, audited=("name",), help="Name a holder, who then fetches codes.",
    ),
    Route(
        Operation.UPDATE, "break-glass/codes", fetch_codes, any_token=True, quorum=True,
        releases=True, help="Fetch your own codes; shown once.",
    ),
    Route(
        Operation.DELETE, "break-glass/people/{name}", remove_person, Who, sudo=True,
        audited=("name",), help="Void a person's codes.",
    ),
    Route(
        Operation.UPDATE, "break-glass/open", give, Give, open=True, releases=True,
        audited=("name", "reason", "attempt"), help="Give a code; the last of k gets a token.",
    ),
    *break_glass_cases.ROUTES,
)  # fmt: skip
