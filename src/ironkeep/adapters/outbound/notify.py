"""Notifiers: mail by SMTP (RFC 5321, STARTTLS by RFC 3207), and webhooks with a signed body.

A webhook is a POST of JSON whose header `X-Ironkeep-Signature` is `t=<seconds>,v1=<hex>`. The hex
is the HMAC-SHA256, keyed with the shared secret, of the seconds, a dot, and the body. Receivers
should compare it in constant time, and refuse signatures older than five minutes. No redirect is
followed, no proxy used.
"""

import hmac
import smtplib
import ssl
import time
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path
from typing import Final

import httpx
import msgspec

from ironkeep.access.notices.notices import Notice, Notifier
from ironkeep.adapters.outbound.causes import cause
from ironkeep.adapters.outbound.deadline import DeadlineTransport
from ironkeep.adapters.outbound.tls import context
from ironkeep.config.settings import Mail, Webhook
from ironkeep.core.errors import InvalidRequest, UpstreamFailed
from ironkeep.core.secret import Secret
from ironkeep.core.text.goformat import rfc3339
from ironkeep.core.text.visible import visible

TIMEOUT_SECONDS: Final = 10.0
"""Limit of connecting and of each answer: it holds a worker for that long."""
MAX_SUBJECT: Final = 120
SIGNATURE: Final = "X-Ironkeep-Signature"
MIN_SECRET: Final = 16
"""Bytes of a webhook's secret: a shorter one can be guessed from one signed body."""


def notifiers_of(mails: tuple[Mail, ...], hooks: tuple[Webhook, ...]) -> Mapping[str, Notifier]:
    """Return the configured notifiers by name; raise InvalidRequest for an unusable one."""
    found: dict[str, Notifier] = {f"mail {mail.name}": MailNotifier(mail) for mail in mails}
    return found | {f"webhook {hook.name}": WebhookNotifier(hook) for hook in hooks}


class MailNotifier:
    """Sends each notice as one mail."""

    def __init__(self, mail: Mail, tls: ssl.SSLContext | None = None) -> None:
        self._mail: Final = mail
        self._tls: Final = tls or context()
        path = mail.password_file
        self._password: Final = None if path is None else Secret(_contents(path))

    def send(self, notice: Notice) -> None:
        """Send the notice; see access.notices.notices.Notifier."""
        mail = self._mail
        try:
            with smtplib.SMTP(mail.host, mail.port, timeout=TIMEOUT_SECONDS) as smtp:
                if mail.starttls:
                    smtp.starttls(context=self._tls)
                if self._password is not None:
                    smtp.login(mail.username, self._password.reveal().decode())
                refused = smtp.send_message(self._message(notice))
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise UpstreamFailed(f"the mail server failed: {cause(error)}") from None
        if refused:
            raise UpstreamFailed(f"the mail server refused {len(refused)} addresses")

    def _message(self, notice: Notice) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._mail.sender
        message["To"] = ", ".join(self._mail.to)
        message["Date"] = formatdate(notice.time_ns / 1e9)
        message["Subject"] = f"[ironkeep] {_line(notice.kind)}: {_line(notice.text)}"[:MAX_SUBJECT]
        lines = [_line(notice.text), ""]
        lines += [f"{name}: {value}" for name, value in _facts(notice).items() if value]
        message.set_content("\n".join(lines) + "\n")
        return message


class WebhookNotifier:
    """Posts each notice as one signed document."""

    def __init__(self, hook: Webhook) -> None:
        self._hook: Final = hook
        secret = _contents(hook.secret_file)
        if len(secret) < MIN_SECRET:
            raise InvalidRequest(f"{hook.secret_file} has fewer than {MIN_SECRET} bytes")
        self._secret: Final = Secret(secret)
        self._tls: Final = context(hook.ca_file)

    def send(self, notice: Notice) -> None:
        """Post the notice; see access.notices.notices.Notifier."""
        body = msgspec.json.encode({"v": 1, **_facts(notice)})
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "ironkeep",
            SIGNATURE: sign(self._secret, int(time.time()), body),
        }
        try:
            with (
                httpx.Client(
                    timeout=TIMEOUT_SECONDS,
                    transport=DeadlineTransport(self._tls),
                    trust_env=False,
                    follow_redirects=False,
                ) as client,
                # The answer's body is not read: only the status counts.
                client.stream("POST", self._hook.url, content=body, headers=headers) as answer,
            ):
                pass
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise UpstreamFailed(f"unreachable: {cause(error)}") from None
        if not answer.is_success:
            raise UpstreamFailed(f"answered {answer.status_code}")


def sign(secret: Secret, seconds: int, body: bytes) -> str:
    """Return the signature header of a body sent at POSIX seconds."""
    mac = hmac.new(secret.reveal(), b"%d." % seconds + body, "sha256").hexdigest()
    return f"t={seconds},v1={mac}"


def _facts(notice: Notice) -> dict[str, str]:
    facts = {
        "kind": notice.kind,
        "text": notice.text,
        "time": rfc3339(notice.time_ns),
        "entity": notice.entity,
        "device": notice.device,
        "accessor": notice.accessor,
    }
    return {name: _line(value) for name, value in facts.items()}


def _line(text: str) -> str:
    """Return text on one line, with line breaks and invisible or reordering characters escaped."""
    return visible(text)


def _contents(path: Path) -> bytes:
    try:
        return path.read_bytes().strip()
    except OSError as error:
        raise InvalidRequest(f"cannot read {path}: {error}") from None
