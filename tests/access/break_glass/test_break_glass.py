"""The way in of last resort: k people, loud, short; what it released is exposed until replaced."""

import pytest

from ironkeep.access.break_glass.break_glass import CODES, MAX_SECONDS
from ironkeep.core.errors import InvalidRequest, PermissionDenied
from ironkeep.testing.parts import part, tables, text, texts
from ironkeep.testing.vault import Reply, Vault
from tests.support.people.approval_estate import SECRET, VALUE, alerts, entries, estate
from tests.support.people.people import person

POLICY = 'path "secret/data/*" { capabilities = ["read"] }'
WHY = "the identity provider is down"


def ready() -> tuple[Vault, dict[str, list[str]]]:
    """Return a vault whose glass two of three people break, and their codes."""
    vault = estate().vault
    vault.write("sys/policies/acl/rescue", {"policy": POLICY})
    sent = {"threshold": 2, "policies": ["rescue"], "ttl": "30m"}
    assert vault.write("sys/break-glass/config", sent).error is None
    return vault, {name: codes_of(vault, name) for name in ("ada", "bob", "cyd")}


def codes_of(vault: Vault, name: str) -> list[str]:
    """Name a person, who then fetches the codes."""
    who = person(vault, name, [])
    named = vault.write(f"sys/break-glass/people/{name}")
    assert named.data == {"name": name, "entity_id": who.entity}
    return texts(vault.write("sys/break-glass/codes", token=who.token).data, "codes")


def give(vault: Vault, name: str, code: str, attempt: str = "") -> Reply:
    sent = {"name": name, "code": code, "reason": WHY, "attempt": attempt}
    return vault.write("sys/break-glass/open", sent, token=None)


def opened(vault: Vault, codes: dict[str, list[str]]) -> str:
    """Break the glass; return the token."""
    begun = give(vault, "ada", codes["ada"][0])
    return give(vault, "bob", codes["bob"][0], text(begun.data, "attempt")).token


def test_two_people_open_it_without_any_login() -> None:
    vault, codes = ready()
    begun = give(vault, "ada", codes["ada"][0])
    assert (begun.data["given"], begun.data["needed"]) == (1, 2)
    done = give(vault, "bob", codes["bob"][0], text(begun.data, "attempt"))
    assert (done.auth["lease_duration"], done.auth["renewable"]) == (1_800, False)
    assert done.auth["token_policies"] == ["default", "rescue"]
    token = done.token
    assert vault.read(SECRET, token=token).data["data"] == {"password": VALUE}
    assert vault.defects == []


def test_opening_and_each_read_are_alerts() -> None:
    vault, codes = ready()
    before = len(alerts(vault))
    token = opened(vault, codes)
    for _ in range(3):
        vault.read(SECRET, token=token)
    told = alerts(vault)[before:]
    assert told[0] == f"break-glass was begun by ada: {WHY}"
    assert told[1].startswith("break-glass was opened by ada, bob until 2026-01-01T00:30:00Z")
    assert told[2:] == ["a secret was read by break-glass"] * 3
    entry = [each for each in entries(vault) if each.released][-1]
    assert entry.audited["break_glass"] == vault.list("sys/break-glass/cases/").keys[0]


def test_what_it_released_is_exposed_until_somebody_else_replaced_it() -> None:
    vault, codes = ready()
    token = opened(vault, codes)
    vault.read(SECRET, token=token)
    (case,) = vault.list("sys/break-glass/cases/").keys
    shown = vault.read(f"sys/break-glass/cases/{case}").data
    assert (shown["people"], shown["reason"], shown["exposed"]) == (["ada", "bob"], WHY, 1)
    (one,) = tables(shown, "released")
    assert (one["mount"], one["path"], one["version"]) == ("secret/", "prod/db", 1)
    vault.write("secret/metadata/prod/db", {"max_versions": 3})
    assert vault.read(f"sys/break-glass/cases/{case}").data["exposed"] == 1
    vault.write(SECRET, {"data": {"password": "fresh"}})
    after = vault.read(f"sys/break-glass/cases/{case}").data
    assert (after["exposed"], part(after, "released", 0, "replaced")) == (0, True)


def test_a_value_that_it_wrote_itself_replaces_nothing() -> None:
    vault, codes = ready()
    policy = 'path "secret/data/*" { capabilities = ["read", "update"] }'
    vault.write("sys/policies/acl/rescue", {"policy": policy})
    token = opened(vault, codes)
    vault.read(SECRET, token=token)
    assert vault.write(SECRET, {"data": {"password": "mine"}}, token=token).error is None
    (case,) = vault.list("sys/break-glass/cases/").keys
    assert vault.read(f"sys/break-glass/cases/{case}").data["exposed"] == 1


