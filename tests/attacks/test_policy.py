"""Getting past a policy by spelling, by the body, or by a pattern that never ends."""

import signal
from collections.abc import Iterator

import pytest

from ironkeep.app import PLUGINS
from ironkeep.core.errors import PermissionDenied
from ironkeep.core.operation import Operation
from ironkeep.core.policy.glob import matches
from ironkeep.plugin import plans
from ironkeep.testing.parts import table
from ironkeep.testing.vault import Vault

SECONDS = 300
"""Without a limit these take longer than the age of the earth."""


@pytest.fixture
def vault() -> Vault:
    return Vault.started(PLUGINS)


@pytest.fixture
def deadline() -> Iterator[None]:
    """End the test when a request does not."""

    def late(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def token(vault: Vault, policy: str) -> str:
    """Return a token with that policy alone."""
    vault.write("sys/policies/acl/mine", {"policy": policy})
    made = vault.write("auth/token/create", {"policies": ["mine"], "no_default_policy": True})
    return made.token


@pytest.mark.usefixtures("deadline")
def test_a_glob_of_many_stars_ends(vault: Vault) -> None:
    """Gains: who may write token roles stops the vault for ever, with one request."""
    vault.write("auth/token/roles/r", {"allowed_policies_glob": ["*a" * 40 + "b"]})
    refused = vault.write("auth/token/create/r", {"policies": ["a" * 100]})
    assert "must be subset" in refused.errors[0]


@pytest.mark.parametrize(
    ("glob", "text", "fits"),
    [
        ("", "", True), ("", "a", False), ("*", "", True), ("*", "abc", True), ("a", "a", True),
        ("a*", "a", True), ("a*a", "a", False), ("a*a", "aa", True), ("a*b*c", "abbc", True),
        ("a*b*c", "acb", False), ("*ab*ab*", "abab", True), ("*ab*ab*", "abxb", False),
        ("**", "x", True), ("a*bc", "abc", True), ("ab*bc", "abc", False), ("x*", "a\nx", False),
    ],
)  # fmt: skip
def test_globs_of_roles(glob: str, text: str, *, fits: bool) -> None:
    """Gains: a policy that the role does not allow."""
    assert matches((glob,), text) is fits


def test_the_lease_in_the_body_is_the_one_that_policy_saw(vault: Vault) -> None:
    """Gains: whoever may end one lease by its URL ends any lease, by naming it in the body."""
    mine = token(vault, 'path "sys/leases/revoke/mine/*" { capabilities = ["update"] }')
    reply = vault.write("sys/leases/revoke/mine/a", {"lease_id": "other/b"}, token=mine)
    assert "are one field: give one of them" in reply.errors[0]
    same = vault.write("sys/leases/revoke/mine/a", {"lease_id": "mine/a"}, token=mine)
    assert same.error is None


def test_strangers_do_not_fill_the_memory_with_paths(vault: Vault) -> None:
    """Gains: a stranger has the server remember gigabytes of paths that it made up."""
    routing = vault.house.routing
    long = "secret/data/" + "x" * plans.MAX_KNOWN_PATH
    vault.read(long, token=None)
    vault.read(long)
    known = routing._plans._known
    assert (Operation.READ, long) not in known
    vault.read("secret/data/x", token=None)
    assert (Operation.READ, "secret/data/x") in known


def test_looking_at_the_mounts_uses_a_token_up(vault: Vault) -> None:
    """Gains: a token for one use is used without end."""
    made = vault.write("auth/token/create", {"policies": ["default"], "num_uses": 2})
    limited = made.token
    for _ in range(2):
        seen = vault.read("sys/internal/ui/mounts", token=limited).data
        assert "cubbyhole/" in table(seen, "secret")
    assert vault.read("sys/internal/ui/mounts", token=limited).data["secret"] == {}


@pytest.mark.parametrize(
    ("op", "plain", "spelt", "data"),
    [
        (Operation.UPDATE, "sys/policies/acl/admin", "sys/policies/acl/Admin", {"policy": "#"}),
        (Operation.UPDATE, "sys/policy/admin", "sys/policy/ADMIN", {"policy": "#"}),
        (Operation.READ, "sys/policies/acl/admin", "sys/policies/acl/ADMIN", {}),
        (Operation.DELETE, "sys/policies/acl/admin", "sys/policies/acl/ADMIN", {}),
        (Operation.DELETE, "sys/mounts/secret", "sys/mounts/secret/", {}),
        (Operation.DELETE, "sys/mounts/secret", "sys/mounts//secret", {}),
        (Operation.UPDATE, "sys/mounts/secret/tune", "sys/mounts/secret//tune", {}),
        (Operation.UPDATE, "sys/mounts/secret/tune", "sys/mounts//secret/tune", {}),
        (Operation.DELETE, "sys/auth/userpass", "sys/auth/userpass/", {}),
        (Operation.UPDATE, "sys/leases/revoke-prefix/a", "sys/leases/revoke-prefix/a/", {}),
        (
            Operation.UPDATE,
            "auth/userpass/users/boss/password",
            "auth/userpass/users/Boss/password",
            {"password": "mine"},
        ),
        (Operation.UPDATE, "auth/userpass/users/boss", "auth/userpass/users/BOSS", {}),
    ],
)
def test_another_spelling_gets_no_more(
    vault: Vault, op: Operation, plain: str, spelt: str, data: dict[str, str]
) -> None:
    """Gains: what is denied by its name is done under another spelling of it."""
    vault.write("sys/policies/acl/admin", {"policy": 'path "a" { capabilities = ["read"] }'})
    vault.write("sys/auth/userpass", {"type": "userpass"})
    vault.write("auth/userpass/users/boss", {"password": "secret"})
    folder = plain.split("/")[:2] if plain.startswith("sys/") else plain.split("/")[:3]
    every = '{ capabilities = ["create", "read", "update", "delete", "sudo"] }'
    mine = token(
        vault,
        f'path "{"/".join(folder)}/*" {every} path "{plain}" {{ capabilities = ["deny"] }}',
    )
    assert vault.request(op, plain, data, token=mine).error is PermissionDenied
    assert vault.request(op, spelt, data, token=mine).error is PermissionDenied


def test_a_policy_name_has_no_blanks_around_it(vault: Vault) -> None:
    """Gains: a policy is replaced under a name that no rule denies."""
    reply = vault.write("sys/policies/acl/ admin", {"policy": 'path "a" { policy = "deny" }'})
    assert "begins or ends in a blank" in reply.errors[0]


def test_other_spellings_still_work_where_they_are_allowed(vault: Vault) -> None:
    """The command line writes a slash at the end of a mount's path."""
    mine = token(vault, 'path "sys/mounts/*" { capabilities = ["read", "delete", "sudo"] }')
    assert vault.read("sys/mounts/secret/", token=mine).data["type"] == "kv"
    assert vault.delete("sys/mounts/secret/", token=mine).error is None
