"""The whole server's promises about crashes, checked on any state that one may leave behind.

A real server runs under a mixed load while its calls are recorded:

    recording = record(folder, steps=60)
    for image in CrashImages(recording.trace, seed=1).images(1_000):
        check(image, empty_folder, recording)

An image is started on as the server starts. What must then be so of it is in `check_*`; what the
server had said when the power failed is known from the same recording.
"""

import re
import shutil
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from ironkeep.adapters.log.files import log_directory
from ironkeep.core.event import Entry
from ironkeep.journal.frame import read_leaves
from ironkeep.kernel.rowcheck import name_rows
from ironkeep.testing.server import ServerProcess
from tests.support.crash import strace
from tests.support.crash.crashfs import Image, Trace, Write
from tests.support.crash.mixed_load import Gate, Lane, Step, Wire, prepare, run_lanes
from tests.support.crash.reopened import Reopened, reopened

PROGRAM: Final = ("-m", "tests.support.crash.small_segments")
LOG: Final = str(log_directory(Path("audit"), "ironkeep/audit/node-1/1"))
"""Where in its directory a server with the default names keeps its first log."""
LANES: Final = 6
SEALINGS: Final = 3

_RECEIPT: Final = re.compile(rb"x-ironkeep-audit: ([0-9a-f]{8}/\d+/[A-Za-z0-9+/=]{44})\r\n")
_OK: Final = 200


class Broken(Exception):
    """A promise is broken."""


def require(kept: bool, promise: str) -> None:
    """Raise Broken unless the promise was kept."""
    if not kept:
        raise Broken(promise)


@dataclass(frozen=True, slots=True)
class Keys:
    """What opens a server: its one share and its root token, and the receipt that came with both.

    A server whose receipt was not sent by then may have no keys at all.
    """

    share: str
    token: str
    receipt: str


@dataclass(frozen=True, slots=True)
class Recording:
    """What a server did, what it was asked for, and how to open what is left of it.

    `leaves` are all leaves that it wrote to its journal, `ends` the sizes at which its batches
    ended, `told` the receipts in each of the trace's marks.
    """

    trace: Trace
    lanes: list[Lane]
    keys: Keys
    leaves: list[bytes]
    ends: set[int]
    told: dict[int, list[str]]


