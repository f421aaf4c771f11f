"""The evidence pack: an in-toto Statement v1 about a case, in a DSSE envelope.

The predicate holds the evidence (leaves of the log, the entries in them, proofs, the signed head)
and the conclusions (exposure and verdict). A verifier checks the evidence and recomputes the
conclusions. The statement's subject is the case, by the SHA-256 of the entry that opened it.
"""

from typing import Annotated, Final

import msgspec

from ironkeep.core.errors import IntegrityError
from ironkeep.core.evidence.dsse import Envelope
from ironkeep.core.evidence.exposure import Exposure
from ironkeep.core.evidence.records import Instant
from ironkeep.core.evidence.verdict import Verdict

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "urn:ironkeep:evidence-pack:v1"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
VERSION: Final = 1

MAX_LEAVES: Final = 250_000
"""Leaves of the window: at about a kilobyte each, this many fill an envelope."""

MAX_EARLIER: Final = 50_000
"""Entries from before the window: enough for the links and baselines of a large estate."""

MAX_HASHES: Final = 63
"""Hashes of one proof: a tree of fewer than 2^63 leaves is no higher."""

_RENAMED: Final = {
    "hand of nobody": "unattributed record",
    "hand of exposed": "record by an exposed principal",
}
"""Names of checks as older packs of this version have them, and what they are called now."""

Index = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]


class WindowLeaf(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One leaf of the window: a disclosed entry, another kind of leaf, or only a leaf hash."""

    leaf: bytes = b""
    salt: bytes = b""
    body: str = ""
    hash: bytes = b""


class EarlierLeaf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry from before the window, with its inclusion proof."""

    index: Index
    leaf: bytes
    salt: bytes
    body: str
    proof: Annotated[tuple[bytes, ...], msgspec.Meta(max_length=MAX_HASHES)]


class LogEvidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The part of the log that a pack shows.

    `policy` is the server's own tlog-policy, `checkpoint` the signed and cosigned head, both as
    text. `leaves` are all leaves from `start` to the head's size; `left` are the hashes of the
    subtrees before them.
    """

    policy: str
    checkpoint: str
    start: Index
    left: Annotated[tuple[bytes, ...], msgspec.Meta(max_length=MAX_HASHES)]
    leaves: Annotated[tuple[WindowLeaf, ...], msgspec.Meta(max_length=MAX_LEAVES)]
    earlier: Annotated[tuple[EarlierLeaf, ...], msgspec.Meta(max_length=MAX_EARLIER)]


class Pack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The predicate: the evidence first, then the conclusions."""

    version: int
    case: str
    as_of_ns: Instant
    log: LogEvidence
    exposure: Exposure
    verdict: Verdict


class Subject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The subject of a statement, identified by a digest."""

    name: str
    digest: dict[str, str]


class Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An in-toto Statement with one pack as its predicate."""

    type: str = msgspec.field(name="_type")
    subject: tuple[Subject, ...]
    predicate_type: str = msgspec.field(name="predicateType")
    predicate: Pack


def state(pack: Pack, opening: str) -> bytes:
    """Return the statement about a pack; opening is the SHA-256 (hex) of the case's first entry."""
    subject = Subject(f"case/{pack.case}", {"sha256": opening})
    return msgspec.json.encode(Statement(STATEMENT_TYPE, (subject,), PREDICATE_TYPE, pack))


def read_statement(envelope: Envelope) -> tuple[Pack, str]:
    """Return the pack in an envelope and the digest of the entry that opened its case.

    Does not check the signature. Raises IntegrityError unless the payload is the canonical encoding
    of a statement of this kind and version.
    """
    if envelope.payload_type != PAYLOAD_TYPE:
        raise IntegrityError("the payload is not an in-toto statement")
    try:
        statement = _DECODER.decode(envelope.payload)
        written = msgspec.json.encode(statement)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise IntegrityError(f"not an evidence pack: {error}") from None
    if (statement.type, statement.predicate_type) != (STATEMENT_TYPE, PREDICATE_TYPE):
        raise IntegrityError("the statement is not an evidence pack: it has another type")
    pack = statement.predicate
    if pack.version != VERSION:
        raise IntegrityError(
            f"the pack has version {pack.version}; this program reads version {VERSION}"
        )
    names = [each.name for each in statement.subject]
    if names != [f"case/{pack.case}"] or list(statement.subject[0].digest) != ["sha256"]:
        raise IntegrityError("the statement's subject is not the case")
    if written != envelope.payload:
        raise IntegrityError("the statement is not in its canonical encoding")
    return _renamed(pack), statement.subject[0].digest["sha256"]


def _renamed(pack: Pack) -> Pack:
    """Return the pack with the present names of checks: its verdict is compared with a new one."""
    claims = tuple(
        msgspec.structs.replace(
            claim,
            items=tuple(
                msgspec.structs.replace(item, check=_RENAMED.get(item.check, item.check))
                for item in claim.items
            ),
        )
        for claim in pack.verdict.claims
    )
    verdict = msgspec.structs.replace(pack.verdict, claims=claims)
    return msgspec.structs.replace(pack, verdict=verdict)


_DECODER: Final = msgspec.json.Decoder(Statement)
