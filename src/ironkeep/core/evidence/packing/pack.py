"""The evidence pack: an in-toto Statement v1 about a case, in a DSSE envelope.

The predicate holds the evidence (leaves of the log, the entries in them, proofs, the signed head)
and the conclusions (exposure and verdict). A verifier checks the evidence and recomputes the
conclusions. The statement's subject is the case, by the SHA-256 of the entry that opened it.

A pack shows the entries on which the verdict depends, and proves by the log's index that there are
no others. Earlier releases made packs of version 2, with the same form, and of version 1, which
show the whole window. Their evidence is read; their conclusions follow from the rules of their time
and are only quoted (`stated_in`).
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

import msgspec

from ironkeep.core.errors import IntegrityError
from ironkeep.core.evidence.exposure import Exposure
from ironkeep.core.evidence.packing.compressed import PLAIN_TYPE, statement_of
from ironkeep.core.evidence.packing.dsse import Envelope
from ironkeep.core.evidence.records import Instant
from ironkeep.core.evidence.verdict import Verdict

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPES: Final = {number: f"urn:ironkeep:evidence-pack:v{number}" for number in (1, 2, 3)}
PAYLOAD_TYPE: Final = PLAIN_TYPE
VERSION: Final = 3

MAX_HASHES: Final = 63
"""Hashes of one proof: a tree of fewer than 2^63 leaves is no higher."""

MAX_LOGS: Final = 1
"""Logs in a pack: one for each node, and a vault has one node today."""

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


class ShownEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A disclosed entry on its own."""

    index: Index
    leaf: bytes
    salt: bytes
    body: str


class Stretch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Leaves of the window that are shown whole, from `start` on."""

    start: Index
    leaves: tuple[WindowLeaf, ...]


class ShownLog(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The part of a log that a pack shows.

    `policy` is the server's own tlog-policy, `checkpoint` the signed and cosigned head, both as
    text. The window is [start, size of the head). `whole` are the parts of it that no index covers,
    `entries` the further entries that matter, and records from before the window. `hashes` lead
    from all these leaves to the head (tlog/multiproof.py). `index` proves that the rest of the
    window has no entry that matters: proofs of index/proof.py, for the terms that the entries
    themselves give rise to (index/closure.py).
    """

    policy: str
    checkpoint: str
    start: Index
    whole: tuple[Stretch, ...]
    entries: tuple[ShownEntry, ...]
    hashes: tuple[bytes, ...]
    index: tuple[bytes, ...]


class LogEvidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The part of the log that a pack of version 1 shows.

    `policy` is the server's own tlog-policy, `checkpoint` the signed and cosigned head, both as
    text. `leaves` are all leaves from `start` to the head's size; `left` are the hashes of the
    subtrees before them.
    """

    policy: str
    checkpoint: str
    start: Index
    left: Annotated[tuple[bytes, ...], msgspec.Meta(max_length=MAX_HASHES)]
    leaves: tuple[WindowLeaf, ...]
    earlier: tuple[EarlierLeaf, ...]


class Pack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The predicate: the evidence first, then the conclusions."""

    version: int
    case: str
    as_of_ns: Instant
    logs: Annotated[tuple[ShownLog, ...], msgspec.Meta(min_length=1, max_length=MAX_LOGS)]
    exposure: Exposure
    verdict: Verdict


class IndexedPack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The predicate of version 2."""

    version: int
    case: str
    as_of_ns: Instant
    logs: Annotated[tuple[ShownLog, ...], msgspec.Meta(min_length=1, max_length=MAX_LOGS)]
    exposure: msgspec.Raw
    verdict: msgspec.Raw


class WindowPack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The predicate of version 1."""

    version: int
    case: str
    as_of_ns: Instant
    log: LogEvidence
    exposure: msgspec.Raw
    verdict: msgspec.Raw


AnyPack = Pack | IndexedPack | WindowPack

P = TypeVar("P", Pack, IndexedPack, WindowPack)


class _Stated(msgspec.Struct, frozen=True):
    """The conclusion of a pack of an earlier version, without its reasons."""

    outcome: Literal["PROVEN", "NOT PROVEN", "DISPROVEN"]


class Subject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The subject of a statement, identified by a digest."""

    name: str
    digest: dict[str, str]


class Statement(msgspec.Struct, Generic[P], frozen=True, forbid_unknown_fields=True):
    """An in-toto Statement with one pack as its predicate."""

    type: str = msgspec.field(name="_type")
    subject: tuple[Subject, ...]
    predicate_type: str = msgspec.field(name="predicateType")
    predicate: P


class _Kind(msgspec.Struct):
    """The part of a statement that tells how to read the rest."""

    predicate_type: str = msgspec.field(name="predicateType")


def state(pack: AnyPack, opening: str) -> bytes:
    """Return the statement about a pack; opening is the SHA-256 (hex) of the case's first entry."""
    subject = Subject(f"case/{pack.case}", {"sha256": opening})
    kind = PREDICATE_TYPES[pack.version]
    return msgspec.json.encode(Statement(STATEMENT_TYPE, (subject,), kind, pack))


def read_statement(envelope: Envelope) -> tuple[AnyPack, str]:
    """Return the pack in an envelope and the digest of the entry that opened its case.

    Does not check the signature. Raises IntegrityError unless the payload is the canonical encoding
    of a statement of this kind and of a known version.
    """
    payload = statement_of(envelope)
    try:
        kind = _KIND.decode(payload).predicate_type
        decoder = _DECODERS.get(kind)
        if decoder is None:
            raise IntegrityError("the statement is not an evidence pack: it has another type")
        statement = decoder.decode(payload)
        written = msgspec.json.encode(statement)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise IntegrityError(f"not an evidence pack: {error}") from None
    if statement.type != STATEMENT_TYPE:
        raise IntegrityError("the statement is not an evidence pack: it has another type")
    pack = statement.predicate
    if PREDICATE_TYPES.get(pack.version) != kind:
        raise IntegrityError(
            f"the pack has version {pack.version}; this program reads versions 1 to {VERSION}, "
            "each under its own type"
        )
    names = [each.name for each in statement.subject]
    if names != [f"case/{pack.case}"] or list(statement.subject[0].digest) != ["sha256"]:
        raise IntegrityError("the statement's subject is not the case")
    if written != payload:
        raise IntegrityError("the statement is not in its canonical encoding")
    return pack, statement.subject[0].digest["sha256"]


def stated_in(pack: AnyPack) -> str:
    """Return the outcome that a pack states; raise IntegrityError if it states none."""
    if isinstance(pack, Pack):
        return pack.verdict.outcome
    try:
        return msgspec.json.decode(pack.verdict, type=_Stated).outcome
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise IntegrityError(f"not an evidence pack: {error}") from None


_KIND: Final = msgspec.json.Decoder(_Kind)
_DECODERS: Final[Mapping[str, msgspec.json.Decoder[Any]]] = {
    PREDICATE_TYPES[1]: msgspec.json.Decoder(Statement[WindowPack]),
    PREDICATE_TYPES[2]: msgspec.json.Decoder(Statement[IndexedPack]),
    PREDICATE_TYPES[3]: msgspec.json.Decoder(Statement[Pack]),
}
