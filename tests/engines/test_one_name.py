"""Every spelling that reaches a thing is that thing, to every rule and on every route.

The routes are taken from the plug-ins' tables, so that a new one is found here by itself.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any, Final

import msgspec
import pytest

from ironkeep.access.classes.classes import Rule
from ironkeep.app import PLUGINS
from ironkeep.core.errors import IronkeepError, OverBudget, PermissionDenied
from ironkeep.core.ids import MountAccessor, MountUuid
from ironkeep.core.operation import Operation
from ironkeep.engines.system.mounts import AUTH_TYPES
from ironkeep.kernel.routing import SYS
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.plans import Plan
from ironkeep.plugin.route import Route
from ironkeep.store.reserved import MOUNTS
from ironkeep.testing.vault import Reply, Vault
from tests.support.people.people import Person, person

NAME: Final = re.compile(r"\{\w+(\.\.\.)?\}")
CHANGES: Final[dict[str, Callable[[str], str]]] = {
    "capitals": str.upper,
    "one capital": lambda name: name[:1].upper() + name[1:],
    "a slash after": lambda name: name + "/",
    "slashes before": lambda name: "//" + name,
    "a zero before": lambda name: "0" + name,
    "minus nothing": lambda name: "-" + name,
    "a blank after": lambda name: name + " ",
    "a blank before": lambda name: " " + name,
    "a dot after": lambda name: name + ".",
    "twice encoded": lambda name: name.replace("k", "%6b"),
}
WIDE: Final = '["create", "read", "update", "patch", "delete", "list", "sudo"]'


def vault_with_everything() -> Vault:
    vault = Vault.started(PLUGINS)
    vault.write("sys/mounts/kv1", {"type": "kv"})
    vault.write("sys/mounts/database", {"type": "database"})
    for kind in AUTH_TYPES:
        vault.write(f"sys/auth/{kind}", {"type": kind})
    return vault


def plan_of(vault: Vault, op: Operation, path: str) -> Plan | None:
    try:
        return vault.house.find_plan(vault.house.state.begin(), op, path, "")
    except IronkeepError:
        return None


@dataclass(frozen=True)
class Door:
    """A route by two spellings of one path."""

    op: Operation
    plain: str
    other: str

    def __str__(self) -> str:
        return f"{self.op} {self.plain} as {self.other}"


def doors() -> Iterator[Door]:
    """Yield every guarded route with every spelling by which its handler gets the same names."""
    vault = vault_with_everything()
    table = vault.house.mounts.table(vault.house.store(vault.house.state.begin(), MOUNTS))
    mounts = [SYS, *(mount for mount in table.by_path.values() if mount.type != "system")]
    for mount in mounts:
        for route in vault.plugins[mount.type].routes(mount):
            for name in ("kim", "7"):
                plain = mount.path + NAME.sub(name, route.pattern)
                known = plan_of(vault, route.op, plain)
                if known is None or route.open or route.login or route.any_token:
                    continue
                for other in others(route.pattern, name):
                    found = plan_of(vault, route.op, mount.path + other)
                    if found is not None and dict(found.params) == dict(known.params):
                        yield Door(route.op, plain, mount.path + other)


def others(pattern: str, name: str) -> Iterator[str]:
    """Yield the paths of a pattern in which one name is spelt otherwise."""
    for found in NAME.finditer(pattern):
        before, after = (
            NAME.sub(name, pattern[: found.start()]),
            NAME.sub(name, pattern[found.end() :]),
        )
        for change in CHANGES.values():
            if change(name) != name:
                yield before + change(name) + after


DOORS: Final = sorted(set(doors()), key=str)


@pytest.fixture(scope="module")
def shared() -> Vault:
    return vault_with_everything()


def test_there_are_names_with_several_spellings() -> None:
    plain = " ".join(door.plain for door in DOORS)
    for path in (
        "auth/userpass/users/kim", "auth/passkey/users/kim/authenticators/kim",
        "auth/approle/role/kim/secret-id-accessor/destroy", "auth/jwt/role/kim", "auth/cert/certs",
        "sys/policies/acl/kim", "sys/mounts/kim", "sys/auth/kim", "sys/classes/kim",
        "sys/leases/revoke-prefix/kim", "sys/audit/log/proof/7",
    ):  # fmt: skip
        assert path in plain, path


@pytest.mark.parametrize("door", DOORS, ids=str)
def test_a_rule_in_any_spelling_rules_them_all(shared: Vault, door: Door) -> None:
    at = (door.plain, door.other)
    for written in at:
        denied = f'path "*" {{ capabilities = {WIDE} }}\npath "{written}" {{ policy = "deny" }}'
        granted = f'path "{written}" {{ capabilities = {WIDE} }}'
        for text, refused in ((denied, True), (granted, False)):
            token = token_of(shared, text)
            replies = [shared.request(door.op, path, {}, token=token) for path in at]
            assert [reply.error is PermissionDenied for reply in replies] == [refused] * 2, (
                written,
                [reply.body for reply in replies],
            )
            said = shared.write("sys/capabilities", {"token": token, "paths": list(at)}).body
            assert said[door.plain] == said[door.other]
            assert (said[door.plain] == ["deny"]) is refused


def test_prefixes_wildcards_and_templates_are_respelt_too(shared: Vault) -> None:
    path = "auth/userpass/users/kim/password"
    for rule in (
        "auth/userpass/users/KIM/*", "auth/userpass/users/KI*", "auth/userpass/users/Kim/password",
        "+/+/users/KIM/password", "auth/+/users/KIM/+", "auth/+/users/KI*",
    ):  # fmt: skip
        text = f'path "*" {{ capabilities = {WIDE} }}\npath "{rule}" {{ policy = "deny" }}'
        token = token_of(shared, text)
        for asked in (path, path.replace("kim", "KIM")):
            assert shared.write(asked, {"password": "x"}, token=token).error is PermissionDenied
    # What is no name keeps its capitals: another mount is another mount.
    text = (
        f'path "auth/*" {{ capabilities = {WIDE} }}\npath "auth/USERPASS/*" {{ policy = "deny" }}'
    )
    assert shared.write(path, {"password": "x"}, token=token_of(shared, text)).error is not (
        PermissionDenied
    )


def test_no_handler_knows_a_spelling_that_routing_does_not(shared: Vault) -> None:
    """What answers the same as a thing that is there, is it: then routing must say so too."""
    things: dict[str, dict[str, Any]] = {
        "auth/userpass/users/kim": {"password": "a long password", "token_policies": "kim"},
        "auth/passkey/users/kim": {"token_policies": "kim"},
        "auth/approle/role/kim": {"token_policies": "kim"},
        "auth/token/roles/kim": {"allowed_policies": "kim"},
        "auth/jwt/role/kim": {
            "bound_audiences": "kim",
            "bound_claims": {"sub": "kim"},
            "user_claim": "sub",
        },
        "sys/policies/acl/kim": {"policy": 'path "kim" { policy = "read" }'},
        "sys/policy/kim": {"policy": 'path "kim" { policy = "read" }'},
        "sys/mounts/kim": {"type": "kv", "description": "kim"},
        "sys/auth/kim": {"type": "userpass", "description": "kim"},
        "sys/classes/secret/kim": {"class": "open"},
        "sys/budgets/team/kim": {"hour": 77},
        "secret/metadata/kim": {"custom_metadata": {"kim": "kim"}},
        "secret/data/kim": {"data": {"kim": "kim"}},
        "kv1/kim": {"kim": "kim"},
        "cubbyhole/kim": {"kim": "kim"},
        "segment/segments/kim": {"networks": "10.7.0.0/16"},
    }
    seen = 0
    for path, data in things.items():
        assert shared.write(path, data).error is None, path
        there = shared.read(path)
        assert there.error is None, (path, there.body)
        stem = path.removesuffix("kim")
        for change in CHANGES.values():
            other = stem + change("kim")
            if shared.read(other).body.get("data") == there.data:
                seen += 1
                assert plan_of(shared, Operation.READ, other) is plan_of(
                    shared, Operation.READ, path
                ), other
    assert seen >= 12


def token_of(vault: Vault, policy: str) -> str:
    assert vault.write("sys/policies/acl/tried", {"policy": policy}).error is None
    data = {"policies": ["tried"], "no_default_policy": True, "ttl": "1h"}
    return vault.write("auth/token/create", data).token


# -- rules about secrets: classes, budgets, manifests, approvals

FORMS: Final = ("data", "metadata", "subkeys", "delete", "undelete", "destroy")
BY: Final = {
    "secret/data/prod/db": [
        "secret/prod/db", "secret/prod//db/", *(f"secret/{form}/prod/db" for form in FORMS),
    ],
    "kv1/prod/db": ["kv1/prod/db/", "kv1//prod/db"],
    "auth/approle/role/web/secret-id": [
        "auth/approle/role/WEB/secret-id", "auth/approle/role/Web/secret-id/",
    ],
}  # fmt: skip
"""Secrets, and further paths by which a rule may name them."""
RULES: Final = [(secret, by) for secret, forms in BY.items() for by in (secret, *forms)]
READER: Final = f"""
path "secret/*" {{ capabilities = {WIDE} }}
path "kv1/*" {{ capabilities = {WIDE} }}
path "auth/approle/role/*" {{ capabilities = {WIDE} }}
"""


def vault_with_secrets() -> tuple[Vault, Person]:
    vault = vault_with_everything()
    vault.write("secret/data/prod/db", {"data": {"password": "hunter2"}})
    vault.write("secret/data/prod/other", {"data": {"password": "hunter2"}})
    vault.write("kv1/prod/db", {"password": "hunter2"})
    vault.write("auth/approle/role/web", {"token_policies": "none"})
    vault.write("sys/policies/acl/reader", {"policy": READER})
    return vault, person(vault, "rea", ["reader"])


def taken(vault: Vault, who: Person, secret: str) -> Reply:
    if secret.startswith("auth/approle"):
        return vault.request(Operation.UPDATE, secret, {}, token=who.token, wrap=60)
    return vault.read(secret, token=who.token)


def spellings(secret: str) -> list[str]:
    """Return the paths by which a secret is read."""
    return [secret, secret.replace("web", "WEB"), secret.replace("web", "wEb")]


@pytest.mark.parametrize(("secret", "by"), RULES)
def test_a_class_by_any_path_holds_for_every_spelling(secret: str, by: str) -> None:
    vault, rea = vault_with_secrets()
    assert vault.write(f"sys/classes/{by}", {"class": "two-person"}).error is None
    assert vault.read(f"sys/classes/{secret}").data["effective"] == "two-person"
    for path in spellings(secret)[:2]:
        reply = taken(vault, rea, path)
        assert "approval" in str(reply.body["warnings"])
        kept = vault.house.features.approvals.waiting(
            vault.house.state.begin(), vault.clock.now_ns()
        )[-1]
        assert kept.path == secret


@pytest.mark.parametrize(("secret", "by"), RULES)
def test_a_manifest_by_any_path_lists_every_spelling(secret: str, by: str) -> None:
    vault, rea = vault_with_secrets()
    at = f"sys/budgets/entity/{rea.entity}"
    assert vault.write(at, {"manifest": [by]}).error is None
    assert [taken(vault, rea, path).error for path in spellings(secret)] == [None] * 3
    assert vault.write(at, {"manifest": ["secret/data/else"]}).error is None
    assert {taken(vault, rea, path).error for path in spellings(secret)} == {OverBudget}


@pytest.mark.parametrize("secret", BY)
def test_spellings_share_one_budget(secret: str) -> None:
    vault, rea = vault_with_secrets()
    vault.write("sys/budgets/defaults", {"soft": 100})
    vault.write(f"sys/budgets/entity/{rea.entity}", {"hour": 1})
    assert [taken(vault, rea, path).error for path in spellings(secret)] == [None] * 3
    other = "secret/data/prod/other"
    assert vault.read(other, token=rea.token).error is OverBudget


@pytest.mark.parametrize("secret", BY)
def test_the_journal_knows_one_path(secret: str) -> None:
    vault, rea = vault_with_secrets()
    for path in spellings(secret):
        taken(vault, rea, path)
    entries = [entry for _, entry in vault.house.audit_reader().entries()]
    asked = [entry.path for entry in entries if entry.entity == rea.entity]
    assert asked == [secret] * 3


def test_rules_of_older_versions_in_another_spelling_hold() -> None:
    vault, rea = vault_with_secrets()
    tx = vault.house.state.begin()
    mount, _ = vault.house.routing.secret_at(tx, "auth/approle/role")
    vault.house.features.classes.put(tx, Rule(mount.uuid, "role/WEB", "two-person"), 0)
    subject = vault.house.features.budgets.subject(tx, "entity", rea.entity)
    listed = (f"{mount.uuid}/role/WEB/secret-id",)
    vault.house.features.budgets.set_subject(
        tx, "entity", rea.entity, msgspec.structs.replace(subject, manifest=listed)
    )
    tx.merge()
    vault.flush()
    for path in spellings("auth/approle/role/web/secret-id")[:2]:
        assert "approval" in str(taken(vault, rea, path).body["warnings"])


def mounted_routes() -> Iterator[tuple[str, Route]]:
    """Yield each route of every plug-in, with the path at which tests mount it."""
    for kind, plugin in PLUGINS.items():
        mount = Mount("", kind, MountUuid(""), MountAccessor(""), options={"version": "2"})
        folder = {"system": "sys/", "kv": "secret/"}.get(kind, f"{kind}/")
        at = f"auth/{kind}/" if kind in AUTH_TYPES else folder
        for route in plugin.routes(mount):
            yield at, route


OLD = [
    (route.op, at + route.pattern, at + route.same_as)
    for at, route in mounted_routes()
    if route.same_as
]


def test_old_names_of_endpoints_are_known() -> None:
    assert len(OLD) >= 14
    assert {
        ("sys/policy/{name...}", "sys/policies/acl/{name...}"), ("sys/revoke", "sys/leases/revoke"),
        (
            "auth/approle/role/{role_name}/bound-cidr-list",
            "auth/approle/role/{role_name}/secret-id-bound-cidrs",
        ),
    } <= {(one, other) for _, one, other in OLD}  # fmt: skip


@pytest.mark.parametrize(("op", "one", "other"), OLD)
def test_a_deny_on_one_name_of_an_endpoint_denies_the_other(
    shared: Vault, op: Operation, one: str, other: str
) -> None:
    at, denied = (NAME.sub("kim", pattern) for pattern in (one, other))
    wide = f'path "*" {{ capabilities = {WIDE} }}\n'
    token = token_of(shared, wide + f'path "{denied}" {{ policy = "deny" }}')
    assert shared.request(op, at, {}, token=token).error is PermissionDenied
    narrow = wide + f'path "{denied}" {{ capabilities = ["list"] }}'
    assert shared.request(op, at, {}, token=token_of(shared, narrow)).error is not PermissionDenied


@pytest.mark.parametrize(("op", "one", "other"), OLD)
@pytest.mark.parametrize(
    "rule", ['denied_parameters = { "odd" = [] }', 'min_wrapping_ttl = "1m"'], ids=["field", "wrap"]
)
def test_what_a_rule_asks_at_one_name_of_an_endpoint_it_asks_at_the_other(
    shared: Vault, op: Operation, one: str, other: str, rule: str
) -> None:
    at, ruled = (NAME.sub("kim", pattern) for pattern in (one, other))
    text = f'path "*" {{ capabilities = {WIDE} }}\n'
    text += f'path "{ruled}" {{\n capabilities = {WIDE}\n {rule}\n}}'
    token = token_of(shared, text)
    for data, wrap in (({}, 60), ({"odd": "1"}, None), ({}, 60)):
        refused = shared.request(op, at, data, token=token, wrap=wrap).error is PermissionDenied
        assert refused is (wrap is None)


def test_a_prefix_in_capitals_covers_every_name_that_begins_so(shared: Vault) -> None:
    """A sigma that ends a word is another small letter, and the end of a prefix is no word's."""
    path = "auth/userpass/users/\u0391\u03a3\u0392"
    assert shared.write(path, {"password": "a long password"}).error is None
    text = f'path "*" {{ capabilities = {WIDE} }}\n'
    text += 'path "auth/userpass/users/\u0391\u03a3*" { policy = "deny" }'
    token = token_of(shared, text)
    for asked in (path, path.lower(), "auth/userpass/users/\u0391\u03a3"):
        assert shared.read(asked, token=token).error is PermissionDenied


