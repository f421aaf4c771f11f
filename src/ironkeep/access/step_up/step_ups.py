"""Demands for a touch: each for exactly one request, valid for a minute, used up by that request.

    sys/step-ups : session / key -> all demands of one session, in one record

The statement that a touch signs, and its later verification, are core/webauthn/step_up.py. The id
in the link names the session's record by a hash and the demand by a random number. A person who
knows the id can see the demand but not meet it: that takes an authenticator of the session's own
person.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import msgspec

from ironkeep.access.step_up.authenticators import Authenticators
from ironkeep.core.errors import NotFound, PermissionDenied, StepUpNeeded, TooLarge
from ironkeep.core.ids import DeviceId, EntityId, TokenHash
from ironkeep.core.operation import Operation
from ironkeep.core.ports import Entropy
from ironkeep.core.units import SECOND_NS
from ironkeep.core.webauthn.step_up import KEY, Statement, evidence_of, key_id
from ironkeep.identity.token_store import StoredToken
from ironkeep.plugin.call import Call
from ironkeep.plugin.token import Session
from ironkeep.store.record import Codec
from ironkeep.store.reserved import StoreOf
from ironkeep.store.state import Tx

PLACE: Final = "sys/step-ups"
LIFE_NS: Final = 60 * SECOND_NS
REUSE_NS: Final = 30 * SECOND_NS
"""A repeated request gets the same link while at least this much of its life is left."""
MAX_PENDING: Final = 3
"""Pending demands of one session; past it the oldest is dropped. A person confirms them one by
one, and has no use for more."""
MAX_ASKED: Final = 4_096
"""Characters of the requested path or text: it is shown to the person and journalled."""
NONCE_BYTES: Final = 16

_KEY_LENGTH: Final = 32
_GONE: Final = "nothing waits for a touch here: it was given, or a minute has passed; ask again"


class Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    """One demand; `evidence` is empty until it is satisfied. `name` is the session's name."""

    statement: Statement
    name: str
    evidence: dict[str, str] = {}


class Pending(msgspec.Struct, frozen=True, omit_defaults=True):
    """All demands of one session, the oldest first."""

    demands: tuple[Kept, ...] = ()


@dataclass(frozen=True, slots=True)
class Demand:
    """A demand as the caller needs it. `expires_ns` is POSIX."""

    id: str
    challenge: bytes
    expires_ns: int


_PENDING: Final = Codec(Pending)


