"""`ironkeep witness`: its verifier key, and verifying a mirror's copies offline."""

from pathlib import Path

import pytest

from ironkeep.cli.main import main
from ironkeep.kernel.static_log import folder_of
from ironkeep.testing.sample_log import SampleLog, sample_cosigner
from ironkeep.tlog.note import KeyType, VerifierKey

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
    assert "is that of the witness tower.example/w1" in capsys.readouterr().err
    secret = (tmp_path / "w" / "witness-key").read_text()
    assert secret.startswith("PRIVATE+KEY+tower.example/w1+")


def test_a_copy_is_verified_offline(
    tmp_path: Path, log: SampleLog, capsys: pytest.CaptureFixture[str]
) -> None:
    vkey = log.signer.key.format()
    words = ["witness", "verify", "-mirror", str(tmp_path), "-log", vkey]
    assert main(words) == 0
    assert capsys.readouterr().out == f"{log.origin}: 300 entries, all as signed\n"
    policy = tmp_path / "policy"
    policy.write_text(f"log {vkey}\nwitness tower {WITNESS.key.format()}\nquorum tower\n")
    keys = tmp_path / "keys"
    keys.write_text(f"\n{vkey}\n")
    words = ["witness", "verify", f"-mirror={tmp_path}", "-logs", str(keys), "-policy", str(policy)]
    assert main(words) == 0
    assert capsys.readouterr().out.endswith("all as signed, cosigned by tower\n")


def test_a_copy_that_was_changed_is_exit_3(
    tmp_path: Path, log: SampleLog, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["witness", "verify", "-mirror", str(tmp_path), "-log", log.signer.key.format()]
    bundle = tmp_path / folder_of(log.origin) / "tile/entries/001.p/44"
    bundle.write_bytes(bundle.read_bytes().replace(b"299", b"298"))
    assert main(words) == 3
    assert "does not hold what the entries lead to" in capsys.readouterr().err
    policy = tmp_path / "policy"
    other = sample_cosigner("v.example").key.format()
    policy.write_text(f"witness other {other}\nquorum other\n")
    assert main([*words, "-policy", str(policy)]) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give -dir"),
        (["verify"], "give -mirror"),
        (["verify", "-mirror", "."], "give -log VKEY"),
        (["verify", "-mirror", ".", "-logs", "nowhere"], "No such file"),
        (["jump"], "invalid choice"),
    ],
)
def test_wrong_use_is_exit_1(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["witness", *words]) == 1
    assert said in capsys.readouterr().err


def test_a_file_of_keys_has_a_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = tmp_path / "keys"
    keys.write_bytes(b"\n" * (1 << 16) + b"\n")
    assert main(["witness", "verify", "-mirror", str(tmp_path), "-logs", str(keys)]) == 1
    assert "is longer than 65536 bytes" in capsys.readouterr().err
