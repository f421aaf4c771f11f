"""A server with a mirror: quorums that answers wait for, and a journal that is deleted."""

import shutil
from pathlib import Path

import pytest

from ironkeep.demo.witness_process import witness
from ironkeep.testing.server import ServerProcess
from ironkeep.tlog.note import VerifierKey


def test_a_deleted_journal_is_noticed_and_its_entries_survive(tmp_path: Path) -> None:
    home = tmp_path / "server"
    home.mkdir()
    with ServerProcess.configured(home):
        pass
    audit = home / "data" / "audit"
    (path,) = audit.glob("*/vkey")
    vkey = path.read_text().strip()
    with witness(tmp_path, [VerifierKey.parse(vkey)], mirror=True) as mirror:
        block = f'address = "{mirror.address}"\n  vkey = "{mirror.key.format()}"'
        more = f'witness "mirror" {{\n  {block}\n}}\n'
        policy = tmp_path / "policy"
        policy.write_text(f"log {vkey}\nwitness m {mirror.key.format()}\nquorum m\n")
        with ServerProcess.configured(home, more=more) as server:
            server.initialise()
            # Mounting waits for the quorum: when it is answered, the mirror holds its entry.
            assert server.cli("secrets", "enable", "kv").code == 0
            verify = ("audit", "verify", str(tmp_path / "mirror"), f"-policy={policy}")
            held = server.cli(*verify, "-format=json").json()
            assert (held["verdict"], held["cosigners"]) == ("VERIFIED", ["m"])
            found = server.cli("audit", "search", "-format=json", "-path=sys/mounts/kv").json()
            assert found[0]["index"] < held["size"]
        shutil.rmtree(audit)
        with pytest.raises(RuntimeError, match="the audit directory is missing"):
            ServerProcess.configured(home, more=more).__enter__()
        assert server.cli(*verify, "-field=verdict").out == "VERIFIED"