def start_load(server: ServerProcess) -> tuple[Keys, Wire]:
    """Initialise and unseal a new server and mount what lanes use; return a connection as root."""
    wire = Wire(server.address)
    made = wire.send("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
    keys = Keys(made.body["keys"][0], made.body["root_token"], made.receipt)
    wire.must("PUT", "sys/unseal", {"key": keys.share})
    wire.close()
    wire = Wire(server.address, keys.token)
    prepare(wire)
    return keys, wire


def record(folder: Path, steps: int) -> Recording:
    """Run a server in folder under a mixed load, from its first start to its stop."""
    output = folder / "calls"
    gate = Gate()
    tracer = strace.recorded(output)
    with ServerProcess.configured(folder, program=PROGRAM, tracer=tracer) as server:
        keys, wire = start_load(server)
        lanes = [Lane(number, Wire(server.address, keys.token), gate) for number in range(LANES)]

        def keep() -> None:
            for _ in range(SEALINGS):
                wire.must("PUT", "sys/rotate")
                gate.seal(wire, keys.share)

        run_lanes(lanes, steps, keep)
        wire.close()
    ended = [lane.ended for lane in lanes if lane.ended]
    require(not ended, f"nothing failed, and yet: {ended}")
    return understood(output, folder, lanes, keys)


def understood(output: Path, folder: Path, lanes: list[Lane], keys: Keys) -> Recording:
    """Return the recording of a server in folder whose calls are in output."""
    trace = strace.parse(output, folder / "data")
    leaves, ends = journalled(trace, [])
    told = {
        mark.begin: [found.decode() for found in _RECEIPT.findall(mark.data)]
        for mark in trace.marks
    }
    return Recording(trace, lanes, keys, leaves, ends, told)


def journalled(trace: Trace, before: list[bytes]) -> tuple[list[bytes], set[int]]:
    """Return the leaves of a log that had some before, and the sizes at which batches ended.

    What a crash took from `before` is written anew.
    """
    leaves = list(before)
    ends: set[int] = set()
    for call in trace.calls:
        if isinstance(call, Write) and call.data.startswith(b"IKWF"):
            first, found = read_leaves(call.data)
            if not ends:
                leaves = leaves[:first]
                ends.add(first)
            require(first == len(leaves), "frames are written in order, each once")
            leaves += found
            ends.add(len(leaves))
    return leaves, ends


def broken(images: Iterable[Image], folder: Path, recording: Recording) -> Iterator[str]:
    """Yield what is wrong with each image that breaks a promise."""
    for image in images:
        root = folder / "image"
        root.mkdir()
        try:
            check(image, root, recording)
        except Exception as failure:  # noqa: BLE001 - a start must not fail after a mere crash
            yield f"{image.label}: {failure!r}"
        finally:
            shutil.rmtree(root)


def check(image: Image, root: Path, recording: Recording) -> None:
    """Start on image and raise Broken, or what the start raises, unless every promise is kept."""
    image.write_to(root)
    check_hashes(image, recording)
    told = {receipt for mark in image.marks for receipt in recording.told[mark.begin]}
    with reopened(root) as server:
        check_journal(server, recording)
        check_receipts(server, told)
        if server.house.seal.initialized:
            check_open(server, told, recording.lanes, recording.keys)
        else:
            require(recording.keys.receipt not in told, "keys that were handed out are lost")


def check_hashes(image: Image, recording: Recording) -> None:
    """Check, before a start mends them, that the hash files reach the size that was signed."""
    if f"{LOG}/signed" in image.files:
        size = int(image.files[f"{LOG}/signed"].split(b"\n")[1])
        expected = b"".join(sha256(b"\x00" + leaf).digest() for leaf in recording.leaves[:size])
        held = image.files.get(f"{LOG}/hash/L0", b"")
        require(held[: len(expected)] == expected, "hashes under a signed size are lost")


def check_journal(server: Reopened, recording: Recording) -> None:
    """Compare the journal with what was written: the same leaves, up to the end of a batch."""
    leaves, ends = list(recording.leaves), set(recording.ends)
    journal = server.house.journal
    for _, frame in server.house.storage.outbox():
        first, found = read_leaves(journal.vouched(frame))
        if first == len(leaves):
            # Committed, and its write to the journal failed: this start has made up for it.
            leaves += found
            ends.add(len(leaves))
    size = server.found
    require(size in ends, f"the journal ends at {size}, within a batch")
    held = journal.log.leaves(0, size)
    require(held == leaves[:size], "the journal does not hold what was written")


def check_receipts(server: Reopened, told: Iterable[str]) -> None:
    """Look up each answer's entry: the leaf at its receipt's index has the receipt's hash."""
    leaves = server.house.journal.log.leaves(0, server.found)
    for receipt in told:
        _, index, leaf_hash = receipt.split("/", 2)
        require(int(index) < len(leaves), f"the entry of {receipt}, which was sent, is lost")
        digest = sha256(b"\x00" + leaves[int(index)]).digest()
        require(b64encode(digest).decode() == leaf_hash, f"the entry of {receipt} is another")


def check_open(server: Reopened, told: set[str], lanes: list[Lane], keys: Keys) -> None:
    """Unseal it: rows and entries are of the same commits, and what the lanes were told is so."""
    status, body = server.ask("PUT", "sys/unseal", {"key": keys.share})
    require(status == _OK and body["sealed"] is False, f"it stays sealed: {body}")
    server.token = keys.token
    house = server.house
    entries = dict(house.audit_reader().entries(0, server.found))
    commits = {int(str(one.audited["seq"])) for one in entries.values() if one.kind == "commit"}
    require(commits == set(range(1, house.storage.head().seq + 1)), "not every commit's entry")
    wrong = name_rows(house.audit_reader(), house.storage.scan(b""), house.barrier)
    require(not wrong, f"rows and entries differ: {wrong}")
    for lane in lanes:
        for receipt, step in lane.answered(told):
            _check_entry(entries[int(receipt.split("/")[1])], step)
        complaints = lane.complaints(told, server.ask)
        require(not complaints, "; ".join(complaints))
    server.flush()


def _check_entry(entry: Entry, step: Step) -> None:
    require(entry.path == step.path, f"an answer to {step.path} has the entry of {entry.path}")
    released = [one.version for one in entry.released]
    expected = [step.released] if step.released else []
    require(released == expected, f"the entry about {step.path} does not say what was released")
