"""Fields of Vault's API that are not served are refused by name, in connections and in roles."""

from typing import Any

import pytest

from ironkeep.core.errors import InvalidRequest
from ironkeep.engines.database.options import CONFIG, STATIC_ROLE
from ironkeep.testing.vault import Vault
from tests.engines.database.test_database import PLUGINS


@pytest.fixture(scope="module")
def vault() -> Vault:
    made = Vault.started(PLUGINS)
    made.write("sys/mounts/database", {"type": "database"})
    return made


@pytest.mark.parametrize(
    ("path", "name"),
    [
        *(("config/main", name) for name in (*CONFIG, "nonsense", "tls-ca")),
        *(("static-roles/app", name) for name in (*STATIC_ROLE, "nonsense", "rotation_schedule")),
    ],
)
def test_a_field_that_is_not_served_is_refused_by_name(vault: Vault, path: str, name: str) -> None:
    for value in ("x", 7, ["x"], {"x": "y"}):
        reply = vault.write(f"database/{path}", {name: value})
        assert reply.error is InvalidRequest
        assert name in reply.errors[0]


@pytest.mark.parametrize(
    "asked",
    [
        {"max_idle_connections": 0},
        {"tls_ca": ""},
        {"disable_escaping": False},
        {"password_authentication": "scram-sha-256"},
        {"disable_automated_rotation": True},
    ],
)
def test_a_field_that_asks_for_nothing_more_is_taken(vault: Vault, asked: dict[str, Any]) -> None:
    reply = vault.write("database/config/main", asked)
    assert "plugin_name must be" in reply.errors[0]
