"""Whom somebody sets up reads on the budget of who did, by whatever method they log in."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from ironkeep.app import PLUGINS
from ironkeep.core.errors import OverBudget
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.peer import Peer
from ironkeep.testing.vault import Vault
from tests.support.devices.authority import Asked, Authority
from tests.support.people.passkeys import RP_ID
from tests.support.people.people import Person, person
from tests.support.people.softauth import ORIGIN, SoftAuthenticator

SECRETS: Final = 12
HOUR: Final = 3
MADE: Final = 3
PASSWORD: Final = "correct horse battery"
ALL: Final = """
path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }
"""
Login = tuple[str, Peer | None]


def estate() -> tuple[Vault, Person]:
    vault = Vault.started(PLUGINS)
    for kind in ("userpass", "approle", "jwt", "cert", "passkey"):
        assert vault.write(f"sys/auth/{kind}", {"type": kind}).error is None
    vault.write("sys/policies/acl/all", {"policy": ALL})
    for number in range(SECRETS):
        vault.write(f"secret/data/s{number}", {"data": {"a": "b"}})
    assert vault.write("sys/budgets/defaults/entity", {"hour": HOUR}).error is None
    vault.write("sys/budgets/defaults", {"soft": 100})
    vault.write("auth/passkey/config", {"rp_id": RP_ID, "origins": [ORIGIN]})
    return vault, person(vault, "eve", ["all"])


def done(vault: Vault, path: str, data: dict[str, Any], **rest: Any) -> Any:
    reply = vault.write(path, data, **rest)
    assert reply.error is None, (path, reply.body)
    return reply


def by_password(vault: Vault, by: str) -> Iterator[Login]:
    for number in range(MADE):
        user = {"password": PASSWORD, "token_policies": "all"}
        done(vault, f"auth/userpass/users/u{number}", user, token=by)
        path = f"auth/userpass/login/u{number}"
        yield done(vault, path, {"password": PASSWORD}, token=None).token, None


def by_role_id(vault: Vault, by: str) -> Iterator[Login]:
    for number in range(MADE):
        at = f"auth/approle/role/r{number}"
        role = {"token_policies": "all", "bind_secret_id": False, "bound_cidr_list": "127.0.0.0/8"}
        done(vault, at, {**role, "token_bound_cidrs": "127.0.0.0/8"}, token=by)
        found = vault.read(f"{at}/role-id", token=by).data
        yield done(vault, "auth/approle/login", found, token=None).token, None


def by_signature(vault: Vault, by: str) -> Iterator[Login]:
    key, now = ECKey.generate_key("P-256"), vault.clock.now_ns() // 10**9
    config = {"jwt_validation_pubkeys": [key.as_pem(private=False).decode()]}
    done(vault, "auth/jwt/config", config, token=by)
    role = {"bound_audiences": "a", "bound_claims": {"x": "y"}, "user_claim": "sub"}
    done(vault, "auth/jwt/role/r", {**role, "token_policies": "all"}, token=by)
    for number in range(MADE):
        said = {"aud": "a", "sub": f"u{number}", "x": "y", "iat": now, "exp": now + 600}
        text = jwt.encode({"alg": "ES256"}, {**said, "jti": f"j{number}"}, key)
        made = done(vault, "auth/jwt/login", {"role": "r", "jwt": text}, token=None)
        yield made.token, None


def by_certificate(vault: Vault, by: str) -> Iterator[Login]:
    now = datetime.fromtimestamp(vault.clock.now_ns() / 1e9, UTC)
    begins, ends = now - timedelta(hours=1), now + timedelta(hours=1)
    authority = Authority("own", begins, ends)
    role = {"certificate": authority.pem, "token_policies": "all", "allowed_common_names": "u*"}
    done(vault, "auth/cert/certs/r", role, token=by)
    for number in range(MADE):
        peer = Peer.of(authority.issue(Asked(f"u{number}", begins=begins, ends=ends)))
        made = done(vault, "auth/cert/login", {}, token=None, peer=peer)
        yield made.token, peer


def by_invitation(vault: Vault, by: str) -> Iterator[Login]:
    for number in range(MADE):
        at, keys = f"auth/passkey/users/u{number}", [SoftAuthenticator(), SoftAuthenticator()]
        done(vault, at, {"token_policies": ["all"]}, token=by)
        ticket = done(vault, f"{at}/ticket", {}, token=by).data["ticket"]
        for key in keys:
            begun = done(vault, "auth/passkey/register/begin", {"ticket": ticket}, token=None).data
            bound = {"credential": key.create(begun["options"]), "label": "key"}
            path = "auth/passkey/register/finish"
            made = done(vault, path, {"id": begun["id"], **bound}, token=None)
            ticket = made.data.get("ticket", "")
        begun = done(vault, "auth/passkey/login/begin", {"username": f"u{number}"}, token=None).data
        signed = {"id": begun["id"], "credential": keys[0].get(begun["options"])}
        made = done(vault, "auth/passkey/login/finish", signed, token=None)
        yield made.token, None


def by_alias(vault: Vault, by: str) -> Iterator[Login]:
    role = {"allowed_entity_aliases": "*", "allowed_policies": "all", "orphan": True}
    done(vault, "auth/token/roles/r", role, token=by)
    for number in range(MADE):
        wanted = {"entity_alias": f"u{number}", "policies": ["all"]}
        yield done(vault, "auth/token/create/r", wanted, token=by).token, None


WAYS: Final[dict[str, Callable[[Vault, str], Iterator[Login]]]] = {
    "userpass": by_password, "approle": by_role_id, "jwt": by_signature, "cert": by_certificate,
    "passkey": by_invitation, "token": by_alias,
}  # fmt: skip


def read_with(vault: Vault, logins: Iterator[Login]) -> list[int]:
    """Return how many secrets each login read that no earlier one had."""
    seen: set[int] = set()
    counts = []
    for token, peer in logins:
        before = len(seen)
        for number in set(range(SECRETS)) - seen:
            reply = vault.read(f"secret/data/s{number}", token=token, peer=peer)
            assert reply.error in {None, OverBudget}, reply.body
            if reply.error is None:
                seen.add(number)
        counts.append(len(seen) - before)
    return counts


def test_no_method_with_a_login_is_left_out() -> None:
    mounts = {kind: Mount(f"auth/{kind}/", kind, None, None) for kind in PLUGINS}  # type: ignore[arg-type]
    logins = {
        kind
        for kind, plugin in PLUGINS.items()
        if any(route.login for route in plugin.routes(mounts[kind]))
    }
    assert logins | {"token"} == {*WAYS}


@pytest.mark.parametrize("kind", WAYS)
def test_all_whom_one_person_sets_up_share_one_budget(kind: str) -> None:
    vault, eve = estate()
    assert read_with(vault, WAYS[kind](vault, eve.token)) == [HOUR] + [0] * (MADE - 1)
    assert vault.read(f"secret/data/s{SECRETS - 1}", token=eve.token).error is OverBudget


@pytest.mark.parametrize("kind", WAYS)
def test_set_up_by_a_token_that_names_nobody_each_has_their_own(kind: str) -> None:
    vault, _ = estate()
    assert read_with(vault, WAYS[kind](vault, vault.root)) == [HOUR] * MADE


def test_limits_that_another_hand_sets_make_a_subject_of_its_own() -> None:
    vault, eve = estate()
    logins = list(by_password(vault, eve.token))
    for token, _ in logins:
        entity = vault.read("auth/token/lookup-self", token=token).data["entity_id"]
        mine = vault.write(f"sys/budgets/entity/{entity}", {"hour": HOUR}, token=eve.token)
        assert mine.error is not None
        done(vault, f"sys/budgets/entity/{entity}", {"hour": HOUR})
    assert read_with(vault, iter(logins)) == [HOUR] * MADE


def test_a_secret_that_many_machines_of_one_role_read_is_charged_once_to_its_writer() -> None:
    vault, eve = estate()
    for token, peer in by_certificate(vault, eve.token):
        for number in range(HOUR):
            reply = vault.read(f"secret/data/s{number}", token=token, peer=peer)
            assert reply.error is None, reply.body


@pytest.mark.parametrize("way", ["limits", "manifest"])
@pytest.mark.parametrize("by", ["eve", "sock", "another"])
def test_who_lifts_a_limit_and_takes_the_login_over_later_is_charged(way: str, by: str) -> None:
    """Nobody sets the limits of whom they set up, nor sets up whose limits they have set."""
    vault, eve = estate()
    done(vault, "auth/userpass/users/deploy", {"password": PASSWORD, "token_policies": "all"})
    path = "auth/userpass/login/deploy"
    first = done(vault, path, {"password": PASSWORD}, token=None).token
    entity = vault.read("auth/token/lookup-self", token=first).data["entity_id"]
    setter = eve.token if by == "eve" else person(vault, "dan", ["all"]).token
    if by == "sock":
        sock = {"password": PASSWORD, "token_policies": "all"}
        done(vault, "auth/userpass/users/sock", sock, token=eve.token)
        login = done(vault, "auth/userpass/login/sock", {"password": PASSWORD}, token=None)
        setter = login.token
    paths = [f"secret/data/s{number}" for number in range(SECRETS)]
    sent = {"manifest": paths} if way == "manifest" else {"hour": 0}
    done(vault, f"sys/budgets/entity/{entity}", sent, token=setter)
    own = {"password": "another password"}
    done(vault, "auth/userpass/users/deploy/password", own, token=eve.token)
    taken = done(vault, path, own, token=None).token
    read = sum(vault.read(each, token=taken).error is None for each in paths)
    assert read == (SECRETS if by == "another" else HOUR)
