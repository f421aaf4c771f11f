"""A segment is sealed in the middle of something: nothing goes on, and nothing is lost."""

from typing import Any, Final

import pytest

from ironkeep.core.errors import PermissionDenied, Sealed
from ironkeep.core.operation import Operation
from ironkeep.plugin.effects.answer import Answer, Waiting
from ironkeep.testing.parts import text
from tests.support.incident.incident_estate import Estate

ONE: Final = {"secret_shares": 1, "secret_threshold": 1}
PASSWORD: Final = "correct horse battery"


@pytest.fixture
def estate() -> Estate:
    return Estate.fresh()


@pytest.fixture
def share(estate: Estate) -> str:
    """Make an open segment `prod` in the estate; return its one share."""
    made = text(estate.must("segment/segments/prod", ONE), "keys", 0)
    estate.must("segment/flows/house/prod", {})
    estate.must("segment/segments/prod/unseal", {"key": made})
    return made


def step(waiting: Answer | Waiting) -> tuple[Waiting, Any]:
    """Do the work that a request waits for; return what it waits with, and the result."""
    assert isinstance(waiting, Waiting)
    try:
        return waiting, waiting.work()
    except Exception as error:  # noqa: BLE001 - it is the handler's to judge
        return waiting, error


def begin(estate: Estate, path: str, data: dict[str, Any], token: str | None) -> Answer | Waiting:
    outcome = estate.vault.pipeline.handle(estate.vault.asked(Operation.UPDATE, path, data, token))
    estate.vault.flush()
    return outcome


@pytest.mark.usefixtures("share")
@pytest.mark.parametrize("deed", ["seal", "cut"])
def test_a_login_whose_password_is_being_checked_gets_no_token(estate: Estate, deed: str) -> None:
    """Gains: a login begun before the cut is answered with a token after it."""
    estate.must("sys/auth/prods", {"type": "userpass", "options": {"segment": "prod"}})
    estate.must("auth/prods/users/eve", {"password": PASSWORD})
    login = begin(estate, "auth/prods/login/eve", {"password": PASSWORD}, None)
    waiting, result = step(login)
    estate.must(f"segment/segments/prod/{deed}")
    answer = waiting.finish(result)
    assert isinstance(answer, Answer)
    assert answer.error in (Sealed, PermissionDenied)
    assert b"hvs." not in (answer.body or b"")
    assert estate.vault.defects == []


def database(estate: Estate) -> None:
    estate.must("sys/mounts/pdb", {"type": "database", "options": {"segment": "prod"}})
    config = {
        "plugin_name": "postgresql-database-plugin", "username": "admin",
        "password": "admin password", "allowed_roles": "*", "host": "db.example",
    }  # fmt: skip
    estate.must("pdb/config/orders", config)
    password = estate.system.accounts["app"].password.decode()
    role = {"db_name": "orders", "username": "app", "password": password}
    estate.must("pdb/static-roles/app", {**role, "skip_import_rotation": True})


def rotate_and_seal_after(estate: Estate, steps: int) -> Answer | Waiting:
    """Begin a rotation, seal the segment when so many pieces of work are done, and let it go on."""
    outcome = begin(estate, "pdb/rotate-role/app", {}, "root")
    for _ in range(steps):
        waiting, result = step(outcome)
        outcome = waiting.finish(result)
        estate.vault.flush()
    if isinstance(outcome, Waiting):
        waiting, result = step(outcome)
        estate.must("segment/segments/prod/seal")
        outcome = waiting.finish(result)
    else:
        estate.must("segment/segments/prod/seal")
    return outcome


@pytest.mark.parametrize("steps", range(6))
def test_a_rotation_under_way_is_finished_when_the_segment_is_open_again(
    estate: Estate, share: str, steps: int
) -> None:
    """The password may have changed at the system: it must not be lost with the keys."""
    database(estate)
    before = estate.system.accounts["app"].password
    outcome = rotate_and_seal_after(estate, steps)
    assert isinstance(outcome, Answer)
    for _ in range(3):
        estate.vault.tick()
    assert not estate.vault.house.failure
    estate.must("segment/segments/prod/unseal", {"key": share})
    for _ in range(60):
        estate.vault.tick(5)
        about = estate.get("pdb/static-roles/app")
        if not about["reason"] and about["state"] in {"idle", "committed"}:
            break
    told = estate.get("pdb/static-creds/app")
    assert text(told, "password").encode() == estate.system.accounts["app"].password != before
    assert estate.vault.defects == []
