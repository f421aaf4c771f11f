"""A log and its witnesses: real processes on loopback, quorums, restarts, rollbacks and forks."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from tlog_scales.backend import HttpBackend
from tlog_scales.reader import TilesReader

from ironkeep.adapters.log.files import DirectoryLogFiles
from ironkeep.adapters.witness.http import WitnessHttp, require_address
from ironkeep.adapters.witness.peer import WitnessPeer
from ironkeep.adapters.witness.witnesses import Witnesses
from ironkeep.config.settings import Witness
from ironkeep.core.errors import IntegrityError, InvalidRequest, RolledBack
from ironkeep.core.evidence.leaf import EpochStart
from ironkeep.demo.witness_process import WitnessProcess, witness
from ironkeep.journal.entries import Reader
from ironkeep.journal.epochs import begin_epoch, continued, start_of
from ironkeep.journal.journal import Journal
from ironkeep.journal.static_log import StaticLeaves, folder_of, verify_static
from ironkeep.testing.memory import SeededEntropy
from ironkeep.testing.memory_log import LogDisk, MemoryLogFiles
from ironkeep.testing.tls import make_tls
from ironkeep.tlog.checkpoint import open_checkpoint
from ironkeep.tlog.cosignature import CosignatureVerifier
from ironkeep.tlog.note import MAX_NOTE, NoteVerifier, VerifierKey
from ironkeep.tlog.policy import Policy
from tests.support.log.sample_journal import (
    READING_KEY,
    READING_SECRET,
    SAMPLE_ORIGIN,
    open_sample,
    sample_entry,
    write_batch,
)
from tests.support.log.sample_log import sample_cosigner


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def log_key(disk: LogDisk) -> VerifierKey:
    return VerifierKey.parse(bytes(disk.files["vkey"]).decode().rstrip("\n"))


def started() -> tuple[LogDisk, Journal]:
    disk = LogDisk()
    return disk, open_sample(disk)


def grow(journal: Journal, count: int) -> bytes:
    for start in range(0, count, 200):
        write_batch(journal, min(200, count - start))
    note = journal.checkpoint()
    assert note is not None
    return note


def free_address() -> str:
    """Return an address on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{sock.getsockname()[1]}"


def dead(name: str) -> Witness:
    return Witness(name, free_address(), sample_cosigner(name).key.format())


def client(stack: ExitStack, quorum: int, *witnesses: Witness) -> Witnesses:
    made = Witnesses(witnesses, quorum)
    stack.callback(made.close)
    return made


def test_two_witnesses_of_three_make_a_quorum(
    tmp_path: Path, closing: ExitStack, said: list[str]
) -> None:
    disk, journal = started()
    one = closing.enter_context(witness(tmp_path / "1", [log_key(disk)]))
    two = closing.enter_context(witness(tmp_path / "2", [log_key(disk)]))
    witnesses = client(closing, 2, one.config, two.config, dead("gone.example"))
    assert witnesses.heads(journal.origin, said.append) == []
    assert [line.split(":")[0] for line in said] == ["witness gone.example"]
    assert witnesses.cosign(journal, None, said.append) == 0
    for count in (3, 300, 1):
        note = grow(journal, count)
        assert witnesses.cosign(journal, note, said.append) == journal.durable_size
    head = journal.log.published
    assert head is not None
    keys = [CosignatureVerifier(one.key), CosignatureVerifier(two.key)]
    opened = open_checkpoint(head.note.serialise(), [NoteVerifier(log_key(disk))], keys)
    assert len(opened.cosignatures) == 2
    # What the witnesses remember is what a restarted log is compared with.
    again = client(closing, 2, one.config, two.config)
    assert again.heads(journal.origin, said.append) == [head.checkpoint, head.checkpoint]


def test_without_a_quorum_nothing_counts_and_one_that_comes_back_catches_up(
    tmp_path: Path, closing: ExitStack, said: list[str]
) -> None:
    disk, journal = started()
    one = closing.enter_context(witness(tmp_path / "1", [log_key(disk)]))
    witnesses = client(closing, 2, one.config, dead("gone.example"))
    assert witnesses.cosign(journal, grow(journal, 5), said.append) == 0
    assert any("gone.example: unreachable" in line for line in said)
    # A new client knows nothing: it learns the size from the 409.
    alone = client(closing, 1, one.config)
    size = journal.durable_size
    assert alone.cosign(journal, None, said.append) == size
    assert alone.cosign(journal, grow(journal, 5), said.append) == size + 5


