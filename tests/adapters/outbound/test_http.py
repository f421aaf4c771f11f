"""Fetching from elsewhere: pinned, bounded, nothing followed."""

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from ironkeep.adapters.outbound.http import HttpOutbound
from ironkeep.core.errors import UpstreamFailed
from ironkeep.testing.tls import Tls, make_tls


class Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "/keys")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = b"x" * 1000
        self.send_response(200 if self.path == "/keys" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        del format, args


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    return make_tls(tmp_path)


@pytest.fixture
def address(tls: Tls) -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Pages)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.cert, tls.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"https://localhost:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_document_is_fetched_at_the_limit_and_not_past_it(tls: Tls, address: str) -> None:
    pem = tls.ca.read_text()
    assert HttpOutbound().get(f"{address}/keys", pem, 1000) == b"x" * 1000
    with pytest.raises(UpstreamFailed):
        HttpOutbound().get(f"{address}/keys", pem, 999)


def test_only_the_pinned_authority_is_trusted(
    tls: Tls, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(UpstreamFailed):
        HttpOutbound().get(f"{address}/keys", make_tls(other).ca.read_text(), 1000)
    # The environment names no authority, and no proxy.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls.ca))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    with pytest.raises(UpstreamFailed):
        HttpOutbound().get(f"{address}/keys", "", 1000)
    assert HttpOutbound().get(f"{address}/keys", tls.ca.read_text(), 1000)


@pytest.mark.parametrize("path", ["away", "none"])
def test_a_redirect_is_not_followed_and_an_error_is_one(tls: Tls, address: str, path: str) -> None:
    with pytest.raises(UpstreamFailed):
        HttpOutbound().get(f"{address}/{path}", tls.ca.read_text(), 1000)


def test_the_true_cause_is_named(address: str) -> None:
    with pytest.raises(UpstreamFailed, match="unreachable: Connection refused"):
        HttpOutbound().get("https://127.0.0.1:1/", "", 1000)
    with pytest.raises(UpstreamFailed, match="unreachable: its certificate is not trusted: "):
        HttpOutbound().get(f"{address}/small", "", 1000)


@pytest.mark.parametrize("url", ["https://127.0.0.1:1/", "nonsense", "https://", "ftp://x/"])
def test_what_cannot_be_reached(url: str) -> None:
    with pytest.raises(UpstreamFailed):
        HttpOutbound().get(url, "", 1000)
