"""sys/init, seal-status, unseal, seal, health, leader: what a vault says before it has keys."""

import pytest

from ironkeep.core.errors import InvalidRequest, NotFound, PermissionDenied, Sealed
from ironkeep.engines.system.sealing import WIRE_VERSION
from ironkeep.testing.parts import tables
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Vault


@pytest.fixture
def empty() -> Vault:
    return Vault(PLUGINS)


def test_initialising_makes_shares_and_a_root_token_and_stays_sealed(empty: Vault) -> None:
    assert empty.read("sys/init", token=None).body == {"initialized": False}
    made = empty.write("sys/init", {"secret_shares": 5, "secret_threshold": 3}, token=None).body
    assert set(made) == {"keys", "keys_base64", "root_token"}
    assert len(set(made["keys"])) == len(made["keys_base64"]) == 5
    assert made["root_token"].startswith("hvs.")
    assert empty.read("sys/init", token=None).body == {"initialized": True}
    status = empty.read("sys/seal-status", token=None).body
    assert (status["sealed"], status["t"], status["n"]) == (True, 3, 5)
    assert empty.read("sys/mounts", token=made["root_token"]).error is Sealed


def test_it_is_initialised_once(empty: Vault) -> None:
    empty.initialise()
    again = empty.write("sys/init", {"secret_shares": 1, "secret_threshold": 1}, token=None)
    assert (again.error, again.errors) == (InvalidRequest, ["Vault is already initialized"])


@pytest.mark.parametrize(
    ("shares", "threshold"), [(0, 0), (1, 2), (256, 3), (5, 1), (3, 0), (-1, -1)]
)
def test_schemes_that_cannot_be(empty: Vault, shares: int, threshold: int) -> None:
    sent = {"secret_shares": shares, "secret_threshold": threshold}
    assert empty.write("sys/init", sent, token=None).error is InvalidRequest
    assert empty.read("sys/init", token=None).body == {"initialized": False}


def test_pgp_is_refused_rather_than_ignored(empty: Vault) -> None:
    sent = {"secret_shares": 1, "secret_threshold": 1, "pgp_keys": ["keybase:somebody"]}
    assert empty.write("sys/init", sent, token=None).error is InvalidRequest


def test_shares_open_it_one_by_one(empty: Vault) -> None:
    empty.initialise(shares=5, threshold=3)
    first, second, third = empty.keys[:3]
    assert empty.write("sys/unseal", {"key": first}, token=None).body["progress"] == 1
    again = empty.write("sys/unseal", {"key": first}, token=None).body
    assert again["progress"] == 1
    # The nonce ends the attempt, so only who gave a share learns it.
    assert empty.read("sys/seal-status", token=None).body["nonce"] == ""
    assert empty.write("sys/unseal", {"reset": True}, token=None).error is InvalidRequest
    reset = {"reset": True, "nonce": again["nonce"]}
    assert empty.write("sys/unseal", reset, token=None).body["progress"] == 0
    for progress, key in ((1, first), (2, second)):
        assert empty.write("sys/unseal", {"key": key}, token=None).body["progress"] == progress
    opened = empty.write("sys/unseal", {"key": third}, token=None).body
    assert (opened["sealed"], opened["cluster_name"]) == (False, "ironkeep")
    assert empty.read("sys/mounts").error is None


def test_wrong_shares_are_refused_and_the_right_ones_kept(empty: Vault) -> None:
    empty.initialise(shares=3, threshold=2)
    for wrong in ("", "zz", "00", "é", "0" * 66):
        empty.write("sys/unseal", {"key": wrong}, token=None)
        assert empty.defects == []
    flipped = empty.keys[0][:-2] + f"{int(empty.keys[0][-2:], 16) ^ 1:02x}"
    empty.write("sys/unseal", {"key": empty.keys[1]}, token=None)
    refused = empty.write("sys/unseal", {"key": flipped}, token=None)
    assert refused.error is not None
    status = empty.read("sys/seal-status", token=None).body
    assert (status["sealed"], status["progress"]) == (True, 1)
    empty.unseal()
    assert empty.read("sys/mounts").error is None


def test_health_tells_the_three_states_apart(empty: Vault) -> None:
    def health() -> tuple[bool, bool]:
        body = empty.read("sys/health", token=None).body
        assert body["version"] == WIRE_VERSION
        assert ("cluster_name" in body) is not body["sealed"]
        return body["initialized"], body["sealed"]

    assert health() == (False, True)
    empty.initialise()
    assert health() == (True, True)
    empty.unseal()
    assert health() == (True, False)
    empty.write("sys/seal")
    assert health() == (True, True)


def test_sealing_needs_sudo_and_takes_the_keys_away() -> None:
    vault = Vault.started(PLUGINS)
    policy = 'path "sys/seal" { capabilities = ["update"] }'
    vault.write("sys/policies/acl/almost", {"policy": policy})
    made = vault.write("auth/token/create", {"policies": ["almost"]})
    assert vault.write("sys/seal", token=made.token).error is PermissionDenied
    assert vault.write("sys/seal").error is None
    assert vault.house.barrier is None
    with pytest.raises(Sealed):
        vault.house.audit_reader()
    assert vault.read("secret/data/app").error is Sealed
    assert vault.write("sys/seal").error is Sealed


def test_leader_and_nodes(empty: Vault) -> None:
    for step in (empty.initialise, empty.unseal, lambda: None):
        # Vault's `status` asks who leads whatever the seal is, and fails when it is refused.
        asked = empty.read("sys/leader", token=None)
        assert (asked.error, asked.body["ha_enabled"], asked.body["is_self"]) == (
            None,
            False,
            False,
        )
        step()
    (node,) = tables(empty.read("sys/ha-status").data, "nodes")
    assert node["active_node"] is True
    stepped = empty.write("sys/step-down")
    assert (stepped.error, stepped.body) == (None, None), "204, as in Vault without standbys"
    assert empty.house.barrier is not None


def test_while_sealed_every_attempt_is_journalled(empty: Vault) -> None:
    empty.initialise()
    empty.read("secret/data/app", token="hvs.x")
    empty.unseal()
    found = [e for _, e in empty.house.audit_reader().entries() if e.path == "secret/data/app"]
    assert [entry.outcome for entry in found] == ["sealed"]


def test_what_was_sealed_comes_back_after_a_restart() -> None:
    vault = Vault.started(PLUGINS)
    vault.write("secret/data/app", {"data": {"a": "1"}})
    again = vault.restarted()
    assert again.read("secret/data/app").error is Sealed
    again.unseal()
    assert again.read("secret/data/app").data["data"] == {"a": "1"}
    assert again.read("secret/data/none").error is NotFound
