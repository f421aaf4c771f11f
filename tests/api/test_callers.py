"""Pages of browsers that are not ours: at a name that resolves here, or of another origin."""

from pathlib import Path
from typing import Any, Final

import pytest

from ironkeep.api.callers import Callers, names_in
from ironkeep.app import PLUGINS, callers_of
from ironkeep.cli.operator.dev import config_for
from ironkeep.config.settings import Config, Listener
from ironkeep.core.errors import InvalidRequest
from ironkeep.testing.tls import make_tls
from ironkeep.testing.vault import Vault
from tests.support.edge import Edge, Raw, run

OURS: Final = [
    "localhost", "localhost:8200", "LocalHost:8200", "localhost.", "127.0.0.1", "127.0.0.1:8200",
    "127.9.9.9:1", "[::1]:8200", "[::1]", "10.1.2.3:8200", "vault.example", "VAULT.example:8200",
    "x",
]  # fmt: skip
OTHERS: Final = [
    "evil.example", "evil.example:8200", "127.0.0.1.evil.example", "localhost.evil.example",
    "vault.example.evil.example", "evil.vault.example", "127.0.0.1 evil", "localhost:x",
    "localhost:8200:1", "user@localhost", "[::1].evil", "a" * 300, "",
]  # fmt: skip


@pytest.fixture(scope="module")
def vault() -> Vault:
    made = Vault.started(PLUGINS)
    made.write("secret/data/app", {"data": {"password": "canary"}})
    return made


def asked(
    vault: Vault, host: str, *lines: str, method: str = "GET", path: str = "secret/data/app",
    body: str = "", short: bool = True,
) -> Raw:  # fmt: skip
    """Return the answer to a request, by the short way or by the other one."""
    answers = []
    more = "" if short else "X-A: 1\r\nX-A: 2\r\n"
    head = "".join(f"{line}\r\n" for line in [f"X-Vault-Token: {vault.root}", *lines])
    sent = (
        f"{method} /v1/{path} HTTP/1.1\r\nHost: {host}\r\n{head}{more}"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    )

    async def scenario(edge: Edge) -> None:
        client = edge.connect()
        client.send(sent.encode("latin-1"))
        answers.append(await client.answer())

    run(scenario, vault)
    return answers[0]


@pytest.mark.parametrize("short", [True, False])
@pytest.mark.parametrize("host", OURS)
def test_on_loopback_our_names_and_every_address_are_served(
    vault: Vault, host: str, short: bool
) -> None:
    assert asked(vault, host, short=short).status == 200


@pytest.mark.parametrize("short", [True, False])
@pytest.mark.parametrize("host", OTHERS)
def test_on_loopback_a_name_that_is_not_configured_reads_nothing(
    vault: Vault, host: str, short: bool
) -> None:
    answer = asked(vault, host, short=short)
    assert answer.status in (400, 421)
    assert b"canary" not in answer.body
    if answer.status == 421:
        assert "api_addr" in answer.errors[0]


def test_elsewhere_a_name_is_asked_for_in_development_alone() -> None:
    evil = {b"host": b"evil.example"}
    for everywhere in (True, False):
        callers = Callers(everywhere=everywhere)
        refused = callers.refusal(evil, "10.0.0.1", page=False)
        assert (refused is not None) is everywhere
        for local in ("127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1", ""):
            assert callers.refusal(evil, local, page=False) is not None
            assert callers.refusal(evil, local, page=True) is not None


def test_a_development_server_asks_for_the_name_on_every_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VAULT_API_ADDR", "http://vault:8200")
    callers = callers_of(config_for("0.0.0.0:8200"))
    assert callers.guards("10.0.0.1")
    assert callers.knows(b"vault:8200")
    assert not callers.knows(b"evil.example:8200")


def test_the_names_of_a_listener_and_of_its_certificate_are_configured(tmp_path: Path) -> None:
    tls = make_tls(tmp_path)
    listener = Listener("keep.internal", 8200, cert_file=tls.cert, key_file=tls.key)
    callers = callers_of(Config(listeners=(listener,)))
    assert callers.knows(b"keep.internal:8200")
    for name in names_in(tls.cert):
        assert callers.knows(name.encode())
    broken = tmp_path / "broken.pem"
    broken.write_text("none")
    with pytest.raises(InvalidRequest, match="certificate"):
        names_in(broken)


def test_a_wildcard_in_a_certificate_stands_for_one_label() -> None:
    callers = Callers(names=["*.keep.example"])
    assert callers.knows(b"a.keep.example")
    assert not callers.knows(b"a.b.keep.example")
    assert not callers.knows(b"keep.example")


PAGES: Final[list[tuple[list[str], bool]]] = [
    ([], True),
    (["Origin: https://vault.example"], True),
    (["Origin: http://vault.example"], True),
    (["Origin: https://evil.example"], False),
    (["Origin: https://vault.example.evil.example"], False),
    (["Origin: https://vault.example:444"], False),
    (["Origin: null"], False),
    (["Origin: "], False),
    (["Origin: file://vault.example"], False),
    (["Origin: http://[", "Sec-Fetch-Mode: cors"], False),
    (["Sec-Fetch-Site: same-origin"], True),
    (["Sec-Fetch-Site: same-origin", "Origin: https://behind.a.proxy"], True),
    (["Sec-Fetch-Site: none"], True),
    (["Sec-Fetch-Site: cross-site"], False),
    (["Sec-Fetch-Site: same-site", "Origin: https://vault.example"], False),
    (["Sec-Fetch-Site: "], False),
]


@pytest.mark.parametrize(("lines", "taken"), PAGES)
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "secret/data/app", ""),
        ("LIST", "secret/metadata/", ""),
        ("POST", "secret/data/other", '{"data":{"a":"b"}}'),
        ("PUT", "auth/token/lookup-self", "{}"),
        ("DELETE", "secret/data/other", ""),
    ],
)
def test_a_page_of_another_origin_is_refused_whatever_it_asks(
    vault: Vault, lines: list[str], taken: bool, method: str, path: str, body: str
) -> None:
    answer = asked(vault, "vault.example", *lines, method=method, path=path, body=body)
    assert (answer.status < 300) is taken
    if not taken:
        assert answer.status == 403
        assert "another origin" in answer.errors[0]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_what_a_page_posts_locks_out_nobody_and_a_program_is_taken_as_ever(kind: str) -> None:
    vault = Vault.started(PLUGINS)
    vault.write("sys/auth/userpass", {"type": "userpass"})
    vault.write("auth/userpass/users/bob", {"password": "a long password"})
    typed = [f"Content-Type: {kind}"] if kind else []

    def login(password: str, *lines: str) -> Any:
        return asked(
            vault, "127.0.0.1:8200", *typed, *lines, method="POST",
            path="auth/userpass/login/bob", body=f'{{"password":"{password}"}}',
        ).status  # fmt: skip

    for page in (["Origin: http://evil.example"], ["Sec-Fetch-Site: cross-site"]):
        assert [login("wrong", *page) for _ in range(10)] == [403] * 10
    assert login("a long password") == 200
