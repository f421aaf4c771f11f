"""What the sample log's client would send to a witness or a mirror, for their tests."""

from ironkeep.tlog.merkle import consistency_proof, inclusion_proof
from ironkeep.tlog.mirror import Upload, encode_package, package_proof
from ironkeep.tlog.tile import TILE_WIDTH
from ironkeep.tlog.witness import AddCheckpoint
from tests.support.log.sample_log import SampleLog


def sample_checkpoint(log: SampleLog, old: int, size: int) -> bytes:
    """Return the body of add-checkpoint that extends old to size."""
    proof = tuple(consistency_proof(old, size, log.read))
    return AddCheckpoint(old, proof, log.signed(size), log.checkpoint(size)).serialise()


def sample_upload(log: SampleLog, start: int, end: int, packages: int | None = None) -> bytes:
    """Return the body of add-entries for [start, end), or for its first packages."""
    head = Upload(log.origin, start, end)
    body = head.serialise()
    for first, last in list(head.spans())[:packages]:
        begin = first - first % TILE_WIDTH
        inclusion = inclusion_proof(begin, end, log.read)
        proof = package_proof(inclusion, last - begin)
        body += encode_package(log.entries[first:last], proof)
    return body
