"""verify: offline, under pinned keys; each way to be wrong has its exit code."""

import io
import json
import os
import socket
from pathlib import Path
from typing import NoReturn

import pytest

from ironkeep.cli.incident.verdict_table import exit_code
from ironkeep.cli.main import call
from ironkeep.cli.output.terminal import Terminal
from ironkeep.core.credential.connector import Probe
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.packing import dsse
from ironkeep.core.evidence.packing.pack import PAYLOAD_TYPE
from ironkeep.core.evidence.verdict import Outcome
from ironkeep.testing.server import Done
from ironkeep.tlog.note import KeyType
from tests.support.incident.sample_case import (
    CASE,
    END_AT,
    OLD,
    Line,
    SampleCase,
    at,
    request,
    sample_case,
)
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
    assert first == "VERIFIED: PROVEN: closed: 1 measured"
    assert rest[0] == "Pack:   version 3, signed by log.example/audit/cases"
    assert "Scope:  case 7: person alice, from 2026-09-21T" in done.out
    assert any(line.startswith("  E3   closed") for line in rest)
    assert "  E9   closed   Ironkeep's own root looked at (5 sworn)" in rest
    assert "secret/orders/password version 1    verified-dead    measured" in done.out
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
    assert done.out.startswith("SELF-CONSISTENT: PROVEN")
    assert "No keys were pinned" in done.err


def test_any_changed_byte_is_refused(tmp_path: Path, trust: Path) -> None:
    raw = SAMPLE.pack()
    for place in range(0, len(raw), len(raw) // 40):
        changed = bytearray(raw)
        changed[place] ^= 1
        done = verify(tmp_path, bytes(changed), f"-trust={trust}")
        assert done.code == 6, place
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
    assert "\x1b[1;32mPROVEN\x1b[0m: closed" in out.getvalue()


@pytest.mark.parametrize(
    ("outcome", "now", "past"),
    [("PROVEN", 0, 8), ("PROVEN WITH EXCEPTIONS", 7, 8), ("NOT PROVEN", 3, 3), ("DISPROVEN", 4, 4)],
)
def test_each_outcome_has_its_exit_code(outcome: str, now: int, past: int) -> None:
    assert exit_code(outcome, past=False) == now
    assert exit_code(outcome, past=True) == past
    assert {each.value for each in Outcome} == {
        "PROVEN", "PROVEN WITH EXCEPTIONS", "NOT PROVEN", "DISPROVEN",
    }  # fmt: skip


def test_an_exemption_has_an_exit_code_of_its_own(tmp_path: Path, trust: Path) -> None:
    waiver = ev.Exempted(CASE, OLD, "dora", "the partner rotates on Monday", at(END_AT + 60))
    case = sample_case().without("probed").with_lines(Line(95, "waiver", waiver))
    done = verify(tmp_path, SamplePack(case).pack(), f"-trust={trust}")
    assert done.code == 7
    assert done.out.startswith("VERIFIED: PROVEN WITH EXCEPTIONS: closed: 1 exempt until 2026-09-")


def test_a_past_verdict_says_so_first_and_is_no_success(tmp_path: Path, trust: Path) -> None:
    case = sample_case().with_lines(request(200, "later", "bob"), request(201, "again", "bob"))
    done = verify(tmp_path, SamplePack(case).pack(), f"-trust={trust}")
    assert done.code == 8
    first = done.out.splitlines()[0]
    assert first.startswith("VERIFIED: PROVEN as of 2026-09-21T")
    assert "(2 later entries exist): closed: 1 measured" in first


def test_a_trust_file_without_a_quorum_proves_nothing(tmp_path: Path, trust: Path) -> None:
    text = trust.read_text().splitlines()
    kept = [line for line in text if not line.startswith(("quorum", "group"))]
    trust.write_text("\n".join([*kept, "quorum none", ""]))
    done = verify(tmp_path, SAMPLE.pack(), f"-trust={trust}")
    assert done.code == 6
    assert "asks for no witness (quorum none)" in done.out
    alone = SamplePack(witnesses=())
    trust.write_bytes(alone.trust.serialise())
    done = verify(tmp_path, alone.pack(), f"-trust={trust}")
    assert done.code == 3
    assert "no quorum of witnesses has cosigned the log" in done.out


def odd(kind: str, path: Path) -> None:
    """Make something at path that is no file of a reasonable size."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "huge":
        path.touch()
        os.truncate(path, 1 << 40)
    elif kind == "link to a pipe":
        os.mkfifo(path.with_name("pipe"))
        path.symlink_to(path.with_name("pipe"))
    else:
        path.symlink_to("/dev/zero")


@pytest.mark.parametrize("kind", ["pipe", "directory", "huge", "link to a pipe", "device"])
def test_what_is_no_plain_file_is_refused_at_once(tmp_path: Path, trust: Path, kind: str) -> None:
    path = tmp_path / "odd"
    odd(kind, path)
    out, err = io.StringIO(), io.StringIO()
    terminal = Terminal(io.BytesIO(), out, err)
    assert call(["verify", str(path), f"-trust={trust}"], terminal) == 6
    assert out.getvalue().startswith("REFUSED: ")
    good = tmp_path / "case.pack"
    good.write_bytes(SAMPLE.pack())
    assert call(["verify", str(good), f"-trust={path}"], terminal) == 1
    assert str(path) in err.getvalue()


@pytest.mark.parametrize(("name", "stated"), [("version-1", "PROVEN"), ("version-2", "PROVEN")])
def test_an_older_pack_is_judged_anew_and_quoted(tmp_path: Path, name: str, stated: str) -> None:
    golden = Path(__file__).parents[2] / "incident/verifier/golden"
    raw, trust = (golden / f"{name}.pack").read_bytes(), golden / f"{name}.trust"
    done = verify(tmp_path, raw, f"-trust={trust}")
    assert done.code == 3
    assert done.out.startswith("VERIFIED: NOT PROVEN: ")
    assert f"the pack itself says {stated}, by the rules of an earlier release" in done.out
