"""Step-up: the statement that one touch signs for one request, and its later verification.

The challenge is the SHA-256 of canonical JSON (keys sorted, no spaces, UTF-8):

    {"device","entity","exp","nonce","op","path","session","v"}

so an assertion approves exactly one operation on one path, by one session from one device, before
`exp` (POSIX nanoseconds). The text and the assertion go into the audit entry. With the public key
from the registration's entry, anybody can verify them without the server.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final

import msgspec

from ironkeep.core.errors import IntegrityError, InvalidCredentials, InvalidRequest
from ironkeep.core.webauthn import webauthn
from ironkeep.core.webauthn.webauthn import Party, Signed

VERSION: Final = 1

STATEMENT: Final = "step_up"
CREDENTIAL: Final = "step_up_credential"
CLIENT_DATA: Final = "step_up_client_data"
AUTHENTICATOR_DATA: Final = "step_up_authenticator_data"
SIGNATURE: Final = "step_up_signature"
KEY: Final = "step_up_key"
"""The fields of the evidence in an entry; all but the statement and the key id are base64url."""

Evidence = Mapping[str, str]


class Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The request that a touch approves."""

    op: str
    path: str
    session: str
    entity: str
    device: str
    nonce: str
    exp: int
    v: int = VERSION

    def text(self) -> bytes:
        """Return the canonical JSON."""
        return msgspec.json.encode(msgspec.structs.asdict(self), order="sorted")

    def challenge(self) -> bytes:
        """Return the challenge for the authenticator: the SHA-256 of the text."""
        return sha256(self.text()).digest()


_STATEMENT: Final = msgspec.json.Decoder(Statement)


def key_id(key: bytes) -> str:
    """Return the id of a COSE key: the SHA-256 of its bytes, in hexadecimal."""
    return sha256(key).hexdigest()


def evidence_of(statement: Statement, signed: Signed, key: bytes) -> dict[str, str]:
    """Return the evidence of a touch, as strings for an entry."""
    return {
        STATEMENT: statement.text().decode(),
        CREDENTIAL: webauthn.encode(signed.credential),
        CLIENT_DATA: webauthn.encode(signed.client_data),
        AUTHENTICATOR_DATA: webauthn.encode(signed.authenticator_data),
        SIGNATURE: webauthn.encode(signed.signature),
        KEY: key_id(key),
    }


def verify_evidence(party: Party, credential: bytes, key: bytes, evidence: Evidence) -> Statement:
    """Verify the evidence of a touch against a registered credential; return its statement.

    (1) The statement is in canonical form and of this version. (2) The evidence names the
    credential and the key. (3) The assertion is over the statement's hash, and verifies. The caller
    must compare the statement with the entry that contains it. Raise IntegrityError.
    """
    try:
        text = evidence[STATEMENT].encode()
        statement = _STATEMENT.decode(text)
        if statement.v != VERSION or statement.text() != text:
            raise IntegrityError("the statement is not in canonical form")
        signed = Signed(
            webauthn.decode(evidence[CREDENTIAL], webauthn.MAX_CREDENTIAL_ID),
            webauthn.decode(evidence[CLIENT_DATA], webauthn.MAX_CLIENT_DATA),
            webauthn.decode(evidence[AUTHENTICATOR_DATA], webauthn.MAX_AUTHENTICATOR_DATA),
            webauthn.decode(evidence[SIGNATURE], webauthn.MAX_SIGNATURE),
        )
        if signed.credential != credential or evidence[KEY] != key_id(key):
            raise IntegrityError("the evidence names another credential")
        webauthn.verify_assertion(party, statement.challenge(), key, signed)
    except (KeyError, UnicodeError, msgspec.DecodeError) as error:
        raise IntegrityError(f"the evidence is malformed: {error}") from None
    except (InvalidCredentials, InvalidRequest) as error:
        raise IntegrityError(f"the evidence does not verify: {error}") from None
    return statement
