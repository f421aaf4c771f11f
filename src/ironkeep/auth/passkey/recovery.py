"""Recovery of a person who lost every authenticator, by several other people and a delay.

    recovery / name -> the approvals, and the time from which the recovery can be used

Several different people approve, each with authenticators registered long before. Then a delay
runs: alerts tell the person, who ends the recovery by logging in. After the delay an approver gets
a ticket, which registers one authenticator and cannot be used to log in. No single person can
recover another's account, and there are no security questions.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from ironkeep.access.alerts.alerts import Alerts
from ironkeep.access.step_up.authenticators import NEEDED, Authenticators
from ironkeep.auth.passkey.people import (
    User,
    end_recovery,
    found,
    issue_ticket,
    ticket_response,
)
from ironkeep.auth.passkey.settings import settings
from ironkeep.core.errors import InvalidRequest, NotFound, PermissionDenied
from ironkeep.core.ids import EntityId
from ironkeep.core.text.goformat import rfc3339
from ironkeep.core.units import SECOND_NS
from ironkeep.identity.entities import Identity
from ironkeep.identity.lifetimes import is_granted
from ironkeep.identity.people import APART, are_standing, is_one_hand, is_same_person
from ironkeep.plugin.call import Call
from ironkeep.plugin.response import Response, listing
from ironkeep.store.record import Codec
from ironkeep.store.reserved import escape_part, unescape_part

KNOWN_NS: Final = 7 * 24 * 3600 * SECOND_NS
"""Minimum age of an approver's authenticators: an attacker who creates accounts to approve with
must wait that long, and administrators can notice those accounts meanwhile."""
LIFE_NS: Final = 7 * 24 * 3600 * SECOND_NS
"""A recovery that is not approved, or not used, in this time lapses."""
MAX_REASON: Final = 512


@dataclass(frozen=True)
class ApproveInput:
    """The reason of an approval."""

    username: str = field(default="", metadata={"help": "The person to recover, in the path."})
    reason: str = field(default="", metadata={"help": "Why, and how you verified that it is them."})


class Word(msgspec.Struct, frozen=True):
    """One person's approval; `people` are all people behind the token that gave it."""

    entity: EntityId
    name: str
    reason: str
    time_ns: int
    people: tuple[str, ...]


class Recovery(msgspec.Struct, frozen=True, omit_defaults=True):
    """A running recovery; `ready_ns` is 0 until enough people have approved."""

    entity: EntityId
    started_ns: int
    words: tuple[Word, ...] = ()
    ready_ns: int = 0


_RECOVERY: Final = Codec(Recovery)


def approve(call: Call, given: ApproveInput) -> Response:
    """Approve the recovery of another person; the first approval starts it."""
    user = found(call)
    if not 1 <= len(given.reason) <= MAX_REASON:
        raise InvalidRequest(f"give a reason of 1 to {MAX_REASON} characters")
    before = _find(call, user) or Recovery(user.entity, call.now_ns)
    if before.ready_ns:
        raise InvalidRequest("enough people have approved already")
    session = call.actor()
    people = tuple(sorted(session.people))
    _require_peer(call, user, before, people)
    word = Word(session.record.entity, session.name, given.reason, call.now_ns, people)
    words = (*before.words, word)
    wanted = settings(call)
    enough = len(words) >= wanted.recovery_quorum
    ready_ns = call.now_ns + wanted.delay_ns if enough else 0
    after = Recovery(user.entity, before.started_ns, words, ready_ns)
    call.store.put(_path(user.name), _RECOVERY.encode(after))
    text = (
        f"{session.name} approved your recovery, which lets you register a new authenticator. "
        "Logging in ends it. If you did not ask for it, tell your administrator"
    )
    _tell(call, user, f"recovery {'approved' if enough else 'asked'} {len(words)}", text)
    return Response(data=_view(call, user, after))


def read(call: Call) -> Response:
    """Return the state of a recovery."""
    user = found(call)
    return Response(data=_view(call, user, _running(call, user)))


def cancel(call: Call) -> Response:
    """End a recovery."""
    user = found(call)
    if _find(call, user) is not None:
        call.store.delete(_path(user.name))
        _tell(call, user, "recovery ended", f"{call.actor().name} ended your recovery")
    return Response()


def names(call: Call) -> Response:
    """List the names of the people being recovered."""
    return listing([unescape_part(name) for name in call.store.names("recovery")])


