"""History tells what a login by a machine's role gave at any time."""

from typing import Any

import pytest

from ironkeep.app import PLUGINS
from ironkeep.core.units import SECOND_NS
from ironkeep.identity.token_params import LOGIN, LOGINS, login_name
from ironkeep.store.reserved import MOUNTS
from ironkeep.testing.vault import Vault
from tests.support.devices.authority import Authority


@pytest.mark.parametrize(
    ("kind", "path", "role"),
    [
        ("approle", "auth/approle/role/web", {}),
        ("jwt", "auth/jwt/role/web", {"bound_audiences": "us", "user_claim": "sub"}),
        ("cert", "auth/cert/certs/web", {"certificate": Authority("ours").pem}),
    ],
)
def test_what_a_role_gave_then(kind: str, path: str, role: dict[str, Any]) -> None:
    vault = Vault.started(PLUGINS)
    vault.write(f"sys/auth/{kind}", {"type": kind})
    start = vault.clock.now_ns()
    vault.write(path, {**role, "token_policies": "dev"})
    vault.clock.advance(seconds=1)
    vault.write(path, {"token_policies": "ops"})
    vault.clock.advance(seconds=1)
    vault.delete(path)
    vault.delete(path)
    house = vault.house
    tx = house.state.begin()
    mount = house.mounts.table(house.store(tx, MOUNTS)).find(path)
    assert mount is not None
    found = house.history.intervals(tx, LOGIN, login_name(mount, "web"))
    assert [LOGINS.decode(each.value).token_policies for each in found] == [("dev",), ("ops",)]
    assert [each.start_ns for each in found] == [start, start + SECOND_NS]
    assert found[-1].end_ns == start + 2 * SECOND_NS
