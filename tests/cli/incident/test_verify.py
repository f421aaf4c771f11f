"""verify: offline, under pinned keys; each way to be wrong has its exit code."""

import io
import json
import socket
from pathlib import Path
from typing import NoReturn

import pytest

from ironkeep.cli.main import call
from ironkeep.cli.output.terminal import Terminal
from ironkeep.core.credential.connector import Probe
from ironkeep.core.evidence.packing import dsse
from ironkeep.core.evidence.packing.pack import PAYLOAD_TYPE
from ironkeep.testing.server import Done
from ironkeep.tlog.note import KeyType
from tests.support.incident.sample_case import SampleCase, sample_case
from tests.support.incident.sample_pack import SamplePack
from tests.support.log.sample_log import sample_key

SAMPLE = SamplePack()


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing open a socket."""

    def refuse(*_args: object, **_named: object) -> NoReturn:
        raise AssertionError("verify uses the network")

    monkeypatch.setattr(socket, "socket", refuse)


@pytest.fixture
def trust(tmp_path: Path) -> Path:
    path = tmp_path / "keys.txt"
    path.write_bytes(SAMPLE.trust.serialise())
    return path


def verify(tmp_path: Path, raw: bytes, *words: str) -> Done:
    pack = tmp_path / "case.pack"
    pack.write_bytes(raw)
    out, err = io.StringIO(), io.StringIO()
    code = call(["verify", str(pack), *words], Terminal(io.BytesIO(), out, err))
    return Done(code, out.getvalue(), err.getvalue())


def test_proven_under_pinned_keys(tmp_path: Path, trust: Path) -> None:
    done = verify(tmp_path, SAMPLE.pack(), f"-trust={trust}")
    assert (done.code, done.err) == (0, "")
    first, *rest = done.out.splitlines()
    assert first == "Pack:   VERIFIED, signed by log.example/audit/cases"
    assert "PROVEN: case 7: person alice, from 2026-09-21T" in done.out
    assert any(line.startswith("  E3   closed") for line in rest)
    assert "secret/orders/password version 1    verified-dead" in done.out
    assert "  - no log shows what happened where nothing is logged" in rest


@pytest.mark.parametrize(
    ("case", "code", "words"),
    [
        (sample_case().without("probed"), 3, "not presented to system orders-database"),
        (sample_case().changed("probed", state=Probe.ALIVE), 4, "accepted it after revoking it"),
    ],
)
def test_what_is_not_proven_says_what_is_open(
    tmp_path: Path, trust: Path, case: SampleCase, code: int, words: str
) -> None:
    done = verify(tmp_path, SamplePack(case).pack(), f"-trust={trust}")
    assert done.code == code
    assert words in done.out


def test_without_keys_it_is_self_consistent_and_no_more(tmp_path: Path) -> None:
    done = verify(tmp_path, SAMPLE.pack())
    assert done.code == 5
    assert done.out.startswith("Pack:   SELF-CONSISTENT,")
    assert "No keys were pinned" in done.err


def test_any_changed_byte_is_refused(tmp_path: Path, trust: Path) -> None:
    raw = SAMPLE.pack()
    for at in range(0, len(raw), len(raw) // 40):
        changed = bytearray(raw)
        changed[at] ^= 1
        done = verify(tmp_path, bytes(changed), f"-trust={trust}")
        assert done.code == 6, at
        assert done.out.startswith("REFUSED: step (")


def test_a_pack_made_anew_with_other_keys_is_refused(tmp_path: Path, trust: Path) -> None:
    forged = SamplePack(sample_case(), origin="log.example/audit2")
    done = verify(tmp_path, forged.pack(), f"-trust={trust}")
    assert (done.code, "step (2) pack signature" in done.out) == (6, True)
    # The right payload under a stranger's key is a stranger's word.
    stranger = sample_key("stranger.example")
    payload = dsse.decode(SAMPLE.pack()).payload
    vkey = stranger.verifier_key(KeyType.ED25519).format()
    signed = dsse.encode(dsse.sign(PAYLOAD_TYPE, payload, {vkey: stranger.private_key()}))
    assert verify(tmp_path, signed, f"-trust={trust}").code == 6
    assert verify(tmp_path, signed).code == 5


@pytest.mark.parametrize("raw", [b"", b"{}", b"\xff" * 100, b"[" * 100_000, b'{"payload":1}'])
def test_what_is_no_pack_is_refused(tmp_path: Path, trust: Path, raw: bytes) -> None:
    assert verify(tmp_path, raw, f"-trust={trust}").code == 6


def test_a_trust_file_that_is_none_is_wrong_use(tmp_path: Path, trust: Path) -> None:
    trust.write_text("trust me\n")
    done = verify(tmp_path, SAMPLE.pack(), f"-trust={trust}")
    assert done.code == 1
    assert "not a trust file" in done.err
    assert verify(tmp_path, SAMPLE.pack(), f"-trust={tmp_path / 'nothing'}").code == 1


def test_json(tmp_path: Path, trust: Path) -> None:
    done = verify(tmp_path, SAMPLE.pack(), f"-trust={trust}", "-format=json")
    report = json.loads(done.out)
    assert (report["level"], report["verdict"]["outcome"]) == ("VERIFIED", "PROVEN")
    refused = verify(tmp_path, b"{}", f"-trust={trust}", "-format=json")
    assert json.loads(refused.out)["level"] == "REFUSED"


def test_outcomes_are_coloured_where_somebody_watches(tmp_path: Path, trust: Path) -> None:
    class Watched(io.StringIO):
        def isatty(self) -> bool:
            return True

    pack, out = tmp_path / "case.pack", Watched()
    pack.write_bytes(SAMPLE.pack())
    words = ["verify", str(pack), f"-trust={trust}"]
    assert call(words, Terminal(io.BytesIO(), out, io.StringIO())) == 0
    assert "\x1b[1;32mPROVEN\x1b[0m: case 7" in out.getvalue()
