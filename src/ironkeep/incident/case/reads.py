"""The route for the question whether a secret was read, answered with a proof for others."""

from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

from ironkeep.core.errors import InvalidRequest, NotFound
from ironkeep.core.evidence.node import NodeId, place_of
from ironkeep.core.evidence.packing import dsse
from ironkeep.core.evidence.packing.pack import PAYLOAD_TYPE, ShownLog
from ironkeep.core.operation import Operation
from ironkeep.credentials.listing import Spot
from ironkeep.incident.case.naming import Names
from ironkeep.incident.case.proof import CONTENT_TYPE, pack_key
from ironkeep.incident.case.workspace import instant
from ironkeep.incident.evidence.archive import Archive, covered
from ironkeep.incident.verifier.reads import verify_reads
from ironkeep.incident.verifier.statement import VERSION, Reads, state_reads
from ironkeep.journal.epochs import FIRST_EPOCH, split_origin
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route
from ironkeep.tlog.note import KeyType, SigningKey

MAX_NEAR: Final = 3
"""Similar names in the answer to an unknown one."""

_READ: Final = Operation.READ


@dataclass(frozen=True)
class DidRead:
    """A secret, and the span of time."""

    secret: str = field(metadata={"help": "mount/path for all versions, or mount/path@version"})
    start: str = field(metadata={"help": "the span begins: RFC 3339, or a time ago"})
    removed: bool = field(
        default=False,
        metadata={
            "help": "the secret was removed before this log, which follows a lost one, began"
        },
    )


def did_read(call: Call, given: DidRead) -> Suspend:
    """Return a signed statement of the reads of a secret from a time until now.

    No statement is signed for a name that neither the vault nor its journal knows.
    """
    names = Names(call)
    secret = names.secret(given.secret, family=True)
    from_ns, until_ns = instant(given.start, call.now_ns), call.now_ns
    mount, spot = names.spot(secret)
    may_be_lost = split_origin(call.use(House).journal.origin)[1] > FIRST_EPOCH
    if given.removed and not may_be_lost:
        raise InvalidRequest("this log is the vault's first: it names every secret that existed")
    is_named = given.removed or (spot.stored and names.has_version(mount, secret))
    writes = None if is_named else [mount.path + each for each in spot.writes]

    def sign(log: ShownLog, key: SigningKey) -> bytes:
        reads = Reads(VERSION, secret, given.secret.strip(), from_ns, until_ns, (log,))
        made = _signed(reads, key)
        verify_reads(made, None)
        return made

    def gathered(later: Call, archive: Archive, key: SigningKey, answer: Any) -> Suspend:
        if isinstance(answer, NotFound):
            advice = _advice(later, mount, spot, secret, may_be_lost=may_be_lost)
            raise NotFound(f"{answer}: {advice}")
        if isinstance(answer, Exception):
            raise answer
        return Suspend(lambda: sign(archive.excerpt(answer), key), _answer)

    def ask(later: Call) -> Suspend:
        archive, key = Archive(later, (from_ns,)), pack_key(later)
        # A key generated in this request must be durable before it signs anything.
        return Suspend(
            archive.ask_reads(secret, from_ns, writes),
            lambda last, answer: gathered(last, archive, key, answer),
            durable=True,
        )

    return covered(call, ask)


def _advice(call: Call, mount: Mount, spot: Spot, secret: NodeId, *, may_be_lost: bool) -> str:
    """Return what to do about an unknown name, with similar names that the caller may read."""
    acl = call.actor().acl
    seen = [path for path, read in spot.beside if acl.decide(mount.path + read, _READ).allowed]
    path = place_of(secret)[1]
    near = [mount.path + each for each in get_close_matches(path, seen, n=MAX_NEAR)]
    advice = f"did you mean {' or '.join(near)}?" if near else "check how it is written"
    if may_be_lost:
        advice += " If it was removed before this log began, send removed=true"
    return advice


def _signed(reads: Reads, key: SigningKey) -> bytes:
    vkey = key.verifier_key(KeyType.ED25519).format()
    return dsse.encode(dsse.sign(PAYLOAD_TYPE, state_reads(reads), {vkey: key.private_key()}))


def _answer(_call: Call, made: bytes | Exception) -> Response:
    if isinstance(made, Exception):
        raise made
    return Response(raw=(CONTENT_TYPE, made))


ROUTES: Final = (
    Route(
        Operation.READ, "did-read", did_read, DidRead, sudo=True,
        audited=("secret", "start", "removed"), help="A signed statement of the reads of a secret.",
    ),
)  # fmt: skip
