"""Whoever we call is vouched for by what is configured, and by no variable of the process."""

import re
from pathlib import Path

import pytest

import ironkeep
from ironkeep.adapters.outbound.tls import context
from ironkeep.core.errors import InvalidRequest
from ironkeep.testing.tls import make_tls


def test_no_variable_names_authorities_or_a_file_for_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = make_tls(tmp_path)
    bare = context().get_ca_certs()
    monkeypatch.setenv("SSL_CERT_FILE", str(tls.ca))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    assert context().get_ca_certs() == bare
    assert not (tmp_path / "keys").exists()
    (named,) = context(tls.ca).get_ca_certs()
    assert [named] == context(ca_pem=tls.ca.read_text()).get_ca_certs()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="nothing-here"):
        context(tmp_path / "nothing-here")


def test_every_client_of_ours_takes_neither_proxy_nor_authorities_from_outside() -> None:
    """Over the text: a client without trust_env=False, or a context by the library's defaults."""
    folder = Path(ironkeep.__file__).parent
    outside = {"agent", "cli", "demo", "testing"}
    for file in folder.rglob("*.py"):
        if file.relative_to(folder).parts[0] in outside:
            continue
        text = file.read_text()
        assert not re.search(r"create_default_context\(", text), file
        for made in re.finditer(r"httpx\.(?:Async)?Client\((?!\))", text):
            assert "trust_env=False" in text[made.end() : made.end() + 300], file
        assert not re.search(r"\burlopen\(|httpx\.(?:get|post|request|stream)\(", text), file
