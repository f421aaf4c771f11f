"""How a server is reached: folders of CAs, how long to wait, and what is no text."""

import ssl
from pathlib import Path

import pytest

from ironkeep.cli.client.connection import connection_of, timeout_of
from ironkeep.cli.command import parse, parser_of
from ironkeep.cli.operator.status import STATUS
from ironkeep.core.errors import InvalidRequest
from ironkeep.testing.tls import make_tls


def tls_of(folder: Path) -> ssl.SSLContext:
    words = ["--address=https://127.0.0.1:1", f"--ca-path={folder}"]
    found = connection_of(parse(parser_of("ironkeep status", STATUS), words)).tls
    assert found is not None
    return found


def test_every_pem_file_of_a_folder_is_trusted_whatever_its_name(tmp_path: Path) -> None:
    """OpenSSL would look for names that are hashes alone, and trust nobody."""
    made, folder = tmp_path / "made", tmp_path / "cas"
    made.mkdir()
    folder.mkdir()
    (folder / "our CA").write_bytes(make_tls(made).ca.read_bytes())
    (folder / "README").write_text("no certificate")
    (folder / "below").mkdir()
    context = tls_of(folder)
    assert context.cert_store_stats()["x509"] == 1
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_a_folder_without_a_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "README").write_text("no certificate")
    with pytest.raises(InvalidRequest, match="VAULT_CAPATH"):
        tls_of(tmp_path)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", 60), ("5", 5), ("5s", 5), ("1m30s", 90), ("250ms", 0.25), ("1.5h", 5400), ("0", None),
     ("0s", None), ("999999h", 86_400)],
)  # fmt: skip
def test_how_long_is_waited_comes_from_the_environment(text: str, seconds: float | None) -> None:
    assert timeout_of(text) == seconds


@pytest.mark.parametrize("text", ["x", "-1", "5 s", "s", "1d", "٣", "1.2.3s", "1e3", "9" * 13])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="VAULT_CLIENT_TIMEOUT"):
        timeout_of(text)


def test_no_session_keys_are_written_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_tls(tmp_path)
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    for words in ([], [f"--ca-cert={made.ca}"]):
        line = ["--address=https://127.0.0.1:1", *words]
        assert connection_of(parse(parser_of("ironkeep status", STATUS), line)).tls is not None
    assert not (tmp_path / "keys").exists()