def test_no_quorum_asked_for_is_the_published_size(said: list[str]) -> None:
    _, journal = started()
    witnesses = Witnesses([], 0)
    assert witnesses.cosign(journal, None, said.append) == 0
    assert witnesses.cosign(journal, grow(journal, 2), said.append) == journal.durable_size
    write_batch(journal, 1)
    assert witnesses.cosign(journal, None, said.append) == journal.durable_size - 1
    assert said == []


def test_the_time_that_counts_is_that_of_a_quorum(
    tmp_path: Path, closing: ExitStack, said: list[str]
) -> None:
    disk, journal = started()
    one = closing.enter_context(witness(tmp_path / "1", [log_key(disk)]))
    liar = sample_cosigner("liar.example")
    listed = (one.config, Witness("liar.example", free_address(), liar.key.format()))
    both, either, none = (client(closing, quorum, *listed) for quorum in (2, 1, 0))
    assert both.time_ns == 0
    before = time.time_ns()
    both.cosign(journal, grow(journal, 3), said.append)
    head = journal.log.cosigned
    assert head is not None
    # The other witness signs a time a thousand years ahead, and somebody else one of no witness.
    lines = [liar.cosign(head.checkpoint, 33_000_000_000)]
    lines.append(sample_cosigner("stranger").cosign(head.checkpoint, 44_000_000_000))
    note = replace(head.note, signatures=(*head.note.signatures, *lines))
    for each in (both, either, none):
        each.remember(replace(head, note=note))
        each.remember(None)
    assert before - 10**9 <= both.time_ns <= time.time_ns()
    assert either.time_ns == 33_000_000_000 * 10**9
    assert none.time_ns == 0
    # A forged line of a witness's counts for nothing, and a restart asks the witness itself.
    forged = replace(lines[0], data=lines[0].data[:-1] + bytes([lines[0].data[-1] ^ 1]))
    again = client(closing, 1, *listed)
    again.remember(replace(head, note=replace(note, signatures=(forged,))))
    assert again.time_ns == 0
    again.heads(journal.origin, said.append)
    assert again.time_ns == both.time_ns


def test_a_failing_witness_is_left_alone_for_a_while(closing: ExitStack, said: list[str]) -> None:
    _, journal = started()
    witnesses = client(closing, 1, dead("gone.example"))
    for _ in range(3):
        assert witnesses.cosign(journal, grow(journal, 1), said.append) == 0
    assert len(said) == 1
    assert "next attempt in 2 s" in said[0]


def test_a_log_that_was_rolled_back_does_not_open(
    tmp_path: Path, closing: ExitStack, said: list[str]
) -> None:
    disk, journal = started()
    one = closing.enter_context(witness(tmp_path, [log_key(disk)]))
    witnesses = client(closing, 1, one.config)
    witnesses.cosign(journal, grow(journal, 5), said.append)
    copied = disk.copy()
    witnesses.cosign(journal, grow(journal, 5), said.append)
    journal.close()
    heads = client(closing, 1, one.config).heads(SAMPLE_ORIGIN, said.append)
    with pytest.raises(RolledBack, match="older copy"):
        open_sample(copied, seed=1, witnessed=heads)
    # Deleted and made anew: the same name, another key.
    with pytest.raises(RolledBack, match="older copy"):
        open_sample(LogDisk(), seed=2, witnessed=heads)
    assert said == []


@pytest.mark.parametrize(
    ("mine", "alarm"), [(4, RolledBack), (5, IntegrityError), (9, IntegrityError)]
)
def test_two_logs_with_one_key_are_a_fork_alarm(
    tmp_path: Path,
    closing: ExitStack,
    said: list[str],
    mine: int,
    alarm: type[IntegrityError],
) -> None:
    disk, journal = started()
    one = closing.enter_context(witness(tmp_path, [log_key(disk)]))
    client(closing, 1, one.config).cosign(journal, grow(journal, 5), said.append)
    _, twin = started()
    twin.append(sample_entry(77))
    forked = client(closing, 1, one.config)
    with pytest.raises(IntegrityError, match="FORK ALARM") as raised:
        forked.cosign(twin, grow(twin, mine - 1), said.append)
    assert type(raised.value) is alarm
    assert said == [str(raised.value)]
    # The witness has not moved.
    head = journal.log.published
    assert head is not None
    assert forked.heads(SAMPLE_ORIGIN, said.append) == [head.checkpoint]


