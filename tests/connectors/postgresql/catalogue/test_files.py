"""Files of the host: settings that a view shows wrongly, libraries, signals."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ironkeep.connectors.postgresql import PostgreSQL
from ironkeep.core.credential.inventory import Difference, Inventory, diff
from ironkeep.core.secret import Secret
from ironkeep.testing.postgres import PostgresServer, default_binaries


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server that runs from a copy of its programs and libraries."""
    own = default_binaries().resolve()
    package = own.parents[1]
    folder = tmp_path_factory.mktemp("copy")
    for source in (package, package.with_name(f"{package.name}.libs")):
        if source.is_dir():
            shutil.copytree(source, folder / source.name)
    binaries = folder / package.name / own.relative_to(package)
    with PostgresServer(binaries=binaries) as made:
        if not all(
            _place(made, name).is_relative_to(tempfile.gettempdir())
            for name in ("PKGLIBDIR", "SHAREDIR")
        ):
            pytest.skip("this PostgreSQL does not run from another place than its own")
        yield made


def _place(server: PostgresServer, name: str) -> Path:
    """Return one of the directories that the server was built or copied into."""
    return Path(server.execute(f"SELECT setting FROM pg_config WHERE name = '{name}'")[0][0])


def taken(server: PostgresServer, connector: PostgreSQL) -> Inventory:
    return connector.inventory(replace(server.target(), digest_key=Secret(b"key")))


def changed(found: Difference) -> set[tuple[str, str]]:
    items = [*found.added, *found.removed, *(each.after for each in found.changed)]
    return {(each.source, each.name) for each in items}


def test_a_library_and_an_extensions_script_are_seen(
    server: PostgresServer, connector: PostgreSQL
) -> None:
    before = taken(server, connector)
    library = _place(server, "PKGLIBDIR") / "plpgsql.so"
    library.with_name("evil.so").write_bytes(b"\x7fELF")
    control = _place(server, "SHAREDIR") / "extension" / "plpgsql.control"
    control.write_text(control.read_text() + "trusted = true\n")
    found = changed(diff(before, taken(server, connector)))
    assert found == {("library_file", "evil.so"), ("extension_files", "plpgsql")}
    library.write_bytes(library.read_bytes() + b"\0")
    assert ("library_file", "plpgsql.so") in changed(diff(before, taken(server, connector)))


def test_a_signal_file_and_a_quoted_keyword_are_seen(
    postgres: PostgresServer, connector: PostgreSQL
) -> None:
    """The view of pg_hba.conf shows "all", an account's name, like the keyword."""
    hba = postgres.data / "pg_hba.conf"
    text = hba.read_text()
    hba.write_text(f'{text}\nhost all "all" 0.0.0.0/0 trust\n')
    try:
        before = taken(postgres, connector)
        hba.write_text(f"{text}\nhost all all 0.0.0.0/0 trust\n")
        found = diff(before, taken(postgres, connector))
        assert ("file", str(hba)) in changed(found)
        before = taken(postgres, connector)
        signal = postgres.data / "recovery.signal"
        signal.touch()
        signal.chmod(0o644)
        assert changed(diff(before, taken(postgres, connector))) == {
            ("data_file", "recovery.signal")
        }
        signal.unlink()
    finally:
        hba.write_text(text)
