"""Uploads to a mirror at the same time: what strangers begin and leave lying costs little."""

import asyncio
import gzip
from collections.abc import Mapping
from typing import Any, Final

import pytest

from ironkeep.api.witness import uploads as module
from ironkeep.api.witness.mirror import Mirror
from ironkeep.api.witness.state import Witness
from ironkeep.api.witness.uploads import MAX_UPLOADS, ROOM, Slot, Uploads
from ironkeep.api.witness.witness import MAX_RATIO, WitnessApp
from ironkeep.core.errors import Unavailable
from ironkeep.testing.memory import FakeClock
from ironkeep.testing.memory_log import LogDisk, MemoryLogFiles
from ironkeep.tlog.mirror import Upload
from tests.support.log.sample_log import SampleLog, sample_cosigner
from tests.support.log.sample_upload import sample_checkpoint, sample_upload

PIECE: Final = bytes(1 << 20)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


@pytest.fixture
def log() -> SampleLog:
    log = SampleLog()
    log.append(str(number).encode() for number in range(900))
    return log


@pytest.fixture
def mirror(log: SampleLog) -> Mirror:
    files = MemoryLogFiles(LogDisk())
    witness = Witness(
        files, [log.signer.key], sample_cosigner("mirror.example"), FakeClock(), cosigns=False
    )
    assert witness.add_checkpoint(sample_checkpoint(log, 0, 900)).status == 200
    return Mirror(MemoryLogFiles(LogDisk()), witness)


def is_open(slot: Slot) -> bool:
    try:
        slot.require()
    except Unavailable:
        return False
    return True


def test_together_they_hold_so_much_and_no_more(mirror: Mirror) -> None:
    uploads = Uploads(Clock())
    slots = [uploads.enter(mirror.upload()) for _ in range(MAX_UPLOADS)]
    honest = slots[3]
    uploads.take(honest, PIECE)
    for _ in range(40):
        for slot in slots:
            if slot is not honest and is_open(slot):
                try:
                    uploads.take(slot, PIECE)
                except Unavailable:
                    assert not is_open(slot)
            assert sum(one.held for one in slots) <= ROOM
            assert all(not one.held for one in slots if not is_open(one))
    assert is_open(honest)  # the one that holds most goes
    assert sum(map(is_open, slots)) < MAX_UPLOADS


def test_the_one_that_stored_nothing_for_the_longest_makes_place(mirror: Mirror) -> None:
    uploads = Uploads(Clock())
    honest = uploads.enter(mirror.upload())
    silent = []
    for _ in range(3 * MAX_UPLOADS):
        session = honest.require()
        session.packages += 1  # a package was stored
        uploads.fed(honest, session, session.packages - 1)
        silent.append(uploads.enter(mirror.upload()))
    assert is_open(honest)
    assert sum(map(is_open, silent)) == MAX_UPLOADS - 1


def call(app: WitnessApp, body: bytes, *, compressed: bool) -> int:
    """Return the status of the answer to an upload whose last byte never comes."""
    sent: list[Mapping[str, Any]] = []
    pieces = [body[at : at + 65_536] for at in range(0, len(body), 65_536)]

    async def receive() -> Mapping[str, Any]:
        if pieces:
            return {"type": "http.request", "body": pieces.pop(0), "more_body": True}
        return {"type": "http.disconnect"}

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    headers = [(b"content-encoding", b"gzip")] if compressed else []
    scope = {"type": "http", "method": "POST", "path": "/add-entries", "headers": headers}
    asyncio.run(app(scope, receive, send))
    status: int = sent[0]["status"]
    return status


def test_what_unpacks_to_very_much_is_refused(mirror: Mirror, log: SampleLog) -> None:
    app = WitnessApp(mirror.witness, mirror)
    head = Upload(log.origin, 0, 900).serialise()
    bomb = gzip.compress(head + (b"\xff\xff" + bytes(65_535)) * 255)
    assert len(bomb) * MAX_RATIO < 1 << 24
    assert call(app, bomb, compressed=True) == 413
    honest = gzip.compress(sample_upload(log, 0, 900))
    assert call(app, honest, compressed=True) == 200


def test_one_whose_room_was_needed_is_told_to_come_again(
    mirror: Mirror, log: SampleLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROOM", 100_000)
    app = WitnessApp(mirror.witness, mirror)
    head = Upload(log.origin, 0, 900).serialise()
    assert call(app, head + b"\xff\xff" + bytes(200_000), compressed=False) == 503
