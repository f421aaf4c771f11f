"""A journal that is deleted, and a server that goes on: new-epoch, and what it refuses."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ironkeep.demo.witness_process import WitnessProcess, witness
from ironkeep.testing.server import Done, ServerProcess, environment
from ironkeep.tlog.note import VerifierKey

STEM = "ironkeep/audit/node-1"


def new_epoch(home: Path, *words: str, reason: str = "the disk broke") -> Done:
    """Run the command on the server whose home this is."""
    done = subprocess.run(
        [
            sys.executable, "-m", "ironkeep", "operator", "new-epoch",
            f"-config={home / 'ironkeep.hcl'}", f"-reason={reason}", "-format=json", *words,
        ],
        env=environment(home), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


def vkeys(home: Path) -> list[VerifierKey]:
    paths = (home / "data" / "audit").glob("*/vkey")
    return sorted((VerifierKey.parse(path.read_text().strip()) for path in paths), key=str)


def block(mirror: WitnessProcess) -> str:
    inner = f'address = "{mirror.address}"\n  vkey = "{mirror.key.format()}"'
    return f'witness "mirror" {{\n  {inner}\n}}\n'


@contextmanager
def unsealed(home: Path, keys: list[str], token: str, more: str = "") -> Iterator[ServerProcess]:
    with ServerProcess.configured(home, more=more) as server:
        server.token = token
        for key in keys:
            server.api("PUT", "sys/unseal", {"key": key})
        yield server


def epochs(server: ServerProcess) -> list[dict[str, Any]]:
    """Return the entries that speak of epochs: why it was begun, and what was compared."""
    found: list[dict[str, Any]] = server.cli("audit", "search", "-format=json", "-op=epoch").json()
    return found


def refused(home: Path, said: str, more: str = "") -> None:
    with pytest.raises(RuntimeError, match=said):
        ServerProcess.configured(home, more=more).__enter__()


def unseal_error(home: Path, keys: list[str], more: str = "") -> str:
    with ServerProcess.configured(home, more=more) as server:
        return server.cli("operator", "unseal", keys[0]).err


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The directory of a server that has not run yet."""
    path = tmp_path / "server"
    path.mkdir()
    return path


def filled(home: Path, more: str = "") -> tuple[list[str], str]:
    """Let a server hold a secret; return its key shares and root token."""
    with ServerProcess.configured(home, more=more) as server:
        keys = server.initialise()
        assert server.cli("secrets", "enable", "-path=secret", "kv").code == 0
        assert server.cli("kv", "put", "secret/app", "password=one").code == 0
        assert server.cli("secrets", "enable", "-path=last", "kv").code == 0
        return keys, server.token


def test_a_deleted_journal_is_survived(home: Path, tmp_path: Path) -> None:
    with ServerProcess.configured(home):
        pass
    (old,) = vkeys(home)
    with witness(tmp_path, [old], mirror=True) as mirror:
        keys, token = filled(home, block(mirror))
        shutil.rmtree(home / "data" / "audit")
        refused(home, f"{STEM}/1.*the audit directory is missing", block(mirror))
        assert not (home / "data" / "audit").exists()
        done = new_epoch(home, f"-mirror={tmp_path / 'mirror'}")
        assert done.code == 0, done.err
    told = done.json()
    assert (told["log"], told["continues"]) == (f"{STEM}/2", f"{STEM}/1")
    assert "audit directory is missing" in told["trouble"]
    assert "-log" in done.err
    # Its witness is told of the new key by its own administrator, and keeps the old log.
    new = VerifierKey.parse(told["vkey"])
    with witness(tmp_path, [old, new], mirror=True) as mirror:
        more = f'{block(mirror)}audit {{ mirror = "{tmp_path / "mirror"}" }}\n'
        with unsealed(home, keys, token, more) as server:
            assert server.cli("kv", "get", "-field=password", "secret/app").out == "one"
            begun, taken = epochs(server)
            assert (begun["reason"], "(uid " in begun["name"]) == ("the disk broke", True)
            assert begun["audited"]["size"] == told["size"]
            assert str(taken["audited"]["compared"]).startswith("not older than commit ")
            assert "Audit Epoch" in server.cli("status").out
            assert server.api("GET", "sys/health")["audit_epoch"] == 2
            # Mounting waits for the quorum: the witness has taken the new log.
            assert server.cli("secrets", "enable", "-path=more", "kv").code == 0
            for key, size in ((old, told["size"]), (new, 1)):
                policy = tmp_path / "policy"
                policy.write_text(
                    f"log {key.format()}\nwitness m {mirror.key.format()}\nquorum m\n"
                )
                words = ("audit", "verify", str(tmp_path / "mirror"), f"-policy={policy}")
                held = server.cli(*words, "-format=json").json()
                assert (held["verdict"], held["cosigners"]) == ("VERIFIED", ["m"])
                assert held["size"] >= size
        shutil.rmtree(home / "data" / "audit")
        refused(home, f"{STEM}/2.*the audit directory is missing", more)


