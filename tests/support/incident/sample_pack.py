"""The sample incident in a log of its own, with a witness, as a pack and as the keys to pin."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

import msgspec

from ironkeep.core import event
from ironkeep.core.errors import NotFound
from ironkeep.core.evidence import dsse
from ironkeep.core.evidence.leaf import LeafKey, wrap_key
from ironkeep.core.evidence.pack import (
    PAYLOAD_TYPE,
    EarlierLeaf,
    LogEvidence,
    WindowLeaf,
    WindowPack,
    state,
)
from ironkeep.core.evidence.verdict import decide
from ironkeep.core.secret import Secret
from ironkeep.incident.verifier import disclosed
from ironkeep.incident.verifier.trust import TrustedKeys
from ironkeep.tlog.merkle import inclusion_proof, range_proof
from ironkeep.tlog.note import KeyType, SigningKey
from ironkeep.tlog.policy import Policy
from tests.support.incident.sample_case import CASE, END_AT, SampleCase, at, sample_case
from tests.support.log.sample_log import SampleLog, sample_cosigner, sample_key

_READER: Final = bytes.fromhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
"""A public key of RFC 7748, section 6.1."""

Show = Callable[[LogEvidence], LogEvidence]


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
        entries = (case or sample_case()).entries()
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

    def shown(self, start: int = 0, earlier: Sequence[int] = ()) -> LogEvidence:
        """Return the log from start on, and earlier entries with their proofs."""
        size = len(self.log.entries)
        note = self.log.signed(cosigners=[sample_cosigner(name) for name in self.witnesses])
        proof = range_proof(start, size, size, self.log.read)
        return LogEvidence(
            policy=sample_policy(self.origin, self.witnesses).text.decode(),
            checkpoint=note.serialise().decode(),
            start=start,
            left=proof.left,
            leaves=tuple(self.leaf(index) for index in range(start, size)),
            earlier=tuple(self._earlier(index, size) for index in earlier),
        )

    def leaf(self, index: int) -> WindowLeaf:
        """Return a leaf of the window, disclosed where it is an entry."""
        raw = self.log.entries[index]
        if index == 0:
            return WindowLeaf(leaf=raw)
        opened = self._leaf_key.open(index, raw)
        return WindowLeaf(leaf=raw, salt=opened.salt, body=opened.body.decode())

    def _earlier(self, index: int, size: int) -> EarlierLeaf:
        shown = self.leaf(index)
        proof = tuple(inclusion_proof(index, size, self.log.read))
        return EarlierLeaf(index, shown.leaf, shown.salt, shown.body, proof)

    def pack(self, shown: LogEvidence | None = None, end: int = END_AT) -> bytes:
        """Return the signed pack."""
        return window_pack(CASE, at(end), shown or self.shown(), self.key)


def window_pack(case: str, as_of_ns: int, log: LogEvidence, key: SigningKey) -> bytes:
    """Return a signed pack of version 1, as earlier releases made it."""
    head = disclosed.ShownHead(log.checkpoint, Policy.parse(log.policy.encode()))
    window = list(disclosed.window_entries(log))
    disclosed.check_window(log, head.checkpoint, [digest for _, _, digest in window])
    earlier = list(disclosed.earlier_entries(log, head.checkpoint))
    entries = (*earlier, *disclosed.seen(window))
    evidence = disclosed.assemble(case, as_of_ns, log, head, entries)
    verdict, exposure = decide(evidence)
    if verdict.opening < 0:
        raise NotFound("the log contains no such case")
    pack = WindowPack(1, case, as_of_ns, log, exposure, verdict)
    payload = state(pack, disclosed.opening_digest(log, verdict.opening))
    vkey = key.verifier_key(KeyType.ED25519).format()
    return dsse.encode(dsse.sign(PAYLOAD_TYPE, payload, {vkey: key.private_key()}))


def replaced(shown: LogEvidence, index: int, leaf: WindowLeaf) -> LogEvidence:
    """Return the log with another leaf at an index of its window."""
    leaves = list(shown.leaves)
    leaves[index - shown.start] = leaf
    return msgspec.structs.replace(shown, leaves=tuple(leaves))
