"""`ironkeep operator`: initialise, unseal, seal, and change keys."""

import argparse
from typing import Any, Final

from ironkeep.cli.client.client import connect
from ironkeep.cli.command import Command, Context, Group
from ironkeep.cli.exits import OK, SERVER
from ironkeep.cli.operator import (
    clock as operator_clock,
    epoch as operator_epoch,
    rekey as operator_rekey,
    root as operator_root,
)
from ironkeep.cli.operator.attempt import show, unseal_arguments, unseal_data
from ironkeep.cli.output import render

KEEP: Final = (
    "Give each key share to a different person, and keep none on this machine. {threshold} of them "
    "unseal the vault; if fewer remain, all data is lost. Revoke the root token once other logins "
    "are set up."
)


def _init(context: Context) -> int:
    args, terminal = context.args, context.terminal
    client = connect(context)
    if args.status:
        made = (client.read("sys/init") or {}).get("initialized", False)
        terminal.say("Vault is initialized" if made else "Vault is not initialized")
        return OK if made else SERVER
    data = {"secret_shares": args.key_shares, "secret_threshold": args.key_threshold}
    document = client.write("sys/init", data) or {}
    if terminal.field:
        return render.field(terminal, document)
    if terminal.structured:
        return render.as_json(terminal, _as_vault(document, args))
    for number, share in enumerate(document["keys_base64"], start=1):
        terminal.say(f"Unseal Key {number}: {share}")
    terminal.say(f"\nInitial Root Token: {document['root_token']}\n")
    terminal.say(KEEP.format(threshold=args.key_threshold))
    return OK


def _as_vault(document: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """Return the answer under the names of Vault's CLI, which scripts read."""
    return {
        "unseal_keys_b64": document["keys_base64"],
        "unseal_keys_hex": document["keys"],
        "unseal_shares": args.key_shares,
        "unseal_threshold": args.key_threshold,
        "recovery_keys_b64": [],
        "recovery_keys_hex": [],
        "recovery_keys_shares": 0,
        "recovery_keys_threshold": 0,
        "root_token": document["root_token"],
    }


def _unseal(context: Context) -> int:
    client = connect(context)
    data = unseal_data(context, "Unseal Key (one share)")
    return show(context.terminal, client.write("sys/unseal", data) or {})


def _seal(context: Context) -> int:
    document = connect(context).write("sys/seal")
    return render.answer(context.terminal, document, "Vault is sealed.")


def _key_status(context: Context) -> int:
    document = connect(context).read("sys/key-status")
    return render.answer(context.terminal, document, "")


def _rotate(context: Context) -> int:
    client = connect(context)
    client.write("sys/rotate")
    document = client.read("sys/key-status")
    if not (context.terminal.structured or context.terminal.field):
        context.terminal.say("Success! Rotated key\n")
    return render.answer(context.terminal, document, "")


def _initial(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--key-shares", "--n", metavar="N", type=int, default=5, help="number of shares (5)")
    add("--key-threshold", "--t", metavar="N", type=int, default=3, help="shares to unseal (3)")
    add("--status", action="store_true", help="only check: exit code 0 initialised, 2 not")


OPERATOR: Final = Group(
    "Initialise, unseal, seal, change keys",
    {
        "init": Command(
            "Make the keys of a new vault and print them once.", _init, "",
            "  $ ironkeep operator init -key-shares=5 -key-threshold=3", _initial,
        ),
        "unseal": Command(
            "Give one share of the unseal key; it is typed without echo.", _unseal, "[KEY]",
            "  $ ironkeep operator unseal\n  $ ironkeep operator unseal - < share.txt",
            unseal_arguments,
        ),
        "seal": Command(
            "Seal the vault at once: it serves no data until it is unsealed.", _seal, "",
            "  $ ironkeep operator seal",
        ),
        "key-status": Command(
            "Show the current encryption key's term and install time.", _key_status, "",
            "  $ ironkeep operator key-status",
        ),
        "rotate": Command(
            "Add an encryption key to the keyring; new data is encrypted with it.", _rotate, "",
            "  $ ironkeep operator rotate",
        ),
        "rekey": operator_rekey.REKEY,
        "generate-root": operator_root.GENERATE_ROOT,
        "clock": operator_clock.CLOCK,
        "new-epoch": operator_epoch.NEW_EPOCH,
    },
)  # fmt: skip
