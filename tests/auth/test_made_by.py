"""Everything that somebody writes and a login stands on says by whom it was written."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from joserfc.jwk import ECKey

from ironkeep.app import PLUGINS
from ironkeep.auth import approle, cert, jwt, token, userpass
from ironkeep.core.ids import EntityId
from ironkeep.core.operation import Operation
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.token import Made
from ironkeep.store.reserved import MOUNTS
from ironkeep.testing.parts import text
from ironkeep.testing.vault import Vault
from tests.support.devices.authority import Authority
from tests.support.people.passkeys import MOUNT, PasskeyVault
from tests.support.people.people import person
from tests.support.people.softauth import SoftAuthenticator

PUBLIC: Final = ECKey.generate_key("P-256").as_pem(private=False).decode()
ALL: Final = """
path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }
"""
JWT: Final = {"bound_audiences": "a", "user_claim": "sub", "token_policies": "all"}
WRITES: Final[dict[str, tuple[str, dict[str, Any], str, Any]]] = {
    "approle": ("role/x", {"token_policies": "all"}, "role/x", approle.role.ROLE),
    "cert": ("certs/x", {"token_policies": "all"}, "cert/x", cert.role.CERT),
    "jwt": ("role/x", JWT, "role/x", jwt.role.ROLE),
    "token": ("roles/x", {}, "roles/x", token.roles._ROLE),
    "userpass": ("users/x", {"password": "correct horse"}, "user/x", userpass.users.USER),
}
"""Of each auth method: what is written, where it is kept, and how it is read."""


def mount_of(vault: Vault, kind: str) -> Mount:
    house, tx = vault.house, vault.house.state.begin()
    return house.mounts.table(house.store(tx, MOUNTS)).by_path[f"auth/{kind}/"]


def written(vault: Vault, kind: str, path: str, codec: Any) -> Any:
    tx = vault.house.state.begin()
    raw = vault.house.mount_store(tx, mount_of(vault, kind)).get(path)
    assert raw is not None
    return codec.decode(raw)


def authority(vault: Vault) -> str:
    """Return a CA that is valid now."""
    now = datetime.fromtimestamp(vault.clock.now_ns() / 1e9, UTC)
    return Authority("workloads", now - timedelta(days=1), now + timedelta(days=1)).pem


def world(kind: str) -> tuple[Vault, list[tuple[str, EntityId]]]:
    """Return a vault with an auth method, and two people who may do anything."""
    vault = Vault.started(PLUGINS)
    for each in {kind, "userpass"} - {"token"}:
        vault.write(f"sys/auth/{each}", {"type": each})
    vault.write("sys/policies/acl/all", {"policy": ALL})
    people = [person(vault, name, ["all"]) for name in ("ann", "ben")]
    return vault, [(each.token, each.entity) for each in people]


def test_no_method_with_a_login_is_left_out() -> None:
    mounts = {kind: Mount(f"auth/{kind}/", kind, None, None) for kind in PLUGINS}  # type: ignore[arg-type]
    logins = {
        kind
        for kind, plugin in PLUGINS.items()
        if any(route.login for route in plugin.routes(mounts[kind]))
    }
    assert logins | {"token"} == {*WRITES, "passkey"}


@pytest.mark.parametrize("kind", WRITES)
def test_what_logins_stand_on_says_who_wrote_it(kind: str) -> None:
    """A role is of all who wrote it, the password of a user of who set it last."""
    vault, ((ann, first), (ben, second)) = world(kind)
    path, data, place, codec = WRITES[kind]
    if kind == "cert":
        data = data | {"certificate": authority(vault)}
    for own, by in ((ann, {first}), (ben, {first, second})):
        reply = vault.write(f"auth/{kind}/{path}", data, token=own)
        assert reply.error is None, reply.body
        made: Made = written(vault, kind, place, codec).params.made
        assert set(made.people) == ({second} if kind == "userpass" and own == ben else by)
        assert set(made.holders) == set(made.people)
        assert made.at_ns == vault.clock.now_ns()
        vault.clock.advance(seconds=1)
    shown = vault.read(f"auth/{kind}/{path}").data
    assert "made" not in shown


def test_whose_keys_are_believed_is_who_wrote_the_configuration() -> None:
    vault, ((ann, first), (ben, second)) = world("jwt")
    for own, by in ((ann, first), (ben, second)):
        config = {"jwt_validation_pubkeys": [PUBLIC]}
        assert vault.write("auth/jwt/config", config, token=own).error is None
        kept = written(vault, "jwt", "config", jwt.config._CONFIG)
        assert kept.made.people == (by,)
    assert "made" not in vault.read("auth/jwt/config").data


def test_an_edit_of_a_user_that_gives_no_way_in_makes_nobody_the_user() -> None:
    vault, ((ann, first), (ben, _)) = world("userpass")
    path, data, place, codec = WRITES["userpass"]
    vault.write(f"auth/userpass/{path}", data, token=ann)
    vault.write(f"auth/userpass/{path}", {"token_ttl": "1h"}, token=ben)
    vault.write(f"auth/userpass/{path}/policies", {"token_policies": "all"}, token=ben)
    assert written(vault, "userpass", place, codec).params.made.people == (first,)


def test_authenticators_lead_to_who_invited_their_person() -> None:
    """Through the second one too, which the first one's ticket or a touch let in."""
    v = PasskeyVault()
    v.vault.write("sys/policies/acl/all", {"policy": ALL})
    ann = v.person("ann", token_policies=["all"])
    token_ = v.token(ann)
    inviter = v.session(token_).record.entity
    assert v.session(token_).people == {inviter}
    v.write(f"{MOUNT}/users/pat", token=token_, token_policies=["all"])
    ticket = text(v.write(f"{MOUNT}/users/pat/ticket", token=token_).data, "ticket")
    keys = [SoftAuthenticator(), SoftAuthenticator(), SoftAuthenticator()]
    for key in keys[:2]:
        made = v.register(ticket, key).data
        ticket = text(made, "ticket") if "ticket" in made else ""
    begun = v.ask("add/begin", username="pat").data
    signed = keys[1].get(begun["options"])
    added = text(v.ask("add/finish", id=begun["id"], credential=signed).data, "ticket")
    assert v.register(added, keys[2]).error is None
    for key in keys:
        begun = v.ask("login/begin", username="pat").data
        reply = v.ask("login/finish", id=begun["id"], credential=key.get(begun["options"]))
        session = v.session(reply.token)
        assert session.people == {inviter, session.record.entity}
        assert session.payers == (session.record.entity,)
    gone = v.vault.request(Operation.DELETE, f"{MOUNT}/users/pat")
    assert gone.error is None
