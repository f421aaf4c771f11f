"""Questions for what a pack shows of the log: the entries that matter, and the proof of that.

    excerpt     for a case
    pack        the same with the verdict, as the payload that the server signs
    reads       for the question whether a secret was read

The answers are ShownLogs as MessagePack, without policy and checkpoint, under a signed head of the
size that the question names. They raise Unavailable while the index does not reach far enough.
"""

from collections.abc import Generator, Iterable, Mapping
from typing import Any, Final

import msgspec

from ironkeep.core.errors import NotFound, TooLarge, Unavailable
from ironkeep.core.evidence.leaf import Disclosed
from ironkeep.core.evidence.node import parse_node, place_of, version_of
from ironkeep.core.evidence.packing.pack import ShownEntry, ShownLog, Stretch, WindowLeaf
from ironkeep.incident.evidence.gathering import About, closed_evidence, earlier_steps
from ironkeep.incident.evidence.packer import payload_for
from ironkeep.incident.evidence.window import Opener, Parts, Window, open_window
from ironkeep.incident.verifier.indexed import Asked, questions_of
from ironkeep.incident.verifier.reads import term_of, terms_of
from ironkeep.index.proof import encode_proof
from ironkeep.index.terms import Term, What, secret
from ironkeep.journal.index.index import Index
from ironkeep.journal.index.prove import prove
from ironkeep.journal.questions import Context, Steps, stretches
from ironkeep.tlog.merkle import subtree_root
from ironkeep.tlog.multiproof import multiproof

MAX_READS: Final = 20_000
"""Reads of one secret in an answer, some 40 MB: it is for secrets that few have read."""

_STEP: Final = 256
_WRITES: Final = frozenset({"create", "update", "patch"})


def excerpt(context: Context, about: Mapping[str, Any]) -> Steps:
    """Return the log as the pack of a case shows it; about is an `About`."""
    given, index = msgspec.convert(about, About), context.index
    window = yield from open_window(context, index, min(given.starts), given.size)
    _require_indexed(window)
    file = yield from closed_evidence(context, index, given, window, window.entries)
    asked = questions_of(file)
    positions = (position for position, _ in file.evidence.entries)
    return (yield from _excerpt(context, index, window, positions, asked))


def pack(context: Context, about: Mapping[str, Any]) -> Steps:
    """Return [type, payload] of the pack of a case, for the server to sign.

    `about` is {"about": an `About`, "policy", "checkpoint"}, the last two as in a ShownLog. The
    verdict is computed here: one that names 100,000 secrets takes seconds.
    """
    found = yield from excerpt(context, about["about"])
    log = msgspec.structs.replace(
        msgspec.msgpack.decode(found, type=ShownLog),
        policy=about["policy"],
        checkpoint=about["checkpoint"],
    )
    yield
    given = msgspec.convert(about["about"], About)
    return list(payload_for(given.case, given.as_of_ns, log))


def reads(context: Context, about: Mapping[str, Any]) -> Steps:
    """Return the log as a proof of the reads of `secret` since `from_ns` shows it.

    `secret` is a node: one version, or the family of all versions. With `writes`, the API paths
    that write it, an entry must show that it existed. Raises TooLarge past MAX_READS, NotFound.
    """
    index, size = context.index, about["size"]
    if about.get("writes") is not None:
        yield from _require_named(index, about["secret"], about["writes"], size)
    window = yield from open_window(context, index, about["from_ns"], size)
    _require_indexed(window)
    terms, parts = terms_of(term_of(about["secret"])), Parts(index, window, Opener(index, window))
    found = set(earlier_steps(index, about["from_ns"], window.start))
    if window.start:
        # The entry before the span shows that the window begins early enough.
        found.add(window.start)
    for number, (position, _) in enumerate(parts.find(terms, window.start, size), start=1):
        found.add(position)
        if number > MAX_READS:
            raise TooLarge(
                f"the secret was read more than {MAX_READS} times in this window: ask for a "
                "shorter one, or for one version"
            )
        if number % _STEP == 0:
            yield
    return (yield from _excerpt(context, index, window, found, [(terms, size)]))


def _require_named(
    index: Index, of: str, writes: list[str], size: int
) -> Generator[None, None, None]:
    """Raise NotFound unless the log shows that a secret existed: by a release, or a good write.

    A version exists once it, or a later one, was released or written.
    """
    asked = parse_node(of)
    (mount, path), number = place_of(asked), version_of(asked)
    terms = [secret(mount, path), *(Term(What.PATH, each) for each in writes)]
    for looked_at, (_, entry) in enumerate(index.find(terms, 0, size), start=1):
        good = entry.outcome == "ok" and entry.op in _WRITES and entry.path in writes
        # A write by a mount without versions names none.
        written = entry.audited.get("version", number)
        if (good and isinstance(written, int) and written >= number) or any(
            (each.mount, each.path) == (mount, path) and each.version >= number
            for each in entry.released
        ):
            return
        if looked_at % _STEP == 0:
            yield
    raise NotFound("neither the vault nor its journal knows a secret of this name")


def _require_indexed(window: Window) -> None:
    missing = sum(last - first for first, last in window.unindexed)
    if missing:
        raise Unavailable(
            f"{missing} entries of the window are not in the journal's index yet: try again in a "
            "minute"
        )


def _excerpt(
    context: Context, index: Index, window: Window, positions: Iterable[int], asked: list[Asked]
) -> Generator[None, None, bytes]:
    """Return the log with the whole parts of the window, and the entries at further positions."""
    whole = yield from _stretches(context, window)
    covered = [range(each.start, each.start + len(each.leaves)) for each in whole]
    single = sorted(at for at in positions if not any(at in each for each in covered))
    opener, entries = Opener(index, window), list[ShownEntry]()
    for number, position in enumerate(single, start=1):
        leaf, opened = opener.disclosed(position)
        entries.append(ShownEntry(position, leaf, opened.salt, opened.body.decode()))
        if number % _STEP == 0:
            yield
    shown = sorted([*single, *(at for each in covered for at in each)])
    read, size = context.hashes(), window.size
    hashes = multiproof(shown, size, lambda low, high: subtree_root(low, high, read))
    proofs: list[bytes] = []
    for terms, last in asked:
        proof = yield from prove(index, terms, window.start, last, size, read)
        proofs.append(encode_proof(proof))
    log = ShownLog("", "", window.start, tuple(whole), tuple(entries), tuple(hashes), tuple(proofs))
    return msgspec.msgpack.encode(log)


def _stretches(context: Context, window: Window) -> Generator[None, None, list[Stretch]]:
    """Return the whole parts of the window with all leaves."""
    found: list[Stretch] = []
    for first, last in window.whole:
        leaves: list[WindowLeaf] = []
        for low, high in stretches(first, last):
            opened = {each.index: each for each in context.reader.disclosures(low, high)}
            for position, leaf in enumerate(context.log.leaves(low, high), low):
                leaves.append(_leaf(leaf, opened.get(position)))
            yield
        found.append(Stretch(first, tuple(leaves)))
    return found


def _leaf(leaf: bytes, opened: Disclosed | None) -> WindowLeaf:
    if opened is None:
        return WindowLeaf(leaf=leaf)
    return WindowLeaf(leaf=leaf, salt=opened.salt, body=opened.body.decode())
