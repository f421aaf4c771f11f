"""Mail to a real server, webhooks to a real one: what arrives, what is refused, what is signed."""

import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from ironkeep.access.notices.notices import Notice
from ironkeep.adapters.outbound.notify import SIGNATURE, MailNotifier, WebhookNotifier, notifiers_of
from ironkeep.config.file import parse
from ironkeep.config.settings import Mail, Webhook
from ironkeep.core.errors import InvalidRequest, UpstreamFailed
from tests.support.mail_server import MailServer

NOTICE = Notice("x", "class", "secret/prod went\r\nBcc: eve@example.com", 0, "entity-1", "dev-1")
KEY = "k" * 32
PLAIN_WITH_PASSWORD = """mail "x" { address = "mx:25" from = "a@x" to = ["b@x"]
username = "u" password_file = "/p" tls_disable = true }"""
BASE = 'listener "tcp" { tls_disable = true }\nstorage "inmem" {}\n'


def mail(server: MailServer, **other: object) -> Mail:
    known: dict[str, object] = {"starttls": False} | other
    return Mail("m", "127.0.0.1", server.port, "vault@example.com", ("a@x.org", "b@x.org"), **known)  # type: ignore[arg-type]


def test_a_mail_arrives_and_its_text_makes_no_headers() -> None:
    with MailServer() as server:
        MailNotifier(mail(server)).send(NOTICE)
    (sent,) = server.mails
    head, _, body = sent.partition("\r\n\r\n")
    assert "Subject: [ironkeep] class: secret/prod went" in head
    assert not any(line.lower().startswith("bcc") for line in head.splitlines())
    assert "To: a@x.org, b@x.org" in head
    assert "entity: entity-1" in body
    assert [each for each in server.commands if each.upper().startswith("RCPT")] == [
        "rcpt TO:<a@x.org>", "rcpt TO:<b@x.org>",
    ]  # fmt: skip


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "EHLO"])
def test_a_server_that_refuses_is_a_failure(verb: str) -> None:
    with MailServer(refusal=verb) as server, pytest.raises(UpstreamFailed):
        MailNotifier(mail(server)).send(NOTICE)


def test_a_server_that_is_not_there_is_a_failure() -> None:
    with MailServer() as server:
        gone = mail(server)
    with pytest.raises(UpstreamFailed, match="the mail server failed: Connection refused"):
        MailNotifier(gone).send(NOTICE)


def test_a_server_without_tls_gets_no_mail_where_tls_is_asked() -> None:
    with MailServer() as server, pytest.raises(UpstreamFailed):
        MailNotifier(mail(server, starttls=True)).send(NOTICE)
    assert server.mails == []


class _Hook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers), body))  # type: ignore[attr-defined]
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def hook(status: int) -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), _Hook)
    server.got, server.status = [], status  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def notifier(server: HTTPServer, folder: Path) -> WebhookNotifier:
    secret = folder / "secret"
    secret.write_text(KEY + "\n")
    return WebhookNotifier(Webhook("h", f"http://127.0.0.1:{server.server_port}/x", secret))


def test_a_webhook_is_signed(tmp_path: Path) -> None:
    with hook(204) as server:
        notifier(server, tmp_path).send(NOTICE)
    ((headers, body),) = server.got  # type: ignore[attr-defined]
    told = json.loads(body)
    assert (told["v"], told["kind"], told["entity"]) == (1, "class", "entity-1")
    parts = dict(part.split("=") for part in headers[SIGNATURE].split(","))
    expected = hmac.new(KEY.encode(), f"{parts['t']}.".encode() + body, "sha256").hexdigest()
    assert parts["v1"] == expected


@pytest.mark.parametrize("status", [301, 400, 500])
def test_a_webhook_that_does_not_take_it_is_a_failure(tmp_path: Path, status: int) -> None:
    with hook(status) as server:
        with pytest.raises(UpstreamFailed):
            notifier(server, tmp_path).send(NOTICE)
        assert len(server.got) == 1  # type: ignore[attr-defined]


def test_what_is_configured_is_made(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(KEY)
    config = parse(
        BASE
        + 'mail "ops" { address = "mx:587" from = "v@x.org" to = ["a@x.org"] }\n'
        + f'webhook "chat" {{ url = "https://chat.example/x" secret_file = "{secret}" }}\n'
    )
    assert set(notifiers_of(config.mails, config.webhooks)) == {"mail ops", "webhook chat"}
    assert config.mails[0].starttls
    secret.write_text("short")
    with pytest.raises(InvalidRequest):
        notifiers_of((), config.webhooks)


@pytest.mark.parametrize(
    "block",
    [
        'mail "x" { address = "mx" from = "a@x" to = ["b@x"] }',
        'mail "x" { address = "mx:25" from = "a" to = ["b@x"] }',
        'mail "x" { address = "mx:25" from = "a@x" to = [] }',
        'mail "x" { address = "mx:25" from = "a@x" to = "b@x" }',
        'mail "x" { address = "mx:25" from = "a@x" to = ["b@x"] host = "y" }',
        'mail "x" { address = "mx:25" from = "a@x" to = ["b@x"] username = "u" }',
        PLAIN_WITH_PASSWORD,
        'webhook "x" { url = "http://chat.example/" secret_file = "/s" }',
        'webhook "x" { url = "http://127.0.0.1.evil.example/" secret_file = "/s" }',
        'webhook "x" { url = "https://chat.example/" }',
        'webhook "x" { url = "https://chat.example/" secret_file = "/s" verify = false }',
    ],
)
def test_what_is_not_understood_is_refused(block: str) -> None:
    with pytest.raises(InvalidRequest):
        parse(BASE + block)
