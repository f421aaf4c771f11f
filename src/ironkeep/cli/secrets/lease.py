"""`ironkeep lease`: look up, renew and revoke leases."""

import argparse
from typing import Final

from ironkeep.cli.client.client import connect
from ironkeep.cli.command import Command, Context, Group
from ironkeep.cli.output import render
from ironkeep.core.errors import InvalidRequest


def _lookup(context: Context) -> int:
    document = connect(context).write("sys/leases/lookup", {"lease_id": context.args.id})
    return render.answer(context.terminal, document, "")


def _renew(context: Context) -> int:
    data = {"lease_id": context.args.id}
    if context.args.increment:
        data["increment"] = context.args.increment
    document = connect(context).write("sys/leases/renew", data)
    return render.answer(context.terminal, document, "Lease renewed.")


def _revoke(context: Context) -> int:
    args, client = context.args, connect(context)
    if args.force and not args.prefix:
        raise InvalidRequest("-force takes a prefix: add -prefix")
    if not args.prefix:
        document = client.write("sys/leases/revoke", {"lease_id": args.id, "sync": True})
        done = f"Revoked lease (if it existed): {args.id}"
    else:
        kind = "revoke-force" if args.force else "revoke-prefix"
        document = client.write(f"sys/leases/{kind}/{args.id.strip('/')}")
        done = f"Revoked all leases below: {args.id}"
    return render.answer(context.terminal, document, done)


def _id(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="LEASE")


def _renewal(parser: argparse.ArgumentParser) -> None:
    _id(parser)
    parser.add_argument("--increment", metavar="TIME", help="requested extension")


def _revocation(parser: argparse.ArgumentParser) -> None:
    _id(parser)
    parser.add_argument("--prefix", action="store_true", help="revoke all leases below LEASE")
    parser.add_argument("--force", action="store_true", help="drop them even if revocation fails")


LEASE: Final = Group(
    "Leases",
    {
        "lookup": Command(
            "Show a lease and its remaining time.", _lookup, "LEASE",
            "  $ ironkeep lease lookup database/creds/app/2f6a…", _id,
        ),
        "renew": Command(
            "Extend a lease.", _renew, "LEASE",
            "  $ ironkeep lease renew -increment=1h database/creds/app/2f6a…", _renewal,
        ),
        "revoke": Command(
            "Revoke a lease, or all below a prefix.", _revoke, "LEASE",
            "  $ ironkeep lease revoke -prefix database/creds/app/", _revocation,
        ),
    },
)  # fmt: skip
