"""The route for the question whether a secret was read, answered with a proof for others."""

from dataclasses import dataclass, field
from typing import Any, Final

from ironkeep.core.evidence import dsse
from ironkeep.core.evidence.pack import PAYLOAD_TYPE, ShownLog
from ironkeep.core.operation import Operation
from ironkeep.incident.case.naming import Names
from ironkeep.incident.case.proof import CONTENT_TYPE, pack_key
from ironkeep.incident.case.workspace import instant
from ironkeep.incident.evidence.archive import Archive
from ironkeep.incident.verifier.reads import verify_reads
from ironkeep.incident.verifier.statement import VERSION, Reads, state_reads
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route
from ironkeep.tlog.note import KeyType, SigningKey


@dataclass(frozen=True)
class DidRead:
    """A secret, and the span of time."""

    secret: str = field(metadata={"help": "mount/path for all versions, or mount/path@version"})
    start: str = field(metadata={"help": "the span begins: RFC 3339, or a time ago"})


def did_read(call: Call, given: DidRead) -> Suspend:
    """Return a signed statement of the reads of a secret from a time until now."""
    secret = Names(call).secret(given.secret, family=True)
    from_ns, until_ns = instant(given.start, call.now_ns), call.now_ns
    archive, key = Archive(call, (from_ns,)), pack_key(call)

    def sign(log: ShownLog) -> bytes:
        reads = Reads(VERSION, secret, given.secret.strip(), from_ns, until_ns, (log,))
        made = _signed(reads, key)
        verify_reads(made, None)
        return made

    def gathered(_later: Call, answer: Any) -> Suspend:
        if isinstance(answer, Exception):
            raise answer
        return Suspend(lambda: sign(archive.excerpt(answer)), _answer)

    # A key generated in this request must be durable before it signs anything.
    return Suspend(archive.ask_reads(secret, from_ns), gathered, durable=True)


def _signed(reads: Reads, key: SigningKey) -> bytes:
    vkey = key.verifier_key(KeyType.ED25519).format()
    return dsse.encode(dsse.sign(PAYLOAD_TYPE, state_reads(reads), {vkey: key.private_key()}))


def _answer(_call: Call, made: bytes | Exception) -> Response:
    if isinstance(made, Exception):
        raise made
    return Response(raw=(CONTENT_TYPE, made))


ROUTES: Final = (
    Route(
        Operation.READ, "did-read", did_read, DidRead, sudo=True, audited=("secret", "start"),
        help="A signed statement of the reads of a secret.",
    ),
)  # fmt: skip