def test_a_checkpoint_that_is_found_late_takes_another_run(home: Path, tmp_path: Path) -> None:
    """What the warning of a blind run says: remove the new log, and give the checkpoint."""
    filled(home)
    audit = home / "data" / "audit"
    audit.rename(tmp_path / "audit")
    (checkpoint,) = (tmp_path / "audit").glob("*/checkpoint")
    blind = new_epoch(home)
    assert (blind.code, blind.json()["continues"]) == (0, "")
    assert "remove the new log's directory" in blind.err
    given = f"-predecessor={checkpoint}"
    assert new_epoch(home, given).code == 1
    shutil.rmtree(audit)
    told = new_epoch(home, given).json()
    assert (told["log"], told["continues"]) == (f"{STEM}/2", f"{STEM}/1")


def test_an_older_database_is_noticed_across_the_epochs(home: Path, tmp_path: Path) -> None:
    keys, token = filled(home)
    data = home / "data"
    shutil.copytree(data, tmp_path / "older")
    with unsealed(home, keys, token) as server:
        assert server.cli("kv", "put", "secret/app", "password=two").code == 0
    # Somebody puts the database back and begins an epoch. The older log stands beside the new one.
    newest = tmp_path / "newest.db"
    shutil.copy(data / "ironkeep.db", newest)
    shutil.copy(tmp_path / "older" / "ironkeep.db", data / "ironkeep.db")
    refused_error = unseal_error(home, keys)
    assert "older" in refused_error
    assert new_epoch(home, "-force", reason="x").code == 0
    with unsealed(home, keys, token) as server:
        # Forced, it goes on; and says what it went on with.
        assert server.cli("kv", "get", "-field=password", "secret/app").out == "one"
        assert str(epochs(server)[1]["audited"]["compared"]).startswith("older: ")
    # In the new epoch the same is noticed by the new log alone.
    shutil.copytree(data, tmp_path / "second")
    with unsealed(home, keys, token) as server:
        assert server.cli("kv", "put", "secret/app", "password=three").code == 0
    shutil.copy(tmp_path / "second" / "ironkeep.db", data / "ironkeep.db")
    assert "older" in unseal_error(home, keys)


def test_what_new_epoch_refuses(home: Path) -> None:
    with ServerProcess.configured(home) as server:
        server.initialise()
        assert (done := new_epoch(home)).code == 5, done.err
    done = new_epoch(home)
    assert done.code == 1
    assert "is sound" in done.err
    assert new_epoch(home, "-force", reason=" ").code == 1
    assert new_epoch(home, "-mirror=/nonexistent").code == 1
    strange = home / "note"
    strange.write_text("no note")
    assert new_epoch(home, "-force", f"-predecessor={strange}").code == 3
    assert [key.name for key in vkeys(home)] == [f"{STEM}/1"]
    done = new_epoch(home, "-force")
    assert (done.code, done.json()["continues"]) == (0, f"{STEM}/1")
    assert done.json()["source"] == "its directory"
    # The new one is sound in its turn.
    assert new_epoch(home).code == 1
    assert new_epoch(home, "-force").json()["log"] == f"{STEM}/3"