class Answers:
    """A server on loopback that gives each path one answer, whatever is sent."""

    def __init__(self, answers: dict[str, tuple[int, bytes]]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, body = answers.get(self.path, (404, b""))
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", body.decode())
                    body = b""
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (422, b"no\n", "FORK ALARM, not proven"),
        (409, b"0\n", "FORK ALARM, not proven"),
        (409, b"9999\n", "FORK ALARM, not proven"),
        (409, b"x\n", "its answer to add-checkpoint"),
        (403, b"", "answered 403"),
        (500, b"", "answered 500"),
        (302, b"http://127.0.0.1:1/", "answered 302"),
        (200, b"no signature\n", "answered 404 to add-entries"),
        (200, b"x" * (MAX_NOTE + 1), "too long"),
    ],
)
def test_what_a_witness_only_claims_is_said_and_does_not_count(
    closing: ExitStack, said: list[str], status: int, body: bytes, words: str
) -> None:
    _, journal = started()
    answers = Answers({"/add-checkpoint": (status, body)})
    closing.callback(answers.close)
    liar = Witness("liar", answers.address, sample_cosigner("liar").key.format())
    witnesses = client(closing, 1, liar)
    assert witnesses.cosign(journal, grow(journal, 3), said.append) == 0
    assert len(said) == 1
    assert words in said[0]


def test_a_remembered_checkpoint_counts_by_its_cosignature_alone(
    closing: ExitStack, said: list[str]
) -> None:
    _, journal = started()
    note = grow(journal, 3)
    path = f"/{folder_of(SAMPLE_ORIGIN)}/checkpoint"
    answers = Answers({path: (200, note)})
    closing.callback(answers.close)
    liar = Witness("liar", answers.address, sample_cosigner("liar").key.format())
    assert client(closing, 1, liar).heads(SAMPLE_ORIGIN, said.append) == []
    assert "not one of ours with its cosignature" in said[0]
    assert "fewer witnesses than a quorum" in said[1]


@pytest.mark.parametrize(
    "address",
    [
        "http://tower.example",
        "http://10.0.0.1:8210",
        "ftp://127.0.0.1",
        "127.0.0.1:8210",
        "https://user@tower.example",
        "https://tower.example/?a",
        "https://",
        "http://[",
    ],
)
def test_addresses_that_are_not_safe_are_refused(address: str) -> None:
    with pytest.raises(InvalidRequest):
        require_address(address)


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:8210", "http://[::1]:8210/w", "http://localhost:1", "https://tower.example"],
)
def test_addresses_that_are_safe_are_taken(address: str) -> None:
    assert require_address(f"{address}/") == address


def test_no_proxy_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers({"/x": (200, b"direct")})
    proxy = Answers({})
    monkeypatch.setenv("HTTP_PROXY", proxy.address)
    monkeypatch.setenv("ALL_PROXY", proxy.address)
    http = WitnessHttp(answers.address)
    assert http.get("x").body == b"direct"
    http.close()
    answers.close()
    proxy.close()


def test_a_key_that_is_none_is_named_with_its_witness() -> None:
    with pytest.raises(InvalidRequest, match="vkey of witness 'tower': a key is written"):
        WitnessPeer(Witness("tower", "http://127.0.0.1:1", "tower.example+…"))


