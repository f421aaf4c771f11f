"""Init, seal, unseal, health, leader: the requests that a vault also answers without keys.

Source: the Vault HTTP API, sys/init, sys/seal, sys/seal-status, sys/unseal, sys/health, sys/leader.
Unlike in Vault, all of them are journalled.
"""

from base64 import b64encode
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ironkeep import __version__
from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.core.text.goformat import rfc3339
from ironkeep.journal.epochs import split_origin
from ironkeep.kernel import opening
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects.pauses import Pauses, in_turns
from ironkeep.plugin.fields import CommaList
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route
from ironkeep.seal.seal import check_applicable
from ironkeep.store.standing.buckets import BUCKETS

WIRE_VERSION: Final = "1.16.3"
"""The Vault release whose API this is; clients select features by it and need strict semver."""

BUILD_DATE: Final = "2026-11-24T00:00:00Z"


@dataclass(frozen=True)
class Init:
    """The number of shares and the threshold."""

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
    """One share, or a reset of the attempt."""

    key: Secret = Secret(b"")
    reset: bool = False
    nonce: str = field(default="", metadata={"help": "the nonce of the attempt to reset"})
    migrate: bool = False


def read_init(call: Call) -> Response:
    """Return whether the vault is initialised."""
    return Response(body={"initialized": call.use(House).seal.initialized})


def init(call: Call, given: Init) -> Response:
    """Generate the vault's keys; the shares appear in this response and nowhere else."""
    check_applicable(call.raw)
    made, root = opening.initialise(
        call.use(House), call.tx, given.secret_shares, given.secret_threshold, with_key_file=False
    )
    return Response(
        body={**shape_of_shares(made.keys), "root_token": root.token},
        issued=root.record.accessor,
        audited={"shares": given.secret_shares, "threshold": given.secret_threshold},
    )


def shape_of_shares(keys: Iterable[Secret]) -> dict[str, list[Secret]]:
    """Return unseal keys as Vault's responses list them, in hex and in base64."""
    shares = [share.reveal() for share in keys]
    return {
        "keys": [Secret(share.hex().encode()) for share in shares],
        "keys_base64": [Secret(b64encode(share)) for share in shares],
    }


def status_of(house: House) -> dict[str, Any]:
    """Return the body of seal-status."""
    status = house.seal.status()
    if house.barrier is None and not status.sealed:
        # It is being opened, in turns.
        status = replace(status, sealed=True)
    return {
        "type": status.type,
        "initialized": status.initialized,
        "sealed": status.sealed,
        "t": status.t,
        "n": status.n,
        "progress": status.progress,
        "nonce": status.nonce,
        "version": WIRE_VERSION,
        "build_date": BUILD_DATE,
        "migration": status.migration,
        **({} if status.sealed else {"cluster_name": house.settings.cluster_name}),
        **({} if status.sealed else {"cluster_id": cluster_id(house)}),
        "recovery_seal": status.recovery_seal,
        "storage_type": "sqlite",
        "audit_epoch": split_origin(house.journal.origin)[1],
        **_row_check(house),
        **_complaints(house),
    }


def _row_check(house: House) -> dict[str, Any]:
    """Return how far the check of all stored rows is; nothing while sealed."""
    guard = house.ledger.guard
    if guard is None or house.barrier is None:
        return {}
    return {
        "row_check": {
            "checked_percent": 100 * guard.checked // BUCKETS,
            "passes": guard.passes,
            "last_pass": rfc3339(guard.ended_ns) if guard.ended_ns else "",
        }
    }


def _complaints(house: House) -> dict[str, Any]:
    """Return the reason why the vault does not serve and its problems; usually empty."""
    why = house.failure or house.trouble
    problems = [*house.warnings, *filter(None, [house.clock.problem])]
    return {
        **({"failure": why} if why else {}),
        **({"problems": problems} if problems else {}),
    }


def cluster_id(house: House) -> str:
    """Return the cluster's name in the origin of its journal."""
    return house.journal.origin.partition("/audit/")[0]


def read_seal_status(call: Call) -> Response:
    """Return the state of the seal without the nonce, which allows a reset of an attempt."""
    return Response(body={**status_of(call.use(House)), "nonce": ""})


def unseal(call: Call, given: Unseal) -> Response | Suspend:
    """Accept one share; with the last one needed, verify the stored state and start to serve."""
    house = call.use(House)
    was_sealed = house.seal.sealed
    key = given.key.reveal().decode("utf-8", "replace")
    house.seal.unseal(call.tx, key, reset=given.reset, nonce=given.nonce, migrate=given.migrate)
    if was_sealed and not house.seal.sealed:
        return in_turns(call, _opening(call), _unsealed)
    return _unsealed(call, None)


def _opening(call: Call) -> Pauses[None]:
    """Start to serve; the first time in a new epoch that takes several turns."""
    steps = opening.opening(call.use(House), call.tx)
    with suppress(StopIteration):
        next(steps)
        while True:
            call = yield
            steps.send(call.tx)


def _unsealed(call: Call, _done: None) -> Response:
    status = status_of(call.use(House))
    return Response(
        body=status, audited={"progress": status["progress"], "sealed": status["sealed"]}
    )


def seal(call: Call) -> Response:
    """Drop the keys from memory at once."""
    call.use(House).seal_up()
    return Response()


def health(call: Call) -> Response:
    """Return whether the vault serves requests."""
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
    """Return that high availability is off; clients ask this also before they unseal."""
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
    """Return this server as the only node."""
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
    Route(Operation.READ, "init", read_init, open=True, sealed_ok=True, help="Is it initialised?"),
    Route(
        Operation.UPDATE, "init", init, Init, open=True, sealed_ok=True, releases=True,
        quorum=False, help="Generate the keys of a new vault.",
    ),
    Route(
        Operation.READ, "seal-status", read_seal_status, open=True, sealed_ok=True,
        help="The state of the seal.",
    ),
    Route(
        Operation.UPDATE, "unseal", unseal, Unseal, open=True, sealed_ok=True,
        help="Submit one share of the key.",
    ),
    Route(Operation.UPDATE, "seal", seal, sudo=True, help="Drop the keys from memory."),
    Route(Operation.READ, "health", health, open=True, sealed_ok=True, help="Does it serve?"),
    Route(Operation.READ, "leader", leader, open=True, sealed_ok=True, help="The leader."),
    Route(Operation.READ, "ha-status", ha_status, help="The nodes of this cluster.", flat=True),
    Route(Operation.UPDATE, "step-down", step_down, sudo=True, help="Hand over to a standby."),
)  # fmt: skip