@pytest.mark.parametrize("name", ["", " ", "/", " / "])
def test_what_ends_things_refuses_to_be_given_no_name(shared: Vault, name: str) -> None:
    """Of every route that removes, revokes or destroys what its path names."""
    seen = set()
    for at, route in mounted_routes():
        if NAME.search(route.pattern) and (route.ends or route.op is Operation.DELETE):
            seen.add(route.pattern)
            reply = shared.request(route.op, at + NAME.sub(name, route.pattern), {})
            assert reply.error is not None, route.pattern
    assert {"leases/revoke-prefix/{prefix...}", "metadata/{path...}", "users/{username}"} <= seen


ENDING_BY_BODY = {
    "sys/leases/revoke": "lease_id",
    "sys/revoke": "lease_id",
    "sys/remount": "from",
    "auth/token/revoke": "token",
    "auth/token/revoke-orphan": "token",
    "auth/token/revoke-accessor": "accessor",
    "auth/approle/role/web/secret-id/destroy": "secret_id",
    "auth/approle/role/web/secret-id-accessor/destroy": "secret_id_accessor",
    "secret/destroy/web": "versions",
    "secret/delete/web": "versions",
    "secret/undelete/web": "versions",
}
"""Each has a field that says what is to be ended."""
BY_PATH = {"segment/segments/web/destroy", "incident/cases/web/kill"}
"""Their paths name what is ended: the body repeats that, or leaves a part of it out."""
ENDS = re.compile(r"revoke|destroy|delete|withdraw|cut|kill|remount")
BESIDE = {"sync", "increment", "reason"}
"""Fields that name nothing."""


def test_every_route_that_ends_what_its_body_names_is_known() -> None:
    found = set()
    for at, route in mounted_routes():
        if route.op is not Operation.UPDATE or route.input is None:
            continue
        in_path = {name.rstrip(".") for name in re.findall(r"{([\w.]+)}", route.pattern)}
        named = {each.name for each in fields(route.input)} - in_path - BESIDE
        if named and ENDS.search(route.pattern) and "{url_lease_id...}" not in route.pattern:
            found.add(at + NAME.sub("web", route.pattern))
    assert found == set(ENDING_BY_BODY) | BY_PATH


@pytest.mark.parametrize("path", ENDING_BY_BODY)
def test_what_ends_things_by_its_body_refuses_to_be_given_no_name(path: str) -> None:
    vault = Vault.started(PLUGINS)
    vault.write("sys/auth/approle", {"type": "approle"})
    vault.write("auth/approle/role/web", {"token_policies": "none"})
    vault.write("secret/data/web", {"data": {"a": "b"}})
    for name in ("", " ", "/", " / ", "\t\n", None):
        assert vault.write(path, {ENDING_BY_BODY[path]: name}).error is not None, name
    assert vault.write(path, {}).error is not None
    assert vault.read("secret/data/web").error is None
