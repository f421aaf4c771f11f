#!/usr/bin/env python3
"""Verify an evidence pack, with Python's standard library and `cryptography` alone.

    python tools/verify_pack.py PACK [TRUST]

This is a second verifier, written from the description of the format (docs/formats) and not from
the code of Ironkeep, of which it imports nothing. It is one file, to be read from top to bottom as
the specification in code: each part names the section that it follows. It recomputes the exposure
and the verdict from the entries of the log, and believes nothing that the pack says of itself.

It prints the headline, and the open items by check and subject; it repeats no words of the pack.
The exit codes are those of docs/evidence-pack.md.
"""

import base64
import binascii
import hashlib
import heapq
import json
import os
import re
import stat
import sys
import zlib
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import pairwise, product
from typing import Any, Final, NamedTuple, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SECOND_NS: Final = 10**9
FOREVER: Final = 2**63 - 1
MAX_FILE: Final = 402_653_184
MAX_STATEMENT: Final = 1_073_741_824
MAX_PLAIN: Final = 4_194_304
"""A statement of more bytes is compressed, a smaller one never."""
MAX_POLICY: Final = 65_536
MAX_SIGNATURES: Final = 16
MAX_PACK_KEYS: Final = 16
MAX_NOTE: Final = 1_048_576
MAX_NOTE_SIGNATURES: Final = 64
MAX_NAME: Final = 255
MAX_LINES: Final = 64
"""Logs, witnesses or groups of a policy."""


class Refused(Exception):
    """The pack or the trust file is refused; the message names the step and the reason."""


def refuse(step: int, reason: str) -> NoReturn:
    """Raise Refused for a step of the verification."""
    raise Refused(f"step ({step}): {reason}")


def require(condition: bool, step: int, reason: str) -> None:
    """Raise Refused unless a condition holds."""
    if not condition:
        refuse(step, reason)


# --------------------------------------------------------------------------------------------------
# Spelling: JSON and base64 in their one form, and values of the shapes that a table gives
# --------------------------------------------------------------------------------------------------


def parsed(raw: bytes, step: int) -> Any:
    """Return the value of JSON that is spelt in the one allowed way."""
    try:
        value = json.loads(raw.decode())
        same = spelt(value) == raw
    except (ValueError, RecursionError):
        refuse(step, "this is no JSON")
    require(same, step, "the JSON is not spelt in the one allowed way")
    return value


def spelt(value: Any) -> bytes:
    """Return a value as JSON without white space, with only the necessary escapes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def unbase64(text: str, step: int) -> bytes:
    """Return the bytes of padded standard base64 in its one spelling."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        refuse(step, "this is no base64")
    require(base64.b64encode(raw).decode() == text, step, "base64 that is not in its one spelling")
    return raw


class Sparse(dict[str, Any]):
    """The shape of an object whose keys are omitted where their value is empty."""


def shaped(value: Any, shape: Any, step: int) -> Any:
    """Return a value of a shape, its bytes decoded: a type, [shape], or {key: shape} in order."""
    if isinstance(shape, Sparse):
        require(type(value) is dict, step, "an object is missing")
        require([key for key in shape if key in value] == list(value), step, "other keys")
        require(all(each not in ("", []) for each in value.values()), step, "an empty key")
        return {
            key: shaped(value[key], each, step) if key in value else each()
            for key, each in shape.items()
        }
    if isinstance(shape, dict):
        require(type(value) is dict and list(value) == list(shape), step, "other keys")
        return {key: shaped(value[key], each, step) for key, each in shape.items()}
    if isinstance(shape, list):
        require(type(value) is list, step, "a list is missing")
        return [shaped(each, shape[0], step) for each in value]
    require(type(value) is (str if shape is bytes else shape), step, "a value of another type")
    return unbase64(value, step) if shape is bytes else value


# --------------------------------------------------------------------------------------------------
# Keys, signed notes and policies: c2sp.org/signed-note, tlog-checkpoint, -cosignature, -policy
# --------------------------------------------------------------------------------------------------

ED25519: Final = 0x01
COSIGNATURE: Final = 0x04


