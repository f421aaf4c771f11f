"""Data of other implementations: the small log of Tessera, and transparency-dev's proof vectors."""

import base64
import json
from functools import cache
from pathlib import Path

import pytest

from ironkeep.core.errors import IntegrityError
from ironkeep.core.secret import Secret
from ironkeep.tlog.checkpoint import Checkpoint, open_checkpoint
from ironkeep.tlog.merkle import Frontier, leaf_hash, verify_consistency, verify_inclusion
from ironkeep.tlog.note import NoteVerifier, Signer, SigningKey, VerifierKey
from ironkeep.tlog.tile import Tile, decode_entries, encode_entries, tiles_of

VECTORS = Path(__file__).parents[3] / "shared" / "data" / "tlog-vectors"
needs_vectors = pytest.mark.skipif(not VECTORS.is_dir(), reason="the vectors are not beside us")

# transparency-dev/tessera testdata/build_log.sh (Apache-2.0): a public test log and its keys.
TESSERA_ENTRIES = [
    b"one", b"two", b"three", b"four", b"five", b"six", b"seven", b"eit", b"nain", b"ten",
    b"ileven", b"twelf", b"threeten", b"fourten", b"fivten",
]  # fmt: skip
TESSERA_KEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
TESSERA_PRIVATE = (
    "PRIVATE+KEY+example.com/log/testdata+33d7b496+AeymY/SZAX0jZcJ8enZ5FY1Dz+wTML2yWSkK+9DSF3eg"
)
TESSERA_HEADS = {
    0: """example.com/log/testdata
0
47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=

\u2014 example.com/log/testdata M9e0lhxJACzE1KoUdqKuPa+9p6R7dSW8BlEvrg/noo8FkGg6PbJoRNOcdjqjOq89w\
VvTA60eubCc4oufo5BvIVEgtQc=
""",
    7: """example.com/log/testdata
7
IrSXADBqJ7EQoUODSDKROySgNveeL6CFhik2w/+fS7U=

\u2014 example.com/log/testdata M9e0luA5JhTRUki/BBQD0QNiH6AEJ2pdtsA5CQjqJErViuuKrN6513RCTL2640wXJ\
v0dCed3neRGI6dMzBq9uANf2Qc=
""",
    15: """example.com/log/testdata
15
rKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs=

\u2014 example.com/log/testdata M9e0luh4jTG+UMBqOUo9/q+yAEvx1ilBEniMvjf1zfcBOhg+CKubMt53MvIt/uEWP\
6zdkdIQzd/fmwlM/dlPWF74ewI=
""",
}


def tessera_head(size: int) -> bytes:
    """The checkpoint of the first size entries, made by us with Tessera's key."""
    key = SigningKey.parse(Secret(TESSERA_PRIVATE.encode()))
    frontier = Frontier()
    frontier.append([leaf_hash(entry) for entry in TESSERA_ENTRIES[:size]])
    head = Checkpoint(key.name, size, frontier.root())
    return head.sign(Signer(key)).serialise()


@pytest.mark.parametrize("size", TESSERA_HEADS)
def test_tessera_checkpoints(size: int) -> None:
    published = TESSERA_HEADS[size].encode()
    assert tessera_head(size) == published
    verifier = NoteVerifier(VerifierKey.parse(TESSERA_KEY))
    assert open_checkpoint(published, [verifier]).checkpoint.size == size


@needs_vectors
def test_the_whole_tessera_log() -> None:
    log = VECTORS / "tessera-log"
    verifier = NoteVerifier(VerifierKey.parse(TESSERA_KEY))
    for size in range(16):
        published = (log / f"checkpoint.{size}").read_bytes()
        assert tessera_head(size) == published
        assert open_checkpoint(published, [verifier]).checkpoint.size == size
        for tile in tiles_of(size):
            entries = TESSERA_ENTRIES[tile.start : tile.end]
            data = (log / tile.path).read_bytes()
            if tile.level is None:
                assert data == encode_entries(entries)
                assert decode_entries(data, tile.width) == entries
            else:
                assert data == b"".join(map(leaf_hash, entries))
    files = [path.relative_to(log).as_posix() for path in log.glob("tile/**/*") if path.is_file()]
    assert len(files) == 30
    assert all(Tile.parse(path).path == path for path in files)


def decoded(text: str | None) -> bytes:
    return base64.b64decode(text or "")


@cache
def cases(kind: str) -> list[Path]:
    return sorted((VECTORS / "merkle" / kind).rglob("*.json"))


@needs_vectors
@pytest.mark.parametrize("kind", ["inclusion", "consistency"])
def test_proof_vectors(kind: str) -> None:
    outcomes = {True: 0, False: 0}
    for path in cases(kind):
        case = json.loads(path.read_text())
        proof = [decoded(item) for item in case["proof"] or []]
        try:
            if kind == "inclusion":
                verify_inclusion(
                    case["leafIdx"], case["treeSize"], decoded(case["leafHash"]), proof,
                    decoded(case["root"]),
                )  # fmt: skip
            else:
                verify_consistency(
                    case["size1"], case["size2"], decoded(case["root1"]), decoded(case["root2"]),
                    proof,
                )  # fmt: skip
        except IntegrityError:
            verified = False
        else:
            verified = True
        assert verified is not case["wantErr"], (path, case["desc"])
        outcomes[verified] += 1
    assert outcomes == {True: 6, False: 92}
