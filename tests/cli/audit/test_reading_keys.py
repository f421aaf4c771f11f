"""audit verify -database: the index is computed again with the vault's key shares, offline."""

from pathlib import Path

import pytest

from ironkeep.testing.server import Done, ServerProcess


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> tuple[ServerProcess, list[str]]:
    """Return a stopped server of two key shares, and the shares."""
    with ServerProcess.configured(tmp_path_factory.mktemp("keys")) as server:
        keys = server.initialise(3, 2)
        server.cli("secrets", "enable", "-path=secret", "-version=2", "kv")
    return server, keys


def verify(server: ServerProcess, *words: str, given: str = "") -> Done:
    (origin,) = (server.home / "data" / "audit").glob("*/origin")
    vkey = (origin.parent / "vkey").read_text().strip()
    return server.cli("audit", "verify", str(origin.parent), f"-vkey={vkey}", *words, given=given)


def database(server: ServerProcess) -> str:
    return f"-database={server.home / 'data' / 'ironkeep.db'}"


def test_the_shares_open_the_reading_key(vault: tuple[ServerProcess, list[str]]) -> None:
    """They come on standard input, one a line, and appear nowhere."""
    server, keys = vault
    done = verify(server, database(server), "-keys=-", "-format=json", given="\n".join(keys))
    assert done.code == 0, done.err
    assert done.json()["indexed_runs"] == 0
    assert not any(key in done.out + done.err for key in keys)


def test_wrong_or_missing_shares_are_refused(
    vault: tuple[ServerProcess, list[str]], tmp_path: Path
) -> None:
    """Each failure says what to do; none of them is taken for a verified index."""
    server, keys = vault
    for given, said in (
        ("", "no more key shares"),
        ("00" * 33, "share"),
        (f"{keys[0]}\n{keys[0]}", "was given already"),
    ):
        done = verify(server, database(server), "-keys=-", given=given)
        assert done.code == 1, done.out
        assert said in done.err
        assert "VERIFIED" not in done.out
    assert "no terminal" in verify(server, database(server)).err
    assert "command line" in verify(server, database(server), f"-keys={keys[0]}").err
    assert "is not a file" in verify(server, f"-database={tmp_path}").err