def ticket(call: Call) -> Response:
    """Return the ticket to one of the approvers once the delay has passed; end the recovery."""
    user = found(call)
    running = _running(call, user)
    if not running.ready_ns:
        raise PermissionDenied("not enough people have approved this recovery")
    if call.now_ns < running.ready_ns:
        raise PermissionDenied(f"this recovery must wait until {rfc3339(running.ready_ns)}")
    standing = _standing(call, running)
    if len(standing) < settings(call).recovery_quorum:
        raise PermissionDenied(
            "too few of these approvals still count: more people must approve this recovery"
        )
    if call.actor().record.entity not in {word.entity for word in standing}:
        raise PermissionDenied("only one of the approvers can get the ticket")
    call.store.delete(_path(user.name))
    _tell(call, user, "recovery ticket", "a ticket for a new authenticator of yours was made")
    return ticket_response(call, user, issue_ticket(call, user, "recovery"))


def end_by_login(call: Call, user: User) -> User:
    """End a recovery and its ticket because the person logged in; return the updated person."""
    if _find(call, user) is not None:
        call.store.delete(_path(user.name))
        _tell(call, user, "recovery ended", "you logged in, which ended your recovery")
    return end_recovery(call, user)


def _require_peer(call: Call, user: User, running: Recovery, people: tuple[str, ...]) -> None:
    """Raise PermissionDenied unless the caller may approve this recovery.

    (1) The caller is a person, not the one being recovered. (2) No one person set up both. (3) They
    have not approved yet, and no one person stands behind them and an earlier approver. (4) They
    have had their authenticators for long enough.
    """
    entity = call.actor().record.entity
    if not entity:
        raise PermissionDenied("approving needs the token of a person")
    if user.entity in people:
        raise PermissionDenied("you cannot approve your own recovery")
    if is_same_person(call.use(Identity), call.tx, call.actor(), user.entity):
        raise PermissionDenied(
            "one person set up both you and the person being recovered, or one of you set up the "
            f"other: {APART}"
        )
    if any(word.entity == entity for word in running.words):
        raise PermissionDenied("you have already approved this recovery")
    if any(is_one_hand(people, word.people) for word in running.words):
        raise PermissionDenied(
            f"one person stands behind you and an earlier approver, so you count as one: {APART}"
        )
    if not _is_known(call, running, entity):
        # Otherwise an administrator could create accounts and approve with them.
        days = KNOWN_NS // (24 * 3600 * SECOND_NS)
        raise PermissionDenied(
            f"an approver needs {NEEDED} authenticators that were registered {days} days before "
            "the recovery began"
        )


def _is_known(call: Call, running: Recovery, entity: EntityId) -> bool:
    """Return whether a person has had authenticators for long enough, and still has them."""
    own = call.use(Authenticators).of(call.tx, entity)
    old = [each for each in own if each.created_ns <= running.started_ns - KNOWN_NS]
    return len(old) >= NEEDED


def _standing(call: Call, running: Recovery) -> list[Word]:
    """Return the approvals that still count: of people in good standing, with authenticators."""
    identity = call.use(Identity)
    return [
        word
        for word in running.words
        if are_standing(identity, call.tx, {word.entity, *word.people}, word.time_ns)
        and _is_known(call, running, word.entity)
    ]


def _running(call: Call, user: User) -> Recovery:
    running = _find(call, user)
    if running is None:
        raise NotFound("no recovery of this person is running: none was started, or it lapsed")
    return running


def _find(call: Call, user: User) -> Recovery | None:
    raw = call.store.get(_path(user.name))
    running = None if raw is None else _RECOVERY.decode(raw)
    if running is None or running.entity != user.entity:
        return None
    ends_ns = (running.ready_ns or running.started_ns) + LIFE_NS
    began = is_granted(running.started_ns, *(w.time_ns for w in running.words), now_ns=call.now_ns)
    return running if began and call.now_ns < ends_ns else None


def _tell(call: Call, user: User, kind: str, text: str) -> None:
    call.use(Alerts).raise_(
        call.tx, kind, text, call.now_ns, entity=user.entity, path=call.request.path
    )


def _view(call: Call, user: User, running: Recovery) -> dict[str, Any]:
    return {
        "username": user.name,
        "started": rfc3339(running.started_ns),
        "approved_by": [word.name for word in running.words],
        "reasons": [word.reason for word in running.words],
        "needed": max(settings(call).recovery_quorum - len(running.words), 0),
        "ready": rfc3339(running.ready_ns) if running.ready_ns else "",
    }


def _path(name: str) -> str:
    return f"recovery/{escape_part(name)}"
