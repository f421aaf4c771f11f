"""`ironkeep approval` against a real server: asked, shown, approved, opened, denied, reported."""

import re
from collections.abc import Iterator

import pytest

from ironkeep.cli.exits import OK
from ironkeep.testing.server import Done, ServerProcess
from tests.support.people.approval_estate import APPROVER, READER

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess.development(tmp_path_factory.mktemp("approvals")) as running:
        running.api("PUT", "sys/auth/userpass", {"type": "userpass"})
        running.api("PUT", "sys/policies/acl/reader", {"policy": READER})
        running.api("PUT", "sys/policies/acl/approver", {"policy": APPROVER})
        running.api("PUT", "secret/data/prod/db", {"data": {"password": "hunter2"}})
        running.api("PUT", "sys/classes/secret/data/prod", {"class": "two-person"})
        yield running


def token_of(server: ServerProcess, name: str, policy: str) -> dict[str, str]:
    user = {"password": PASSWORD, "token_policies": [policy]}
    server.api("PUT", f"auth/userpass/users/{name}", user)
    done = server.api("PUT", f"auth/userpass/login/{name}", {"password": PASSWORD})
    return {"VAULT_TOKEN": done["auth"]["client_token"]}


def asked(done: Done) -> tuple[str, str, str]:
    """Return token, accessor and number of what was asked."""
    number = re.search(r"number (\d{3})", done.err)
    assert done.code == OK
    assert number is not None
    found = dict(line.split() for line in done.out.splitlines()[2:] if len(line.split()) == 2)
    return found["wrapping_token"], found["wrapping_accessor"], number[1]


def test_what_one_asks_another_approves_and_the_first_opens(server: ServerProcess) -> None:
    reader, ann = token_of(server, "rob", "reader"), token_of(server, "ann", "approver")
    token, accessor, number = asked(server.cli("read", "secret/data/prod/db", env=reader))
    listed = server.cli("approval", "list", env=ann)
    assert (listed.code, accessor in listed.out, "rob" in listed.out) == (OK, True, True)
    shown = server.cli("approval", "show", "-format=json", accessor, env=ann).json()
    assert shown["data"]["path"] == "secret/data/prod/db"
    done = server.cli("approval", "approve", f"-number={number}", accessor, env=ann)
    assert (done.code, re.search(r"approved +true", done.out) is not None) == (OK, True)
    opened = server.cli("unwrap", "-format=json", token, env=reader).json()
    assert opened["data"]["data"] == {"password": "hunter2"}
    assert server.cli("unwrap", token, env=reader).code != OK
    report = server.cli("approval", "report")
    assert re.search(r"ann .* 1 +0 ", report.out)


def test_a_denial_and_a_withdrawal_end_it(server: ServerProcess) -> None:
    first, second = token_of(server, "eve", "reader"), token_of(server, "zoe", "reader")
    ben = token_of(server, "ben", "approver")
    _, accessor, _ = asked(server.cli("read", "secret/data/prod/db", env=first))
    assert server.cli("approval", "withdraw", accessor, env=second).code != OK
    assert server.cli("approval", "withdraw", accessor, env=first).code == OK
    _, accessor, _ = asked(server.cli("read", "secret/data/prod/db", env=second))
    denied = server.cli("approval", "deny", "-reason=no ticket", accessor, env=ben)
    assert denied.out == "Success! Denied.\n"
    gone = server.cli("approval", "list", env=ben)
    assert gone.code != OK
    assert "no request waits" in gone.err
