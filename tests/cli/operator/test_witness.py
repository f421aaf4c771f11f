"""`ironkeep witness`: its verifier key and its words; `audit verify` on a mirror."""

import json
from pathlib import Path

import pytest

from ironkeep.cli.main import main
from ironkeep.journal.static_log import folder_of
from ironkeep.tlog.note import KeyType, VerifierKey
from tests.support.log.sample_log import SampleLog, sample_cosigner

WITNESS = sample_cosigner("w.example")


@pytest.fixture
def log(tmp_path: Path) -> SampleLog:
    """Return a log of which tmp_path holds a copy, cosigned."""
    log = SampleLog()
    log.append(str(number).encode() for number in range(300))
    folder = tmp_path / folder_of(log.origin)
    folder.mkdir()
    log.publish(folder, log.signed(300, [WITNESS]))
    return log


def test_the_key_is_made_once_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["witness", "vkey", "-dir", str(tmp_path / "w")]
    assert main([*words, "-name", "tower.example/w1"]) == 0
    first = capsys.readouterr().out
    key = VerifierKey.parse(first.rstrip("\n"))
    assert (key.name, key.kind) == ("tower.example/w1", KeyType.COSIGNATURE)
    assert main(words) == 0
    assert capsys.readouterr().out == first
    assert main([*words, "-name", "other.example"]) == 1
    assert "belongs to the witness tower.example/w1" in capsys.readouterr().err
    secret = (tmp_path / "w" / "witness-key").read_text()
    assert secret.startswith("PRIVATE+KEY+tower.example/w1+")


def test_a_copy_is_verified_offline(
    tmp_path: Path, log: SampleLog, capsys: pytest.CaptureFixture[str]
) -> None:
    vkey = log.signer.key.format()
    verify = ["audit", "verify", "-format=json"]
    copy = str(tmp_path / folder_of(log.origin))
    for folder in (copy, str(tmp_path)):
        assert main([*verify, folder, f"-vkey={vkey}"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["verdict"], found["size"], found["cosigners"]) == ("VERIFIED", 300, [])
    policy = tmp_path / "policy"
    policy.write_text(f"log {vkey}\nwitness tower {WITNESS.key.format()}\nquorum tower\n")
    assert main([*verify, str(tmp_path), f"-policy={policy}"]) == 0
    assert json.loads(capsys.readouterr().out)["cosigners"] == ["tower"]
    # A copy brings no key of its own.
    assert main([*verify, copy]) == 1
    assert "no key was given for the log" in capsys.readouterr().err


def test_a_copy_that_was_changed_is_exit_3(
    tmp_path: Path, log: SampleLog, capsys: pytest.CaptureFixture[str]
) -> None:
    vkey = log.signer.key.format()
    words = ["audit", "verify", str(tmp_path)]
    policy = tmp_path / "policy"
    other = sample_cosigner("v.example").key.format()
    policy.write_text(f"log {vkey}\nwitness other {other}\nquorum other\n")
    assert main([*words, f"-policy={policy}"]) == 3
    bundle = tmp_path / folder_of(log.origin) / "tile/entries/001.p/44"
    bundle.write_bytes(bundle.read_bytes().replace(b"299", b"298"))
    capsys.readouterr()
    assert main([*words, f"-vkey={vkey}"]) == 3
    assert "does not match the entries" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give -dir"),
        (["-dir", "DIR"], "give -log VKEY"),
        (["-dir", "DIR", "-logs", "nowhere"], "No such file"),
        (["jump"], "invalid choice"),
    ],
)
def test_wrong_use_is_exit_1(
    tmp_path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["witness", *(str(tmp_path) if word == "DIR" else word for word in words)]) == 1
    assert said in capsys.readouterr().err


def test_a_file_of_keys_has_a_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = tmp_path / "keys"
    keys.write_bytes(b"\n" * (1 << 16) + b"\n")
    assert main(["witness", "-dir", str(tmp_path / "w"), "-logs", str(keys)]) == 1
    assert "is longer than 65536 bytes" in capsys.readouterr().err
