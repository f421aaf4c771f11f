"""The sample incident in a log of its own, with a witness, as a pack and as the keys to pin."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

import msgspec

from ironkeep.core import event
from ironkeep.core.evidence.casefile import CaseFile
from ironkeep.core.evidence.leaf import LeafKey, wrap_key
from ironkeep.core.evidence.packing.pack import (
    ShownEntry,
    ShownLog,
    Stretch,
    WindowLeaf,
)
from ironkeep.core.secret import Secret
from ironkeep.incident.evidence.packer import make_pack
from ironkeep.incident.verifier import indexed
from ironkeep.incident.verifier.disclosed import ShownHead
from ironkeep.incident.verifier.trust import TrustedKeys
from ironkeep.index import proof as proofs
from ironkeep.index.proof import IndexProof, encode_proof
from ironkeep.tlog.merkle import subtree_root
from ironkeep.tlog.multiproof import multiproof
from ironkeep.tlog.note import KeyType, SigningKey
from ironkeep.tlog.policy import Policy
from tests.support.incident.sample_case import CASE, END_AT, SampleCase, at, sample_case
from tests.support.log.sample_log import SampleLog, sample_cosigner, sample_key

_READER: Final = bytes.fromhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
"""A public key of RFC 7748, section 6.1."""


def sample_policy(origin: str, witnesses: Sequence[str], key: SigningKey | None = None) -> Policy:
    """Return a policy for the sample log under which all of these witnesses have to cosign."""
    log = (key or sample_key(origin)).verifier_key(KeyType.ED25519).format()
    keys = {name: sample_cosigner(name).key.format() for name in witnesses}
    lines = [f"log {log}", *(f"witness {name} {vkey}" for name, vkey in keys.items())]
    if witnesses:
        lines += [f"group all-of-them all {' '.join(witnesses)}", "quorum all-of-them"]
    else:
        lines.append("quorum none")
    return Policy.parse("".join(f"{line}\n" for line in lines).encode())


class SamplePack:
    """A case in a log; leaf 0 carries the run key, so entry n of the case is leaf n + 1."""

    def __init__(
        self,
        case: SampleCase | None = None,
        origin: str = "log.example/audit",
        witnesses: Sequence[str] = ("witness.example",),
    ) -> None:
        self.origin: Final = origin
        self.witnesses: Final = tuple(witnesses)
        self.log: Final = SampleLog(origin)
        self.key: Final = sample_key(f"{origin}/cases")
        run_key = Secret(sha256(b"run key").digest())
        self._leaf_key: Final = LeafKey(run_key, origin)
        entries = (case or sample_case()).entries(lambda number: number + 1)
        ephemeral = Secret(sha256(b"ephemeral").digest())
        leaves = [wrap_key(run_key, 0, origin, _READER, ephemeral)]
        for index, entry in enumerate(entries, start=1):
            leaves.append(self._leaf_key.encrypt(index, event.encode(entry)))
        self.log.append(leaves)

    @property
    def trust(self) -> TrustedKeys:
        """The keys that a careful reader pins."""
        packs = (self.key.verifier_key(KeyType.ED25519),)
        return TrustedKeys(packs, sample_policy(self.origin, self.witnesses))

    def shown(self, start: int = 0, earlier: Sequence[int] = ()) -> ShownLog:
        """Return the log from start on, whole as one without an index, and earlier entries."""
        return self.completed(self.bare(start, earlier))

    def bare(self, start: int = 0, earlier: Sequence[int] = ()) -> ShownLog:
        """Return the same without the proof of the index, and so of entries of any content."""
        size = len(self.log.entries)
        note = self.log.signed(cosigners=[sample_cosigner(name) for name in self.witnesses])
        places = sorted({*earlier, *range(start, size)})
        hashes = multiproof(places, size, self._subtree)
        return ShownLog(
            policy=sample_policy(self.origin, self.witnesses).text.decode(),
            checkpoint=note.serialise().decode(),
            start=start,
            whole=(Stretch(start, tuple(self.leaf(index) for index in range(start, size))),),
            entries=tuple(self._entry(index) for index in earlier),
            hashes=tuple(hashes),
            index=(),
        )

    @property
    def no_runs(self) -> bytes:
        """A proof of the index about a log that has none."""
        return encode_proof(IndexProof(proofs.VERSION, len(self.log.entries), (), (), ()))

    def _subtree(self, low: int, high: int) -> bytes:
        return subtree_root(low, high, self.log.read)

    def completed(self, shown: ShownLog) -> ShownLog:
        """Return a shown log with the proofs that it needs: of the places, and of the index."""
        size = len(self.log.entries)
        leaves = indexed.leaves_of(shown)
        places = sorted(leaves.hashes)
        hashes = multiproof(places, size, self._subtree)
        head = ShownHead(shown.checkpoint, sample_policy(self.origin, self.witnesses))
        bare = indexed.bare_evidence(CASE, at(END_AT), shown, head, leaves)
        asked = indexed.questions_of(CaseFile(bare))
        return msgspec.structs.replace(
            shown, hashes=tuple(hashes), index=tuple(self.no_runs for _ in asked)
        )

    def leaf(self, index: int) -> WindowLeaf:
        """Return a leaf of the window, disclosed where it is an entry."""
        raw = self.log.entries[index]
        if index == 0:
            return WindowLeaf(leaf=raw)
        opened = self._leaf_key.open(index, raw)
        return WindowLeaf(leaf=raw, salt=opened.salt, body=opened.body.decode())

    def _entry(self, index: int) -> ShownEntry:
        shown = self.leaf(index)
        return ShownEntry(index, shown.leaf, shown.salt, shown.body)

    def pack(self, shown: ShownLog | None = None, end: int = END_AT) -> bytes:
        """Return the signed pack."""
        return make_pack(CASE, at(end), shown or self.shown(), self.key)


def replaced(shown: ShownLog, index: int, leaf: WindowLeaf) -> ShownLog:
    """Return the log with another leaf at an index of its window."""
    (stretch,) = shown.whole
    leaves = list(stretch.leaves)
    leaves[index - shown.start] = leaf
    return msgspec.structs.replace(shown, whole=(Stretch(stretch.start, tuple(leaves)),))
