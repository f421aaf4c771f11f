"""What a contained role, session, device or window set up: none of it may let a client in."""

import pytest

from ironkeep.core.errors import Conflict, InvalidRequest, PermissionDenied
from ironkeep.core.operation import Operation
from ironkeep.testing.parts import tables, text
from tests.support.incident.incident_estate import PASSWORD, Estate

EVERY = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'
MAIL = "secret/data/app/mail"
ROLE = "role:auth/approle/machine"
USERS = "auth/userpass/users/"


@pytest.fixture
def estate() -> Estate:
    estate = Estate.fresh()
    estate.must("sys/policies/acl/every", {"policy": EVERY})
    estate.must("auth/userpass/users/engineer", {"token_policies": "every"})
    estate.login("colleague")
    estate.must("sys/auth/approle", {"type": "approle"})
    for name in ("machine", "other"):
        data = {
            "token_policies": "every", "secret_id_wrapping": "optional", "secret_id_num_uses": 0,
            "secret_id_ttl": "24h",
        }  # fmt: skip
        estate.must(f"auth/approle/role/{name}", data)
    return estate


def made(estate: Estate, token: str, name: str) -> None:
    """Make a user of a name with a token."""
    given = {"password": PASSWORD, "token_policies": "every"}
    reply = estate.request(Operation.UPDATE, USERS + name, given, token)
    assert reply.error is None


def enters(estate: Estate, name: str) -> str:
    """Return the token that a user's login yields, "" for a refused login."""
    estate.vault.clock.advance(seconds=1)
    path, given = f"auth/userpass/login/{name}", {"password": PASSWORD}
    reply = estate.vault.request(Operation.UPDATE, path, given, token=None)
    assert reply.error in {None, PermissionDenied}
    return "" if reply.error else reply.token


def secret_id(estate: Estate, role: str, token: str = "") -> str:
    path = f"auth/approle/role/{role}/secret-id"
    by = token or estate.vault.root
    return text(estate.request(Operation.UPDATE, path, {}, by).data, "secret_id")


def machine(estate: Estate, role: str, secret: str) -> str:
    """Return the token of a machine's login, "" for a refused login."""
    estate.vault.clock.advance(seconds=1)
    role_id = text(estate.get(f"auth/approle/role/{role}/role-id"), "role_id")
    given = {"role_id": role_id, "secret_id": secret}
    reply = estate.vault.request(Operation.UPDATE, "auth/approle/login", given, token=None)
    return "" if reply.error else reply.token


def lives(estate: Estate, token: str) -> bool:
    return estate.request(Operation.READ, MAIL, token=token).error is None


def session(estate: Estate, token: str) -> str:
    return "token:" + text(estate.get("auth/token/lookup-self", token), "accessor")


def contained(estate: Estate, principal: str, start: str = "10m") -> str:
    """Open a case on the engineer and a session, contain the principal, and return the case."""
    subject = principal if principal.startswith("token:") else "person:colleague"
    case = estate.open_case(subject, start=start)
    estate.on(case, "contain", principal=principal)
    return case


def restarted(estate: Estate) -> None:
    estate.vault.flush()
    later = estate.vault.restarted()
    later.unseal()
    vars(estate).update(vault=later)


def test_a_contained_role_leaves_no_way_in(estate: Estate) -> None:
    token = machine(estate, "machine", secret_id(estate, "machine"))
    made(estate, token, "ghost")
    planted, good = secret_id(estate, "other", token), secret_id(estate, "other")
    ghost = enters(estate, "ghost")
    made(estate, ghost, "second")
    orphan = estate.request(Operation.UPDATE, "auth/token/create-orphan", {}, ghost).token
    batch = estate.request(
        Operation.UPDATE, "auth/token/create-orphan", {"type": "batch", "ttl": "1h"}, ghost
    ).token
    other = machine(estate, "other", planted)
    second = enters(estate, "second")
    estate.login("colleague")
    assert all(lives(estate, each) for each in (ghost, orphan, batch, other, second))
    case = contained(estate, ROLE)
    restarted(estate)
    assert not any(lives(estate, each) for each in (ghost, orphan, batch, other, second))
    assert not enters(estate, "ghost")
    assert not enters(estate, "second")
    assert not machine(estate, "other", planted)
    assert lives(estate, machine(estate, "other", good))
    assert enters(estate, "engineer")
    # Set again by somebody else, a login works; so it does when the role is readmitted.
    made(estate, estate.vault.root, "ghost")
    assert lives(estate, enters(estate, "ghost"))
    estate.on(case, "readmit", principal=ROLE, reason="a new machine")
    assert lives(estate, enters(estate, "second"))
    assert not any(lives(estate, each) for each in (ghost, orphan, batch, other, second))


