"""Files of the host: settings that a view shows wrongly, libraries, signals."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ironkeep.connectors.postgresql import PostgreSQL
from ironkeep.core.credential.inventory import Difference, Inventory, diff
from ironkeep.core.secret import Secret
from ironkeep.testing.postgres import PostgresServer, default_binaries


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PostgresServer, Path]]:
    """A server that runs from a copy of its programs and libraries, and the place of that copy."""
    folder = tmp_path_factory.mktemp("copy")
    for each in (folder, *folder.parents[:2]):
        each.chmod(0o755)
    root = default_binaries().resolve().parent
    shutil.copytree(root, folder / root.name)
    libraries = root.parent.with_name(f"{root.parent.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, folder.with_name(libraries.name), dirs_exist_ok=True)
    with PostgresServer(binaries=folder / root.name / "bin") as made:
        yield made, folder / root.name


def taken(server: PostgresServer, connector: PostgreSQL) -> Inventory:
    return connector.inventory(replace(server.target(), digest_key=Secret(b"key")))


def changed(found: Difference) -> set[tuple[str, str]]:
    items = [*found.added, *found.removed, *(each.after for each in found.changed)]
    return {(each.source, each.name) for each in items}


def test_a_library_and_an_extensions_script_are_seen(
    server: tuple[PostgresServer, Path], connector: PostgreSQL
) -> None:
    made, root = server
    before = taken(made, connector)
    (library,) = root.rglob("plpgsql.so")
    library.with_name("evil.so").write_bytes(b"\x7fELF")
    (control,) = root.rglob("plpgsql.control")
    control.write_text(control.read_text() + "trusted = true\n")
    found = changed(diff(before, taken(made, connector)))
    assert found == {("library_file", "evil.so"), ("extension_files", "plpgsql")}
    library.write_bytes(library.read_bytes() + b"\0")
    assert ("library_file", "plpgsql.so") in changed(diff(before, taken(made, connector)))


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
