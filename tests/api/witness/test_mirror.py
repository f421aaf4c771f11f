"""A mirror's uploads: whole, in pieces, interrupted, at once, hostile, and on a failing disk."""

import asyncio
import gzip
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, strategies as st

from ironkeep.api.witness import witness as app
from ironkeep.api.witness.mirror import Mirror
from ironkeep.api.witness.state import Witness
from ironkeep.api.witness.witness import WitnessApp
from ironkeep.core.errors import IntegrityError, RolledBack
from ironkeep.journal.static_log import verify_static
from ironkeep.testing.memory import FakeClock, Fault
from ironkeep.testing.memory_log import LogDisk, MemoryLogFiles
from ironkeep.tlog.checkpoint import open_checkpoint
from ironkeep.tlog.cosignature import CosignatureVerifier
from ironkeep.tlog.mirror import INFO, MirrorInfo, Upload
from ironkeep.tlog.tile import Tile, encode_entries
from ironkeep.tlog.witness import Answer, read_cosignature
from tests.support.log.sample_log import SampleLog, sample_cosigner
from tests.support.log.sample_upload import sample_checkpoint, sample_upload

LOG = SampleLog()
LOG.append(str(number).encode() for number in range(900))
TAG = sha256(LOG.origin.encode()).hexdigest()
COSIGNER = sample_cosigner("mirror.example")
OWN = CosignatureVerifier(COSIGNER.key)


class Setup:
    """A mirror on two disks in memory."""

    def __init__(self, pending: int = 0) -> None:
        self.state, self.copies = LogDisk(), LogDisk()
        self.start()
        if pending:
            self.learn(pending)

    def start(self) -> None:
        self.state.locked = self.copies.locked = False
        self.files = MemoryLogFiles(self.copies)
        keys = [LOG.signer.key]
        clock = FakeClock()
        self.witness = Witness(MemoryLogFiles(self.state), keys, COSIGNER, clock, cosigns=False)
        self.mirror = Mirror(self.files, self.witness)

    def learn(self, size: int) -> None:
        old = self.witness.logs[LOG.origin].head.size
        assert self.witness.add_checkpoint(sample_checkpoint(LOG, old, size)).status == 200

    def send(self, body: bytes, step: int = 1 << 20) -> Answer:
        session = self.mirror.upload()
        for at in range(0, len(body), step):
            answer = session.feed(body[at : at + step])
            if answer is not None:
                return answer
        return session.finish()

    @property
    def next_entry(self) -> int:
        copy = self.mirror.copy_of(LOG.origin)
        assert copy is not None
        return copy.static.next_index

    def require_holds(self, size: int) -> None:
        """Check that the disk holds a whole copy of size, cosigned, and that it is served."""
        files = MemoryLogFiles(self.copies, readonly=True)
        assert verify_static(files, TAG, LOG.signer.key).size == size
        note = self.mirror.checkpoint(TAG)
        assert note is not None
        opened = open_checkpoint(note, [LOG.verifier], [OWN])
        assert opened.checkpoint == LOG.checkpoint(size)
        assert len(opened.cosignatures) == 1


def info(answer: Answer) -> tuple[int, int, int]:
    assert answer.content_type == INFO
    found = MirrorInfo.parse(answer.body)
    return answer.status, found.size, found.next_entry


def test_it_signs_when_it_holds_all_and_not_before() -> None:
    setup = Setup(pending=700)
    assert setup.mirror.checkpoint(TAG) is None
    assert info(setup.send(sample_upload(LOG, 0, 700, 2))) == (202, 700, 512)
    assert setup.mirror.checkpoint(TAG) is None
    answer = setup.send(sample_upload(LOG, 512, 700))
    assert answer.status == 200
    read_cosignature(answer.body, LOG.checkpoint(700), OWN)
    setup.require_holds(700)
    # Nothing new: the same again.
    assert setup.send(sample_upload(LOG, 700, 700)).status == 200
    setup.learn(900)
    assert setup.send(sample_upload(LOG, 700, 900)).status == 200
    setup.require_holds(900)


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_a_body_may_arrive_in_any_pieces(step: int) -> None:
    setup = Setup(pending=300)
    assert setup.send(sample_upload(LOG, 0, 300), step).status == 200
    setup.require_holds(300)


