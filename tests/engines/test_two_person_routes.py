"""A secret that takes a second person shows nothing of itself on any route without one."""

from typing import Any, Final

import pytest

from ironkeep.core.operation import Operation
from ironkeep.engines.kv import Kv
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.route import Route
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Vault
from tests.support.people.approval_estate import approve, told, unwrap
from tests.support.people.people import Person, person

FIELD, INNER, VALUE = "name-of-a-field", "name-inside", "hunter2-of-nobody"
SECRET: Final = {FIELD: {INNER: VALUE}}
EVERY = 'path "*" { capabilities = ["create", "read", "update", "patch", "delete", "list"] }'
SENT: Final[tuple[dict[str, Any], ...]] = (
    {}, {"data": {"x": "1"}, "options": {"cas": 7}}, {"data": {"x": "1"}}, {"versions": [1]},
    {"version": 1, "depth": 1},
)  # fmt: skip


def routes(version: str) -> list[Route]:
    mount = Mount("m/", "kv", "u", "a", options={"version": version})  # type: ignore[arg-type]
    return list(Kv().routes(mount))


def estate(secret_class: str) -> tuple[Vault, Person, Person]:
    vault = Vault.started(PLUGINS)
    vault.write("sys/auth/userpass", {"type": "userpass"})
    vault.write("sys/policies/acl/every", {"policy": EVERY})
    for version in ("1", "2"):
        vault.write(f"sys/mounts/kv{version}", {"type": "kv", "options": {"version": version}})
        vault.write(f"sys/classes/kv{version}/prod", {"class": secret_class})
    vault.write("kv1/prod/db", SECRET)
    vault.write("kv2/data/prod/db", {"data": SECRET})
    return vault, person(vault, "bob", ["every"]), person(vault, "ann", ["every"])


@pytest.mark.parametrize("secret_class", ["guarded", "two-person", "custody"])
@pytest.mark.parametrize("wrap", [None, 60])
@pytest.mark.parametrize(
    ("version", "route"),
    [(version, route) for version in ("1", "2") for route in routes(version)],
    ids=lambda value: value if isinstance(value, str) else f"{value.op.value} {value.pattern}",
)
def test_no_route_shows_anything(
    version: str, route: Route, wrap: int | None, secret_class: str
) -> None:
    vault, bob, _ = estate(secret_class)
    path = f"kv{version}/" + route.pattern.replace("{path...}", "prod/db")
    for sent in SENT:
        reply = vault.request(route.op, path, sent, token=bob.token, wrap=wrap)
        seen = str(reply.body)
        if wrap and (reply.body or {}).get("wrap_info") and not reply.body.get("warnings"):
            token = reply.body["wrap_info"]["token"]
            seen += str(vault.write("sys/wrapping/unwrap", {"token": token}, token=bob.token).body)
        for word in (FIELD, INNER, VALUE):
            assert word not in seen, (path, sent)
    assert vault.defects == []


def test_the_shape_is_shown_when_another_person_approved_it() -> None:
    vault, bob, ann = estate("two-person")
    request = told(vault.request(Operation.READ, "kv2/subkeys/prod/db", token=bob.token))
    approve(vault, ann, request)
    assert unwrap(vault, bob, request).data["subkeys"] == {FIELD: {INNER: None}}
