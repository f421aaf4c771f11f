"""The witness process over HTTP: its answers, its memory across kills, and hostile clients."""

import asyncio
import socket
import stat
import subprocess
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from ironkeep.api.http.strict import MAX_HEAD
from ironkeep.api.witness import witness as app
from ironkeep.api.witness.mirror import Mirror
from ironkeep.api.witness.state import Witness
from ironkeep.api.witness.witness import WitnessApp
from ironkeep.demo.witness_process import WitnessProcess, witness
from ironkeep.testing.memory import FakeClock
from ironkeep.testing.memory_log import LogDisk, MemoryLogFiles
from ironkeep.tlog.checkpoint import open_checkpoint
from ironkeep.tlog.cosignature import CosignatureVerifier
from ironkeep.tlog.note import Note, NoteVerifier
from ironkeep.tlog.witness import MAX_REQUEST, AddCheckpoint, read_cosignature, read_size
from tests.support.log.sample_log import SampleLog, sample_cosigner
from tests.support.log.sample_upload import sample_checkpoint

ORIGINS = tuple(f"log{number}.example/audit" for number in range(8))


def sample(origin: str, count: int, salt: str = "") -> SampleLog:
    log = SampleLog(origin)
    log.append(f"{salt}{number}".encode() for number in range(count))
    return log


def post(running: WitnessProcess, body: bytes) -> httpx.Response:
    return httpx.post(f"{running.address}/add-checkpoint", content=body, timeout=60)


def remembered(running: WitnessProcess, log: SampleLog) -> int:
    """Return the size of the cosigned checkpoint that the witness serves; -1 if none."""
    tag = sha256(log.origin.encode()).hexdigest()
    reply = httpx.get(f"{running.address}/{tag}/checkpoint", timeout=60)
    if reply.status_code == 404:
        return -1
    own = CosignatureVerifier(running.key)
    opened = open_checkpoint(reply.content, [log.verifier], [own])
    assert opened.cosignatures
    return opened.checkpoint.size


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WitnessProcess]:
    """Return one witness for tests that take an origin each."""
    keys = [SampleLog(origin).signer.key for origin in ORIGINS]
    with witness(tmp_path_factory.mktemp("witness"), keys) as running:
        yield running


def test_it_cosigns_what_extends_what_it_has_seen(shared: WitnessProcess) -> None:
    log = sample(ORIGINS[0], 20)
    assert remembered(shared, log) == -1
    for old, size in ((0, 5), (5, 5), (5, 20)):
        reply = post(shared, sample_checkpoint(log, old, size))
        assert reply.status_code == 200
        own = CosignatureVerifier(shared.key)
        read_cosignature(reply.content, log.checkpoint(size), own)
        assert remembered(shared, log) == size


def test_its_refusals_are_those_of_the_specification(shared: WitnessProcess) -> None:
    log, other = sample(ORIGINS[1], 9), sample("unknown.example", 9)
    assert post(shared, sample_checkpoint(log, 0, 4)).status_code == 200
    conflict = post(shared, sample_checkpoint(log, 0, 9))
    assert conflict.status_code == 409
    assert conflict.headers["content-type"] == "text/x.tlog.size"
    assert read_size(conflict.content) == 4
    assert post(shared, sample_checkpoint(other, 0, 9)).status_code == 404
    assert post(shared, b"old 1\n").status_code == 400
    stranger = SampleLog(ORIGINS[2]).signer.sign(log.checkpoint(9).text)
    body = AddCheckpoint(4, (), Note(log.checkpoint(9).text, (stranger,)), log.checkpoint(9))
    assert post(shared, body.serialise()).status_code == 403
    forked = sample(ORIGINS[1], 9, "x")
    assert post(shared, sample_checkpoint(forked, 4, 4)).status_code == 422
    assert post(shared, sample_checkpoint(forked, 4, 9)).status_code == 422
    assert remembered(shared, log) == 4


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/add-checkpoint"),
        ("PUT", "/add-checkpoint"),
        ("POST", "/add-entries"),
        ("GET", f"/{'0' * 64}/checkpoint"),
        ("GET", f"/{'0' * 64}/tile/entries/000"),
        ("GET", "/%2e%2e/witness-key"),
        ("GET", f"/{'0' * 64}/%2e%2e/witness-key"),
        ("GET", f"/{'0' * 64}/tile/../../witness-key"),
        ("DELETE", f"/{'0' * 64}/checkpoint"),
    ],
)
def test_there_is_nothing_else(shared: WitnessProcess, method: str, path: str) -> None:
    assert httpx.request(method, f"{shared.address}{path}", timeout=60).status_code == 404


def test_a_body_that_is_too_long_is_not_taken(shared: WitnessProcess) -> None:
    assert post(shared, b"o" * (MAX_REQUEST + 1)).status_code == 413
    assert post(shared, b"o" * MAX_REQUEST).status_code == 400


def closed(running: WitnessProcess, data: bytes) -> bool:
    """Send data that ends nothing; return whether the witness closes the connection."""
    url = httpx.URL(running.address)
    with socket.create_connection((url.host, url.port or 0), timeout=60) as sock:
        try:
            sock.sendall(data)
            return sock.recv(1) == b""
        except ConnectionError:
            return True