def test_a_witness_elsewhere_speaks_tls_and_proves_its_name(
    tmp_path: Path, closing: ExitStack, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, journal = started()
    tls = make_tls(tmp_path)
    more = ["-tls-cert", str(tls.cert), "-tls-key", str(tls.key)]
    one = closing.enter_context(witness(tmp_path / "1", [log_key(disk)], more=more))
    assert one.address.startswith("https://")
    note = grow(journal, 3)
    # Nobody vouches for its certificate: it is not spoken to.
    assert client(closing, 1, one.config).cosign(journal, note, said.append) == 0
    assert "unreachable: its certificate is not trusted: " in said[0]
    # Nor does a variable of the process say who does.
    monkeypatch.setenv("SSL_CERT_FILE", str(tls.ca))
    assert client(closing, 1, one.config).cosign(journal, note, said.append) == 0
    trusting = client(closing, 1, replace(one.config, ca_file=tls.ca))
    assert trusting.cosign(journal, note, said.append) == journal.durable_size
    # A name that is not in it.
    elsewhere = one.address.replace("127.0.0.1", "127.0.0.2")
    other = Witness("w", elsewhere, one.key.format(), tls.ca)
    assert client(closing, 1, other).cosign(journal, note, said.append) == 0
    assert len(said) == 3


def test_witnesses_that_are_one_are_not_counted_twice() -> None:
    one, two = dead("a"), dead("b")
    with pytest.raises(InvalidRequest, match="count twice"):
        Witnesses([one, Witness("b", f"{one.address}/other", two.vkey)], 2)
    with pytest.raises(InvalidRequest, match="count twice"):
        Witnesses([one, Witness("b", two.address, one.vkey)], 2)
    with pytest.raises(InvalidRequest, match="quorum"):
        Witnesses([one, two], 3)


def mirrored(folder: Path, running: WitnessProcess, key: VerifierKey) -> int:
    """Verify a mirror's copy, with a policy that asks for its cosignature; return its size."""
    text = f"log {key.format()}\nwitness m {running.key.format()}\nquorum m\n"
    files = DirectoryLogFiles(folder / "mirror", readonly=True)
    verified = verify_static(files, folder_of(key.name), key, Policy.parse(text.encode()))
    assert verified.cosigners == ("m",)
    return verified.size


def test_a_mirror_survives_the_log(tmp_path: Path, closing: ExitStack, said: list[str]) -> None:
    disk, journal = started()
    key = log_key(disk)
    mirror = closing.enter_context(witness(tmp_path, [key], mirror=True))
    witnesses = client(closing, 1, mirror.config)
    size = 0
    for count in (1, 254, 1, 30, 700):
        size = witnesses.cosign(journal, grow(journal, count), said.append)
        assert size == journal.durable_size == mirrored(tmp_path, mirror, key)
    wanted = list(Reader(journal.log, READING_SECRET).entries(0, size))
    leaves = journal.log.leaves(0, size)
    journal.close()
    disk.files.clear()
    # The log is gone: its entries are read from the copy, with the reading key.
    (head,) = client(closing, 1, mirror.config).heads(SAMPLE_ORIGIN, said.append)
    copy = StaticLeaves(DirectoryLogFiles(tmp_path / "mirror", readonly=True), head)
    assert copy.leaves(0, size) == leaves
    assert copy.leaves(250, 258) == leaves[250:258]
    assert list(Reader(copy, READING_SECRET).entries(0, size)) == wanted
    # An independent reader of tiles reads it too.
    backend = HttpBackend(f"{mirror.address}/{folder_of(SAMPLE_ORIGIN)}/")
    closing.callback(backend.session.close)
    theirs = TilesReader(backend)
    assert theirs.get_checkpoint().root_hash == theirs.calculate_root_hash() == head.root
    assert theirs.get_entry(size - 1) == leaves[-1]
    # And a new epoch starts with its last checkpoint.
    note = (tmp_path / "mirror" / folder_of(SAMPLE_ORIGIN) / "checkpoint").read_bytes()
    start = EpochStart(0, bytes(32), note)
    files, origin = MemoryLogFiles(LogDisk()), "vault.example/audit/node-a/1"
    notice = sample_entry(0)
    fresh = begin_epoch(files, SeededEntropy(9), origin, READING_KEY, start, notice)
    assert start_of(fresh.log) == start
    assert continued(start) == head
    assert said == []


def test_a_mirror_that_starts_again_or_anew_is_brought_up_to_date(
    tmp_path: Path, closing: ExitStack, said: list[str]
) -> None:
    disk, journal = started()
    key = log_key(disk)
    grow(journal, 600)
    with witness(tmp_path, [key], mirror=True) as mirror:
        witnesses = client(closing, 1, mirror.config)
        assert witnesses.cosign(journal, None, said.append) == journal.durable_size
    with witness(tmp_path, [key], mirror=True) as mirror:
        witnesses = client(closing, 1, mirror.config)
        assert witnesses.cosign(journal, grow(journal, 9), said.append) == journal.durable_size
        assert mirrored(tmp_path, mirror, key) == journal.durable_size
    # An empty disk for copies: the witness's memory stays, all entries come again.
    (tmp_path / "mirror").rename(tmp_path / "old")
    with witness(tmp_path, [key], mirror=True) as mirror:
        witnesses = client(closing, 1, mirror.config)
        assert witnesses.cosign(journal, None, said.append) == journal.durable_size
        assert mirrored(tmp_path, mirror, key) == journal.durable_size
    assert said == []
