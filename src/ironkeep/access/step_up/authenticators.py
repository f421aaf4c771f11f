"""Every authenticator that was ever bound to a person, and who the relying party is.

    sys/authenticators : party -> the relying party
                         person / entity / hash of the credential id -> the authenticator
                         credential / hash of the credential id -> its entity

Nothing here is ever deleted: an authenticator that is removed keeps its record with state
"removed", and its credential id is never bound again. So the question "which keys could this person
have used in May?" has an answer, and an added one stands out.
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
"""Authenticators of one person; two are needed, and a drawer full is a risk."""
MAX_EVER: Final = 256
"""Records of one person: all are read when they log in."""
NEEDED: Final = 2
"""When one is lost, the other still lets its person in, and nobody has to be asked."""
TIMEOUT_MS: Final = 60_000

_PARTY: Final = "party"
_TEXTS: Final = {
    "bound": "was registered: if it is not yours, remove it and tell who runs this vault",
    "removed": "was removed",
    "copied": "may have been copied: its counter went back",
}


class Authenticator(msgspec.Struct, frozen=True, omit_defaults=True):
    """One authenticator. `key` is a COSE key; times are POSIX nanoseconds.

    `eligible` says that it can be copied to a cloud account, `backed_up` that it was.
    `bound_by` is how it came: an invitation, a touch of another one, a recovery; `made` by whom.
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
        """Whether it may be used."""
        return self.state == "active"


_AUTHENTICATOR: Final = Codec(Authenticator)
_PARTY_CODEC: Final = Codec(Party)


class Authenticators:
    """Keeps authenticators, and verifies what they sign."""

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
        """Set the relying party; another id makes every authenticator useless."""
        self._stores(tx, PLACE).put(_PARTY, _PARTY_CODEC.encode(party))

    def find(self, tx: Tx, credential: bytes) -> Authenticator | None:
        """Return the authenticator that ever had this credential, or None."""
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
        """Return by whom a person's authenticators came, for the chain of what they log in to."""
        return tuple(each.made for each in self.of(tx, entity))

    def bind(self, tx: Tx, authenticator: Authenticator) -> None:
        """Add an authenticator; raise Conflict when its credential was ever bound to anybody.

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
        """Let an authenticator be used no more; its record stays."""
        gone = msgspec.structs.replace(authenticator, state="removed", removed_ns=now_ns, why=why)
        self._save(tx, gone)
        self._alert(tx, gone, "removed", now_ns)

    def owned(self, tx: Tx, entity: EntityId, credential: bytes) -> Authenticator:
        """Return a person's own authenticator; raise NotFound when it is not there or removed."""
        found = self.find(tx, credential)
        if found is None or found.entity != entity or not found.active:
            raise NotFound("you have no such authenticator")
        return found

    def options(self, tx: Tx, challenge: bytes, entity: EntityId | None = None) -> dict[str, Any]:
        """Return what a browser needs to have a challenge signed: `publicKey` of its `get`.

        With an entity it names that person's authenticators; without, it is the same for all.
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
        """Verify an assertion in JSON by an authenticator of entity; None takes anybody's.

        Return the authenticator as it is now, and what it signed. The counter is kept, so pass the
        transaction that outlives a refusal. The challenge's own single use is the caller's. Raise
        InvalidCredentials, InvalidRequest for what is malformed.
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
        """Tell the person."""
        kind = f"authenticator {what}"
        self._alerts.raise_(tx, kind, _text(about, what), now_ns, entity=about.entity)


def _text(about: Authenticator, what: str) -> str:
    return f"your authenticator {about.label!r} {_TEXTS[what]}"


def _name(credential: bytes) -> str:
    return sha256(credential).hexdigest()
