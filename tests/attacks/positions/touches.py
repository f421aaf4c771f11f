"""Authenticators that attackers have, or that somebody touches for them whenever they are asked."""

from typing import Any, Final

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from ironkeep.core.webauthn.webauthn import decode, encode
from tests.support.people.passkeys import Person
from tests.support.people.softauth import ORIGIN, Credential, SoftAuthenticator

MOST: Final = 1_000
"""Bytes of a lent handle or credential id."""


def lent(person: Person) -> dict[str, Any]:
    """Return somebody's first authenticator as it is handed to the attacker program."""
    key = person.keys[0].credentials[-1]
    pem = key.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {
        "name": person.name, "key": pem.decode(), "credential": encode(key.id),
        "handle": encode(key.handle), "rp_id": key.rp_id, "counter": key.counter,
    }  # fmt: skip


def authenticator(known: dict[str, Any], **changes: Any) -> SoftAuthenticator:
    """Return a lent authenticator for one touch, which may differ from what it should be."""
    key: Any = load_pem_private_key(known["key"].encode(), password=None)
    known["counter"] += 1
    made = SoftAuthenticator(origin=changes.get("origin", ORIGIN))
    made.flags = changes.get("flags", made.flags)
    made.cross_origin = changes.get("cross_origin", False)
    handle, id_ = decode(known["handle"], MOST), decode(known["credential"], MOST)
    rp_id = changes.get("rp_id", known["rp_id"])
    made.credentials = [Credential(id_, rp_id, handle, key, known["counter"])]
    return made
