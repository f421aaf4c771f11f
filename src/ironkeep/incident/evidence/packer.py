"""Make an evidence pack: compute the verdict from a log excerpt, and sign both together."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ironkeep.core.errors import NotFound
from ironkeep.core.evidence.packing import dsse
from ironkeep.core.evidence.packing.compressed import payload_of
from ironkeep.core.evidence.packing.pack import VERSION, Pack, ShownLog, state
from ironkeep.core.evidence.verdict import decide_on
from ironkeep.incident.verifier import indexed
from ironkeep.incident.verifier.disclosed import ShownHead, opening_digest
from ironkeep.tlog.note import KeyType, SigningKey
from ironkeep.tlog.policy import Policy


def make_pack(case: str, as_of_ns: int, log: ShownLog, key: SigningKey) -> bytes:
    """Return the signed pack of a case; errors as `payload_for`."""
    return signed(*payload_for(case, as_of_ns, log), key)


def payload_for(case: str, as_of_ns: int, log: ShownLog) -> tuple[str, bytes]:
    """Return type and payload of a pack: the log excerpt and the verdict that follows from it.

    The excerpt is checked as the verifier does, under the policy that it contains. Raises NotFound
    when it contains no such case, IntegrityError when it is inconsistent.
    """
    head = ShownHead(log.checkpoint, Policy.parse(log.policy.encode()))
    leaves = indexed.leaves_of(log)
    indexed.check_places(log, head.checkpoint, leaves)
    file = indexed.file_of(case, as_of_ns, log, head, leaves)
    verdict = decide_on(file)
    if verdict.opening < 0:
        raise NotFound(
            f"no signed checkpoint covers case {case} at that time: if it was opened just now, try "
            "again in a second"
        )
    pack = Pack(VERSION, case, as_of_ns, (log,), file.exposure, verdict)
    return payload_of(state(pack, opening_digest(log, verdict.opening)))


def signed(kind: str, payload: bytes, key: SigningKey) -> bytes:
    """Return a pack signed by a key."""
    vkey = key.verifier_key(KeyType.ED25519).format()
    private: Ed25519PrivateKey = key.private_key()
    return dsse.encode(dsse.sign(kind, payload, {vkey: private}))
