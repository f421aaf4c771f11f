"""Documents: match a leaked text against the stored secrets, and register encrypted copies.

    document / id            -> name, size, time; never the text
    copy / SHA-256 (hex)     -> the document that represents an encrypted copy

Matching is a guessing oracle: a list of guesses as a document would show which of them are right.
So submissions are rate-limited (guesses.py), and a match is reported only to a caller who may read
the secret without a touch or an approval, and is charged to that caller's budget as a read. Every
match is journalled, reported or not.
"""

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import msgspec

from ironkeep.access.guards import Guards
from ironkeep.core.errors import InvalidRequest, TooLarge, TooManyRequests
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.node import NodeId, NodeKind, is_family, node, secret_version
from ironkeep.core.evidence.reach import EdgeKind
from ironkeep.core.ids import MountUuid
from ironkeep.core.operation import Operation
from ironkeep.core.policy.secret_class import SecretClass
from ironkeep.core.secret import Secret
from ironkeep.credentials.actor import actor_of
from ironkeep.incident.case.fingerprints import Found, Prints, search
from ironkeep.incident.case.guesses import DAY_NS, HOUR_NS, MAX_HITS, Guesses, guessers
from ironkeep.incident.case.naming import Names, document_path
from ironkeep.incident.case.workspace import words
from ironkeep.incident.evidence.views import when
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects.pauses import later
from ironkeep.plugin.fields import CommaList
from ironkeep.plugin.response import Response, listing
from ironkeep.plugin.route import Route
from ironkeep.store.record import Codec

MAX_DOCUMENT: Final = 1 << 20
"""Bytes of a document; searching one takes a worker one to four seconds."""

MAX_AN_HOUR: Final = 20
"""Submissions per person; a case seldom has more documents, and guessing needs millions."""

AT_ONCE: Final = 200
"""Secrets fingerprinted in one turn, which takes some milliseconds."""

MAX_NAME: Final = 256
MAX_PARTS: Final = 64
"""Digests of one registered copy: of the whole and of its parts."""

_DONE: Final = object()
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class Registered(msgspec.Struct, frozen=True):
    """The stored record of a document."""

    name: str
    size: int
    registered_ns: int


_REGISTERED: Final = Codec(Registered)


@dataclass(frozen=True, slots=True)
class Kept:
    """The place of a secret: mount, path for rules and budgets, API path of a read."""

    mount: MountUuid
    path: str
    read: str


@dataclass(slots=True)
class Seen:
    """Fingerprints of all secrets, split by whether a match may be reported to the caller.

    `unknown` counts the mounts that could not be searched.
    """

    shown: Prints
    hidden: Prints
    kept: dict[NodeId, Kept] = field(default_factory=dict)
    unknown: int = 0


@dataclass(frozen=True)
class Submit:
    """A leaked text or file."""

    name: str = field(metadata={"help": "a name without secrets"})
    content: Secret = field(metadata={"help": "base64"})


@dataclass(frozen=True)
class Copy:
    """An encrypted copy of a secret, stored outside the vault."""

    name: str
    sha256: CommaList = field(metadata={"help": "of the ciphertext or its parts, in hex"})
    wraps: str = field(metadata={"help": "the secret inside: mount/path@version"})
    opened_by: CommaList = field(metadata={"help": "the secrets that decrypt it"})


