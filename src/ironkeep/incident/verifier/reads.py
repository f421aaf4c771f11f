"""Verify a statement of the reads of one secret: offline, with the checks of a pack's log."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

import msgspec

from ironkeep.core.errors import IntegrityError, InvalidRequest
from ironkeep.core.event import Entry, Released
from ironkeep.core.evidence.checks.record import CLOCK_SKEW_NS, clock_steps, continues
from ironkeep.core.evidence.node import NodeId, NodeKind, is_family, kind_of, name_of, parse_node
from ironkeep.core.evidence.order import ordered
from ironkeep.core.evidence.packing import dsse
from ironkeep.core.evidence.records import LogFacts
from ironkeep.incident.verifier import indexed
from ironkeep.incident.verifier.disclosed import ShownHead
from ironkeep.incident.verifier.statement import Reads, read_reads
from ironkeep.incident.verifier.trust import TrustedKeys
from ironkeep.incident.verifier.verifier import Level, signer_of, step
from ironkeep.index.closure import END
from ironkeep.index.terms import Kind, Term, kind, release, secret
from ironkeep.tlog.policy import Policy


class Answer(StrEnum):
    """The answer that follows from a log."""

    READ = "READ"
    NOT_READ = "NOT READ"
    NOT_PROVEN = "NOT PROVEN"
    """No read is on record, and the statement does not cover the whole span."""


class OneRead(msgspec.Struct, frozen=True):
    """A read: its place and time, and by whom; `version` and `fields` as released."""

    entry: int
    time_ns: int
    version: int
    fields: tuple[str, ...]
    path: str
    entity: str
    name: str
    accessor: str
    device: str
    remote: str


class ReadsReport(msgspec.Struct, frozen=True):
    """The result of a verification. `open` says what the statement leaves open, in words."""

    level: Level
    signer: str
    origin: str
    size: int
    cosigners: tuple[str, ...]
    secret: str
    label: str
    from_ns: int
    until_ns: int
    answer: Answer
    reads: tuple[OneRead, ...]
    open: tuple[str, ...]


def verify_reads(raw: bytes, trust: TrustedKeys | None) -> ReadsReport:
    """Verify the bytes of a statement; raise an IntegrityError that names the failed step.

    The steps are those of a pack (`verifier.verify_pack`), without a verdict.
    """
    with step("(1) envelope"):
        envelope = dsse.decode(raw)
    with step("(2) signature"):
        signer = signer_of(envelope, trust)
    with step("(3) statement"):
        asked = read_reads(envelope)
        term = term_of(asked.secret)
    log = asked.logs[0]
    with step("(4) checkpoint"):
        policy = trust.policy if trust else Policy.parse(log.policy.encode())
        head = ShownHead(log.checkpoint, policy)
    with step("(5) entries"):
        leaves = indexed.leaves_of(log)
    with step("(7) places"):
        indexed.check_places(log, head.checkpoint, leaves)
    with step("(6) completeness"):
        end = head.checkpoint.size
        terms = terms_of(term)
        facts = indexed.check_complete(log, head, leaves, [(terms, end)], dict.fromkeys(terms, END))
        reads = tuple(_reads(asked, leaves))
    left = tuple(_open(asked, facts, leaves))
    answer = Answer.NOT_PROVEN if left else Answer.NOT_READ
    return ReadsReport(
        level=Level.VERIFIED if trust else Level.SELF_CONSISTENT,
        signer=signer,
        origin=facts.origin,
        size=facts.size,
        cosigners=facts.cosigners,
        secret=asked.secret,
        label=asked.label,
        from_ns=asked.from_ns,
        until_ns=asked.until_ns,
        answer=Answer.READ if reads else answer,
        reads=reads,
        open=left,
    )


def term_of(node: str) -> Term:
    """Return the term of a secret's node: one version, or the family of all versions."""
    try:
        of = parse_node(node)
    except InvalidRequest as error:
        raise IntegrityError(str(error)) from None
    place, _, version = name_of(of).rpartition("@")
    mount, _, path = place.partition("/")
    if kind_of(of) is NodeKind.SECRET and is_family(of):
        return secret(mount, path)
    if kind_of(of) is not NodeKind.SECRET or not (version.isascii() and version.isdigit()):
        raise IntegrityError("a statement of reads is about a secret")
    return release(mount, path, int(version))


def terms_of(term: Term) -> tuple[Term, ...]:
    """Return the terms that a statement about a secret's term proves: it and the clock's steps."""
    return term, kind(Kind.CLOCK)


def _reads(asked: Reads, leaves: indexed.Leaves) -> Iterator[OneRead]:
    """Yield the reads of the secret in the span."""
    for index, entry in ordered(sorted(leaves.entries.items(), key=_index), asked.until_ns):
        if not asked.from_ns <= entry.time_ns <= asked.until_ns:
            continue
        for shown in _released(asked, entry):
            yield OneRead(
                index, entry.time_ns, shown.version, shown.fields, entry.path, entry.entity,
                entry.name, entry.accessor, entry.device, entry.remote,
            )  # fmt: skip


def _released(asked: Reads, entry: Entry) -> Iterator[Released]:
    """Yield what an entry released of the secret."""
    wanted = NodeId(asked.secret)
    place, _, number = name_of(wanted).rpartition("@")
    for shown in entry.released:
        same = f"{shown.mount}/{shown.path}" == place
        if same and (is_family(wanted) or shown.version == int(number)):
            yield shown


def _index(item: tuple[int, object]) -> int:
    return item[0]


def _open(asked: Reads, facts: LogFacts, leaves: indexed.Leaves) -> Iterator[str]:
    """Yield what keeps the absence of reads from being proven."""
    first = leaves.entries.get(facts.start)
    if facts.start and (first is None or first.time_ns > asked.from_ns):
        yield "the proven window begins after the span"
    if not facts.start and continues(facts.origin):
        yield f"what came before {facts.origin} is in the log of an earlier epoch"
    yield from _open_times(asked, facts, leaves)
    if not facts.cosigners or not facts.cosigned_ns:
        yield "no quorum of witnesses has cosigned the log"
    elif facts.cosigned_ns + CLOCK_SKEW_NS < asked.until_ns:
        yield "the witnesses vouch for a log that ends before the span does"
    if facts.withheld:
        yield f"{facts.withheld} entries of the window are withheld"
    if facts.late:
        yield f"{facts.late} entries of the window were indexed long after they were written"


def _open_times(asked: Reads, facts: LogFacts, leaves: indexed.Leaves) -> Iterator[str]:
    """Yield what makes the times of the entries doubtful.

    A server of this release names its node in each entry, and its time never runs back. The clock
    of an earlier one may have: an entry may then be later than it says, and the entries that would
    show this need not be in the statement.
    """
    entries = sorted(leaves.entries.items(), key=_index)
    first = leaves.entries.get(facts.start)
    if facts.start and first is not None and not first.node:
        yield (
            "the proven window begins at an entry of an earlier release, whose clock may have run "
            "back"
        )
    for index, entry in entries:
        early = index >= facts.start and entry.time_ns < asked.from_ns
        if early and not entry.node and any(True for _ in _released(asked, entry)):
            yield (
                f"entry {index}, a read, states a time before the span, but an earlier release "
                "wrote it, whose clock may have run back"
            )
    yield from (f"entry {index}: {words}" for index, words in clock_steps(entries, asked.from_ns))


PROVEN: Final = frozenset({Answer.READ, Answer.NOT_READ})
"""The answers that a log proves."""