def test_a_contained_session_leaves_no_way_in_and_its_person_goes_on(estate: Estate) -> None:
    stolen, own = estate.login("engineer"), estate.login("engineer")
    made(estate, stolen, "ghost")
    made(estate, own, "fine")
    below = estate.request(Operation.UPDATE, "auth/token/create", {}, stolen).token
    made(estate, below, "below")
    again = {"token_policies": "every", "secret_id_wrapping": "optional"}
    path = "auth/approle/role/written"
    assert estate.request(Operation.UPDATE, path, again, stolen).error is None
    by_role = secret_id(estate, "written")
    principal = session(estate, stolen)
    case = contained(estate, principal)
    assert not enters(estate, "ghost")
    assert not enters(estate, "below")
    assert not machine(estate, "written", by_role)
    assert enters(estate, "fine")
    assert lives(estate, enters(estate, "engineer"))
    # A review of the role, which another session writes again, makes it valid.
    assert estate.request(Operation.UPDATE, path, again, own).error is None
    assert machine(estate, "written", by_role)
    # So it stays when the case is gone through again.
    estate.on(case, "contain", principal=principal)
    assert machine(estate, "written", secret_id(estate, "written"))
    assert not enters(estate, "ghost")


def test_only_acts_since_the_start_of_the_case_are_void(estate: Estate) -> None:
    stolen = estate.login("engineer")
    made(estate, stolen, "early")
    early = enters(estate, "early")
    estate.vault.clock.advance(seconds=600)
    made(estate, stolen, "late")
    case = contained(estate, session(estate, stolen), start="60s")
    assert not enters(estate, "late")
    assert lives(estate, early)
    assert enters(estate, "early")
    estate.on(case, "widen", start="2h", basis="seen in older logs")
    assert not enters(estate, "early")
    assert not lives(estate, early)
    restarted(estate)
    assert not enters(estate, "early")


def test_a_contained_window_leaves_no_way_in(estate: Estate) -> None:
    before = estate.login("engineer")
    made(estate, before, "before")
    estate.vault.clock.advance(seconds=600)
    inside = estate.login("engineer")
    made(estate, inside, "inside")
    ghost = enters(estate, "inside")
    estate.vault.clock.advance(seconds=600)
    contained(estate, "window:15m/9m", start="1h")
    assert not lives(estate, ghost)
    assert not enters(estate, "inside")
    assert enters(estate, "before")


def test_a_long_chain_of_logins_leads_back_to_the_stolen_session(estate: Estate) -> None:
    """The oldest of a hundred sessions has left the list of those behind the last one."""
    token = stolen = machine(estate, "machine", secret_id(estate, "machine"))
    for _ in range(100):
        token = machine(estate, "machine", secret_id(estate, "machine", token))
    made(estate, token, "ghost")
    ghost = enters(estate, "ghost")
    root = estate.login("engineer")
    made(estate, root, "fine")
    assert lives(estate, ghost)
    contained(estate, session(estate, stolen))
    assert not any(lives(estate, each) for each in (token, ghost))
    assert not enters(estate, "ghost")
    assert enters(estate, "fine")


def test_a_role_that_its_own_logins_write_stays_usable(estate: Estate) -> None:
    """Each run rewrites the role and takes the next secret id: neither list nor token overflows."""
    token = machine(estate, "machine", secret_id(estate, "machine"))
    for _ in range(80):
        given = {"token_policies": "every"}
        written = estate.request(Operation.UPDATE, "auth/approle/role/machine", given, token)
        assert written.error is None
        token = machine(estate, "machine", secret_id(estate, "machine", token))
    batch = estate.request(
        Operation.UPDATE, "auth/token/create-orphan", {"type": "batch", "ttl": "1h"}, token
    )
    assert lives(estate, batch.token)


def test_a_responder_whom_the_intruder_set_up_cannot_contain_the_intruder(estate: Estate) -> None:
    stolen = estate.login("engineer")
    made(estate, stolen, "helper")
    helper = enters(estate, "helper")
    accessor = session(estate, stolen)
    case = estate.open_case(accessor, start="10m")
    given = {"principal": accessor}
    path = f"incident/cases/{case}/contain"
    reply = estate.request(Operation.UPDATE, path, given, helper)
    assert reply.error in {Conflict, PermissionDenied, InvalidRequest}
    assert lives(estate, helper)
    estate.on(case, "contain", principal=accessor)
    assert not lives(estate, helper)


def test_the_verdict_asks_for_an_explanation_of_what_the_session_wrote(estate: Estate) -> None:
    token = machine(estate, "machine", secret_id(estate, "machine"))
    made(estate, token, "ghost")
    case = contained(estate, session(estate, token))
    assert not enters(estate, "ghost")
    words = [text(each, "words") for each in tables(estate.verdict(case), "open_items")]
    assert any(f"{USERS}ghost by somebody exposed, unexplained" in each for each in words)
