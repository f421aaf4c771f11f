"""Every authenticator that was ever bound to a person, and the relying party (WebAuthn).

    sys/authenticators : party -> the relying party
                         person / entity / hash of the credential id -> the authenticator
                         credential / hash of the credential id -> its entity

No record is ever deleted: a removed authenticator keeps its record with state "removed", and its
credential id is never bound again. So an incident team can tell which keys a person could have used
at any time, and an added key stands out.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final, Literal

import msgspec

from ironkeep.access.alerts.alerts import Alerts
from ironkeep.core.errors import Conflict, InvalidCredentials, InvalidRequest, NotFound
from ironkeep.core.ids import EntityId
from ironkeep.core.webauthn import webauthn
from ironkeep.core.webauthn.webauthn import Party, Signed
from ironkeep.plugin.token import Made
from ironkeep.store.record import Codec
from ironkeep.store.reserved import StoreOf
from ironkeep.store.state import Tx

PLACE: Final = "sys/authenticators"
MAX_ACTIVE: Final = 16
"""Authenticators of one person in use: each further one is another that can be lost."""
MAX_EVER: Final = 256
"""Records of one person, removed ones too: all are read at each login."""
NEEDED: Final = 2
"""Authenticators of one person: with two, a person who loses one can still log in without help."""
TIMEOUT_MS: Final = 60_000

_PARTY: Final = "party"
_TEXTS: Final = {
    "bound": "was registered: if it is not yours, remove it and tell the operator of this vault",
    "removed": "was removed",
    "copied": "may have been copied: its counter went back",
}


class Authenticator(msgspec.Struct, frozen=True, omit_defaults=True):
    """One authenticator. `key` is a COSE key; times are POSIX nanoseconds.

    `eligible` means that it can be copied to a cloud account, `backed_up` that it has been.
    `bound_by` is how it was added (by an invitation, a touch of another one, or a recovery), and
    `made` the people who had it added.
    """

    id: bytes
    entity: EntityId
    key: bytes
    label: str
    aaguid: str
    created_ns: int
    bound_by: str
    counter: int = 0
    eligible: bool = False
    backed_up: bool = False
    used_ns: int = 0
    state: Literal["active", "removed"] = "active"
    removed_ns: int = 0
    why: str = ""
    made: Made = Made()

    @property
    def active(self) -> bool:
        """True while it may be used."""
        return self.state == "active"


_AUTHENTICATOR: Final = Codec(Authenticator)
_PARTY_CODEC: Final = Codec(Party)


class Authenticators:
    """Stores authenticators, and verifies their signatures."""

    def __init__(self, stores: StoreOf, alerts: Alerts) -> None:
        self._stores: Final = stores
        self._alerts: Final = alerts

    def party(self, tx: Tx) -> Party:
        """Return the relying party; raise InvalidRequest before one is configured."""
        raw = self._stores(tx, PLACE).get(_PARTY)
        if raw is None:
            raise InvalidRequest("passkeys are not configured: write rp_id and origins first")
        return _PARTY_CODEC.decode(raw)

    def set_party(self, tx: Tx, party: Party) -> None:
        """Set the relying party; after a change of its id no registered authenticator works."""
        self._stores(tx, PLACE).put(_PARTY, _PARTY_CODEC.encode(party))

    def find(self, tx: Tx, credential: bytes) -> Authenticator | None:
        """Return the authenticator with this credential id, also a removed one, or None."""
        name = _name(credential)
        store = self._stores(tx, PLACE)
        entity = store.get(f"credential/{name}")
        raw = None if entity is None else store.get(f"person/{entity.decode()}/{name}")
        return None if raw is None else _AUTHENTICATOR.decode(raw)

    def ever(self, tx: Tx, entity: EntityId) -> list[Authenticator]:
        """Return all authenticators that a person ever had, the oldest first."""
        store = self._stores(tx, PLACE)
        names = store.list(f"person/{entity}") if entity else []
        found = (store.get(f"person/{entity}/{name}") for name in names)
        records = [_AUTHENTICATOR.decode(raw) for raw in found if raw is not None]
        return sorted(records, key=lambda each: (each.created_ns, each.id))

    def of(self, tx: Tx, entity: EntityId) -> list[Authenticator]:
        """Return a person's authenticators that may be used, the oldest first."""
        return [each for each in self.ever(tx, entity) if each.active]

    def made(self, tx: Tx, entity: EntityId) -> tuple[Made, ...]:
        """Return the people who had a person's authenticators added, for the chain of a login."""
        return tuple(each.made for each in self.of(tx, entity))

    def bind(self, tx: Tx, authenticator: Authenticator) -> None:
        """Add an authenticator; raise Conflict if its credential was ever bound to any person.

        Raise InvalidRequest past the limits.
        """
        if self.find(tx, authenticator.id) is not None:
            raise Conflict("this authenticator was registered before")
        before = self.ever(tx, authenticator.entity)
        if sum(each.active for each in before) >= MAX_ACTIVE or len(before) >= MAX_EVER:
            raise InvalidRequest(f"a person has at most {MAX_ACTIVE} authenticators: remove one")
        name = _name(authenticator.id)
        self._stores(tx, PLACE).put(f"credential/{name}", authenticator.entity.encode())
        self._save(tx, authenticator)
        self._alert(tx, authenticator, "bound", authenticator.created_ns)

    def remove(self, tx: Tx, authenticator: Authenticator, why: str, now_ns: int) -> None:
        """Stop the use of an authenticator; its record stays."""
        gone = msgspec.structs.replace(authenticator, state="removed", removed_ns=now_ns, why=why)
        self._save(tx, gone)
        self._alert(tx, gone, "removed", now_ns)

    def owned(self, tx: Tx, entity: EntityId, credential: bytes) -> Authenticator:
        """Return a person's own authenticator; raise NotFound if there is none or it is removed."""
        found = self.find(tx, credential)
        if found is None or found.entity != entity or not found.active:
            raise NotFound("you have no such authenticator")
        return found

    def options(self, tx: Tx, challenge: bytes, entity: EntityId | None = None) -> dict[str, Any]:
        """Return the `publicKey` options with which a browser's `get` has a challenge signed.

        With an entity they list that person's authenticators; without, they are the same for all.
        """
        known = self.of(tx, entity) if entity else []
        return {
            "challenge": webauthn.encode(challenge),
            "timeout": TIMEOUT_MS,
            "rpId": self.party(tx).rp_id,
            "allowCredentials": [
                {"type": "public-key", "id": webauthn.encode(each.id)} for each in known
            ],
            "userVerification": "required",
        }

    def verify(
        self,
        tx: Tx,
        entity: EntityId | None,
        challenge: bytes,
        credential: Mapping[str, Any],
        now_ns: int,
    ) -> tuple[Authenticator, Signed]:
        """Verify an assertion in JSON by an authenticator of entity; None accepts any person's.

        Return the updated authenticator and the signed assertion. The new counter is stored, so
        pass the transaction that outlives a refusal. The caller has to make sure that the challenge
        is used only once. Raise InvalidCredentials, or InvalidRequest for a malformed assertion.
        """
        signed = webauthn.signed_of(credential)
        known = self.find(tx, signed.credential)
        if known is None or not known.active:
            raise InvalidCredentials("that authenticator is not registered here")
        if entity is not None and known.entity != entity:
            raise InvalidCredentials("that authenticator is another person's")
        if signed.user_handle and signed.user_handle != known.entity.encode():
            raise InvalidCredentials("that authenticator is another person's")
        asserted = webauthn.verify_assertion(self.party(tx), challenge, known.key, signed)
        if asserted.eligible != known.eligible:
            raise InvalidCredentials("the authenticator has changed whether it can be copied")
        try:
            webauthn.require_progress(known.counter, asserted.counter)
        except InvalidCredentials:
            self._alerts.repeated(
                tx, "authenticator copied", _text(known, "copied"), now_ns,
                subject=_name(known.id), entity=known.entity,
            )  # fmt: skip
            raise
        used = msgspec.structs.replace(
            known, counter=asserted.counter, backed_up=asserted.backed_up, used_ns=now_ns
        )
        self._save(tx, used)
        return used, signed

    def _save(self, tx: Tx, authenticator: Authenticator) -> None:
        path = f"person/{authenticator.entity}/{_name(authenticator.id)}"
        self._stores(tx, PLACE).put(path, _AUTHENTICATOR.encode(authenticator))

    def _alert(self, tx: Tx, about: Authenticator, what: str, now_ns: int) -> None:
        """Raise an alert for the person."""
        kind = f"authenticator {what}"
        self._alerts.raise_(tx, kind, _text(about, what), now_ns, entity=about.entity)


def _text(about: Authenticator, what: str) -> str:
    return f"your authenticator {about.label!r} {_TEXTS[what]}"


def _name(credential: bytes) -> str:
    return sha256(credential).hexdigest()