def test_its_time_ends() -> None:
    vault, codes = ready()
    token = opened(vault, codes)
    vault.clock.advance(seconds=1_799)
    assert vault.read(SECRET, token=token).error is None
    assert vault.write("auth/token/renew-self", {"increment": "1h"}, token=token).error is not None
    vault.clock.advance(seconds=1)
    assert vault.read(SECRET, token=token).error is PermissionDenied


def test_one_person_is_not_two() -> None:
    vault, codes = ready()
    begun = give(vault, "ada", codes["ada"][0])
    again = give(vault, "ada", codes["ada"][1], text(begun.data, "attempt"))
    assert again.error is PermissionDenied
    assert give(vault, "bob", codes["bob"][0], text(begun.data, "attempt")).error is None


def test_a_code_is_good_once_and_for_its_person() -> None:
    vault, codes = ready()
    begun = give(vault, "ada", codes["ada"][0])
    attempt = text(begun.data, "attempt")
    for name, code in (
        ("bob", codes["ada"][0]), ("bob", codes["cyd"][0]), ("bob", ""), ("nobody", "x" * 24),
        ("bob", "x" * 24), ("bob", codes["bob"][0][:-1]), ("b\0b", "\ud800"), ("x" * 999, "x"),
    ):  # fmt: skip
        assert give(vault, name, code, attempt).error is PermissionDenied
    assert "a wrong break-glass code was given" in alerts(vault)
    assert give(vault, "bob", codes["bob"][0], attempt).error is None
    assert give(vault, "ada", codes["ada"][0]).error is PermissionDenied
    assert part(vault.read("sys/break-glass/config").data, "people", "ada") == CODES - 1
    assert vault.defects == []


def test_an_attempt_lapses() -> None:
    vault, codes = ready()
    begun = give(vault, "ada", codes["ada"][0])
    vault.clock.advance(seconds=900)
    late = give(vault, "bob", codes["bob"][0], text(begun.data, "attempt"))
    assert late.error is InvalidRequest
    vault.tick(1)
    assert part(vault.read("sys/break-glass/config").data, "people", "bob") == CODES


def test_codes_are_kept_nowhere_in_clear() -> None:
    vault, codes = ready()
    kept = b"".join(row.value for _, row in vault.storage.scan(b""))
    journal = repr(entries(vault)).encode()
    for code in (code.encode() for each in codes.values() for code in each):
        assert code not in kept
        assert code not in journal


def test_its_token_makes_no_other_that_would_outlive_it() -> None:
    vault, codes = ready()
    every = 'path "*" { capabilities = ["create", "read", "update", "sudo"] }'
    vault.write("sys/policies/acl/rescue", {"policy": every})
    token = opened(vault, codes)
    for path in ("auth/token/create", "auth/token/create-orphan"):
        made = vault.write(path, {"policies": ["rescue"]}, token=token)
        assert made.error is InvalidRequest, path


def test_new_codes_void_the_old_ones() -> None:
    vault, codes = ready()
    vault.write("sys/break-glass/people/ada")
    assert give(vault, "ada", codes["ada"][0]).error is PermissionDenied
    vault.delete("sys/break-glass/people/bob")
    assert give(vault, "bob", codes["bob"][0]).error is PermissionDenied


@pytest.mark.parametrize(
    "sent",
    [
        {"threshold": 1}, {"threshold": 0}, {"threshold": 33}, {"policies": ["root"]},
        {"ttl": MAX_SECONDS + 1}, {"ttl": 0},
    ],
    ids=str,
)  # fmt: skip
def test_it_cannot_be_set_up_as_a_way_round(sent: dict[str, object]) -> None:
    vault, _ = ready()
    assert vault.write("sys/break-glass/config", sent).error is InvalidRequest


def test_it_is_shut_until_it_is_set_up() -> None:
    vault = estate().vault
    assert give(vault, "ada", "x" * 24).error is InvalidRequest


def test_custody_stays_shut() -> None:
    vault, codes = ready()
    vault.write("sys/classes/secret/data/prod/db", {"class": "custody"})
    assert vault.read(SECRET, token=opened(vault, codes)).error is PermissionDenied


def test_a_token_that_says_so_of_itself_breaks_no_glass() -> None:
    vault, _ = ready()
    made = vault.write(
        "auth/token/create",
        {"policies": ["rescue"], "meta": {"break_glass": "x"}, "display_name": "break-glass-x"},
    )
    assert vault.read(SECRET, token=made.token).error is PermissionDenied
