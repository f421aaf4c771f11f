"""Initialise, seal, unseal, health, leader: what a vault answers before it has keys.

Source: the Vault HTTP API, sys/init, sys/seal, sys/seal-status, sys/unseal, sys/health, sys/leader.
Unlike Vault, all of them are journalled.
"""

from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any, Final

from ironkeep import __version__
from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.journal.epochs import split_origin
from ironkeep.kernel import opening
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call
from ironkeep.plugin.fields import CommaList
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route
from ironkeep.seal.seal import check_applicable

WIRE_VERSION: Final = "1.16.3"
"""The release of Vault whose API this is; clients gate features on it and need strict semver."""


@dataclass(frozen=True)
class Init:
    """How many shares, and how many open."""

    secret_shares: int = 5
    secret_threshold: int = 3
    pgp_keys: CommaList = ()
    root_token_pgp_key: str = ""
    recovery_shares: int = 0
    recovery_threshold: int = 0
    recovery_pgp_keys: CommaList = ()
    stored_shares: int = 0


@dataclass(frozen=True)
class Unseal:
    """One share, or a wish to start over."""

    key: Secret = Secret(b"")
    reset: bool = False
    nonce: str = field(default="", metadata={"help": "of the attempt that a reset is to end"})
    migrate: bool = False


def read_init(call: Call) -> Response:
    """Say whether the vault has keys."""
    return Response(body={"initialized": call.use(House).seal.initialized})


def init(call: Call, given: Init) -> Response:
    """Make the vault's keys; the answer is the only place where the shares ever are."""
    check_applicable(call.raw)
    made, root = opening.initialise(
        call.use(House), call.tx, given.secret_shares, given.secret_threshold, with_key_file=False
    )
    shares = [share.reveal() for share in made.keys]
    return Response(
        body={
            "keys": [Secret(share.hex().encode()) for share in shares],
            "keys_base64": [Secret(b64encode(share)) for share in shares],
            "root_token": root.token,
        },
        issued=root.record.accessor,
        audited={"shares": given.secret_shares, "threshold": given.secret_threshold},
    )


def status_of(house: House) -> dict[str, Any]:
    """Return the body of seal-status."""
    status = house.seal.status()
    return {
        "type": status.type,
        "initialized": status.initialized,
        "sealed": status.sealed,
        "t": status.t,
        "n": status.n,
        "progress": status.progress,
        "nonce": status.nonce,
        "version": WIRE_VERSION,
        "build_date": "2026-11-24T00:00:00Z",
        "migration": status.migration,
        **({} if status.sealed else {"cluster_name": house.settings.cluster_name}),
        **({} if status.sealed else {"cluster_id": cluster_id(house)}),
        "recovery_seal": status.recovery_seal,
        "storage_type": "sqlite",
        "audit_epoch": split_origin(house.journal.origin)[1],
        **_complaints(house),
    }


def _complaints(house: House) -> dict[str, Any]:
    """Return why the vault does not serve, and what an operator should see to; {} as a rule."""
    why = house.failure or house.trouble
    return {
        **({"failure": why} if why else {}),
        **({"problems": list(house.warnings)} if house.warnings else {}),
    }


def cluster_id(house: House) -> str:
    """Return the name under which the journal knows this cluster."""
    return house.journal.origin.partition("/audit/")[0]


def read_seal_status(call: Call) -> Response:
    """Say how far the seal is open; the nonce, by which an attempt is ended, is for its holders."""
    return Response(body={**status_of(call.use(House)), "nonce": ""})


def unseal(call: Call, given: Unseal) -> Response:
    """Take one share; with enough of them, check everything and serve."""
    house = call.use(House)
    was_sealed = house.seal.sealed
    key = given.key.reveal().decode("utf-8", "replace")
    house.seal.unseal(call.tx, key, reset=given.reset, nonce=given.nonce, migrate=given.migrate)
    if was_sealed and not house.seal.sealed:
        opening.open_house(house, call.tx)
    status = status_of(house)
    return Response(
        body=status, audited={"progress": status["progress"], "sealed": status["sealed"]}
    )


def seal(call: Call) -> Response:
    """Drop the keys at once."""
    call.use(House).seal_up()
    return Response()


def health(call: Call) -> Response:
    """Say whether the vault serves."""
    house = call.use(House)
    serving = house.barrier is not None
    return Response(
        body={
            "initialized": house.seal.initialized,
            "sealed": not serving,
            "standby": False,
            "performance_standby": False,
            "replication_performance_mode": "disabled",
            "replication_dr_mode": "disabled",
            "server_time_utc": call.now_ns // 1_000_000_000,
            "version": WIRE_VERSION,
            "ironkeep_version": __version__,
            "enterprise": False,
            "echo_duration_ms": 0,
            "clock_skew_ms": 0,
            "audit_epoch": split_origin(house.journal.origin)[1],
            **({"cluster_name": house.settings.cluster_name} if serving else {}),
            **({"cluster_id": cluster_id(house)} if serving else {}),
            **_complaints(house),
        }
    )


def leader(call: Call) -> Response:
    """Say who leads: without standbys nobody, sealed or not; clients ask before they unseal."""
    return Response(
        body={
            "ha_enabled": False,
            "is_self": False,
            "active_time": "0001-01-01T00:00:00Z",
            "leader_address": call.use(House).settings.api_addr,
            "leader_cluster_address": "",
            "performance_standby": False,
            "performance_standby_last_remote_wal": 0,
        }
    )


def ha_status(call: Call) -> Response:
    """Return the one node."""
    return Response(
        data={
            "nodes": [
                {
                    "hostname": call.use(House).settings.cluster_name,
                    "api_address": call.use(House).settings.api_addr,
                    "cluster_address": "",
                    "active_node": True,
                    "last_echo": None,
                    "version": WIRE_VERSION,
                }
            ]
        }
    )


def step_down(_call: Call) -> Response:
    """Do nothing, as Vault does where there is no standby to take over."""
    return Response()


ROUTES: Final = (
    Route(Operation.READ, "init", read_init, open=True, sealed_ok=True, help="Are there keys?"),
    Route(
        Operation.UPDATE, "init", init, Init, open=True, sealed_ok=True, releases=True,
        quorum=False, help="Make the keys of a new vault.",
    ),
    Route(
        Operation.READ, "seal-status", read_seal_status, open=True, sealed_ok=True,
        help="How far is the seal open?",
    ),
    Route(
        Operation.UPDATE, "unseal", unseal, Unseal, open=True, sealed_ok=True,
        help="Give one share of the key.",
    ),
    Route(Operation.UPDATE, "seal", seal, sudo=True, help="Drop the keys."),
    Route(Operation.READ, "health", health, open=True, sealed_ok=True, help="Does it serve?"),
    Route(Operation.READ, "leader", leader, open=True, sealed_ok=True, help="Who leads?"),
    Route(Operation.READ, "ha-status", ha_status, help="The nodes of this cluster.", flat=True),
    Route(Operation.UPDATE, "step-down", step_down, sudo=True, help="Hand over to a standby."),
)  # fmt: skip
