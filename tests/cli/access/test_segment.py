"""`ironkeep segment` against a real server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ironkeep.cli.exits import LOCAL, OK, REACHES, SERVER
from ironkeep.testing.server import ServerProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess.development(tmp_path_factory.mktemp("segments")) as running:
        yield running


def make(server: ServerProcess, name: str) -> str:
    """Make a segment with a mount of the same name; return its one share."""
    sizes = {"secret_shares": 1, "secret_threshold": 1}
    share: str = server.api("PUT", f"segment/segments/{name}", sizes)["data"]["keys"][0]
    mount = {"type": "kv", "options": {"version": "2", "segment": name}}
    server.api("PUT", f"sys/mounts/{name}", mount)
    return share


def test_a_segment_is_opened_shown_sealed_and_cut(server: ServerProcess, tmp_path: Path) -> None:
    share = make(server, "vaulted")
    server.api("PUT", "segment/flows/house/vaulted", {})
    assert "sealed" in server.cli("segment", "status").out
    opened = server.cli("segment", "unseal", "vaulted", "-", given=share)
    assert (opened.code, share in opened.out) == (OK, False)
    shown = server.cli("segment", "status", "vaulted", "-format=json", cwd=tmp_path).json()
    assert (shown["data"]["state"], shown["data"]["mounts"]) == ("open", ["vaulted/"])
    assert server.cli("kv", "put", "-mount=vaulted", "x", "a=1").code == OK
    assert server.cli("segment", "seal", "vaulted").out == "Success! Segment vaulted is sealed.\n"
    told = server.cli("kv", "get", "-mount=vaulted", "x")
    assert told.code == SERVER
    assert "ironkeep segment unseal vaulted" in told.err
    assert server.cli("segment", "cut", "vaulted").code == OK
    assert "cut off" in server.cli("kv", "get", "-mount=vaulted", "x").err
    assert server.cli("segment", "unseal", "vaulted", "-", given=share).code == OK
    assert server.cli("kv", "get", "-mount=vaulted", "x").code == OK


def test_reach_answers_by_its_exit_code(server: ServerProcess) -> None:
    for name in ("dev", "prod", "backup"):
        make(server, name)
    no = server.cli("segment", "reach", "dev", "prod", "backup")
    assert (no.code, no.out) == (OK, "dev -> prod: no\ndev -> backup: no\n")
    server.api("PUT", "segment/flows/dev/backup", {"reason": "nightly copies"})
    text = 'path "backup/data/*" {\n  capabilities = ["create"]\n}'
    server.api("PUT", "sys/policies/acl/copier", {"policy": text})
    yes = server.cli("segment", "reach", "dev", "prod", "backup")
    assert yes.code == REACHES
    assert "dev -> prod: no" in yes.out
    assert "dev -> backup: YES" in yes.out
    assert "nightly copies" in yes.out
    assert "copier:1 backup/data/*" in yes.out
    told = server.cli("segment", "reach", "dev", "prod", "-format=json")
    assert told.json()["data"]["reaches"] is False
    assert server.cli("segment", "reach", "dev").code == LOCAL
    assert server.cli("segment", "reach", "dev", "nowhere").code != REACHES