class Key(NamedTuple):
    """A verifier key: its name, the type of its signatures, and the public key."""

    name: str
    kind: int
    public: bytes

    @property
    def id(self) -> bytes:
        """The first 4 bytes of SHA-256(name, line feed, type, key)."""
        kind = bytes([self.kind])
        return hashlib.sha256(self.name.encode() + b"\n" + kind + self.public).digest()[:4]

    def format(self) -> str:
        """Return the key in the signed-note spelling."""
        body = base64.b64encode(bytes([self.kind]) + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{body}"

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Return whether this is an Ed25519 signature of a message by this key."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


def key_of(text: str, kind: int, step: int) -> Key:
    """Return a verifier key of a type from its signed-note spelling."""
    name, _, rest = text.partition("+")
    _, _, body = rest.partition("+")
    raw = unbase64(body, step)
    require(len(raw) == 33 and raw[0] == kind, step, f"no key of type {kind:02x}")
    key = Key(name, kind, raw[1:])
    require(is_name(name) and key.format() == text, step, "no verifier key")
    return key


def is_name(name: str) -> bool:
    """Return whether a key may have a name: not empty, without spaces and plus signs."""
    short = 0 < len(name.encode()) <= MAX_NAME
    return short and "+" not in name and not any(each.isspace() for each in name)


@dataclass
class Policy:
    """A tlog-policy: log keys, witness keys by their names, groups, and the quorum's name."""

    logs: list[Key] = field(default_factory=list)
    witnesses: dict[bytes, Key] = field(default_factory=dict)
    groups: dict[bytes, tuple[int, list[bytes]]] = field(default_factory=dict)
    quorum: bytes = b""

    def is_met(self, name: bytes, signed: AbstractSet[bytes]) -> bool:
        """Return whether a witness, or enough of a group, has signed."""
        if name in self.witnesses:
            return name in signed
        need, members = self.groups[name]
        return sum(self.is_met(each, signed) for each in members) >= need


def policy_of(raw: bytes, step: int) -> Policy:
    """Return a policy; each name is defined before it is used, and used in one group at most."""
    require(len(raw) <= MAX_POLICY, step, "a policy of more than 65,536 bytes")
    allowed = all(each in (9, 10) or 0x20 <= each <= 0x7E or each >= 0x80 for each in raw)
    require(allowed, step, "a policy with control characters")
    require(text_of(raw, step).endswith("\n"), step, "a policy whose last line does not end")
    policy = Policy()
    members: set[bytes] = set()
    for line in raw.split(b"\n"):
        words = [each for each in re.split(rb"[ \t]+", line) if each]
        if words and not words[0].startswith(b"#"):
            add_line(policy, words, members, step)
    require(policy.quorum != b"", step, "a policy without a quorum")
    longest = max(map(len, (policy.logs, policy.witnesses, policy.groups)))
    require(longest <= MAX_LINES, step, "a policy with more than 64 lines of a kind")
    keys = [each.public for each in policy.logs]
    require(len(keys) == len(set(keys)), step, "a log key twice")
    keys = [each.public for each in policy.witnesses.values()]
    require(len(keys) == len(set(keys)), step, "a witness key twice")
    return policy


def add_line(policy: Policy, words: list[bytes], members: set[bytes], step: int) -> None:
    """Add a line to a policy."""
    known = {*policy.witnesses, *policy.groups}
    match words:
        case [b"log", key, *url] if len(url) <= 1:
            policy.logs.append(key_of(text_of(key, step), ED25519, step))
        case [b"witness", name, key, *url] if len(url) <= 1:
            require(name not in known and name != b"none", step, "a name twice")
            policy.witnesses[name] = key_of(text_of(key, step), COSIGNATURE, step)
        case [b"group", name, number, first, *rest]:
            names = [first, *rest]
            require(name not in known and name != b"none", step, "a name twice")
            require(known.issuperset(names), step, "a name that no line before defines")
            fresh = len(set(names)) == len(names) and members.isdisjoint(names)
            require(fresh, step, "a name in two groups")
            members.update(names)
            policy.groups[name] = (needed(number, len(names), step), names)
        case [b"quorum", name] if not policy.quorum:
            require(name in known or name == b"none", step, "a quorum that no line before defines")
            policy.quorum = name
        case _:
            refuse(step, "a line of a policy that means nothing")


def needed(word: bytes, count: int, step: int) -> int:
    """Return how many members of a group have to sign."""
    if word in (b"all", b"any"):
        return count if word == b"all" else 1
    require(re.fullmatch(rb"[1-9][0-9]{0,5}", word) is not None, step, "a group without a number")
    require(int(word) <= count, step, "a group that needs more than its members")
    return int(word)


def text_of(raw: bytes, step: int) -> str:
    """Return UTF-8 as text."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        refuse(step, "text that is no UTF-8")


@dataclass(frozen=True)
class Head:
    """A verified checkpoint, and the witnesses that cosigned it."""

    origin: str
    size: int
    root: bytes
    cosigners: frozenset[bytes]
    cosigned_ns: int


def head_of(note: str, policy: Policy) -> Head:
    """Verify a checkpoint under a policy (step 4)."""
    text, signatures = note_of(note)
    origin, size, root = checkpoint_of(text)
    signed, times = False, []
    cosigners = set()
    for name, key_id, signature in signatures:
        for key in policy.logs:
            if (key.name, key.id) == (name, key_id) and name == origin:
                require(key.verifies(signature, text.encode()), 4, "a wrong signature of the log")
                signed = True
        for witness, key in policy.witnesses.items():
            if (key.name, key.id) == (name, key_id):
                times.append(cosigned_at(key, signature, text))
                cosigners.add(witness)
    require(signed, 4, "no pinned log key signed the checkpoint")
    if policy.quorum == b"none":
        return Head(origin, size, root, frozenset(), 0)
    require(policy.is_met(policy.quorum, cosigners), 4, "no quorum of witnesses cosigned")
    return Head(origin, size, root, frozenset(cosigners), min(times) * SECOND_NS)


def note_of(note: str) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """Return the text of a signed note, and its signatures as name, key id and signature."""
    require(all(each >= " " or each == "\n" for each in note), 4, "a note with control characters")
    require(len(note.encode()) <= MAX_NOTE, 4, "a note that is too long")
    text, blank, lines = note.rpartition("\n\n")
    require(blank != "" and lines.endswith("\n"), 4, "no signed note")
    signatures = []
    for line in lines[:-1].split("\n"):
        words = line.split(" ")
        require(len(words) == 3 and words[0] == "\u2014" and is_name(words[1]), 4, "no signature")
        blob = unbase64(words[2], 4)
        require(len(blob) > 4, 4, "no signature")
        signatures.append((words[1], blob[:4], blob[4:]))
    require(len(signatures) <= MAX_NOTE_SIGNATURES, 4, "a note with too many signatures")
    return f"{text}\n", signatures


def checkpoint_of(text: str) -> tuple[str, int, bytes]:
    """Return origin, size and root of a checkpoint."""
    origin, size, root, *extensions = [*text[:-1].split("\n"), "", ""][: text.count("\n") + 2]
    require(origin != "" and re.fullmatch("0|[1-9][0-9]{0,18}", size) is not None, 4, "no size")
    require(int(size) < 2**63 and all(extensions[:-2]), 4, "no checkpoint")
    raw = unbase64(root, 4)
    require(len(raw) == 32, 4, "no root hash")
    return origin, int(size), raw


def cosigned_at(key: Key, signature: bytes, text: str) -> int:
    """Verify a cosignature; return its time in seconds."""
    seconds = int.from_bytes(signature[:8])
    message = f"cosignature/v1\ntime {seconds}\n{text}".encode()
    require(key.verifies(signature[8:], message), 4, "a wrong cosignature")
    require(0 < seconds * SECOND_NS < FOREVER, 4, "a cosignature without a time")
    return seconds


@dataclass(frozen=True)
class Trust:
    """The pinned keys: those of packs, and the policy for the log."""

    packs: tuple[Key, ...]
    policy: Policy


def trust_of(raw: bytes) -> Trust:
    """Return the keys of a trust file."""
    head, blank, policy = raw.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    require(first == b"ironkeep-trust/v1" and blank != b"", 2, "this is no trust file")
    require(1 <= len(lines) <= MAX_PACK_KEYS, 2, "a trust file has 1 to 16 pack keys")
    keys = []
    for line in lines:
        require(line.startswith(b"pack "), 2, "a line of a trust file that means nothing")
        keys.append(key_of(text_of(line[5:], 2), ED25519, 2))
    return Trust(tuple(keys), policy_of(policy, 2))


# --------------------------------------------------------------------------------------------------
# The envelope (steps 1 and 2) and the statement (step 3): docs/formats/evidence-pack.md
# --------------------------------------------------------------------------------------------------

PLAIN: Final = "application/vnd.in-toto+json"
ENVELOPE: Final = {
    "payload": bytes,
    "payloadType": str,
    "signatures": [{"keyid": str, "sig": bytes}],
}


def payload_of(raw: bytes, trust: Trust | None) -> bytes:
    """Verify a DSSE envelope; return the statement's bytes."""
    require(len(raw) <= MAX_FILE, 1, "the file is too large")
    envelope = shaped(parsed(raw, 1), ENVELOPE, 1)
    signatures = envelope["signatures"]
    require(1 <= len(signatures) <= MAX_SIGNATURES, 1, "there are 1 to 16 signatures")
    require(all(len(each["sig"]) == 64 for each in signatures), 1, "a signature has 64 bytes")
    kind: str = envelope["payloadType"]
    payload: bytes = envelope["payload"]
    keys = {key.format(): key for key in trust.packs} if trust else None
    message = b"DSSEv1 %d %s %d %s" % (len(kind.encode()), kind.encode(), len(payload), payload)
    signed = 0
    for each in signatures:
        name = each["keyid"]
        key = key_of(name, ED25519, 2) if keys is None else keys.get(name)
        if key:
            require(key.verifies(each["sig"], message), 2, "a wrong signature of the pack")
            signed += 1
    require(signed > 0, 2, "no pinned pack key signed the pack")
    if kind == PLAIN:
        require(len(payload) <= MAX_PLAIN, 3, "a large statement that is not compressed")
        return payload
    require(kind == f"{PLAIN}+zlib", 3, "another type of payload")
    return inflated(payload)


def inflated(payload: bytes) -> bytes:
    """Return what one zlib stream holds."""
    stream = zlib.decompressobj()
    try:
        statement = stream.decompress(payload, MAX_STATEMENT + 1)
    except zlib.error:
        refuse(3, "this is no zlib stream")
    whole = stream.eof and not stream.unused_data and not stream.unconsumed_tail
    require(whole and MAX_PLAIN < len(statement) <= MAX_STATEMENT, 3, "no such zlib stream")
    return statement


STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "urn:ironkeep:evidence-pack:v3"
READS: Final = "urn:ironkeep:did-read:v1"
OLDER: Final = ("urn:ironkeep:evidence-pack:v1", "urn:ironkeep:evidence-pack:v2")
LEAF: Final = Sparse(leaf=bytes, salt=bytes, body=str, hash=bytes)
LOG: Final = {
    "policy": str, "checkpoint": str, "start": int,
    "whole": [{"start": int, "leaves": [LEAF]}],
    "entries": [{"index": int, "leaf": bytes, "salt": bytes, "body": str}],
    "hashes": [bytes], "index": [bytes],
}  # fmt: skip
STEP: Final = {"source": str, "kind": str, "target": str, "at_ns": int, "evidence": str}
ROW: Final = {"node": str, "exposed_ns": int, "in_clear_ns": int, "why": [STEP]}
TALLY: Final = {
    "measured": int, "sworn": int, "exempt": int, "open": int, "waived": int, "until_ns": int,
}  # fmt: skip
ITEM: Final = {"check": str, "subject": str, "label": str, "status": str, "words": str}
CLAIM: Final = {
    "id": str, "title": str, "status": str, "items": [ITEM],
    "entries": [int], "sworn": [int], "exempt": int,
}  # fmt: skip
EXEMPTION: Final = {
    "item": str, "label": str, "owner": str, "reason": str, "expires_ns": int, "words": str,
}  # fmt: skip
WAITING: Final = {"entry": int, "item": str, "label": str, "words": str}
CREDENTIAL: Final = {
    "node": str, "label": str, "state": str, "basis": str, "exposed_ns": int, "in_clear_ns": int,
    "revoked_ns": int, "dead_ns": int, "measurable": bool, "owner": str, "reason": str,
    "expires_ns": int,
}  # fmt: skip
STATEMENT: Final = {
    "_type": str,
    "subject": [{"name": str, "digest": {"sha256": str}}],
    "predicateType": str,
    "predicate": {
        "version": int, "case": str, "as_of_ns": int, "logs": [LOG],
        "exposure": {"did_read": [ROW], "could_read": [ROW], "could_reach": [ROW]},
        "verdict": {
            "outcome": str, "tally": TALLY, "case": str, "opening": int, "from_ns": int,
            "as_of_ns": int, "scope": str, "claims": [CLAIM], "exemptions": [EXEMPTION],
            "waiting": [WAITING], "credentials": [CREDENTIAL], "residue": [str],
        },
    },
}  # fmt: skip
WORDS: Final = frozenset({"label", "title", "words", "scope", "residue", "evidence"})
"""Texts for people, which a verifier need not write in the same way."""


def statement_of(payload: bytes) -> tuple[str, dict[str, Any]]:
    """Return the digest of the subject, and the predicate (step 3)."""
    value = parsed(payload, 3)
    if isinstance(value, dict) and value.get("predicateType") in OLDER:
        refuse(3, "a pack of an older format: verify it with `ironkeep verify`")
    if isinstance(value, dict) and value.get("predicateType") == READS:
        refuse(3, "a statement of reads, and no pack: verify it with `ironkeep verify`")
    statement = shaped(value, STATEMENT, 3)
    predicate = statement["predicate"]
    types = (statement["_type"], statement["predicateType"], predicate["version"])
    require(types == (STATEMENT_TYPE, PREDICATE_TYPE, 3), 3, "another type of statement")
    require(len(statement["subject"]) == 1 == len(predicate["logs"]), 3, "one subject and one log")
    (subject,) = statement["subject"]
    require(subject["name"] == f"case/{predicate['case']}", 3, "the subject is another case")
    require(0 <= predicate["as_of_ns"] < FOREVER, 3, "no time")
    return subject["digest"]["sha256"], predicate


# --------------------------------------------------------------------------------------------------
# Leaves (step 5) and their places (step 7)
# --------------------------------------------------------------------------------------------------

ENTRY_LEAF: Final = b"\x01\x01"
KNOWN_LEAVES: Final = (b"\x01\x02", b"\x01\x03", b"\x01\x04")
"""Leaves with the key of a run, of an epoch, and of the index."""


@dataclass
class Shown:
    """The shown leaves by their index: their hashes, the bodies of entries, the withheld ones."""

    hashes: dict[int, bytes] = field(default_factory=dict)
    bodies: dict[int, str] = field(default_factory=dict)
    withheld: set[int] = field(default_factory=set)


def shown_of(log: Mapping[str, Any], size: int) -> Shown:
    """Check each shown leaf by itself, and that none is shown twice (step 5)."""
    shown = Shown()
    require(0 <= log["start"] < size, 5, "the window begins behind the log")
    end = log["start"]
    for stretch in log["whole"]:
        first, leaves = stretch["start"], stretch["leaves"]
        require(end <= first <= size - len(leaves) and leaves != [], 5, "stretches out of order")
        end = first + len(leaves)
        for index, leaf in enumerate(leaves, first):
            show(shown, index, leaf)
    last = -1
    for entry in log["entries"]:
        require(last < entry["index"] < size, 5, "entries out of order")
        last = entry["index"]
        require(last not in shown.hashes, 5, "a leaf is shown twice")
        require(entry["salt"] != b"", 5, "an entry without its salt")
        show(shown, last, {**entry, "hash": b""})
    return shown


def show(shown: Shown, index: int, leaf: Mapping[str, Any]) -> None:
    """Add a leaf to those shown: an entry, another kind of leaf, or a hash alone."""
    raw, salt, body, alone = leaf["leaf"], leaf["salt"], leaf["body"], leaf["hash"]
    if not raw:
        require(len(alone) == 32 and not salt and not body, 5, "a leaf that is not shown")
        shown.hashes[index] = alone
        shown.withheld.add(index)
        return
    require(not alone, 5, "a leaf is both shown and withheld")
    shown.hashes[index] = hashlib.sha256(b"\0" + raw).digest()
    if raw[:2] == ENTRY_LEAF and salt:
        digest = hashlib.sha256(salt + body.encode()).digest()
        require(
            len(salt) == 16 and raw[2:34] == digest, 5, f"entry {index} is not that of its leaf"
        )
        shown.bodies[index] = body
        return
    require(not salt and not body, 5, "a leaf that is no entry")
    if raw[:2] not in KNOWN_LEAVES:
        shown.withheld.add(index)


def root_from(hashes: Sequence[bytes], leaves: Mapping[int, bytes], size: int, step: int) -> bytes:
    """Return the root to which a multiproof leads from leaf hashes at their places."""
    places, rest = sorted(leaves), iter(hashes)

    def root(low: int, high: int) -> bytes:
        first = bisect_left(places, low)
        if first == len(places) or places[first] >= high:
            given = next(rest, b"")
            require(len(given) == 32, step, "the proof has too few hashes")
            return given
        if high - low == 1:
            return leaves[low]
        middle = low + (1 << (high - low - 1).bit_length() - 1)
        return hashlib.sha256(b"\1" + root(low, middle) + root(middle, high)).digest()

    found = root(0, size)
    require(next(rest, None) is None, step, "the proof has too many hashes")
    return found


# --------------------------------------------------------------------------------------------------
# The index of the log: docs/formats/index.md
# --------------------------------------------------------------------------------------------------

RUN: Final = 4_096
LARGE_RUN: Final = 262_144
MAX_LAG: Final = 262_144
"""An index leaf further behind its run is late."""

Term = tuple[str, str]
UNREAD: Final[Term] = ("run", "unread")


class Packed:
    """A reader of MessagePack in which each value has its shortest encoding."""

    def __init__(self, raw: bytes) -> None:
        self.raw: Final = raw
        self.place = 0

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        self.place += count
        require(self.place <= len(self.raw), 6, "a proof that is cut")
        return self.raw[self.place - count : self.place]

    def _sized(self, tag: int, first: int, below: int) -> int:
        """Return the number behind a tag of 1, 2, 4 or 8 bytes, the smallest that holds it."""
        require(first <= tag <= first + 3, 6, "a value of another type in a proof")
        number = int.from_bytes(self.take(1 << (tag - first)))
        least = below if tag == first else 1 << (4 << (tag - first))
        require(number >= least, 6, "a number that is not in its shortest form")
        return number

    def number(self) -> int:
        """Return an unsigned number."""
        tag = self.take(1)[0]
        return tag if tag < 0x80 else self._sized(tag, 0xCC, 0x80)

    def data(self) -> bytes:
        """Return bytes."""
        tag = self.take(1)[0]
        require(tag <= 0xC6, 6, "a value of another type in a proof")
        return self.take(self._sized(tag, 0xC4, 0))

    def count(self) -> int:
        """Return the number of values in an array."""
        tag = self.take(1)[0]
        if 0x90 <= tag <= 0x9F:
            return tag - 0x90
        require(tag in (0xDC, 0xDD), 6, "a value of another type in a proof")
        count = int.from_bytes(self.take(2 if tag == 0xDC else 4))
        require(
            count > (15 if tag == 0xDC else 0xFFFF), 6, "a number that is not in its shortest form"
        )
        return count

    def array(self, length: int) -> None:
        """Read the head of an array of a length."""
        require(self.count() == length, 6, "an array of another length in a proof")

    def each(self, read: Callable[[], Any]) -> list[Any]:
        """Return the values of an array."""
        return [read() for _ in range(self.count())]


class Record(NamedTuple):
    """A record of a run: its number, the digest of its term, and its data or their SHA-256."""

    number: int
    digest: bytes
    data: bytes
    hash: bytes


class Run(NamedTuple):
    """A run of a proof, as its index leaf describes it."""

    place: int
    leaf: bytes
    records: list[Record]
    hashes: list[bytes]

    @property
    def level(self) -> int:
        """0 for a run of 4,096 leaves, 1 for one of 262,144."""
        return self.leaf[3]

    @property
    def first(self) -> int:
        """The run's first leaf."""
        return int.from_bytes(self.leaf[4:12])

    @property
    def end(self) -> int:
        """The end of the run."""
        return self.first + int.from_bytes(self.leaf[12:16])

    @property
    def total(self) -> int:
        """The number of its records."""
        return int.from_bytes(self.leaf[16:20])

    @property
    def root(self) -> bytes:
        """The root of the tree of its records."""
        return self.leaf[20:52]

    @property
    def key_check(self) -> bytes:
        """The check of the key under which its terms were hashed."""
        return self.leaf[52:]


def proof_of(raw: bytes, size: int) -> tuple[list[bytes], list[Run], list[bytes]]:
    """Return the term keys, the runs and the hashes of a proof about a log of a size."""
    packed = Packed(raw)

    def record() -> Record:
        packed.array(4)
        return Record(packed.number(), packed.data(), packed.data(), packed.data())

    def run() -> Run:
        packed.array(4)
        return Run(packed.number(), packed.data(), packed.each(record), packed.each(packed.data))

    packed.array(5)
    require((packed.number(), packed.number()) == (1, size), 6, "a proof about another log")
    found = packed.each(packed.data), packed.each(run), packed.each(packed.data)
    require(packed.place == len(raw), 6, "something behind a proof")
    return found


@dataclass
class Answer:
    """The positions of terms in a range, and the runs that vouch for them."""

    positions: dict[Term, set[int]]
    runs: list[Run]


def answer_of(raw: bytes, head: Head, terms: Iterable[Term], start: int, end: int) -> Answer:
    """Verify a proof about terms in the leaves [start, end) (docs/formats/index.md, Proofs)."""
    keys, runs, hashes = proof_of(raw, head.size)
    for run in runs:
        check_leaf(run, head.size)
        require(run.first < end and start < run.end, 6, "a run outside the range")
    ascending = all(one.end <= two.first for one, two in pairwise(runs))
    require(ascending, 6, "runs that overlap, or out of order")
    places = {run.place: hashlib.sha256(b"\0" + run.leaf).digest() for run in runs}
    require(len(places) == len(runs), 6, "two runs with one index leaf")
    if runs:
        root = root_from(hashes, places, head.size, 6)
        require(root == head.root, 6, "an index leaf that is not in the log")
    else:
        require(not hashes, 6, "a proof of nothing with hashes")
    checks = [hashlib.sha256(b"ironkeep index key check v1" + key).digest()[:16] for key in keys]
    require(all(len(key) == 32 for key in keys), 6, "a term key has 32 bytes")
    require(checks == sorted({run.key_check for run in runs}), 6, "other term keys than needed")
    by_check = dict(zip(checks, keys, strict=True))
    asked = [*terms, UNREAD]
    positions: dict[Term, set[int]] = {term: set() for term in asked}
    for run in runs:
        for term, found in positions_in(run, by_check[run.key_check], asked).items():
            positions[term].update(each for each in found if start <= each < end)
    return Answer(positions, runs)


def check_leaf(run: Run, size: int) -> None:
    """Check an index leaf: well formed, and of a run that lies before it."""
    require(len(run.leaf) == 68 and run.leaf[:3] == b"\x01\x04\x01", 6, "no index leaf")
    length = {0: RUN, 1: LARGE_RUN}.get(run.level, 0)
    fits = length > 0 and run.end - run.first == length and run.first % length == 0
    require(fits and run.end <= run.place < size, 6, "an index leaf of no run before it")


def positions_in(run: Run, key: bytes, asked: Sequence[Term]) -> dict[Term, list[int]]:
    """Verify the records of a run; return the positions of each term."""
    numbers = [each.number for each in run.records]
    digests = [each.digest for each in run.records]
    ordered = ascends(numbers) and ascends(digests)
    require(ordered and numbers[-1:] < [run.total], 6, "records out of order")
    leaves = {}
    for each in run.records:
        require(len(each.digest) == 16, 6, "a digest has 16 bytes")
        digest = hashlib.sha256(each.data).digest() if each.data else each.hash
        require(len(digest) == 32 and not (each.data and each.hash), 6, "no record")
        leaves[each.number] = hashlib.sha256(b"\0" + each.digest + digest).digest()
    require(root_from(run.hashes, leaves, run.total, 6) == run.root, 6, "records of another run")
    used: set[int] = set()
    found: dict[Term, list[int]] = {}
    for term in asked:
        text = f"{term[0]}\0{term[1]}".encode()
        digest = hashlib.blake2b(text, key=key, digest_size=16).digest()
        place = bisect_left(digests, digest)
        if digests[place : place + 1] == [digest]:
            require(run.records[place].data != b"", 6, "a term without its record")
            found[term] = record_positions(run, run.records[place].data)
            used.add(place)
        else:
            used.update(neighbours(numbers, place, run.total))
    exact = all((place in used) for place in range(len(numbers)))
    require(exact, 6, "a record that no term needs")
    wanted = {
        hashlib.blake2b(f"{a}\0{b}".encode(), key=key, digest_size=16).digest() for a, b in asked
    }
    bare = all(each.digest in wanted or not each.data for each in run.records)
    require(bare, 6, "a neighbour with its record")
    return found


def ascends(values: Sequence[Any]) -> bool:
    """Return whether each value is larger than the one before it."""
    return all(one < two for one, two in pairwise(values))


def neighbours(numbers: Sequence[int], place: int, count: int) -> Iterator[int]:
    """Yield the places of the records around one that is absent, and check that they are next."""
    if place > 0:
        yield place - 1
    if place < len(numbers):
        yield place
    before = numbers[place - 1] if place > 0 else -1
    after = numbers[place] if place < len(numbers) else count
    require(after == before + 1, 6, "a term is neither shown nor shown to be absent")


def record_positions(run: Run, data: bytes) -> list[int]:
    """Return the positions in a record: (ordinal, length, chunk) for each run of level 0."""
    place, last, found = 0, -1, []
    while place < len(data):
        ordinal = data[place]
        length, place = leb128(data, place + 1)
        chunk, place = data[place : place + length], place + length
        require(last < ordinal < (64 if run.level else 1), 6, "chunks out of order")
        require(length > 0 and place <= len(data), 6, "a record that is cut")
        last = ordinal
        first = run.first + ordinal * RUN
        found += [first + offset for offset in offsets_in(chunk)]
    return found


def leb128(data: bytes, place: int) -> tuple[int, int]:
    """Return an unsigned LEB128 number in its shortest form, and the place behind it."""
    number = shift = 0
    while True:
        require(place < len(data) and shift <= 28, 6, "a number that is cut")
        byte = data[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            require(byte > 0 or shift == 0, 6, "a number that is not in its shortest form")
            return number, place
        shift += 7


def offsets_in(chunk: bytes) -> list[int]:
    """Return the offsets of a chunk: gaps in LEB128, or a bitmap where those take 512 bytes."""
    if len(chunk) == RUN // 8:
        bits = int.from_bytes(chunk, "little")
        offsets = [each for each in range(RUN) if bits >> each & 1]
        gaps = [two - one - 1 for one, two in pairwise([-1, *offsets])]
        length = sum(1 if gap < 0x80 else 2 for gap in gaps)
        require(length >= RUN // 8, 6, "a bitmap in the place of gaps")
        return offsets
    require(len(chunk) < RUN // 8, 6, "a chunk that is too long")
    offsets, place, last = [], 0, -1
    while place < len(chunk):
        gap, place = leb128(chunk, place)
        last += gap + 1
        offsets.append(last)
    require(last < RUN, 6, "an offset outside its run")
    return offsets


# --------------------------------------------------------------------------------------------------
# Entries, and the records in them: docs/formats/evidence-pack.md and verdict.md
# --------------------------------------------------------------------------------------------------

KINDS: Final = ("request", "start", "commit", "key", "effect", "refused", "tick", "notice")
CHANGING: Final = ("create", "update", "patch", "delete")
PRINCIPALS: Final = ("person", "session", "device")
CREDENTIALS: Final = ("secret", "part")
NODE_KINDS: Final = frozenset({
    *PRINCIPALS, *CREDENTIALS, "group", "role", "document", "system", "store", "pipeline",
    "backup", "segment", "window", "all-of",
})  # fmt: skip
MAX_NODE: Final = 4_400
CLOCK_NOTICES: Final = ("clock-step", "clock-set", "clock-back")
EDGE_KINDS: Final = (
    "member-of", "may-assume", "may-read", "did-read", "holds", "cached-on", "opens", "wraps",
    "decrypts", "derives", "backs-up", "made",
)  # fmt: skip
REQUIRED: Final = object()


def _fields(text: str, **defaults: Any) -> dict[str, Any]:
    """Return the fields of a type of record, in order, with their defaults."""
    return {name: defaults.get(name, REQUIRED) for name in text.split()}


TYPES: Final[dict[str, dict[str, Any]]] = {
    "mounted": _fields("seq chain mount path"),
    "linked": _fields("seq chain source kind targets from_ns basis until_ns", until_ns=0),
    "unlinked": _fields("seq chain source kind targets"),
    "gated": _fields("seq chain gate need known live kind target from_ns basis"),
    "baselined": _fields("seq chain system digest items gaps"),
    "addressed": _fields("seq chain system endpoints poolers declared"),
    "sourced": _fields("seq chain source interval_seconds"),
    "opened": _fields("seq chain case title subjects from_ns basis"),
    "widened": _fields("seq chain case subjects from_ns basis"),
    "surveyed": _fields(
        "case principal from_ns until_ns policies unknown",
        unknown=["an earlier release asked of its own time only: contain again"],
    ),
    "contained": _fields("case principal sessions gone leases"),
    "readmitted": _fields("case principal owner reason factors", factors=["unknown"]),
    "revoked": _fields(
        "case version system done_ns method receipt replacement measured people",
        replacement="", measured=False, people=[],
    ),
    "ended": _fields(
        "case version system done_ns ended remaining counted_ns logins login_seconds endpoints"
        " unlisted",
        counted_ns=0, logins=0, login_seconds=0, endpoints=[], unlisted=0,
    ),
    "probed": _fields(
        "case version system endpoint state code reason at_ns took_ms emulated", emulated=False
    ),
    "watched": _fields("case version system from_ns until_ns successes attempts means"),
    "compared": _fields("case version at_ns same words"),
    "swept": _fields(
        "case system baseline digest at_ns added removed changed acting gaps endpoint", endpoint=""
    ),
    "explained": _fields(
        "case system item owner reason people measured", people=[], measured=False
    ),
    "delivered": _fields("case version consumer plane"),
    "exempted": _fields("case item owner reason expires_ns people", people=[]),
    "root-checked": _fields("case item sound detail people", people=[]),
    "confirmed": _fields("case items people", people=[]),
    "residue": _fields("case words"),
    "heartbeat": _fields("source sent missed"),
}  # fmt: skip
SCOPE: Final = tuple(TYPES)[:9]
"""The records of scope, which form a chain."""
LISTS: Final = frozenset({
    "targets", "known", "live", "gaps", "endpoints", "poolers", "subjects", "policies", "unknown",
    "sessions", "gone", "factors", "people", "added", "removed", "changed", "acting", "items",
})  # fmt: skip
NUMBERS: Final = frozenset({
    "need", "interval_seconds", "leases", "remaining", "logins", "login_seconds", "took_ms",
    "unlisted",
    "successes", "attempts", "sent", "missed",
})  # fmt: skip
FLAGS: Final = frozenset({"declared", "measured", "same", "sound", "emulated"})
NODES: Final = frozenset({"principal", "version", "system", "consumer", "plane", "replacement"})


class Rec(dict[str, Any]):
    """An incident record: its type, and its fields with their defaults filled in."""

    @property
    def type(self) -> str:
        """The name of its type."""
        return str(self["incident"])


@dataclass(frozen=True)
class Entry:
    """An entry of the log; `time` is its effective time, `stated` its own."""

    index: int
    kind: str
    stated: int
    time: int
    op: str
    path: str
    rule: str
    outcome: str
    request: str
    entity: str
    accessor: str
    device: str
    mount: str
    issued: str
    released: tuple[tuple[str, int], ...]
    audited: Mapping[str, Any]
    record: Rec | None

    @cached_property
    def actors(self) -> tuple[str, ...]:
        """The caller: person, session and device, as far as they are known."""
        who = zip(PRINCIPALS, (self.entity, self.accessor, self.device), strict=True)
        return tuple(f"{kind}:{name}" for kind, name in who if name)

    @property
    def is_act(self) -> bool:
        """Whether this is a granted request."""
        return self.kind == "request" and self.outcome == "ok"

    @property
    def is_change(self) -> bool:
        """Whether this is a granted request that changes something."""
        return self.is_act and self.op in CHANGING

    @property
    def session(self) -> str:
        """The session that this entry issued, or empty."""
        return f"session:{self.issued}" if self.issued else ""

    @cached_property
    def versions(self) -> tuple[str, ...]:
        """The versions of secrets that this entry released."""
        return tuple(f"secret:{name}@{version}" for name, version in self.released)

    @property
    def factor_of(self) -> str:
        """The person of whom this entry set a factor, or empty."""
        named = self.audited.get("factor_of")
        return f"person:{named}" if isinstance(named, str) and named else ""

    @property
    def wrote(self) -> str:
        """The version of a secret that this entry stored, or empty."""
        given = self.audited.get("wrote")
        if not isinstance(given, str):
            return ""
        found = re.fullmatch(r"(.+)@([0-9]{1,18})", given, re.ASCII | re.DOTALL)
        if found is None:
            refuse(6, f"entry {self.index} wrote no version of a secret")
        return f"secret:{self.mount}/{found[1]}@{int(found[2])}"

    @property
    def presented(self) -> str:
        """The session whose token this entry presented beside its own, or empty."""
        named = self.audited.get("presented")
        return f"session:{named}" if isinstance(named, str) and named else ""

    @property
    def handed_out(self) -> str:
        """The session whose token this entry gave to somebody without a name, or empty."""
        given = self.is_act and not self.actors and self.audited.get("handed_out") is True
        return self.session if given else ""

    @property
    def set_device(self) -> str:
        """The device that this entry enrolled or changed, or empty."""
        named = self.audited.get("device")
        return f"device:{named}" if isinstance(named, str) and named else ""

    @cached_property
    def makers(self) -> tuple[tuple[str, int, int], ...]:
        """Those who made what a login relied on: node (or empty), acted and written."""
        given = self.audited.get("made_by")
        texts: list[str] = given if is_texts(given) else []  # type: ignore[assignment]
        return tuple(maker_of(self.index, each) for each in texts)


def maker_of(index: int, text: str) -> tuple[str, int, int]:
    """Return node (or empty), acted and written of `<kind>/<id>@<acted>@<written>`."""
    found = re.fullmatch(r"(?:(\w+)/(.+))?@([0-9]+)@([0-9]+)", text, re.ASCII | re.DOTALL)
    if found is None:
        refuse(6, f"entry {index} has a wrong maker")
    kind, name, acted, written = found.groups()
    node = f"{kind}:{name}" if kind else ""
    require(not node or is_node(node), 6, f"entry {index} has a wrong maker")
    return node, int(acted), int(written)


ENTRY_TEXTS: Final = (
    "op", "path", "rule", "request", "entity", "accessor", "device", "mount", "issued",
)  # fmt: skip
ENTRY_REST: Final[Mapping[str, type]] = {
    **dict.fromkeys(("parent", "namespace", "name", "remote", "reason"), str),
    **dict.fromkeys(("v", "at", "node"), int),
    "wrapped": bool,
}
"""Keys of an entry that no rule needs, with their types."""


def entry_of(index: int, body: str) -> Entry:
    """Return the entry of a body; refuse one that is no entry, or a record without its fields."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        refuse(6, f"entry {index} is no JSON")
    require(type(value) is dict, 6, f"entry {index} is no object")

    def field_of(name: str, default: Any) -> Any:
        found = value.get(name, default)
        require(type(found) is type(default), 6, f"entry {index} has a wrong {name}")
        return found

    require(value.get("kind") in KINDS, 6, f"entry {index} is of no known kind")
    time = value.get("time_ns")
    require(type(time) is int and 0 <= time < FOREVER, 6, f"entry {index} has no time")
    for name, kind in ENTRY_REST.items():
        field_of(name, kind())
    audited = field_of("audited", {})
    require(all(map(is_audited, audited.values())), 6, f"entry {index} has a wrong fact")
    record = None
    if value["kind"] == "effect" and "incident" in audited:
        record = record_of(index, audited)
    entry = Entry(
        index=index, kind=value["kind"], stated=value["time_ns"], time=value["time_ns"],
        outcome=field_of("outcome", "ok"), audited=audited, record=record,
        released=tuple(map(released_by, field_of("released", []))),
        **{name: field_of(name, "") for name in ENTRY_TEXTS},
    )  # fmt: skip
    made = (
        ()
        if not entry.is_act
        else filter(
            None, (entry.session, entry.factor_of, entry.set_device, entry.wrote, *entry.versions)
        )
    )
    named = (*entry.actors, *made)
    require(all(map(is_node, named)), 6, f"entry {index} names no node")
    return entry


def released_by(value: Any) -> tuple[str, int]:
    """Return mount and path, and the version, of a release."""
    require(type(value) is dict, 6, "a release that is no object")
    names = value.get("mount"), value.get("path"), value.get("version", 0)
    require([type(each) for each in names] == [str, str, int], 6, "a wrong release")
    require(is_texts(value.get("fields", [])), 6, "a wrong release")
    return f"{names[0]}/{names[1]}", names[2]


def is_texts(value: Any) -> bool:
    """Return whether a value is a list of texts."""
    return type(value) is list and all(type(each) is str for each in value)


def is_audited(value: Any) -> bool:
    """Return whether a value may be one of `audited`."""
    return type(value) in (bool, int, str) or is_texts(value)


def record_of(index: int, audited: Mapping[str, Any]) -> Rec:
    """Return the incident record in an entry, each field of its type."""
    fields = TYPES.get(audited["incident"]) if type(audited["incident"]) is str else None
    if fields is None:
        refuse(6, f"entry {index} has a record of no known type")
    require(set(audited) <= {"incident", *fields}, 6, f"record {index} has other fields")
    record = Rec(incident=audited["incident"])
    for name, default in fields.items():
        require(name in audited or default is not REQUIRED, 6, f"record {index} has no {name}")
        record[name] = audited.get(name, default)
        require(fits(record.type, name, record[name]), 6, f"record {index} has a wrong {name}")
    return record


def fits(kind: str, name: str, value: Any) -> bool:
    """Return whether a field of a record has its type."""
    is_count = name in NUMBERS or name.endswith("_ns") or (kind, name) == ("baselined", "items")
    if name == "seq":
        return type(value) is int
    if is_count or (kind, name) == ("ended", "ended"):
        return type(value) is int and (-1 if name == "login_seconds" else 0) <= value <= FOREVER
    if name in LISTS:
        return is_texts(value) and all(map(is_node, nodes_in(kind, name, value)))
    if name in FLAGS:
        return type(value) is bool
    return type(value) is str and is_word(kind, name, value)


def nodes_in(kind: str, name: str, values: Sequence[str]) -> list[str]:
    """Return what has to be a node in a list of a record."""
    if kind == "contained":
        return [f"session:{each}" for each in values]
    return [*values] if name in ("targets", "subjects", "known", "live") else []


def is_word(kind: str, name: str, text: str) -> bool:
    """Return whether a text fits a field of a record."""
    if name == "state":
        return text in ("alive", "dead", "unknown")
    if kind in ("linked", "unlinked", "gated"):
        is_end = name in ("source", "target")
        return is_node(text) if is_end else name != "kind" or text in EDGE_KINDS
    may_be_empty = name != "principal" and kind not in ("baselined", "addressed")
    return name not in NODES or (may_be_empty and not text) or is_node(text)


def is_node(text: str) -> bool:
    """Return whether a text names a node."""
    kind, _, name = text.partition(":")
    return kind in NODE_KINDS and bool(name) and text.isprintable() and len(text) <= MAX_NODE


def kind_of(node: str) -> str:
    """Return the kind of a node."""
    return node.partition(":")[0]


def family_of(node: str) -> str:
    """Return the family of a version of a secret, or the node itself."""
    if kind_of(node) != "secret":
        return node
    return f"{node.rpartition('@')[0]}@*"


# --------------------------------------------------------------------------------------------------
# The case file: docs/formats/verdict.md
# --------------------------------------------------------------------------------------------------

TOLERANCE_NS: Final = 2 * SECOND_NS
Finding = tuple[str, str, "Entry | None"]


@dataclass
class Facts:
    """What is known of the log that the entries are from."""

    origin: str
    size: int
    start: int
    cosigners: AbstractSet[bytes]
    cosigned_ns: int
    withheld: int = 0
    late: int = 0


class Edge(NamedTuple):
    """An edge of the spread, during [from_ns, until_ns)."""

    kind: str
    target: str
    from_ns: int
    until_ns: int


@dataclass
class Gate:
    """A number of inputs that are needed together."""

    name: str
    need: int
    known: list[str]
    live: list[str]
    kind: str
    target: str


class CaseFile:
    """The entries up to the time of the verdict, sorted by what they are."""

    def __init__(self, case: str, as_of_ns: int, facts: Facts, entries: Sequence[Entry]) -> None:
        self.case: Final = case
        self.as_of_ns: Final = as_of_ns
        self.facts: Final = facts
        self.entries: Final = timed(entries, as_of_ns)
        self.acts: Final = [each for each in self.entries if each.is_act]
        self.deeds: Final = deeds_in(self.entries)
        self.records: Final[dict[str, list[Entry]]] = defaultdict(list)
        self.acts_of: Final[dict[str, list[Entry]]] = defaultdict(list)
        self.works_of: Final[dict[str, list[Entry]]] = defaultdict(list)
        self.issues: Final[dict[str, list[Entry]]] = defaultdict(list)
        for each in self.entries:
            if each.record:
                self.records[each.record.type].append(each)
        for act in self.acts:
            for actor in act.actors:
                self.acts_of[actor].append(act)
            if act.session:
                self.issues[act.session].append(act)
        for work in sorted([*self.acts, *self.deeds], key=lambda each: each.index):
            for actor in work.actors:
                self.works_of[actor].append(work)

        check_gates(self.gates)

    def of(self, kind: str, /, **values: Any) -> list[Entry]:
        """Return the records of a type with these values."""
        return [
            each
            for each in self.records[kind]
            if each.record and all(each.record[name] == value for name, value in values.items())
        ]

    def openings(self, case: str) -> list[Entry]:
        """Return the records that opened and widened a case, in order."""
        found = [*self.of("opened", case=case), *self.of("widened", case=case)]
        return sorted(found, key=lambda each: each.index)

    @cached_property
    def cases(self) -> list[str]:
        """The cases on record."""
        found = [*self.records["opened"], *self.records["widened"]]
        ordered = sorted(found, key=lambda each: each.index)
        return list(dict.fromkeys(value(each, "case") for each in ordered))

    def subjects(self, case: str) -> list[str]:
        """Return the subjects of a case."""
        found = [subject for each in self.openings(case) for subject in value(each, "subjects")]
        return list(dict.fromkeys(found))

    def start(self, case: str) -> int:
        """Return T0 of a case, the earliest possible compromise."""
        return min((value(each, "from_ns") for each in self.openings(case)), default=FOREVER)

    @cached_property
    def t0(self) -> int:
        """T0 of the case at hand."""
        return self.start(self.case)

    @cached_property
    def _containments(self) -> dict[str, list[Entry]]:
        found: dict[str, list[Entry]] = defaultdict(list)
        for each in self.records["contained"]:
            sessions = [*value(each, "sessions"), *value(each, "gone")]
            named = [value(each, "principal"), *(f"session:{name}" for name in sessions)]
            for node in dict.fromkeys(named):
                found[node].append(each)
        return found

    @cached_property
    def _readmissions(self) -> dict[str, list[Entry]]:
        found: dict[str, list[Entry]] = defaultdict(list)
        for each in self.records["readmitted"]:
            if value(each, "principal") not in each.actors:
                found[value(each, "principal")].append(each)
        return found

    def containments(self, node: str) -> list[Entry]:
        """Return the containments of a principal, in order."""
        return self._containments.get(node, [])

    def readmissions(self, node: str) -> list[Entry]:
        """Return the readmissions of a principal, in order."""
        return self._readmissions.get(node, [])

    def containment(self, node: str, case: str) -> Entry | None:
        """Return the containment of a principal in a case."""
        last = max((each.index for each in self.readmissions(node)), default=-1)
        start = self.start(case)
        named = [e.index for e in self.openings(case) if node in value(e, "subjects")]
        back = [e.index for e in self.readmissions(node) if named and e.index < named[-1]]
        found = [e for e in self.containments(node) if not back or e.index > back[-1]]
        return next((e for e in found if e.time >= start or e.index > last), None)

    def readmission(self, node: str, case: str) -> Entry | None:
        """Return the first readmission of a principal after its containment in a case."""
        contained = self.containment(node, case)
        if contained is None:
            return None
        after = (each for each in self.readmissions(node) if each.index > contained.index)
        return next(after, None)

    def escape(self, node: str, case: str) -> Entry | None:
        """Return the last thing that a principal did between containment and readmission."""
        contained = self.containment(node, case)
        if contained is None:
            return None
        readmitted = self.readmission(node, case)
        end = readmitted.index if readmitted else FOREVER
        done = [e for e in self.works_of.get(node, []) if contained.index < e.index < end]
        return done[-1] if done else None

    @cached_property
    def _revocations(self) -> dict[str, list[Entry]]:
        found: dict[str, list[Entry]] = defaultdict(list)
        for each in self.records["revoked"]:
            found[value(each, "version")].append(each)
        return found

    def revocations(self, node: str) -> list[Entry]:
        """Return the revocations of a credential, in order."""
        return self._revocations.get(node, [])

    def last_revocation(self, node: str) -> Entry | None:
        """Return the last revocation of a credential."""
        found = self.revocations(node)
        return found[-1] if found else None

    @cached_property
    def gates(self) -> list[tuple[Entry, Gate]]:
        """The gates on record."""
        names = ("gate", "need", "known", "live", "kind", "target")
        return [
            (each, Gate(*(value(each, name) for name in names))) for each in self.records["gated"]
        ]

    @cached_property
    def edges(self) -> Mapping[str, list["Edge"]]:
        """The edges by their source, which several spreads follow."""
        return edges_of(self)

    @cached_property
    def _opens(self) -> dict[str, list[tuple[Entry, list[str]]]]:
        """The links and gates that open something, by the nodes that they take, with what opens."""
        found: dict[str, list[tuple[Entry, list[str]]]] = defaultdict(list)
        for each in [*self.records["linked"], *self.records["gated"]]:
            if value(each, "kind") != "opens":
                continue
            if record(each).type == "linked":
                found[value(each, "source")].append((each, value(each, "targets")))
            else:
                for name in {*value(each, "known"), *value(each, "live")}:
                    found[name].append((each, [value(each, "target")]))
        return found

    def verifiers(self, node: str) -> list[str]:
        """Return where a credential opens something."""
        names = {node, family_of(node)}
        opening = [pair for name in names for pair in self._opens.get(name, ())]
        opening.sort(key=lambda pair: place_of(pair[0]))
        return list(dict.fromkeys(target for _, targets in opening for target in targets))

    def endpoints(self, system: str) -> list[str]:
        """Return the endpoints and poolers on record of a system."""
        found = []
        for each in self.of("addressed", system=system):
            found += [*value(each, "endpoints"), *value(each, "poolers")]
        return list(dict.fromkeys(found))

    def probes(self, node: str, system: str) -> list[Entry]:
        """Return the probes of a credential at a verifier since it was revoked."""
        last = self.last_revocation(node)
        return [
            each
            for each in self.of("probed", version=node, system=system)
            if last and each.index > last.index and value(each, "at_ns") >= value(last, "done_ns")
        ]

    def answers(self, node: str, system: str) -> list[Entry]:
        """Return the last probe at each endpoint of a verifier."""
        return list({value(each, "endpoint"): each for each in self.probes(node, system)}.values())

    def unasked(self, node: str, system: str) -> list[str]:
        """Return the endpoints on record of a verifier at which a credential was not presented."""
        asked = {value(each, "endpoint").partition(" (")[0] for each in self.probes(node, system)}
        return [each for each in self.endpoints(system) if each not in asked]

    def dead_ns(self, node: str) -> int:
        """Return since when a credential is dead, 0 if it is not."""
        verifiers = self.verifiers(node)
        answers = [self.answers(node, each) for each in verifiers]
        probes = [probe for each in verifiers for probe in self.probes(node, each)]
        if not verifiers or not all(answers):
            return 0
        if any(value(each, "state") == "alive" for each in probes):
            return 0
        if any(value(each, "state") != "dead" for found in answers for each in found):
            return 0
        if any(self.unasked(node, each) for each in verifiers):
            return 0
        return max(each.time for found in answers for each in found)


def check_gates(gates: Iterable[tuple[Entry, Gate]]) -> None:
    """Refuse gates that have the name of another one, or need what they cannot have."""
    names: set[str] = set()
    for entry, gate in gates:
        inputs = {*gate.known, *gate.live}
        fresh = gate.name not in names and is_node(f"all-of:{gate.name}")
        fits_all = gate.kind in ("opens", "decrypts") and 1 <= gate.need <= len(inputs)
        single = not any(each.endswith("@*") for each in (*inputs, gate.target))
        require(fresh and fits_all and single, 6, f"record {entry.index} is no gate")
        names.add(gate.name)


def record(entry: Entry) -> Rec:
    """Return the record of an entry that has one."""
    assert entry.record is not None
    return entry.record


def value(entry: Entry, name: str) -> Any:
    """Return a field of an entry's record."""
    return record(entry)[name]


def place_of(entry: Entry) -> int:
    """Return where an entry is in the log."""
    return entry.index


def timed(entries: Sequence[Entry], as_of_ns: int) -> list[Entry]:
    """Return the entries up to the last one that is not later, with their effective times."""
    ordered = sorted(entries, key=place_of)
    end = max((n for n, each in enumerate(ordered, 1) if each.stated <= as_of_ns), default=0)
    latest, found = -1, []
    for each in ordered[:end]:
        time = each.stated
        if time < latest - TOLERANCE_NS:
            time = max(time, min(latest, as_of_ns))
        latest = max(latest, each.stated)
        found.append(replace(each, time=time))
    return found


def deeds_in(entries: Sequence[Entry]) -> list[Entry]:
    """Return the requests that began and are not known to have ended well."""
    ended = {(each.request, each.actors) for each in entries if each.is_act}
    begun = {}
    for each in entries:
        doing = each.kind == "request" and each.outcome == "pending"
        if doing and each.actors and each.op in (*CHANGING, "read"):
            begun[each.request, each.actors] = each
    return sorted((each for key, each in begun.items() if key not in ended), key=place_of)


# --------------------------------------------------------------------------------------------------
# The spread, and the exposure
# --------------------------------------------------------------------------------------------------

WHILE_LIVE: Final = ("member-of", "may-assume", "opens", "may-read", "did-read")
"""Edges that are taken before their source is closed."""
IN_PART: Final = ("holds", "wraps", "derives", "cached-on", "backs-up")
"""Edges that a node held in part takes."""


MAX_LINKS: Final = 1_000_000


def edges_of(file: CaseFile) -> dict[str, list[Edge]]:
    """Return the edges by their source, in the order of the log."""
    edges: dict[str, list[Edge]] = defaultdict(list)
    versions = versions_named(file)

    def add(source: str, kind: str, target: str, from_ns: int, until_ns: int = FOREVER) -> None:
        for one in versions.get(source, [source]):
            for two in versions.get(target, [target]):
                if one != two or kind not in ("made", "holds"):
                    edges[one].append(Edge(kind, two, from_ns, until_ns))

    for (source, kind, target), spans in linked(file).items():
        for begin, end in spans:
            add(source, kind, target, begin, end)
    require(sum(map(len, edges.values())) <= MAX_LINKS, 6, "more than 1,000,000 links")
    add_reads(file, add)
    add_factors(file, add)
    add_writes(file, add)
    add_logins(file, add)
    return edges


def linked(file: CaseFile) -> dict[tuple[str, str, str], list[tuple[int, int]]]:
    """Return the spans of each link and gate, in the order in which each is first on record."""
    found: dict[tuple[str, str, str], list[tuple[int, int]]] = defaultdict(list)
    for entry in (each for each in file.entries if each.record):
        kind = record(entry).type
        if kind == "linked":
            span = value(entry, "from_ns"), value(entry, "until_ns") or FOREVER
            for target in value(entry, "targets"):
                found[value(entry, "source"), value(entry, "kind"), target].append(span)
        elif kind == "unlinked":
            for target in value(entry, "targets"):
                key = value(entry, "source"), value(entry, "kind"), target
                found[key] = [(begin, min(end, entry.time)) for begin, end in found[key]]
        elif kind == "gated":
            for key in gate_edges(entry):
                found[key].append((value(entry, "from_ns"), FOREVER))
    return found


def add_reads(file: CaseFile, add: Callable[..., None]) -> None:
    """Add the edges to what was read, then those to the sessions that somebody held."""
    for act in file.acts:
        for version, actor in product(act.versions, act.actors):
            add(actor, "did-read", version, act.time, act.time + 1)
    for act in file.acts:
        own = f"session:{act.accessor}" if act.accessor else ""
        sessions = filter(None, (own, act.session, act.presented))
        for session, actor in product(sessions, act.actors):
            add(actor, "holds", session, issued_ns(file, session))


def gate_edges(entry: Entry) -> list[tuple[str, str, str]]:
    """Return the edges into a gate and out of it: source, kind, target."""
    gate = f"all-of:{value(entry, 'gate')}"
    return [
        *((source, "decrypts", gate) for source in value(entry, "known")),
        *((source, "opens", gate) for source in value(entry, "live")),
        (gate, value(entry, "kind"), value(entry, "target")),
    ]


def add_factors(file: CaseFile, add: Callable[..., None]) -> None:
    """Add the edges to people whose factors somebody set, and to devices that were enrolled."""
    people: dict[str, list[Entry]] = defaultdict(list)
    for act in file.acts:
        people[act.factor_of].append(act)
    people.pop("", None)
    for person, acts in people.items():
        for act in acts:
            for actor in act.actors if act.op != "delete" else ():
                add(actor, "made", person, act.time, act.time + 1)
    for act in file.acts:
        if act.set_device and act.path.startswith("device/enrol/"):
            for actor in act.actors:
                add(actor, "made", act.set_device, act.time, act.time + 1)


def add_writes(file: CaseFile, add: Callable[..., None]) -> None:
    """Add the edges to the versions of secrets that somebody stored."""
    for act in file.acts:
        for actor in act.actors if act.wrote else ():
            add(actor, "made", act.wrote, act.time, act.time + 1)


def add_logins(file: CaseFile, add: Callable[..., None]) -> None:
    """Add the edges from those who made what a login relied on."""
    for act in file.acts:
        person = f"person:{act.entity}" if act.entity else ""
        for maker, acted, written in act.makers:
            cut = any(acted <= each.time < written for each in file.containments(maker))
            for made in filter(None, (act.session, person) if maker and not cut else ()):
                add(maker, "made", made, acted, acted + 1)


def issued_ns(file: CaseFile, session: str) -> int:
    """Return when a session was first issued, 0 if no act issued it."""
    return file.issues[session][0].time if file.issues.get(session) else 0


def versions_named(file: CaseFile) -> dict[str, list[str]]:
    """Return the versions of each family that a link, a gate, a release or a case names."""
    named: list[str] = []
    for each in file.entries:
        kind = each.record.type if each.record else ""
        if kind == "linked":
            named += [value(each, "source"), *value(each, "targets")]
        elif kind == "gated":
            named += [*value(each, "known"), *value(each, "live"), value(each, "target")]
        elif kind in ("opened", "widened"):
            named += value(each, "subjects")
        elif each.is_act:
            named += each.versions
    found: dict[str, list[str]] = defaultdict(list)
    for node in dict.fromkeys(named):
        if kind_of(node) == "secret" and family_of(node) != node:
            found[family_of(node)].append(node)
    return found


class Hold(NamedTuple):
    """A node held during [begin, end), in clear or in part, and the step by which it was got."""

    node: str
    begin: int
    end: int
    clear: bool
    before: "Hold | None" = None
    kind: str = ""
    hops: int = 0
    inputs: "tuple[Hold, ...]" = ()

    @property
    def why(self) -> list[tuple[str, str, str, int]]:
        """The steps from a seed."""
        if self.inputs:
            return list(dict.fromkeys(step for each in self.inputs for step in each.why))
        if self.before is None:
            return []
        return [*self.before.why, (self.before.node, self.kind, self.node, self.begin)]


class Spread:
    """The earliest hold of every node that can be reached from the subjects of some cases."""

    def __init__(self, file: CaseFile, cases: Iterable[str], *, direct: bool = False) -> None:
        self.file: Final = file
        self.direct: Final = direct
        self.edges: Final = file.edges
        self.held: Final[dict[tuple[str, bool], Hold]] = {}
        self.read: Final[dict[str, Hold]] = {}
        self.may_read: Final[dict[str, Hold]] = {}
        self._longest: Final[dict[tuple[str, bool], int]] = {}
        self._queue: Final[list[tuple[int, int, int, Hold]]] = []
        self._pushed = 0
        self._arrived: Final[dict[str, list[Hold]]] = defaultdict(list)
        self._needs: Final = {f"all-of:{gate.name}": gate.need for _, gate in file.gates}
        for case in cases:
            for subject in file.subjects(case):
                self._push(self._seed(subject, case))
        while self._queue:
            self._visit(heapq.heappop(self._queue)[3])

    def first(self, node: str) -> Hold | None:
        """Return a node's first hold of either kind."""
        holds = [self.held[node, clear] for clear in (True, False) if (node, clear) in self.held]
        return min(holds, key=lambda each: each.begin, default=None)

    @property
    def nodes(self) -> dict[str, Hold]:
        """The first hold of every node."""
        return {node: self.first(node) for node, _ in self.held}  # type: ignore[misc]

    def _seed(self, subject: str, case: str) -> Hold:
        contained = self.file.containment(subject, case)
        escaped = self.file.escape(subject, case) is not None
        end = FOREVER if contained is None or escaped else contained.time
        return Hold(subject, self.file.start(case), end, clear=True)

    def _push(self, hold: Hold) -> None:
        if hold.begin < hold.end and hold.begin <= self.file.as_of_ns:
            self._pushed += 1
            heapq.heappush(self._queue, (hold.begin, hold.hops, self._pushed, hold))

    def _visit(self, hold: Hold) -> None:
        node = hold.node
        if hold.kind == "did-read":
            self.read.setdefault(node, hold)
        if hold.kind == "may-read":
            self.may_read.setdefault(node, hold)
        if node in self._needs:
            joined = self._joined(hold)
            if joined is None:
                return
            hold = joined
        key = (node, hold.clear)
        if self._longest.get(key, -1) >= hold.end:
            return
        self._longest[key] = hold.end
        self.held.setdefault(key, hold)
        edges = self.edges.get(node, [])
        closed = closed_ns(self.file, node) if edges else FOREVER
        for edge in edges:
            if not self.direct or is_direct(node, edge):
                self._take(hold, edge, closed)

    def _joined(self, hold: Hold) -> Hold | None:
        """Return the hold of an all-of node once enough of its inputs overlap."""
        arrived = self._arrived[hold.node]
        arrived.append(hold)
        active: dict[str, Hold] = {}
        for each in arrived:
            if each.end > hold.begin and each.before:
                active.setdefault(each.before.node, each)
        need = self._needs[hold.node]
        if len(active) < need:
            return None
        inputs = sorted(active.values(), key=lambda each: (each.begin, each.hops))[:need]
        hops = sum(each.hops for each in inputs)
        return hold._replace(end=FOREVER, hops=hops, inputs=tuple(inputs))

    def _take(self, hold: Hold, edge: Edge, closed: int) -> None:
        """Take an edge from a node that is of no more use from `closed` on."""
        begin = max(hold.begin, edge.from_ns)
        limit = edge.until_ns
        if hold.clear:
            limit = min(hold.end, limit)
            if edge.kind in WHILE_LIVE:
                limit = min(limit, closed)
        elif edge.kind not in IN_PART:
            return
        if begin >= limit or begin > self.file.as_of_ns:
            return
        keeps = edge.kind in ("member-of", "may-assume")
        gated = edge.target in self._needs and edge.kind in ("opens", "may-read", "did-read")
        end = limit if keeps or gated else FOREVER
        end = min([end, *(each for each in ends_of(self.file, edge.target) if each > begin)])
        clear = hold.clear and edge.kind != "wraps"
        if not clear and edge.target in self._needs:
            return
        if not hold.clear:
            end = FOREVER
        target = Hold(edge.target, begin, end, clear, hold, edge.kind, hold.hops + 1)
        self._push(target)


def closed_ns(file: CaseFile, node: str) -> int:
    """Return from when on a session or a credential is of no more use."""
    if kind_of(node) == "session":
        contained = file.containments(node)
        if contained and not worked_since(file, node, contained[0]):
            return contained[0].time
    if kind_of(node) in CREDENTIALS:
        return file.dead_ns(node) or FOREVER
    return FOREVER


def ends_of(file: CaseFile, node: str) -> list[int]:
    """Return when a person or a device stopped to act, until readmitted."""
    if kind_of(node) not in ("person", "device"):
        return []
    return [e.time for e in file.containments(node) if not worked_since(file, node, e)]


def worked_since(file: CaseFile, node: str, contained: Entry) -> bool:
    """Return whether a principal did something after a containment, before it was readmitted."""
    later = [one.index for one in file.readmissions(node) if one.index > contained.index]
    end = later[0] if later else FOREVER
    return any(contained.index < each.index < end for each in file.works_of.get(node, []))


MAY: Final = ("member-of", "may-assume", "may-read")
BETWEEN_PRINCIPALS: Final = ("holds", "made")


def is_direct(source: str, edge: Edge) -> bool:
    """Return whether an edge counts for what could be read."""
    people = kind_of(source) in PRINCIPALS and kind_of(edge.target) in PRINCIPALS
    return edge.kind in MAY or (edge.kind in BETWEEN_PRINCIPALS and people)


class Row(NamedTuple):
    """A row of the exposure."""

    node: str
    exposed_ns: int
    in_clear_ns: int
    why: list[tuple[str, str, str, int]]


@dataclass
class Exposure:
    """What the subjects of a case did read, could have read, and could have reached."""

    did_read: list[Row]
    could_read: list[Row]
    could_reach: list[Row]


def exposure_of(file: CaseFile) -> Exposure:
    """Return the exposure in a case, with the spread of all cases together."""
    others = [each for each in file.cases if each != file.case]
    tables = tables_of(file, [file.case, *others])
    if not others:
        return tables
    alone, rest = tables_of(file, [file.case]), tables_of(file, others)
    return Exposure(
        kept(tables.did_read, alone.did_read, rest.did_read),
        kept(tables.could_read, alone.could_read, rest.could_read),
        kept(tables.could_reach, alone.could_reach, rest.could_reach),
    )


def kept(rows: list[Row], alone: list[Row], rest: list[Row]) -> list[Row]:
    """Return the rows that a case reaches alone, or that the other cases reach at other times."""
    own = {row.node for row in alone}
    times = {row.node: row[1:3] for row in rest}
    return [row for row in rows if row.node in own or times.get(row.node) != row[1:3]]


def tables_of(file: CaseFile, cases: Iterable[str]) -> Exposure:
    """Return the exposure from the subjects of some cases."""
    cases = list(cases)
    spread, may = Spread(file, cases), Spread(file, cases, direct=True)
    nodes = [each for each in spread.nodes if kind_of(each) != "all-of"]
    return Exposure(rows_by(spread.read), rows_by(may.may_read), rows_of(spread, nodes))


def rows_of(spread: Spread, nodes: Iterable[str]) -> list[Row]:
    """Return rows of a spread, sorted by time and node."""
    rows = []
    for node in nodes:
        first, clear = spread.first(node), spread.held.get((node, True))
        if first:
            rows.append(Row(node, first.begin, clear.begin if clear else 0, (clear or first).why))
    return sorted(rows, key=lambda row: (row.exposed_ns, row.node))


def rows_by(holds: Mapping[str, Hold]) -> list[Row]:
    """Return rows of what was reached by one kind of edge."""
    rows = [
        Row(node, each.begin, each.begin if each.clear else 0, each.why)
        for node, each in holds.items()
    ]
    return sorted(rows, key=lambda row: (row.exposed_ns, row.node))


# --------------------------------------------------------------------------------------------------
# Completeness (step 6): docs/formats/evidence-pack.md
# --------------------------------------------------------------------------------------------------

TERMS_A_PROOF: Final = 1_000
ALWAYS: Final[tuple[Term, ...]] = (("kind", "clock"), ("kind", "nobody"), ("kind", "record"))


def wanted_terms(file: CaseFile) -> dict[Term, int]:
    """Return the terms on which the verdict depends, each with the end up to which it does."""
    held = Spread(file, [file.case, *(each for each in file.cases if each != file.case)]).nodes
    wanted = dict.fromkeys(ALWAYS, FOREVER)
    for node in principals_of(file, held):
        wanted["actor", node] = wanted["thing", node] = FOREVER
    families = {
        target
        for each in file.records["linked"]
        for target in value(each, "targets")
        if target.endswith("@*")
    }
    for node in held:
        if kind_of(node) == "secret" and family_of(node) in families:
            wanted["object", family_of(node).removesuffix("@*")] = FOREVER
    for each in file.records["revoked"]:
        new = value(each, "replacement")
        if new and value(each, "version") in held:
            wanted["object", new] = max(wanted.get(("object", new), 0), each.index)
    return wanted


def principals_of(file: CaseFile, held: Iterable[str]) -> set[str]:
    """Return the wanted principals: subjects and held ones, with the sessions of their requests."""
    named = [*held, *(subject for case in file.cases for subject in file.subjects(case))]
    queue = [each for each in named if kind_of(each) in PRINCIPALS]
    queue += [act.handed_out for act in file.acts if act.handed_out]
    found: set[str] = set()
    while queue:
        node = queue.pop()
        if node not in found:
            found.add(node)
            for act in file.acts_of.get(node, []):
                queue += [each for each in (f"session:{act.accessor}", act.session) if each]
    return found - {"session:"}


def lists_of(wanted: Mapping[Term, int], facts: Facts) -> list[tuple[list[Term], int]]:
    """Return the lists of terms that a proof each is about, with the end of its range."""
    lists: list[tuple[list[Term], int]] = []
    whole = sorted(term for term, end in wanted.items() if end == FOREVER)
    bounded = sorted(term for term, end in wanted.items() if end != FOREVER)
    end = min(max((wanted[term] for term in bounded), default=0), facts.size)
    for terms, limit in ((whole, facts.size), (bounded, end)):
        if limit > facts.start:
            begins = range(0, len(terms), TERMS_A_PROOF)
            lists += [(terms[first : first + TERMS_A_PROOF], limit) for first in begins]
    return lists


def complete(file: CaseFile, log: Mapping[str, Any], head: Head, shown: Shown) -> None:
    """Check that no entry is missing, and count what is withheld, and what is indexed late."""
    facts, wanted = file.facts, wanted_terms(file)
    lists = lists_of(wanted, facts)
    require(len(lists) == len(log["index"]), 6, "there is not one proof for each list of terms")
    withheld, late = set(shown.withheld), 0
    for (terms, end), raw in zip(lists, log["index"], strict=True):
        answer = answer_of(raw, head, terms, facts.start, end)
        for index in uncovered(answer.runs, facts.start, end):
            require(index in shown.hashes, 6, f"leaf {index} is neither shown nor in a run")
        for term in terms:
            for index in answer.positions[term]:
                if index < wanted[term]:
                    known = index in shown.bodies or index in shown.withheld
                    require(known, 6, f"entry {index} is not shown")
        withheld |= {each for each in answer.positions[UNREAD] if each not in shown.bodies}
        late += sum(is_late(run, log, facts.start) for run in answer.runs)
    facts.withheld, facts.late = len(withheld), late


def uncovered(runs: Sequence[Run], start: int, end: int) -> Iterator[int]:
    """Yield the leaves of a range that are in no run."""
    for run in runs:
        yield from range(start, min(run.first, end))
        start = max(start, run.end)
    yield from range(start, end)


def is_late(run: Run, log: Mapping[str, Any], start: int) -> bool:
    """Return whether a run was indexed late, and the pack does not show its part of the window."""
    first = max(run.first, start)
    whole = any(
        each["start"] <= first and run.end <= each["start"] + len(each["leaves"])
        for each in log["whole"]
    )
    return run.place - run.end > MAX_LAG and not whole


# --------------------------------------------------------------------------------------------------
# Measured, sworn, exempt: docs/formats/verdict.md
# --------------------------------------------------------------------------------------------------

MAX_AGE_NS: Final = 3_600 * SECOND_NS
MAX_GAP_NS: Final = 300 * SECOND_NS
DAY_NS: Final = 86_400 * SECOND_NS
QUIET_RULES: Final = ("", "login", "open")
SWORN_TYPES: Final = (
    "opened", "widened", "readmitted", "exempted", "root-checked", "residue", "delivered",
    "confirmed",
)  # fmt: skip
ROOT_ITEMS: Final = (
    "root:administrators",
    "root:policies",
    "root:seal-shares",
    "root:journal-key",
    "root:case-key",
)
HARMLESS: Final = (
    "sys/capabilities", "sys/internal/", "sys/leases/lookup", "sys/leases/renew", "sys/tools/",
    "sys/wrapping/lookup", "sys/wrapping/unwrap", "auth/token/lookup", "auth/token/renew",
    "auth/token/revoke", "cubbyhole/", "incident/",
)  # fmt: skip
FOUNDATIONS: Final = ("sys/", "auth/", "identity/", "device/", "approval/", "segment/")


def is_sworn(entry: Entry) -> bool:
    """Return whether a record is a person's word."""
    kind = record(entry).type
    if kind in ("revoked", "explained"):
        return not value(entry, "measured")
    return kind in SWORN_TYPES


class Case:
    """A case with its exposure, and what the checks ask of it."""

    def __init__(self, file: CaseFile) -> None:
        self.file: Final = file
        self.exposure: Final = exposure_of(file)
        self.rows: Final = {row.node: row for row in self.exposure.could_reach}
        self.principals: Final = [each for each in self.rows if kind_of(each) in PRINCIPALS]
        self.credentials: Final = [each for each in self.rows if kind_of(each) in CREDENTIALS]
        self.systems: Final = [each for each in self.rows if kind_of(each) == "system"]

    def contained(self, node: str) -> Entry | None:
        """Return the containment of a principal in this case."""
        return self.file.containment(node, self.file.case)

    def readmitted(self, node: str) -> Entry | None:
        """Return the readmission of a principal in this case."""
        return self.file.readmission(node, self.file.case)

    def escape(self, node: str) -> Entry | None:
        """Return the escape of a principal in this case."""
        return self.file.escape(node, self.file.case)

    def is_out(self, node: str, at: Entry) -> bool:
        """Return whether a principal is out at an entry."""
        if node not in self.rows:
            return False
        readmitted = self.readmitted(node)
        return readmitted is None or readmitted.index > at.index

    def any_out(self, at: Entry) -> bool:
        """Return whether an actor of an entry is out at it."""
        return any(self.is_out(each, at) for each in at.actors)

    def own(self, kind: str, **values: Any) -> list[Entry]:
        """Return the records of a type of this case."""
        return self.file.of(kind, case=self.file.case, **values)

    @cached_property
    def revoked(self) -> list[tuple[str, Entry]]:
        """The exposed credentials that are revoked, with their last revocation."""
        last = {each: self.file.last_revocation(each) for each in self.credentials}
        return [(node, each) for node, each in last.items() if each]

    @cached_property
    def revoked_at(self) -> list[tuple[str, Entry, str]]:
        """The revoked credentials, with their last revocation, for each verifier."""
        return [
            (node, last, system)
            for node, last in self.revoked
            for system in self.file.verifiers(node)
        ]

    def last_at_each(self, node: str) -> list[Entry]:
        """Return the last revocation of a credential at each system."""
        return list({value(each, "system"): each for each in self.file.revocations(node)}.values())

    def in_force(self, statement: Entry) -> bool:
        """Return whether two people vouch for a statement."""
        name = f"entry:{statement.index}"
        confirmed = [
            each
            for each in self.file.of("confirmed", case=value(statement, "case"))
            if each.index > statement.index and name in value(each, "items")
        ]
        people: set[str] = set()
        count = 0
        for each in (statement, *confirmed):
            behind = {each.entity, *value(each, "people")}
            out = self.any_out(each) or any(self.is_out(f"person:{one}", each) for one in behind)
            if each.entity and not out and people.isdisjoint(behind):
                people |= behind
                count += 1
        return count >= 2

    def is_unconfirmed(self, revocation: Entry) -> bool:
        """Return whether a revocation is sworn, and not in force."""
        return is_sworn(revocation) and not self.in_force(revocation)

    # Sweeps, and what explains their differences.

    def sweeps(self, system: str) -> list[Entry]:
        """Return the good sweeps of a system: the last at each endpoint."""
        cuts = [each for each in map(self.contained, self.principals) if each]
        cut = max(cuts, key=place_of, default=None)
        revoked = max(self.file.of("revoked", system=system), key=place_of, default=None)
        ended = max(self.file.of("ended", system=system), key=place_of, default=None)
        since = max(each.index if each else -1 for each in (cut, revoked, ended))
        done = (value(each, "done_ns") for each in (revoked, ended) if each)
        begun = max(cut.time if cut else 0, *done, 0)
        digests = {value(each, "digest") for each in self.baselines(system)}
        last = {
            value(each, "endpoint"): each
            for each in self.file.of("swept", system=system)
            if each.index > since
            and value(each, "at_ns") >= begun
            and value(each, "baseline") in digests
        }
        if len(last) > 1:
            last.pop("", None)
        return list(last.values())

    def baselines(self, system: str) -> list[Entry]:
        """Return the baselines of a system from before T0."""
        return [e for e in self.file.of("baselined", system=system) if e.time < self.file.t0]

    def explanations(self, system: str, item: str) -> list[Entry]:
        """Return the explanations of an item that count."""
        return [
            each
            for each in self.own("explained", system=system, item=item)
            if value(each, "owner").strip()
            and value(each, "reason").strip()
            and not self.any_out(each)
        ]

    def is_explained(self, system: str, item: str) -> bool:
        """Return whether a difference of a system is explained."""
        begins: dict[str, int] = {}
        swept = self.file.of("swept", system=system)
        for endpoint in {value(each, "endpoint") for each in swept}:
            for each in reversed([e for e in swept if value(e, "endpoint") == endpoint]):
                if item not in differences(each):
                    break
                begins[endpoint] = each.index
        found = self.explanations(system, item)
        return bool(begins) and any(each.index > max(begins.values()) for each in found)

    def is_entry_explained(self, entry: Entry) -> bool:
        """Return whether an entry is explained."""
        found = self.explanations("", f"entry:{entry.index}")
        return any(each.index > entry.index for each in found)


def differences(sweep: Entry) -> list[str]:
    """Return what a sweep found added, changed or removed."""
    return [*value(sweep, "added"), *value(sweep, "changed"), *value(sweep, "removed")]


# --------------------------------------------------------------------------------------------------
# The checks, in the order of the table in docs/formats/verdict.md
# --------------------------------------------------------------------------------------------------


class Found(NamedTuple):
    """A finding: its subject, its status, and the entry that it is about, if any."""

    subject: str
    status: str = "open"
    at: int = -1


Check = Callable[[Case], Iterator[Found]]
CHECKS: Final[list[tuple[str, str, Check]]] = []


def check(claim: str, name: str) -> Callable[[Check], Check]:
    """Add a check to the table."""

    def add(function: Check) -> Check:
        CHECKS.append((claim, name, function))
        return function

    return add


@check("E1", "case not opened")
def _not_opened(case: Case) -> Iterator[Found]:
    file = case.file
    if not file.of("opened", case=file.case) or not file.subjects(file.case):
        yield Found(f"case:{file.case}")


@check("E1", "scope cut")
def _scope_cut(case: Case) -> Iterator[Found]:
    seq, chain = 0, ""
    for each in case.file.entries:
        if each.record and each.record.type in SCOPE:
            digest = hashlib.sha256(spelt({**each.record, "chain": chain})).hexdigest()
            if each.record["seq"] != seq + 1 or each.record["chain"] != digest:
                yield Found("scope:chain")
            seq, chain = each.record["seq"], each.record["chain"]


@check("E1", "no basis")
def _no_basis(case: Case) -> Iterator[Found]:
    if any(not value(each, "basis").strip() for each in case.file.openings(case.file.case)):
        yield Found(f"case:{case.file.case}")


@check("E1", "subject unknown")
def _subject_unknown(case: Case) -> Iterator[Found]:
    file = case.file
    linked = {value(each, "source") for each in file.records["linked"]}
    for subject in file.subjects(file.case):
        known = kind_of(subject) in CREDENTIALS or subject in linked
        acted = file.acts_of.get(subject) or file.issues.get(subject)
        contained = case.contained(subject)
        gone = set(value(contained, "gone")) - {subject.partition(":")[2]} if contained else set()
        named = contained and (value(contained, "sessions") or gone)
        if not known and not acted and not named:
            yield Found(subject)


@check("E1", "scope narrowed")
def _scope_narrowed(case: Case) -> Iterator[Found]:
    families = {family_of(each) for each in case.rows}
    for each in case.file.records["unlinked"]:
        source = value(each, "source")
        if each.time >= case.file.t0 and (source in case.rows or source in families):
            yield Found(f"entry:{each.index}")


def has_survey(case: Case, node: str) -> bool:
    """Return whether a survey of a principal reaches from T0 until its containment."""
    contained = case.contained(node)
    cut = contained is not None and case.escape(node) is None
    until = contained.time if contained and cut else case.file.as_of_ns
    return any(
        value(each, "from_ns") <= case.file.t0 and value(each, "until_ns") >= until
        for each in case.file.of("surveyed", principal=node)
    )


@check("E1", "not surveyed")
def _not_surveyed(case: Case) -> Iterator[Found]:
    file = case.file
    for node in case.principals:
        if kind_of(node) == "device" or has_survey(case, node):
            continue
        if kind_of(node) == "session":
            acts = [*file.acts_of.get(node, []), *file.issues.get(node, [])]
            people = {f"person:{each.entity}" for each in acts if each.entity}
            why = case.rows[node].why
            held = bool(why) and all(step[1] == "holds" for step in why)
            if held and has_survey(case, why[0][0]):
                continue
            if any(each in case.rows and has_survey(case, each) for each in people):
                continue
        yield Found(node)


@check("E1", "not known")
def _not_known(case: Case) -> Iterator[Found]:
    for node in case.principals:
        reaching = [
            each
            for each in case.file.of("surveyed", principal=node)
            if value(each, "from_ns") <= case.file.t0
        ]
        for words in value(reaching[-1], "unknown") if reaching else ():
            yield Found(f"{node}#{words}", "unknown")


@check("E1", "origin unknown")
def _origin_unknown(case: Case) -> Iterator[Found]:
    for node in case.principals:
        if kind_of(node) == "session" and not case.file.issues.get(node):
            yield Found(node, "unknown")


def is_ended(case: Case, session: str) -> bool:
    """Return whether a session was ended in an incident, and did nothing since."""
    return case.contained(session) is not None and case.escape(session) is None


@check("E1", "unattributed record")
def _unattributed(case: Case) -> Iterator[Found]:
    for act in case.file.acts:
        did = act.released or (act.is_change and act.rule not in QUIET_RULES)
        loose = act.handed_out and not is_ended(case, act.handed_out)
        if not act.actors and (did or loose) and act.time >= case.file.t0:
            yield Found(f"entry:{act.index}", "unknown")


@check("E1", "makers unknown")
def _makers_unknown(case: Case) -> Iterator[Found]:
    for act in case.file.acts:
        if any(not maker and acted >= case.file.t0 for maker, acted, _ in act.makers):
            yield Found(f"entry:{act.index}", "unknown")


@check("E2", "not revoked")
def _not_revoked(case: Case) -> Iterator[Found]:
    for node in case.credentials:
        if not case.file.revocations(node):
            yield Found(node)


@check("E2", "no receipt")
def _no_receipt(case: Case) -> Iterator[Found]:
    for node, last in case.revoked:
        if not value(last, "receipt").strip():
            yield Found(node)


@check("E2", "released again")
def _released_again(case: Case) -> Iterator[Found]:
    for node, last in case.revoked:
        acts = [
            act
            for act in case.file.acts
            if act.index > last.index and node in act.versions and case.any_out(act)
        ]
        if acts:
            yield Found(node, at=acts[-1].index)


@check("E2", "still current")
def _still_current(case: Case) -> Iterator[Found]:
    for node, last in case.revoked:
        if kind_of(node) == "secret":
            found = [e for e in case.file.of("compared", version=node) if e.index > last.index]
            if not found or value(found[-1], "at_ns") < case.file.as_of_ns - MAX_AGE_NS:
                yield Found(node, "unknown")
            elif value(found[-1], "same"):
                yield Found(node)


@check("E2", "revocation sworn by one")
def _revocation_sworn(case: Case) -> Iterator[Found]:
    for node in case.credentials:
        for each in case.last_at_each(node):
            if case.is_unconfirmed(each):
                yield Found(f"entry:{each.index}")


PROTECTING: Final = ("wraps", "decrypts", "derives", "holds")


def is_linked_at_t0(file: CaseFile, link: Entry) -> bool:
    """Return whether a link leads to at least one target that it had not ended for before T0."""
    if value(link, "until_ns") and value(link, "until_ns") < file.t0:
        return False
    ended: set[str] = set()
    for each in file.records["unlinked"]:
        same = all(value(each, name) == value(link, name) for name in ("source", "kind"))
        if same and link.index < each.index and each.time < file.t0:
            ended.update(value(each, "targets"))
    return not ended.issuperset(value(link, "targets"))


@check("E3", "no verifier")
def _no_verifier(case: Case) -> Iterator[Found]:
    file = case.file
    protecting = {
        value(each, "source")
        for each in file.records["linked"]
        if each.time < file.t0 and value(each, "kind") in PROTECTING and is_linked_at_t0(file, each)
    }
    for each in file.records["gated"]:
        if each.time < file.t0:
            protecting.update(value(each, "known"))
    for node in case.credentials:
        if not file.verifiers(node) and not {node, family_of(node)} & protecting:
            yield Found(node)


@check("E3", "not presented")
def _not_presented(case: Case) -> Iterator[Found]:
    for node, _, system in case.revoked_at:
        if not case.file.probes(node, system):
            yield Found(node)


@check("E3", "endpoint not asked")
def _not_asked(case: Case) -> Iterator[Found]:
    for node, _, system in case.revoked_at:
        if case.file.probes(node, system):
            for _ in case.file.unasked(node, system):
                yield Found(node)


@check("E3", "not answered")
def _not_answered(case: Case) -> Iterator[Found]:
    for node, _, system in case.revoked_at:
        for each in case.file.answers(node, system):
            if value(each, "state") == "unknown":
                yield Found(node, "unknown")


def accepted(case: Case) -> Iterator[tuple[str, bool]]:
    """Yield each credential that a verifier accepted, and whether it was revoked there."""
    for node, _, system in case.revoked_at:
        if any(value(each, "state") == "alive" for each in case.file.probes(node, system)):
            systems = {value(each, "system") for each in case.file.revocations(node)}
            yield node, system in systems


@check("E3", "accepted elsewhere")
def _accepted_elsewhere(case: Case) -> Iterator[Found]:
    for node, there in accepted(case):
        if not there:
            yield Found(node)


@check("E3", "worked after revocation")
def _worked(case: Case) -> Iterator[Found]:
    for node, there in accepted(case):
        if there:
            yield Found(node, "failed")


@check("E4", "not contained")
def _not_contained(case: Case) -> Iterator[Found]:
    for node in case.principals:
        if case.contained(node) is None:
            yield Found(node)


@check("E4", "acts again")
def _acts_again(case: Case) -> Iterator[Found]:
    for node in case.principals:
        escape = case.escape(node)
        if escape and kind_of(node) != "session":
            yield Found(node, at=escape.index)


@check("E4", "readmitted unsigned")
def _readmitted_unsigned(case: Case) -> Iterator[Found]:
    for node in case.principals:
        for each in case.file.of("readmitted", principal=node):
            if not value(each, "owner").strip() or not value(each, "reason").strip():
                yield Found(node)


@check("E4", "unchanged factor")
def _unchanged_factor(case: Case) -> Iterator[Found]:
    for each in case.file.records["readmitted"]:
        node = value(each, "principal")
        contained = case.contained(node) if node in case.rows else None
        if kind_of(node) == "person" and contained and each.index > contained.index:
            yield from unchanged(case, node, contained, each)


def unchanged(case: Case, node: str, contained: Entry, readmitted: Entry) -> Iterator[Found]:
    """Yield the factors that were not changed, and the person who acted before the others were."""
    changes = [
        act for act in case.file.acts if act.index > contained.index and act.factor_of == node
    ]
    last = -1
    for factor in dict.fromkeys(value(readmitted, "factors")):
        changed = None
        for act in changes:
            if changes_factor(act, factor):
                if act.audited.get("password_again"):
                    changed = None
                elif changed is None and not any(actor in case.rows for actor in act.actors):
                    changed = act.index
        if changed is None:
            yield Found(f"{node}#{factor}")
        else:
            last = max(last, changed)
    works = case.file.works_of.get(node, [])
    early = [each for each in works if readmitted.index < each.index < last]
    if early:
        yield Found(node, at=early[-1].index)


def changes_factor(act: Entry, factor: str) -> bool:
    """Return whether an act changes a factor of the person whom it names."""
    kind, _, name = factor.partition(":")
    audited = act.audited
    if kind == "password":
        mount, _, user = name.partition("/")
        return act.mount == mount and audited.get("password_of") == user
    if kind == "passkey":
        deleted = act.op == "delete" and audited.get("credential") == name
        return deleted or audited.get("bound_by") == "recovery" or audited.get("passkeys") == "all"
    return kind == "codes" and act.op == "delete" and audited.get("codes_of") == name != ""


def endings(case: Case) -> Iterator[tuple[str, Entry, str, Entry | None]]:
    """Yield each revoked credential, its revocation, a system, and the last ending after it."""
    for node, last, system in case.revoked_at:
        if kind_of(system) == "system":
            found = [
                e
                for e in case.file.of("ended", version=node, system=system)
                if e.index > last.index
            ]
            yield node, last, system, found[-1] if found else None


@check("E4", "sessions not ended")
def _not_ended(case: Case) -> Iterator[Found]:
    for node, _, _, ended in endings(case):
        if ended is None:
            yield Found(node)


@check("E4", "sessions remain")
def _remain(case: Case) -> Iterator[Found]:
    for node, _, _, ended in endings(case):
        if ended and value(ended, "remaining"):
            yield Found(node)


@check("E4", "endpoint not cleared")
def _not_cleared(case: Case) -> Iterator[Found]:
    for node, _, system, ended in endings(case):
        for endpoint in case.file.endpoints(system) if ended else ():
            if ended and endpoint not in value(ended, "endpoints"):
                yield Found(node)


@check("E4", "logins under way")
def _under_way(case: Case) -> Iterator[Found]:
    for node, last, system, ended in endings(case):
        if ended and case.file.of("addressed", system=system):
            counted, seconds = value(ended, "counted_ns"), value(ended, "login_seconds")
            early = counted < value(last, "done_ns") + seconds * SECOND_NS
            if value(ended, "logins") or not counted or seconds < 0 or early:
                yield Found(node)


@check("E4", "replicas not listed")
def _replicas(case: Case) -> Iterator[Found]:
    found = [system for _, _, system, ended in endings(case) if ended and value(ended, "unlisted")]
    for system in dict.fromkeys(found):
        yield Found(system)


@check("E4", "poolers not known")
def _poolers(case: Case) -> Iterator[Found]:
    systems = [
        value(e, "system") for node in case.credentials for e in case.file.of("ended", version=node)
    ]
    for system in dict.fromkeys(systems):
        addressed = case.file.of("addressed", system=system)
        if addressed and not value(addressed[-1], "declared"):
            yield Found(system)


@check("E5", "no baseline")
def _no_baseline(case: Case) -> Iterator[Found]:
    for system in case.systems:
        if not case.baselines(system):
            yield Found(system)


@check("E5", "not swept")
def _not_swept(case: Case) -> Iterator[Found]:
    for system in case.systems:
        if case.baselines(system) and not case.sweeps(system):
            yield Found(system)


@check("E5", "sweep too old")
def _sweep_old(case: Case) -> Iterator[Found]:
    for system in case.systems:
        for each in case.sweeps(system):
            if min(each.time, value(each, "at_ns")) < case.file.as_of_ns - MAX_AGE_NS:
                yield Found(system)


@check("E5", "host not swept")
def _host_not_swept(case: Case) -> Iterator[Found]:
    for system in case.systems:
        sweeps = case.sweeps(system)
        swept = {value(each, "endpoint") for each in sweeps}
        hosts = [h for e in case.file.of("addressed", system=system) for h in value(e, "endpoints")]
        for host in dict.fromkeys(hosts) if sweeps else ():
            if host not in swept:
                yield Found(f"{system}#{host}")


@check("E5", "not seen")
def _not_seen(case: Case) -> Iterator[Found]:
    for system in case.systems:
        gaps = [gap for each in case.sweeps(system) for gap in value(each, "gaps")]
        for gap in dict.fromkeys(gaps):
            yield Found(f"{system}#{gap}", "unknown")


@check("E5", "not explained")
def _not_explained(case: Case) -> Iterator[Found]:
    for system in case.systems:
        sweeps = case.sweeps(system)
        acting = [item for each in sweeps for item in value(each, "acting")]
        items = [item for each in sweeps for item in (*differences(each), *value(each, "acting"))]
        for item in dict.fromkeys(items):
            if not case.is_explained(system, item):
                yield Found(f"{system}#{item}", "failed" if item in acting else "open")


@check("E5", "foothold in vault")
def _foothold(case: Case) -> Iterator[Found]:
    found: dict[tuple[str, int], Entry] = {}
    for act in case.file.acts:
        counts = act.is_change and act.time >= case.file.t0 and act.rule != "login"
        if counts and not act.path.startswith(HARMLESS) and case.any_out(act):
            each = act.index if act.path.startswith(FOUNDATIONS) else -1
            found[act.path, each] = act
    for act in sorted(found.values(), key=place_of):
        if not case.is_entry_explained(act):
            yield Found(f"entry:{act.index}")


@check("E5", "unfinished deed")
def _unfinished(case: Case) -> Iterator[Found]:
    for deed in case.file.deeds:
        counts = deed.time >= case.file.t0 and deed.rule != "login"
        counts = counts and not deed.path.startswith(HARMLESS) and case.any_out(deed)
        if counts and not case.is_entry_explained(deed):
            yield Found(f"entry:{deed.index}", at=deed.index)


@check("E5", "explanation sworn by one")
def _explanation_sworn(case: Case) -> Iterator[Found]:
    items = {(value(e, "system"), value(e, "item")) for e in case.own("explained")}
    last = [found[-1] for found in (case.explanations(*each) for each in items) if found]
    for each in sorted(last, key=place_of):
        if is_sworn(each) and not case.in_force(each):
            yield Found(f"entry:{each.index}")


def deliveries(case: Case) -> Iterator[tuple[str, Entry, Entry, str]]:
    """Yield each replacement of an exposed credential, the revocation, a delivery, a receiver."""
    for revoked in case.file.records["revoked"]:
        node = value(revoked, "replacement")
        if node and value(revoked, "version") in case.rows:
            for act in case.file.acts:
                for _ in range(act.versions.count(node)):
                    yield from ((node, revoked, act, actor) for actor in act.actors)
            for each in case.file.of("delivered", version=node):
                yield node, revoked, each, value(each, "consumer")


@check("E6", "delivered early")
def _early(case: Case) -> Iterator[Found]:
    for node, revoked, given, _ in deliveries(case):
        if given.index < revoked.index:
            yield Found(node, at=given.index)


@check("E6", "delivered to exposed")
def _to_exposed(case: Case) -> Iterator[Found]:
    for node, _, given, receiver in deliveries(case):
        if case.is_out(receiver, given):
            yield Found(node, at=given.index)


@check("E6", "issued from exposed")
def _from_exposed(case: Case) -> Iterator[Found]:
    for each in case.file.records["delivered"]:
        if value(each, "plane") in case.rows:
            yield Found(value(each, "version"))


@check("E7", "starts too late")
def _too_late(case: Case) -> Iterator[Found]:
    facts = case.file.facts
    segment = facts.origin.rpartition("/")[2]
    continues = segment.isdecimal() and int(segment) > 1
    if facts.start == 0 and not continues:
        return
    first = next((e for e in case.file.entries if e.index >= facts.start), None)
    earliest = min((case.file.start(each) for each in case.file.cases), default=FOREVER)
    if first is None or first.time > earliest:
        yield Found("log:window")


@check("E7", "not witnessed")
def _not_witnessed(case: Case) -> Iterator[Found]:
    if not case.file.facts.cosigners or not case.file.facts.cosigned_ns:
        yield Found("log:witnesses")


@check("E7", "ends too early")
def _too_early(case: Case) -> Iterator[Found]:
    cosigned = case.file.facts.cosigned_ns
    if cosigned and cosigned < case.file.as_of_ns - MAX_GAP_NS:
        yield Found("log:window")


@check("E7", "clock ran back")
def _ran_back(case: Case) -> Iterator[Found]:
    for one, two in pairwise(case.file.entries):
        if two.stated < one.stated - TOLERANCE_NS:
            yield Found(f"entry:{two.index}")


@check("E7", "clock step")
def _clock_step(case: Case) -> Iterator[Found]:
    for each in case.file.entries:
        step = each.kind == "notice" and each.op in ("clock-step", "clock-set")
        if step and each.time >= case.file.t0 - DAY_NS:
            yield Found(f"entry:{each.index}", at=each.index)


@check("E7", "indexed late")
def _indexed_late(case: Case) -> Iterator[Found]:
    if case.file.facts.late:
        yield Found("log:index")


@check("E7", "source silent")
def _silent(case: Case) -> Iterator[Found]:
    file = case.file
    first: dict[str, Entry] = {}
    for each in file.records["sourced"]:
        first.setdefault(value(each, "source"), each)
    for source, sourced in first.items():
        since = max(sourced.time, file.t0)
        beats = [e for e in file.of("heartbeat", source=source) if e.index > sourced.index]
        times = [since, *(e.time for e in beats if e.time > since), file.as_of_ns]
        allowed = 2 * value(sourced, "interval_seconds") * SECOND_NS
        for one, two in pairwise(times):
            if two - one > allowed:
                yield Found(f"source:{source}", "unknown")


@check("E7", "source lost messages")
def _lost(case: Case) -> Iterator[Found]:
    for each in case.file.records["heartbeat"]:
        if value(each, "missed") and each.time >= case.file.t0:
            yield Found(f"source:{value(each, 'source')}", "unknown")


@check("E8", "ended session worked")
def _session_worked(case: Case) -> Iterator[Found]:
    for node in case.principals:
        if kind_of(node) == "session" and case.escape(node):
            yield Found(node, "failed")


@check("E8", "not watched")
def _not_watched(case: Case) -> Iterator[Found]:
    for node, last, system in case.revoked_at:
        if not any(
            value(each, "from_ns") <= value(last, "done_ns")
            and value(each, "until_ns") >= case.file.as_of_ns - MAX_AGE_NS
            for each in case.file.of("watched", version=node, system=system)
        ):
            yield Found(node)


@check("E8", "used later")
def _used_later(case: Case) -> Iterator[Found]:
    for each in case.file.records["watched"]:
        if value(each, "version") in case.rows and value(each, "successes"):
            yield Found(value(each, "version"), "failed")


def root_checks(case: Case) -> dict[str, Entry]:
    """Return the last check of each part of the root, after the opening of the case."""
    opened = case.own("opened")
    since = opened[0].index if opened else -1
    found = [each for each in case.own("root-checked") if each.index > since]
    return {value(each, "item"): each for each in found if value(each, "item") in ROOT_ITEMS}


@check("E9", "root not checked")
def _root_not_checked(case: Case) -> Iterator[Found]:
    done = root_checks(case)
    for item in ROOT_ITEMS:
        if item not in done:
            yield Found(item)


@check("E9", "root check too old")
def _root_old(case: Case) -> Iterator[Found]:
    done = root_checks(case)
    for item in ROOT_ITEMS:
        if item in done and done[item].time < case.file.as_of_ns - MAX_AGE_NS:
            yield Found(item)


@check("E9", "root unsound")
def _root_unsound(case: Case) -> Iterator[Found]:
    done = root_checks(case)
    for item in ROOT_ITEMS:
        if item in done and not value(done[item], "sound"):
            yield Found(item)


@check("E9", "root check sworn by one")
def _root_sworn(case: Case) -> Iterator[Found]:
    done = root_checks(case)
    for item in ROOT_ITEMS:
        if item in done and value(done[item], "sound") and not case.in_force(done[item]):
            yield Found(f"entry:{done[item].index}")


@check("E9", "record by an exposed principal")
def _by_exposed(case: Case) -> Iterator[Found]:
    for each in case.file.entries:
        if "incident" in each.audited and each.time >= case.file.t0 and case.any_out(each):
            yield Found(f"entry:{each.index}")


@check("E10", "withheld")
def _withheld(case: Case) -> Iterator[Found]:
    if case.file.facts.withheld:
        yield Found("log:entries")


@check("E11", "no residue")
def _no_residue(case: Case) -> Iterator[Found]:
    if not any(value(each, "words").strip() for each in case.own("residue")):
        yield Found(f"case:{case.file.case}")


# --------------------------------------------------------------------------------------------------
# The verdict
# --------------------------------------------------------------------------------------------------

CLAIMS: Final = {
    "E1": ("opened", "widened", "surveyed"),
    "E2": ("revoked",),
    "E3": ("addressed", "probed"),
    "E4": ("contained", "readmitted", "ended"),
    "E5": ("baselined", "swept", "explained"),
    "E6": ("delivered",),
    "E7": ("sourced",),
    "E8": ("watched",),
    "E9": ("root-checked",),
    "E10": (),
    "E11": ("residue",),
}
WORSE: Final = ("closed", "unknown", "open", "failed")


def exemptions_of(case: Case) -> dict[str, Entry]:
    """Return the exemptions of the case by their item, whether or not they are in force."""
    last = {value(each, "item"): each for each in case.own("exempted")}
    return {
        item: each
        for item, each in last.items()
        if value(each, "owner").strip()
        and value(each, "reason").strip()
        and value(each, "expires_ns") > case.file.as_of_ns
        and not item.startswith(("log:", "scope:", "case:"))
    }


def verdict_of(case: Case) -> dict[str, Any]:
    """Return the verdict, without the texts for people, in the form of the statement."""
    file = case.file
    exempted, rests = exemptions_of(case), []
    granted = {item: each for item, each in exempted.items() if case.in_force(each)}
    waiting: dict[str, Entry] = {}
    items: dict[str, list[dict[str, str]]] = {claim: [] for claim in CLAIMS}
    covered = dict.fromkeys(CLAIMS, 0)
    for claim, name, function in CHECKS:
        for each in function(case):
            exemption = exempted.get(each.subject)
            if exemption and (each.status == "failed" or each.at >= exemption.index):
                exemption = None
            if exemption and each.subject in granted:
                rests.append((each.subject, exemption))
                covered[claim] += 1
            else:
                if exemption:
                    waiting[each.subject] = exemption
                item = {"check": name, "subject": each.subject, "status": each.status}
                items[claim].append(item)
    needed = dict(rests)
    rests += sorted(
        ((item, each) for item, each in granted.items() if item not in needed),
        key=lambda pair: pair[1].index,
    )
    subjects = {each["subject"] for found in items.values() for each in found}
    credentials = [credential_of(case, node, subjects, needed) for node in case.credentials]
    claims = [claim_of(case, claim, items[claim], covered[claim]) for claim in CLAIMS]
    opened = file.of("opened", case=file.case)
    return {
        "outcome": outcome_of([each["status"] for each in claims], bool(granted)),
        "tally": tally_of(credentials, granted),
        "case": file.case,
        "opening": opened[0].index if opened else -1,
        "from_ns": file.t0,
        "as_of_ns": file.as_of_ns,
        "claims": claims,
        "exemptions": [
            {"item": item, **{k: value(e, k) for k in ("owner", "reason", "expires_ns")}}
            for item, e in rests
        ],
        "waiting": [{"entry": each.index, "item": item} for item, each in waiting.items()],
        "credentials": credentials,
    }


def claim_of(case: Case, claim: str, items: list[dict[str, str]], covered: int) -> dict[str, Any]:
    """Return a claim: its status, its items, and the records that it was checked with."""
    filed = sorted((e for kind in CLAIMS[claim] for e in case.file.records[kind]), key=place_of)
    return {
        "id": claim,
        "status": max((each["status"] for each in items), key=WORSE.index, default="closed"),
        "items": items,
        "entries": [each.index for each in filed],
        "sworn": [each.index for each in filed if is_sworn(each)],
        "exempt": covered,
    }


def outcome_of(statuses: Sequence[str], has_exceptions: bool) -> str:
    """Return the outcome that follows from the status of each claim."""
    if "failed" in statuses:
        return "DISPROVEN"
    if any(each != "closed" for each in statuses):
        return "NOT PROVEN"
    return "PROVEN WITH EXCEPTIONS" if has_exceptions else "PROVEN"


def credential_of(
    case: Case, node: str, subjects: AbstractSet[str], rests: Mapping[str, Entry]
) -> dict[str, Any]:
    """Return the state of an exposed credential, and how it is known.

    Given are the subjects of the open items, and the exemptions on which the verdict rests.
    """
    file, row = case.file, case.rows[node]
    last, dead = file.last_revocation(node), file.dead_ns(node)
    exemption = rests.get(node)
    at_each = case.last_at_each(node)
    if node in subjects or any(case.is_unconfirmed(each) for each in at_each):
        basis = "open"
    elif exemption:
        basis = "exempt"
    elif all(value(each, "measured") for each in at_each) and dead:
        basis = "measured"
    else:
        basis = "sworn by two"
    state = "verified-dead" if dead else "exempt" if exemption else "revoked" if last else "exposed"
    measurable = basis == "sworn by two" and any(
        file.of("baselined", system=each) for each in file.verifiers(node)
    )
    return {
        "node": node,
        "state": state,
        "basis": basis,
        "exposed_ns": row.exposed_ns,
        "in_clear_ns": row.in_clear_ns,
        "revoked_ns": value(last, "done_ns") if last else 0,
        "dead_ns": dead,
        "measurable": measurable,
        "owner": value(exemption, "owner") if exemption else "",
        "reason": value(exemption, "reason") if exemption else "",
        "expires_ns": value(exemption, "expires_ns") if exemption else 0,
    }


def tally_of(
    credentials: Sequence[Mapping[str, Any]], granted: Mapping[str, Entry]
) -> dict[str, int]:
    """Count the credentials by basis, and the other items of exemptions."""
    count = dict.fromkeys(("measured", "sworn by two", "exempt", "open"), 0)
    for each in credentials:
        count[each["basis"]] += 1
    exempt = {each["node"] for each in credentials if each["basis"] == "exempt"}
    ends = [value(each, "expires_ns") for each in granted.values()]
    return {
        "measured": count["measured"],
        "sworn": count["sworn by two"],
        "exempt": count["exempt"],
        "open": count["open"],
        "waived": sum(item not in exempt for item in granted),
        "until_ns": min(ends, default=0),
    }


# --------------------------------------------------------------------------------------------------
# The whole verification, and the program
# --------------------------------------------------------------------------------------------------

CODES: Final = {"PROVEN": 0, "NOT PROVEN": 3, "DISPROVEN": 4, "PROVEN WITH EXCEPTIONS": 7}
SELF_CONSISTENT: Final = 5
REFUSED: Final = 6
PAST: Final = 8


@dataclass(frozen=True)
class Report:
    """The result of a verification: what follows from the entries, not what the pack says."""

    verdict: Mapping[str, Any]
    exposure: Mapping[str, Any]
    window: str
    later: int
    past: bool
    pinned: bool

    @property
    def headline(self) -> str:
        """The first line."""
        level = "VERIFIED" if self.pinned else "SELF-CONSISTENT"
        since = ""
        if self.past:
            entries = "entry exists" if self.later == 1 else "entries exist"
            more = f"{self.later} later {entries}" if self.later else "the log has gone on since"
            since = f" as of {iso(self.verdict['as_of_ns'])} ({more})"
        return f"{level}: {self.verdict['outcome']}{since}: {counted(self.verdict['tally'])}"

    @property
    def code(self) -> int:
        """The exit code."""
        outcome = str(self.verdict["outcome"])
        if not self.pinned:
            return SELF_CONSISTENT
        return PAST if self.past and outcome.startswith("PROVEN") else CODES[outcome]


def verify(raw: bytes, trusted: bytes | None) -> Report:
    """Verify a pack under the keys of a trust file; raise Refused with the step that failed."""
    trust = None if trusted is None else trust_of(trusted)
    digest, pack = statement_of(payload_of(raw, trust))
    (log,) = pack["logs"]
    own = policy_of(log["policy"].encode(), 4)
    policy = trust.policy if trust else own
    head = head_of(log["checkpoint"], policy)
    asks = policy.quorum != b"none" or own.quorum == b"none"
    require(asks, 4, "the trust file asks for no witness of a log that has some")
    shown = shown_of(log, head.size)
    root = root_from(log["hashes"], shown.hashes, head.size, 7)
    require(root == head.root, 7, "the shown leaves are not in the log at their places")
    entries = [entry_of(index, body) for index, body in sorted(shown.bodies.items())]
    facts = Facts(head.origin, head.size, log["start"], head.cosigners, head.cosigned_ns)
    file = CaseFile(pack["case"], pack["as_of_ns"], facts, entries)
    complete(file, log, head, shown)
    case = Case(file)
    verdict, exposure = verdict_of(case), told(case.exposure)
    require(same(verdict, pack["verdict"]), 8, "the entries give another verdict")
    require(same(exposure, pack["exposure"]), 8, "the entries give another exposure")
    window = f"; entries {facts.start} to {facts.size} of the log {facts.origin}"
    require(pack["verdict"]["scope"].endswith(window), 8, "the verdict is about another window")
    opening = shown.bodies.get(verdict["opening"])
    require(opening is not None, 9, "the log has no such case")
    body = hashlib.sha256((opening or "").encode()).hexdigest()
    require(body == digest, 9, "the subject is not the entry that opened the case")
    later = sum(each.stated > file.as_of_ns for each in entries)
    past = later > 0 or head.cosigned_ns > file.as_of_ns + MAX_GAP_NS
    return Report(verdict, exposure, window[2:], later, past, trust is not None)


def told(exposure: Exposure) -> dict[str, Any]:
    """Return an exposure in the form of the statement."""
    names = ("source", "kind", "target", "at_ns")
    return {
        table: [
            {**row._asdict(), "why": [dict(zip(names, step, strict=True)) for step in row.why]}
            for row in getattr(exposure, table)
        ]
        for table in ("did_read", "could_read", "could_reach")
    }


def same(own: Any, stated: Any) -> bool:
    """Return whether a pack states what follows from the entries, texts for people aside."""
    if isinstance(own, dict):
        keys = [key for key in stated if key not in WORDS]
        return set(keys) == set(own) and all(same(own[key], stated[key]) for key in keys)
    if isinstance(own, list):
        return len(own) == len(stated) and all(map(same, own, stated))
    return bool(own == stated)


def counted(tally: Mapping[str, int]) -> str:
    """Return how it is known that the exposed credentials are dead, in words."""
    until = f" until {iso(tally['until_ns'])}"
    names = (("measured", "measured"), ("sworn", "sworn by two"), ("exempt", f"exempt{until}"))
    closed = ", ".join(f"{tally[key]} {words}" for key, words in names if tally[key])
    parts = [f"closed: {closed}"] if closed else []
    if tally["open"]:
        parts.append(f"open: {tally['open']}")
    if tally["waived"]:
        parts.append(f"{tally['waived']} other items exempt{'' if tally['exempt'] else until}")
    return "; ".join(parts) or "no credential is exposed"


def iso(time_ns: int) -> str:
    """Return an instant in RFC 3339, in whole seconds."""
    return datetime.fromtimestamp(time_ns // SECOND_NS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_plain(path: str, limit: int, step: int) -> bytes:
    """Return the content of a plain file that is not too large; nothing else is read."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with os.fdopen(opened, "rb") as file:
            status = os.fstat(file.fileno())
            require(stat.S_ISREG(status.st_mode), step, f"{path} is no plain file")
            require(status.st_size <= limit, step, f"{path} is too large")
            return file.read(limit + 1)
    except OSError as error:
        refuse(step, f"{path} cannot be read: {error.strerror}")


def main(args: Sequence[str]) -> int:
    """Verify the pack that the arguments name; return the exit code."""
    if len(args) not in (1, 2):
        print("usage: verify_pack.py PACK [TRUST]", file=sys.stderr)
        return 2
    try:
        trusted = read_plain(args[1], 1 << 18, 2) if len(args) == 2 else None
        report = verify(read_plain(args[0], MAX_FILE, 1), trusted)
    except Refused as error:
        print(f"REFUSED: {error}")
        return REFUSED
    try:
        tell(report)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader, such as `head -1`, has enough: the code says the same as before.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return report.code


def tell(report: Report) -> None:
    """Print the result, and the open items by check and subject."""
    print(report.headline)
    print(f"It is about case {report.verdict['case']!r}, {report.window}.")
    for claim in report.verdict["claims"]:
        print(f"{claim['id']:<4} {claim['status']}")
        for item in claim["items"]:
            print(f"     {item['status']}: {item['check']}: {item['subject']!r}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