def test_what_was_whole_of_an_interrupted_upload_stays() -> None:
    setup = Setup(pending=700)
    body = sample_upload(LOG, 0, 700)
    first = len(sample_upload(LOG, 0, 700, 1))
    assert setup.send(body[: first - 1]).status == 400
    assert info(setup.send(body[: first + 9])) == (202, 700, 256)
    # Entries that it has come again, from anywhere in the present bundle.
    assert info(setup.send(sample_upload(LOG, 256, 700, 1))) == (202, 700, 512)
    assert setup.send(sample_upload(LOG, 512, 700)).status == 200
    setup.learn(900)
    assert info(setup.send(sample_upload(LOG, 600, 900, 1))) == (202, 900, 768)
    assert setup.send(sample_upload(LOG, 768, 900)).status == 200
    setup.require_holds(900)


def test_an_upload_for_something_else_is_told_how_far_the_copy_is() -> None:
    setup = Setup()
    assert info(setup.send(Upload(LOG.origin, 0, 0).serialise())) == (409, 0, 0)
    setup.learn(300)
    for body in (
        Upload(LOG.origin, 0, 0).serialise(),
        sample_upload(LOG, 0, 299),
        sample_upload(LOG, 0, 301),
        sample_upload(LOG, 256, 300),
    ):
        assert info(setup.send(body)) == (409, 300, 0)
    assert setup.send(sample_upload(LOG, 0, 300)).status == 200
    for start in (0, 255, 301):
        head = Upload(LOG.origin, min(start, 300), 300 if start < 301 else 301)
        assert info(setup.send(head.serialise())) == (409, 300, 300)
    assert setup.send(Upload("other.example", 0, 0).serialise()).status == 404
    setup.require_holds(300)


def test_an_entry_that_is_not_in_the_checkpoint_is_refused() -> None:
    setup = Setup(pending=300)
    other = SampleLog()
    other.append([*LOG.entries[:299], b"x"])
    assert info(setup.send(sample_upload(LOG, 0, 300, 1))) == (202, 300, 256)
    assert setup.send(sample_upload(other, 256, 300)).status == 422
    assert setup.next_entry == 256
    assert setup.mirror.checkpoint(TAG) is None
    assert setup.send(sample_upload(LOG, 256, 300)).status == 200
    setup.require_holds(300)


def test_uploads_at_once_do_not_disturb_each_other() -> None:
    setup = Setup(pending=700)
    body = sample_upload(LOG, 0, 700)
    one, two = setup.mirror.upload(), setup.mirror.upload()
    head = len(sample_upload(LOG, 0, 700, 0))
    half = len(sample_upload(LOG, 0, 700, 2)) - 3
    assert two.feed(body[:head]) is None
    assert one.feed(body[:half]) is None
    assert two.feed(body[head:]) is None
    assert two.finish().status == 200
    setup.learn(900)
    assert setup.send(sample_upload(LOG, 700, 900)).status == 200
    assert one.feed(body[half:]) is None
    assert info(one.finish()) == (409, 900, 900)
    setup.require_holds(900)


@pytest.mark.parametrize("fault", list(Fault))
def test_a_disk_that_fails_at_any_call_costs_no_promise(fault: Fault) -> None:
    call = 0
    while True:
        setup = Setup(pending=530)
        setup.files.fail(call, fault)
        try:
            assert setup.send(sample_upload(LOG, 0, 530)).status == 200
        except OSError:
            pass
        else:
            break
        setup.send(sample_upload(LOG, setup.next_entry, 530))
        setup.require_holds(530)
        setup.start()
        setup.learn(900)
        assert setup.send(sample_upload(LOG, setup.next_entry, 900)).status == 200
        setup.require_holds(900)
        call += 1
    assert call > 5


def test_a_copy_ahead_of_the_witness_s_memory_stops_the_start() -> None:
    setup = Setup(pending=300)
    setup.send(sample_upload(LOG, 0, 300))
    setup.state.files.clear()
    with pytest.raises(RolledBack, match="restore that file"):
        setup.start()


