"""`ironkeep status`: show whether the server is sealed, also by the exit code, as in Vault."""

from typing import Any, Final

from ironkeep.cli.client.client import Client, connect
from ironkeep.cli.command import Command, Context
from ironkeep.cli.exits import LOCAL, OK, SERVER
from ironkeep.cli.failures import Refused, Unreachable
from ironkeep.cli.output import render

SEALED: Final = SERVER


def _status(context: Context) -> int:
    terminal = context.terminal
    try:
        status = _asked(connect(context))
    except (Refused, Unreachable) as error:
        # To a script, exit code 2 would mean "sealed".
        render.refused(terminal, error)
        return LOCAL
    if terminal.field:
        render.field(terminal, status)
    elif terminal.structured:
        render.as_json(terminal, status)
    else:
        render.pairs(terminal, _shown(status))
    return SEALED if status.get("sealed") or status.get("failure") else OK


def _asked(client: Client) -> dict[str, Any]:
    status = client.read("sys/seal-status") or {}
    if "sealed" not in status:
        where = f"{client.connection.address}{client.connection.base}"
        raise Unreachable(f"the service at {where} is not a Vault server: check VAULT_ADDR")
    return status


def _shown(status: dict[str, Any]) -> dict[str, Any]:
    rows = {
        "Seal Type": status.get("type"),
        "Initialized": status.get("initialized"),
        "Sealed": status.get("sealed"),
        "Total Shares": status.get("n"),
        "Threshold": status.get("t"),
    }
    if status.get("sealed") and status.get("progress"):
        rows["Unseal Progress"] = f"{status['progress']}/{status.get('t')}"
        rows["Unseal Nonce"] = status.get("nonce")
    rows |= {"Version": status.get("version"), "Storage Type": status.get("storage_type")}
    names = {
        "cluster_name": "Cluster Name",
        "cluster_id": "Cluster ID",
        "audit_epoch": "Audit Epoch",
        "failure": "Failure",
    }
    rows |= {label: status[key] for key, label in names.items() if key in status}
    if check := status.get("row_check"):
        last = f"last pass {check['last_pass']}" if check["last_pass"] else "first pass"
        # Between two passes nothing of the next one is checked yet, and all rows were.
        percent = check["checked_percent"] or (100 if check["passes"] else 0)
        rows["Row Check"] = f"{percent} %, {last}"
    problems = status.get("problems") or []
    return rows | ({"Problems": "; ".join(map(str, problems))} if problems else {})


STATUS: Final = Command(
    "Show whether the server is sealed. Exit code: 0 unsealed, 2 sealed or failed, 1 unknown.",
    _status,
    examples="  $ ironkeep status\n  $ ironkeep status -format=json",
)