def test_nothing_is_begun_for_nothing(home: Path) -> None:
    config = home / "ironkeep.hcl"
    config.write_text(
        'listener "tcp" {\n  address = "127.0.0.1:0"\n  tls_disable = true\n}\n'
        f'storage "sqlite" {{ path = "{home / "data"}" }}\n'
    )
    assert "does not exist" in new_epoch(home).err
    with ServerProcess.configured(home):
        pass
    assert "is empty" in new_epoch(home).err
    config.write_text('listener "tcp" { tls_disable = true }\nstorage "inmem" {}\n')
    assert "keeps its data in memory" in new_epoch(home).err


def test_without_anything_known_it_is_begun_and_said(home: Path) -> None:
    keys, token = filled(home)
    shutil.rmtree(home / "data" / "audit")
    done = new_epoch(home)
    assert done.json()["continues"] == ""
    with unsealed(home, keys, token) as server:
        taken = epochs(server)[1]
        assert "nothing is known" in str(taken["audited"]["compared"])
        assert taken["audited"]["before"] == f"{STEM}/1"


def test_an_epoch_that_was_not_begun_in_full_is_begun_again(home: Path) -> None:
    filled(home)
    (log,) = (home / "data" / "audit").iterdir()
    shutil.rmtree(log)
    first = new_epoch(home).json()
    # As if it had stopped before its first leaf: the directory is there, with a key, and empty.
    (begun,) = (home / "data" / "audit").iterdir()
    for name in ("signed", "checkpoint"):
        (begun / name).unlink()
    (segment,) = (begun / "wal").glob("*.wal")
    whole = segment.read_bytes()
    segment.write_bytes(whole[:84] + bytes(len(whole) - 84))
    refused(home, "does not say which log it continues")
    again = new_epoch(home).json()
    assert (again["log"], again["vkey"]) == (first["log"], first["vkey"])


def test_an_epoch_begun_from_less_than_a_witness_remembers_is_refused(
    home: Path, tmp_path: Path
) -> None:
    with ServerProcess.configured(home):
        pass
    (old,) = vkeys(home)
    with witness(tmp_path, [old]) as tower:
        keys, token = filled(home, block(tower))
        shutil.rmtree(home / "data" / "audit")
        # Begun without the witness, as somebody would who has something to hide.
        config = home / "ironkeep.hcl"
        config.write_text(config.read_text().replace(block(tower), ""))
        assert new_epoch(home).json()["continues"] == ""
        refused(home, "a witness remembers", block(tower))
        # Begun once more with it, it takes the witness's checkpoint.
        told = new_epoch(home).json()
        assert (told["log"], told["continues"]) == (f"{STEM}/3", f"{STEM}/1")
        assert told["source"] == "a witness"
        with unsealed(home, keys, token, block(tower)) as server:
            assert "not compared" in str(epochs(server)[1]["audited"]["compared"])


def test_going_back_to_the_epoch_before_is_noticed_by_a_witness(home: Path, tmp_path: Path) -> None:
    keys, token = filled(home)
    shutil.copytree(home / "data", tmp_path / "older")
    told = new_epoch(home, "-force").json()
    known = [*vkeys(home)]
    assert told["vkey"] in {key.format() for key in known}
    with witness(tmp_path, known) as tower:
        with unsealed(home, keys, token, block(tower)) as server:
            assert server.cli("secrets", "enable", "-path=more", "kv").code == 0
        # Without the newer log's directory alone, the database itself knows better.
        for path in (home / "data" / "audit").glob("*/origin"):
            if path.read_text() == f"{STEM}/2\n":
                shutil.rmtree(path.parent)
        refused(home, "its directory is missing", block(tower))
        shutil.rmtree(home / "data")
        shutil.copytree(tmp_path / "older", home / "data")
        refused(home, f"a witness knows the log {STEM}/2", block(tower))