def test_tiles_are_served_under_the_checkpoint_only() -> None:
    setup = Setup(pending=300)
    setup.send(sample_upload(LOG, 0, 300))
    setup.learn(700)
    setup.send(sample_upload(LOG, 300, 700, 1))
    mirror = setup.mirror
    assert mirror.tile(TAG, Tile(None, 0)) == encode_entries(LOG.entries[:256])
    assert mirror.tile(TAG, Tile(None, 1, 44)) == encode_entries(LOG.entries[256:300])
    assert mirror.tile(TAG, Tile(None, 1, 45)) is None
    assert mirror.tile(TAG, Tile(None, 1)) is None
    assert mirror.tile("0" * 64, Tile(0, 0)) is None
    setup.copies.files.pop(f"{TAG}/tile/0/000")
    with pytest.raises(IntegrityError, match="missing"):
        mirror.tile(TAG, Tile(0, 0))


@given(st.data())
def test_no_body_brings_a_wrong_entry_in(data: st.DataObject) -> None:
    setup = Setup(pending=300)
    good = sample_upload(LOG, 0, 300)
    at = data.draw(st.integers(0, len(good)))
    cut = data.draw(st.integers(at, len(good)))
    body = good[:at] + data.draw(st.binary(max_size=40)) + good[cut:]
    answer = setup.send(body)
    assert answer.status in {200, 202, 400, 404, 409, 422}
    assert setup.next_entry in {0, 256, 300}
    assert (setup.mirror.checkpoint(TAG) is not None) == (answer.status == 200)
    setup.send(sample_upload(LOG, setup.next_entry, 300))
    setup.require_holds(300)


@given(st.binary(max_size=300))
def test_bytes_of_any_kind_are_refused(body: bytes) -> None:
    assert Setup(pending=9).send(body).status in {400, 404}


def call(
    mirror: Setup, body: bytes, headers: list[tuple[bytes, bytes]], *, cut: bool = False
) -> tuple[int, bytes]:
    """Send a body to the application in pieces of 100 bytes; return status and body."""
    sent: list[Mapping[str, Any]] = []
    pieces = [body[at : at + 100] for at in range(0, len(body), 100)] or [b""]
    last = len(pieces) - 1
    messages = [
        {"type": "http.request", "body": piece, "more_body": cut or number < last}
        for number, piece in enumerate(pieces)
    ]
    messages.append({"type": "http.disconnect"})
    queue = iter(messages)

    async def receive() -> Mapping[str, Any]:
        return next(queue)

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/add-entries", "headers": headers}
    asyncio.run(WitnessApp(mirror.witness, mirror.mirror)(scope, receive, send))
    return sent[0]["status"], sent[1]["body"]


def test_an_upload_may_be_compressed() -> None:
    headers = [(b"content-encoding", b"gzip")]
    packed = gzip.compress(sample_upload(LOG, 0, 300))
    setup = Setup(pending=300)
    assert call(setup, packed, headers)[0] == 200
    setup.require_holds(300)
    assert call(setup, b"not gzip", headers)[0] == 400
    assert call(setup, packed[: len(packed) // 2], headers)[0] in {400, 409}
    assert call(setup, packed, [(b"content-encoding", b"br")])[0] == 415


def test_a_client_that_goes_away_leaves_what_was_whole() -> None:
    setup = Setup(pending=700)
    body = sample_upload(LOG, 0, 700)[:-1]
    status, said = call(setup, body, [], cut=True)
    assert (status, MirrorInfo.parse(said).next_entry) == (202, 512)


def test_an_upload_is_read_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "MAX_UPLOAD", 3_000)
    monkeypatch.setattr(app, "_CHUNK", 500)
    setup = Setup(pending=700)
    status, said = call(setup, sample_upload(LOG, 0, 700), [])
    assert (status, MirrorInfo.parse(said).next_entry) == (202, 512)
    bomb = gzip.compress(sample_upload(LOG, 0, 700, 0) + bytes(10_000_000))
    assert call(setup, bomb, [(b"content-encoding", b"gzip")])[0] in {409, 422}


def test_a_failing_disk_is_an_answer() -> None:
    setup = Setup(pending=300)
    setup.files.fail(0, Fault.NOT_PERSISTED)
    assert call(setup, sample_upload(LOG, 0, 300), [])[0] == 503
    assert call(setup, sample_upload(LOG, 0, 300), [])[0] == 200