def submit(call: Call, given: Submit) -> Suspend:
    """Match a document against every stored secret; the text itself is not stored."""
    _spend(call)
    name = _name(given.name)
    too_large = TooLarge(f"a document has at most {MAX_DOCUMENT} bytes: submit it in parts")
    # Checked before decoding, because the request body may be much larger than the limit.
    if len(given.content) > 4 * (MAX_DOCUMENT // 3 + 1):
        raise too_large
    try:
        document = b64decode(given.content.reveal(), validate=True)
    except (Error, ValueError):
        raise InvalidRequest("content must be base64") from None
    if len(document) > MAX_DOCUMENT:
        raise too_large
    copies = call.store.list("copy")
    key = call.entropy.token(32)
    seen = Seen(Prints(key), Prints(key))

    def work() -> Found:
        return search(document, seen.shown, copies, seen.hidden)

    def resume(later: Call, found: Found | Exception) -> Response:
        if isinstance(found, Exception):
            raise found
        return _file(later, name, len(document), found, seen)

    return _gather(_prints(call, seen), Suspend(work, resume))


def _gather(prints: Iterator[None], then: Suspend) -> Suspend:
    """Take AT_ONCE fingerprints per turn, so that other requests are served in between."""
    for _ in islice(prints, AT_ONCE):
        """Each step fingerprints one secret."""
    rest = next(prints, _DONE)
    if rest is _DONE:
        return then
    return later(lambda _call: _gather(prints, then))


def _prints(call: Call, seen: Seen) -> Iterator[None]:
    """Fingerprint every stored secret, split by whether a match may be reported.

    The contents of a sealed segment are unknown; its mounts are only counted.
    """
    names = Names(call)
    for mount in names.mounts():
        if names.is_sealed(mount):
            seen.unknown += 1
            continue
        for kept in names.kept(mount):
            secret = Kept(mount.uuid, kept.path, mount.path + kept.read)
            may_tell = names.may_tell(mount.uuid, kept.path, secret.read)
            prints = seen.shown if may_tell else seen.hidden
            for served in kept.versions:
                version = secret_version(mount.uuid, kept.path, served.number)
                seen.kept[version] = secret
                for value in kept.values(served.number):
                    prints.add(version, value)
            yield


def _may_report(call: Call, secret: Kept) -> bool:
    """Return whether a match may be reported to the caller."""
    return Names(call).may_tell(secret.mount, secret.path, secret.read)


def _charged(call: Call, secret: Kept) -> bool:
    """Charge a match to the caller's budget as a read; return whether the budget has room."""
    return call.use(Guards).charge(call, f"{secret.mount}/{secret.path}")


def _file(call: Call, name: str, size: int, found: Found, seen: Seen) -> Response:
    """Journal which secrets a document contains, and report those that the caller may see."""
    document = node(NodeKind.DOCUMENT, name)
    _keep(call, name, size)
    by, scope = actor_of(call), call.use(House).scope
    holds = sorted(found.versions | found.hidden)
    copies = [node(NodeKind.DOCUMENT, _copy_name(call, each)) for each in sorted(found.copies)]
    scope.linked(document, EdgeKind.HOLDS, (*holds, *copies), "found in it", call.now_ns, by)
    shown = [
        each
        for each in sorted(found.versions)
        if _may_report(call, seen.kept[each]) and _charged(call, seen.kept[each])
    ]
    _watch(call, found, seen)
    data: dict[str, Any] = {
        "document": str(document),
        "found": [_readable(each, seen.kept[each]) for each in shown],
        "copies": [str(each) for each in copies],
        "complete": found.complete and not seen.unknown,
        "mounts_not_known": seen.unknown,
    }
    return Response(data=data)


def _watch(call: Call, found: Found, seen: Seen) -> None:
    """Raise an alert for a match with a secret that needs a touch or an approval, and count it.

    The answer does not change, so a guesser learns nothing from it and soon hits the limit.
    """
    house = call.use(House)
    guards = {
        house.features.classes.of(call.tx, seen.kept[each].mount, seen.kept[each].path)
        for each in found.hidden
    } - {SecretClass.OPEN}
    if found.thorough and not guards:
        return
    text = "a document was not fully compared with the secrets that its sender may not read"
    if guards:
        text = f"a document contains a secret of class {max(guards).text}"
    record = call.actor().record
    house.features.alerts.raise_(
        call.tx,
        "documents",
        text,
        call.now_ns,
        entity=record.entity,
        device=record.device,
        path=call.request.path,
    )
    if guards and max(guards) >= SecretClass.TWO_PERSON:
        for who in guessers(call):
            _guesses(call).count(f"hits/{who}", DAY_NS)


def _readable(version: NodeId, secret: Kept) -> str:
    paths = secret.read.removesuffix(secret.path).removesuffix("data/")
    return paths + version.removeprefix(f"secret:{secret.mount}/")


def _spend(call: Call) -> None:
    """Count a submission, even one refused later; raise TooManyRequests past a limit."""
    guesses = _guesses(call)
    for who in guessers(call):
        hits = guesses.recent(f"hits/{who}", DAY_NS)
        if len(hits) >= MAX_HITS:
            raise TooManyRequests(
                f"you can submit documents again at {when(hits[0] + DAY_NS)}: "
                "have another person submit this one"
            )
        recent = guesses.recent(f"budget/{who}", HOUR_NS)
        if len(recent) >= MAX_AN_HOUR:
            raise TooManyRequests(
                f"one person can submit {MAX_AN_HOUR} documents an hour: try again at "
                f"{when(recent[0] + HOUR_NS)}"
            )
        guesses.count(f"budget/{who}", HOUR_NS)


def _guesses(call: Call) -> Guesses:
    """Return the guesses on record, counted even when the request is refused."""
    return Guesses(call.lasting, call.now_ns)


def register_copy(call: Call, given: Copy) -> Response:
    """Register an encrypted copy: the copy together with its keys yields the secret."""
    name, names = _name(given.name), Names(call)
    digests = [each.lower() for each in given.sha256]
    if not 0 < len(digests) <= MAX_PARTS or not all(map(_SHA256.fullmatch, digests)):
        raise InvalidRequest(f"sha256 takes 1 to {MAX_PARTS} digests of 64 hexadecimal digits")
    wraps = names.secret(given.wraps)
    keys = [names.secret(each) for each in given.opened_by]
    if not keys or any(map(is_family, (wraps, *keys))):
        raise InvalidRequest("wraps and opened_by must name single versions: secret/path@1")
    document, by = node(NodeKind.DOCUMENT, name), actor_of(call)
    gate = ev.Gated(
        *ev.UNPLACED,
        f"{name} opened",
        1 + len(keys),
        (document, *keys),
        (),
        EdgeKind.DECRYPTS,
        wraps,
        0,
        "registered encrypted copy",
    )
    call.use(House).scope.gated(gate, call.now_ns, by)
    basis = "registered encrypted copy"
    call.use(House).scope.linked(document, EdgeKind.WRAPS, (wraps,), basis, call.now_ns, by)
    for each in digests:
        call.store.put(f"copy/{each}", name.encode())
    _keep(call, name, 0)
    return Response(data={"document": str(document), "wraps": str(wraps)})


def list_documents(call: Call) -> Response:
    """Return the names of all documents."""
    raws = (call.store.get(f"document/{name}") for name in call.store.list("document"))
    found = [_REGISTERED.decode(raw) for raw in raws if raw is not None]
    info = {
        each.name: {"size": each.size, "registered": when(each.registered_ns)}
        for each in sorted(found, key=lambda each: each.name)
    }
    return listing(list(info), info)


def _keep(call: Call, name: str, size: int) -> None:
    known = Registered(name, size, call.now_ns)
    call.store.put(document_path(name), _REGISTERED.encode(known))


def _copy_name(call: Call, digest: str) -> str:
    raw = call.store.get(f"copy/{digest}")
    return "" if raw is None else raw.decode()


def _name(text: str) -> str:
    name = words(text, "a name")
    if len(name) > MAX_NAME:
        raise InvalidRequest(f"a name has at most {MAX_NAME} characters")
    return name


ROUTES: Final = (
    Route(Operation.LIST, "documents/", list_documents, sudo=True, help="List the documents."),
    Route(
        Operation.UPDATE, "documents", submit, Submit, audited=("name",),
        help="Match a leaked text against the stored secrets.",
    ),
    Route(
        Operation.UPDATE, "documents/registered", register_copy, Copy, sudo=True,
        audited=("name", "sha256"), help="Register an encrypted copy of a secret.",
    ),
)  # fmt: skip
