"""Tokens that stand on another token: every way to make one that policy may allow."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

Send = Callable[..., Any]
"""Takes method, path, data and token, sends them, and returns the answer, None if refused."""


def made_of(send: Send, token: str, policies: Sequence[str], name: str) -> Iterator[str]:
    """Yield tokens that a token makes; `name` is for the roles and the alias that it needs."""
    wanted = {"policies": list(policies), "ttl": "1h"}
    role = {
        "allowed_policies": list(policies), "orphan": True, "renewable": False,
        "allowed_entity_aliases": "*", "token_bound_cidrs": [],
    }  # fmt: skip
    send("POST", f"auth/token/roles/{name}", role, token)
    ways = [
        ("auth/token/create", wanted),
        ("auth/token/create", {**wanted, "no_parent": True}),
        ("auth/token/create", {**wanted, "type": "batch"}),
        ("auth/token/create", {**wanted, "num_uses": 50}),
        ("auth/token/create-orphan", wanted),
        (f"auth/token/create/{name}", wanted),
        (f"auth/token/create/{name}", {**wanted, "entity_alias": name}),
    ]
    for path, data in ways:
        answer = send("POST", path, data, token)
        if answer and answer["auth"]:
            yield answer["auth"]["client_token"]
    yield from machine_of(send, token, policies, name)


def machine_of(send: Send, token: str, policies: Sequence[str], name: str) -> Iterator[str]:
    """Yield the token of a machine whose role and secret id another token made."""
    where = f"auth/approle/role/{name}"
    machine = {"token_policies": list(policies), "bind_secret_id": True, "secret_id_num_uses": 0}
    send(
        "POST", where, {**machine, "secret_id_wrapping": "optional", "token_bound_cidrs": []}, token
    )
    found = send("GET", f"{where}/role-id", None, token)
    secret = send("POST", f"{where}/secret-id", {}, token)
    if not (found and secret):
        return
    if secret.get("wrap_info"):
        opened = {"token": secret["wrap_info"]["token"]}
        secret = send("POST", "sys/wrapping/unwrap", opened, "")
    if secret and secret.get("data"):
        given = {"role_id": found["data"]["role_id"], "secret_id": secret["data"]["secret_id"]}
        answer = send("POST", "auth/approle/login", given, "")
        if answer:
            yield answer["auth"]["client_token"]


def grown(send: Send, token: str, policies: Sequence[str], name: str) -> list[str]:
    """Return a token, what it makes, and a child of each of these that can have one."""
    first = list(made_of(send, token, policies, name))
    wanted = {"policies": list(policies), "ttl": "1h"}
    asked = [send("POST", "auth/token/create", wanted, each) for each in first]
    return [token, *first, *(each["auth"]["client_token"] for each in asked if each)]
