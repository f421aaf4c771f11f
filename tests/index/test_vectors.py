"""The test vectors of docs/formats/index.md, made again, and checked by code written from the page.

`python -m tests.index.test_vectors` prints them; they change only with the version of the format.
"""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any, Final

from ironkeep.core.secret import Secret
from ironkeep.index.key import term_key
from ironkeep.index.leaf import IndexLeaf, Run
from ironkeep.index.positions import RUN, encode_chunk
from ironkeep.index.proof import VERSION, IndexProof, ShownRecord, ShownRun, encode_proof
from ironkeep.index.records import Digests, RunBuilder, record_hash, root_of
from ironkeep.index.terms import UNREAD, Term, What
from ironkeep.tlog.merkle import Frontier, leaf_hash, subtree_root
from ironkeep.tlog.multiproof import multiproof

VECTORS: Final = Path(__file__).with_name("data") / "vectors.json"
ORIGIN: Final = "vault.example/audit/node-1/1"
READING_KEY: Final = bytes(range(32))
PERSON: Final = Term(What.ACTOR, "person:8f0c")
SECRET: Final = Term(What.OBJECT, "secret:5f1e/team/db")
ABSENT: Final = Term(What.OBJECT, "secret:5f1e/team/never read")
CHUNKS: Final = ([0], [4_095], [0, 1, 2], [5, 133, 134, 4_095], list(range(0, 4_096, 7)))


def made() -> dict[str, Any]:
    """Return the vectors, from the code that the server runs."""
    key = term_key(Secret(READING_KEY), ORIGIN)
    digests = Digests(key)
    builder = RunBuilder(digests)
    for offset in (7, 8, 300, 301, 4_000):
        terms = [PERSON, SECRET] if offset == 301 else [PERSON]
        builder.take_terms(offset, 1_767_225_600_000_000_000 + offset, terms)
    records = builder.records()
    hashes = list(map(record_hash, records))
    leaf = IndexLeaf(Run(0, 0), len(records), root_of(hashes), key.check)
    log = [b""] * RUN + [leaf.encode()]
    frontier, levels = Frontier(), list[list[bytes]]()
    frontier.append(list(map(leaf_hash, log)), levels)
    wanted = {key.of(term) for term in (PERSON, ABSENT, UNREAD)}
    shown = []
    for at, (digest, record) in enumerate(records):
        if digest in wanted:
            shown.append(ShownRecord(at, digest, record))
        elif any(_between(records, at, each) for each in wanted):
            shown.append(ShownRecord(at, digest, b"", hashlib.sha256(record).digest()))
    own = multiproof(
        [each.at for each in shown], len(records), lambda low, high: root_of(hashes[low:high])
    )
    path = multiproof(
        [RUN],
        len(log),
        lambda low, high: subtree_root(low, high, lambda level, at: levels[level][at]),
    )
    run = ShownRun(RUN, leaf.encode(), tuple(shown), tuple(own))
    proof = IndexProof(VERSION, len(log), (key.disclose(),), (run,), tuple(path))
    return {
        "origin": ORIGIN,
        "reading_key": READING_KEY.hex(),
        "term_key": key.disclose().hex(),
        "key_check": key.check.hex(),
        "digests": [[term.what, term.value, key.of(term).hex()] for term in (PERSON, SECRET)],
        "chunks": [[offsets, encode_chunk(offsets).hex()] for offsets in CHUNKS],
        "run": {
            "records": [[digest.hex(), record.hex()] for digest, record in records],
            "index_leaf": leaf.encode().hex(),
        },
        "proof": {
            "size": len(log),
            "root": frontier.root().hex(),
            "terms": [[each.what, each.value] for each in (PERSON, ABSENT)],
            "first": 0,
            "last": RUN,
            "positions": [[7, 8, 300, 301, 4_000], []],
            "proof": encode_proof(proof).hex(),
        },
    }  # fmt: skip


def _between(records: list[tuple[bytes, bytes]], at: int, digest: bytes) -> bool:
    """Return whether record `at` is a neighbour of an absent digest."""
    present = [each for each, _ in records]
    if digest in present:
        return False
    behind = sum(each < digest for each in present)
    return at in {behind - 1, behind}


def test_the_vectors_are_those_of_the_page() -> None:
    """A change of the format needs another version."""
    assert made() == json.loads(VECTORS.read_text())


def test_the_vectors_follow_from_the_page_alone() -> None:
    """Keys, digests, chunks, root and proof, with nothing but hash functions."""
    vectors = json.loads(VECTORS.read_text())
    info = b"ironkeep index terms v1\x00" + vectors["origin"].encode()
    extracted = hmac.digest(bytes(32), bytes.fromhex(vectors["reading_key"]), "sha256")
    key = hmac.digest(extracted, info + b"\x01", "sha256")
    assert key.hex() == vectors["term_key"]
    check = hashlib.sha256(b"ironkeep index key check v1" + key).digest()[:16]
    assert check.hex() == vectors["key_check"]
    for what, value, digest in vectors["digests"]:
        data = what.encode() + b"\x00" + value.encode()
        assert hashlib.blake2b(data, key=key, digest_size=16).hexdigest() == digest
    for offsets, chunk in vectors["chunks"]:
        assert plain_chunk(offsets).hex() == chunk
    records = [(bytes.fromhex(one), bytes.fromhex(two)) for one, two in vectors["run"]["records"]]
    assert records == sorted(records)
    hashes = [sha(b"\x00" + one + sha(two)) for one, two in records]
    root, leaf = plain_root(hashes), bytes.fromhex(vectors["run"]["index_leaf"])
    counts = b"".join(number.to_bytes(4, "big") for number in (4_096, len(records)))
    assert leaf == b"\x01\x04\x01\x00" + bytes(8) + counts + root + check
    log = [sha(b"\x00")] * 4_096 + [sha(b"\x00" + leaf)]
    assert plain_root(log).hex() == vectors["proof"]["root"]


def plain_chunk(offsets: list[int]) -> bytes:
    out, last = bytearray(), -1
    for offset in offsets:
        gap, last = offset - last - 1, offset
        while gap > 127:
            out.append(gap % 128 + 128)
            gap //= 128
        out.append(gap)
    if len(out) < 512:
        return bytes(out)
    return sum(1 << offset for offset in offsets).to_bytes(512, "little")


def plain_root(hashes: list[bytes]) -> bytes:
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return sha(b"\x01" + plain_root(hashes[:split]) + plain_root(hashes[split:]))


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


if __name__ == "__main__":
    print(json.dumps(made(), indent=1))