class StepUps:
    """Stores demands, takes assertions for them, and hands out each satisfied one once.

    `address` is the URL at which people reach the server, for the links in messages.
    """

    def __init__(self, stores: StoreOf, authenticators: Authenticators, address: str = "") -> None:
        self._stores: Final = stores
        self._authenticators: Final = authenticators
        self._address: Final = address

    def needed(self, call: Call, op: Operation, path: str, doing: str) -> StepUpNeeded:
        """Demand a touch of the caller; return the refusal with the link for the touch.

        `doing` names the action in the message. Raise the same errors as `demand`.
        """
        session = call.actor()
        demand = self.demand(
            call.account, session, op, path, session.record.device, call.now_ns, call.entropy
        )
        link = f"{self._address}/ui/step-up/{demand.id}"
        return StepUpNeeded(
            f"{doing} takes one touch of your authenticator: open {link} within a minute, "
            "touch, then ask again",
            link,
        )

    def demand(
        self,
        tx: Tx,
        session: Session,
        op: Operation,
        path: str,
        device: DeviceId,
        now_ns: int,
        entropy: Entropy,
    ) -> Demand:
        """Demand a touch of the session's person for one request.

        Pass the transaction that outlives the refusal. Raise PermissionDenied if the session has
        no person or the person no authenticator; TooLarge for a text longer than `MAX_ASKED`, which
        a person could not read before the touch.
        """
        if len(path) > MAX_ASKED:
            raise TooLarge(f"a touch covers a path and data of at most {MAX_ASKED} characters")
        record = session.record
        if not record.entity or not record.accessor:
            raise PermissionDenied("a touch is needed: use a service token of a person")
        if not self._authenticators.of(tx, record.entity):
            raise PermissionDenied("a touch is needed, and you have no authenticator: register one")
        key = _key(session.hash)
        kept = self._live(tx, key, now_ns)
        for each in kept:
            same = _is_for(each, session, op, path, device)
            if same and not each.evidence and each.statement.exp - now_ns >= REUSE_NS:
                return _demand(key, each)
        statement = Statement(
            op=op.value,
            path=path,
            session=record.accessor,
            entity=record.entity,
            device=device,
            nonce=entropy.token(NONCE_BYTES).hex(),
            exp=now_ns + LIFE_NS,
        )
        fresh = Kept(statement, session.name)
        self._save(tx, key, [*kept, fresh][-MAX_PENDING:])
        return _demand(key, fresh)

    def find(self, tx: Tx, demand: str, now_ns: int) -> Kept:
        """Return a demand that is not satisfied yet; raise NotFound."""
        key, nonce = demand[:_KEY_LENGTH], demand[_KEY_LENGTH:]
        if not _is_key(key):
            raise NotFound(_GONE)
        for each in self._live(tx, key, now_ns):
            if each.statement.nonce == nonce and not each.evidence:
                return each
        raise NotFound(_GONE)

    def options(self, tx: Tx, kept: Kept) -> dict[str, Any]:
        """Return the options with which a browser asks the authenticator to sign a demand."""
        entity = EntityId(kept.statement.entity)
        return self._authenticators.options(tx, kept.statement.challenge(), entity)

    def satisfy(
        self, tx: Tx, demand: str, credential: Mapping[str, Any], now_ns: int
    ) -> dict[str, str]:
        """Verify an assertion for a demand, which satisfies it; return the evidence.

        Pass the transaction that outlives a refusal, as the counter is stored in it. Raise
        NotFound, InvalidCredentials or InvalidRequest.
        """
        kept = self.find(tx, demand, now_ns)
        statement = kept.statement
        used, signed = self._authenticators.verify(
            tx, EntityId(statement.entity), statement.challenge(), credential, now_ns
        )
        evidence = evidence_of(statement, signed, used.key)
        key = demand[:_KEY_LENGTH]
        self._save(
            tx,
            key,
            [
                Kept(each.statement, each.name, evidence) if each == kept else each
                for each in self._live(tx, key, now_ns)
            ],
        )
        return evidence

    def take(
        self, tx: Tx, session: Session, op: Operation, path: str, now_ns: int
    ) -> dict[str, str] | None:
        """Use up the touch that was given for exactly this request; return its evidence, or None.

        Pass the transaction that a refusal keeps. A touch of an authenticator that was removed
        since does not count.
        """
        key = _key(session.hash)
        kept = self._live(tx, key, now_ns)
        for each in kept:
            if each.evidence and _is_for(each, session, op, path, session.record.device):
                self._save(tx, key, [other for other in kept if other is not each])
                return each.evidence if self._still_bound(tx, each) else None
        return None

    def ended(self, tx: Tx, token: TokenHash, _record: StoredToken) -> None:
        """Delete the demands of a session that has ended."""
        self._stores(tx, PLACE).delete(_path(_key(token)))

    def _still_bound(self, tx: Tx, kept: Kept) -> bool:
        bound = self._authenticators.of(tx, EntityId(kept.statement.entity))
        return kept.evidence[KEY] in {key_id(each.key) for each in bound}

    def _live(self, tx: Tx, key: str, now_ns: int) -> list[Kept]:
        raw = self._stores(tx, PLACE).get(_path(key))
        demands = () if raw is None else _PENDING.decode(raw).demands
        return [each for each in demands if now_ns < each.statement.exp]

    def _save(self, tx: Tx, key: str, demands: list[Kept]) -> None:
        store = self._stores(tx, PLACE)
        if demands:
            store.put(_path(key), _PENDING.encode(Pending(tuple(demands))))
        else:
            store.delete(_path(key))


def _is_for(kept: Kept, session: Session, op: Operation, path: str, device: DeviceId) -> bool:
    statement = kept.statement
    asked = (statement.op, statement.path, statement.device)
    who = (statement.session, statement.entity)
    return asked == (op, path, device) and who == (session.record.accessor, session.record.entity)


def _demand(key: str, kept: Kept) -> Demand:
    statement = kept.statement
    return Demand(key + statement.nonce, statement.challenge(), statement.exp)


def _key(session: TokenHash) -> str:
    """Return the name of a session's record, hashed so that links do not show the session."""
    return sha256(b"ironkeep step-up\n" + session.encode()).hexdigest()[:_KEY_LENGTH]


def _is_key(text: str) -> bool:
    return len(text) == _KEY_LENGTH and text.isascii() and text.isalnum()


def _path(key: str) -> str:
    return f"session/{key}"
