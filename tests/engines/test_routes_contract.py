"""Every route of every plug-in keeps the same promises; a new one is found here by itself."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields as fields_of
from decimal import Decimal
from typing import Any, Final

import pytest

from ironkeep.app import PLUGINS
from ironkeep.connectors.postgresql import PostgreSQL
from ironkeep.core.errors import IntegrityError, IronkeepError, PermissionDenied
from ironkeep.core.event import Entry
from ironkeep.core.operation import Operation
from ironkeep.engines.system.mounts import AUTH_TYPES
from ironkeep.kernel.admission import DENIED
from ironkeep.kernel.routing import SYS
from ironkeep.plugin.effects.answer import Answer
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.mounts import TABLE
from ironkeep.plugin.route import Route
from ironkeep.store.reserved import MOUNTS
from ironkeep.testing.memory import FakeClock, SeededEntropy
from ironkeep.testing.vault import Vault

EXTRA: Final = (
    ("sys/mounts/kv1", {"type": "kv"}),
    ("sys/mounts/database", {"type": "database"}),
    *((f"sys/auth/{kind}", {"type": kind}) for kind in AUTH_TYPES if kind != "token"),
)
PARAMETER: Final = re.compile(r"\{\w+(\.\.\.)?\}")
USER: Final = {"password": "correct horse", "token_policies": ["default"]}
DATA: Final = {"data": {"password": "hunter2"}}


def vault_with_everything() -> Vault:
    connector = PostgreSQL(FakeClock(), SeededEntropy())
    vault = Vault.started(PLUGINS, connectors={"postgresql": connector})
    for path, data in EXTRA:
        assert vault.write(path, data).error is None
    return vault


def mounts(vault: Vault) -> list[Mount]:
    store = vault.house.store(vault.house.state.begin(), MOUNTS)
    assert store.get(TABLE) is not None
    table = vault.house.mounts.table(store)
    return [SYS, *(mount for mount in table.by_path.values() if mount.type != "system")]


@dataclass(frozen=True)
class Case:
    """One route where it is mounted."""

    mount: Mount
    route: Route

    def __str__(self) -> str:
        return f"{self.route.op} {self.mount.path}{self.route.pattern}"

    def path(self, filler: str = "x") -> str:
        return self.mount.path + PARAMETER.sub(lambda _: filler, self.route.pattern)

    @property
    def guarded(self) -> bool:
        return not (self.route.open or self.route.login)


def cases() -> Iterator[Case]:
    vault = vault_with_everything()
    for mount in mounts(vault):
        for route in vault.plugins[mount.type].routes(mount):
            yield Case(mount, route)


CASES: Final = list(cases())
GUARDED: Final = [case for case in CASES if case.guarded]


def ask(vault: Vault, case: Case, path: str, data: dict[str, Any], token: str | None) -> Answer:
    request = vault.asked(case.route.op, path, data, token)
    return vault.settle(vault.pipeline.handle(request))


def entries(vault: Vault) -> list[Entry]:
    found = [entry for _, entry in vault.house.audit_reader().entries()]
    return [entry for entry in found if entry.kind == "request"]


def test_every_plugin_is_mounted_here() -> None:
    assert {case.mount.type for case in CASES} == set(PLUGINS)


@pytest.fixture(scope="module")
def shared() -> Vault:
    """A vault for requests that change nothing."""
    return vault_with_everything()


@pytest.fixture(scope="module")
def powerless(shared: Vault) -> str:
    """A token without any policy that grants something."""
    shared.write("sys/policies/acl/nothing", {"policy": 'path "none" { capabilities = ["read"] }'})
    made = shared.write("auth/token/create", {"policies": ["nothing"], "no_default_policy": True})
    return made.token


@pytest.fixture(scope="module")
def reaching(shared: Vault) -> str:
    """A token that may ask something of every mount, by a path that nothing else is at."""
    rules = [f'path "{m.path}none" {{ capabilities = ["read"] }}' for m in mounts(shared)]
    shared.write("sys/policies/acl/reaching", {"policy": "\n".join(rules)})
    made = shared.write("auth/token/create", {"policies": ["reaching"], "no_default_policy": True})
    return made.token


@pytest.mark.parametrize("case", GUARDED, ids=str)
def test_strangers_are_refused(shared: Vault, case: Case) -> None:
    assert ask(shared, case, case.path(), {}, None).error is PermissionDenied
    assert ask(shared, case, case.path(), {}, "hvs.nonsense").error is PermissionDenied


@pytest.mark.parametrize("case", [each for each in GUARDED if not each.route.any_token], ids=str)
def test_a_token_without_a_policy_is_refused(shared: Vault, powerless: str, case: Case) -> None:
    assert ask(shared, case, case.path(), {}, powerless).error is PermissionDenied


@pytest.mark.parametrize("case", [each for each in GUARDED if each.route.sudo], ids=str)
def test_a_sudo_route_refuses_who_has_every_other_capability(shared: Vault, case: Case) -> None:
    grants = '["create", "read", "update", "patch", "delete", "list"]'
    policy = f'path "{case.path()}" {{ capabilities = {grants} }}'
    shared.write("sys/policies/acl/nearly", {"policy": policy})
    made = shared.write("auth/token/create", {"policies": ["nearly"], "ttl": "1h"})
    assert ask(shared, case, case.path(), {}, made.token).error is PermissionDenied


@pytest.mark.parametrize("case", CASES, ids=str)
def test_help_needs_a_policy_that_reaches_the_mount_and_no_more(
    shared: Vault, powerless: str, reaching: str, case: Case
) -> None:
    asked = shared.request(Operation.HELP, case.path(), token=powerless)
    if case.guarded and case.mount is not SYS:
        assert (asked.error, asked.errors) == (PermissionDenied, [DENIED])
        asked = shared.request(Operation.HELP, case.path(), token=reaching)
    assert asked.error is None
    assert case.route.help in asked.body["help"]
    assert asked.body["openapi"]["paths"]
    if case.guarded and asked.body["help"].count("##") == 1:
        assert shared.request(Operation.HELP, case.path(), token=None).error is PermissionDenied


def test_every_route_explains_itself() -> None:
    assert [str(case) for case in CASES if not case.route.help.strip()] == []


def test_a_secret_is_released_to_somebody() -> None:
    """Class, budget and binding are asked of a session: a route without one would pass them by."""
    guarded = [case for case in CASES if case.route.secret]
    assert len(guarded) >= 5
    assert [case for case in guarded if case.route.open or case.route.login] == []
    assert [case for case in guarded if not case.route.releases] == []


def test_audited_fields_are_never_secrets() -> None:
    """A field that is held as a Secret must not be declared fit to record."""
    for case in CASES:
        if case.route.input is not None:
            secret = {f.name for f in fields_of(case.route.input) if "Secret" in str(f.type)}
            assert not secret & set(case.route.audited), case


# -- hostile data


def nested(depth: int) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for _ in range(depth):
        document = {"a": document}
    return document


HOSTILE: Final[tuple[Any, ...]] = (
    None, True, -1, 2**63, 10**18, Decimal("1.5"), Decimal("1E+400"), "", "x" * 100_000, "\0",
    "\u202e" * 8, "../../etc/passwd", "%00", "{{identity.entity.id}}", "1h" * 5_000, [], [[]], {},
    {"": ""}, {"a": None}, nested(60), ["a", 1, None, {}], ["x"] * 5_000, "9" * 30,
)  # fmt: skip

FILLERS: Final = ("é", "a b", "*", "+", "'\"{}\\", "%2e%2e", "a//b", "x" * 3_900, "...", "\u202e")


def names_of(case: Case) -> list[str]:
    given = case.route.input
    return [field.name for field in fields_of(given)] if given is not None else ["data", "key"]


def attacks(case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
    names = names_of(case)
    for value in HOSTILE:
        yield case.path(), dict.fromkeys(names, value)
    for name in names:
        for value in (["x", {}], {"a": [1]}, "x", 7, False):
            yield case.path(), {name: value}
    for filler in FILLERS:
        yield case.path(filler), {}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_hostile_input_gives_only_our_errors(case: Case) -> None:
    vault = vault_with_everything()
    for path, data in attacks(case):
        if case.route.login and not isinstance(data.get("password"), str):
            continue  # each login is a tenth of a second of hashing
        answer = ask(vault, case, path, data, "root")
        assert vault.defects == [], (path, data)
        error = answer.error
        assert error is None or issubclass(error, IronkeepError), (path, data)
        assert error is None or not issubclass(error, IntegrityError), (path, data)
        if vault.house.barrier is None or error is PermissionDenied:
            vault = vault_with_everything()  # it sealed itself, or the token is gone


# -- what leaves the vault is named


def setup_secrets(vault: Vault) -> None:
    vault.write("secret/data/x", DATA)
    vault.write("kv1/x", {"password": "hunter2"})
    vault.write("cubbyhole/x", {"password": "hunter2"})
    vault.write("auth/userpass/users/x", USER)
    vault.write("auth/token/roles/x", {"allowed_policies": ["default"]})


def scenario(vault: Vault, case: Case) -> dict[str, Any] | None:
    """Return the data with which the route releases something, having prepared it."""
    path = f"{case.mount.path}{case.route.pattern}"
    if path in {"sys/wrapping/unwrap", "sys/wrapping/rewrap"}:
        wrapped = vault.read("secret/data/x", wrap=60)
        return {"token": wrapped.body["wrap_info"]["token"]}
    if path == "sys/rekey/update":
        started = vault.write("sys/rekey/init", {"secret_shares": 1, "secret_threshold": 1})
        return {"key": vault.keys[0], "nonce": started.body["nonce"]}
    if path == "sys/generate-root/update":
        started = vault.write("sys/generate-root/attempt", {})
        return {"key": vault.keys[0], "nonce": started.body["nonce"]}
    if path in {"auth/token/renew", "auth/token/renew-self"}:
        token = vault.write("auth/token/create", {"policies": ["root"], "ttl": "1h"}).auth
        return {"token": token["client_token"]}
    return {"password": USER["password"]} if case.route.login else {}


RELEASING: Final = [case for case in CASES if case.route.releases]
ELSEWHERE: Final = {
    # Need a database: tests/engines/database/test_database.py asks for each of them.
    "read database/static-creds/{name}",
    # Need a role, a certificate, a signed token or an authenticator: the tests of each in
    # tests/auth ask for them.
    "update auth/approle/login",
    "update auth/approle/role/{role_name}/secret-id",
    "update auth/approle/role/{role_name}/custom-secret-id",
    "update auth/cert/login",
    "update auth/jwt/login",
    "update auth/passkey/login/finish",
    "update auth/passkey/cli/finish",
    # Need people with authenticators, who agree: tests/access/break_glass/test_hands.py.
    "update sys/break-glass/open",
    # Needs a holder for whom codes wait: tests/access/break_glass/test_hands.py fetches them.
    "update sys/break-glass/codes",
    # Asked for as a secret is, and shows the names of its fields: no version leaves.
    "read secret/subkeys/{path...}",
    # Needs a vault without keys, see below.
    "update sys/init",
}


@pytest.mark.parametrize(
    "case", [each for each in RELEASING if str(each) not in ELSEWHERE], ids=str
)
def test_what_leaves_is_named_by_its_entry(case: Case) -> None:
    vault = vault_with_everything()
    setup_secrets(vault)
    data = scenario(vault, case)
    assert data is not None
    token = data["token"] if "renew-self" in case.route.pattern else "root"
    answer = ask(vault, case, case.path(), data, token)
    assert answer.error is None, answer.body
    assert vault.defects == []
    entry = entries(vault)[-1]
    assert entry.released or entry.issued or entry.wrapped, entry


def test_the_first_keys_are_named_by_the_root_token_that_comes_with_them() -> None:
    vault = Vault(PLUGINS)
    vault.initialise()
    vault.unseal()
    accessor = vault.read("auth/token/lookup-self").data["accessor"]
    assert [entry.issued for entry in entries(vault) if entry.path == "sys/init"] == [accessor]


def test_no_other_route_answers_with_a_secret() -> None:
    """Ask every readable route that declares nothing, over an estate; the pipeline would object."""
    vault = vault_with_everything()
    setup_secrets(vault)
    for case in CASES:
        if case.route.op in (Operation.READ, Operation.LIST) and not case.route.releases:
            answer = ask(vault, case, case.path(), {}, "root")
            assert b"hunter2" not in (answer.body or b""), case
    assert vault.defects == []