def test_a_head_that_is_too_long_or_too_slow_ends_the_connection(tmp_path: Path) -> None:
    impatient = "from ironkeep.api.witness import server; server.HEAD_SECONDS = 0.3"
    key = SampleLog(ORIGINS[0]).signer.key
    with witness(tmp_path, [key], before=impatient) as running:
        assert closed(running, b"GET / HTTP/1.1\r\nHost: ")
        assert closed(running, b"")
    with witness(tmp_path, [key]) as running:
        assert closed(running, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * (MAX_HEAD * 64))


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "BODY_SECONDS", 0.05)
    log = sample(ORIGINS[0], 3)
    state = Witness(
        MemoryLogFiles(LogDisk()),
        [log.signer.key],
        sample_cosigner("w"),
        FakeClock(),
        cosigns=False,
    )
    mirror = Mirror(MemoryLogFiles(LogDisk()), state)
    statuses = []

    async def receive() -> Mapping[str, Any]:
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    async def send(message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def run() -> None:
        for path in ("/add-checkpoint", "/add-entries"):
            scope: dict[str, Any] = {"type": "http", "method": "POST", "path": path, "headers": []}
            await WitnessApp(state, mirror)(scope, receive, send)

    asyncio.run(run())
    assert statuses == [408, 400]


def test_its_key_is_made_once_and_kept_to_itself(tmp_path: Path) -> None:
    key = SampleLog(ORIGINS[0]).signer.key
    with witness(tmp_path, [key]) as running:
        first = running.key
        # A second one is kept out, and the first can be asked for its key.
        with pytest.raises(RuntimeError, match="open in another process"):
            WitnessProcess(tmp_path, [key])
        asked = subprocess.run(
            [*running.process.args[:3], "witness", "vkey", "-dir", str(tmp_path / "state")],  # type: ignore[index]
            capture_output=True,
            text=True,
            check=True,
        )
        assert asked.stdout == f"{first.format()}\n"
        assert running.stop() == 0
    file = tmp_path / "state" / "witness-key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with witness(tmp_path, [key]) as running:
        assert running.key == first


@pytest.mark.parametrize(
    "order", ["replace(self, name, data); die()", "die(); replace(self, name, data)"]
)
def test_killed_around_the_write_it_never_vouches_for_two_histories(
    tmp_path: Path, order: str
) -> None:
    log, fork = sample(ORIGINS[0], 9), sample(ORIGINS[0], 9, "x")
    fatal = f"""
import os, signal
from ironkeep.adapters.log.files import DirectoryLogFiles
replace = DirectoryLogFiles.replace
def replace_and_die(self, name, data):
    die = lambda: name.endswith("/checkpoint") and os.kill(os.getpid(), signal.SIGKILL)
    {order}
DirectoryLogFiles.replace = replace_and_die
"""
    with witness(tmp_path, [log.signer.key], before=fatal) as running:
        with pytest.raises(httpx.HTTPError):
            post(running, sample_checkpoint(log, 0, 5))
        assert running.process.wait(20) == -9
    with witness(tmp_path, [log.signer.key]) as running:
        told = remembered(running, log)
        assert told == (5 if order.startswith("replace") else -1)
        # Whichever history it cosigns first from here on, it is the only one, kills or not.
        chosen, refused = (log, fork) if told == 5 else (fork, log)
        old = max(told, 0)
        assert post(running, sample_checkpoint(chosen, old, 7)).status_code == 200
        running.kill()
    with witness(tmp_path, [log.signer.key]) as running:
        assert remembered(running, chosen) == 7
        for size in (7, 9):
            assert post(running, sample_checkpoint(refused, 7, size)).status_code == 422
        assert read_size(post(running, sample_checkpoint(refused, 0, 7)).content) == 7
        assert post(running, sample_checkpoint(chosen, 7, 9)).status_code == 200


@pytest.mark.parametrize("damage", [b"", b"x", b"another"])
def test_a_damaged_memory_stops_the_start(tmp_path: Path, damage: bytes) -> None:
    log = sample(ORIGINS[0], 9)
    with witness(tmp_path, [log.signer.key]) as running:
        assert post(running, sample_checkpoint(log, 0, 5)).status_code == 200
    (file,) = (tmp_path / "state").glob("*/checkpoint")
    data = file.read_bytes()
    file.write_bytes(sample(ORIGINS[1], 3).signed().serialise() if damage == b"another" else damage)
    with pytest.raises(RuntimeError, match="could vouch for a fork"):
        WitnessProcess(tmp_path, [log.signer.key])
    file.write_bytes(data)
    with witness(tmp_path, [log.signer.key]) as running:
        assert remembered(running, log) == 5


def test_the_log_file_has_what_standard_error_has(tmp_path: Path) -> None:
    messages = tmp_path / "messages"
    key = sample(ORIGINS[0], 1).signer.key
    running = WitnessProcess(tmp_path, [key], more=["-log-file", str(messages)])
    running.process.terminate()
    said = running.wait()
    first, rest = messages.read_text().split("\n", 1)
    assert first.endswith(f" at {running.address}")
    assert rest == said
    assert "SIGTERM: stopping" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-listen", "0.0.0.0:0"], "that other machines reach needs TLS"),
        (["-listen", "127.0.0.1:x"], "host:port"),
        (["-log", "nonsense"], "a key is written"),
        (["-log", sample_cosigner("w").key.format()], "the key of a witness"),
        (["-log", NoteVerifier(SampleLog(ORIGINS[0]).signer.key).key.format()], "different names"),
        (["-tls-cert", "x"], "give both -tls-cert and -tls-key"),
    ],
)
def test_what_it_is_told_wrongly_is_said(tmp_path: Path, words: list[str], said: str) -> None:
    with pytest.raises(RuntimeError, match=said):
        WitnessProcess(tmp_path, [SampleLog(ORIGINS[0]).signer.key], more=words)
