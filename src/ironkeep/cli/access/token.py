"""`ironkeep token`: create, look up, renew and revoke tokens."""

import argparse
from typing import Any, Final

from ironkeep.cli.client.client import connect
from ironkeep.cli.client.inputs import pairs_of
from ironkeep.cli.command import Command, Context, Group
from ironkeep.cli.exits import OK
from ironkeep.cli.output import render
from ironkeep.core.errors import InvalidRequest

_OWN: Final = "auth/token"


def _create(context: Context) -> int:
    args = context.args
    data: dict[str, Any] = {
        "policies": args.policy,
        "ttl": args.ttl,
        "explicit_max_ttl": args.explicit_max_ttl,
        "period": args.period,
        "num_uses": args.use_limit,
        "display_name": args.display_name,
        "type": args.type,
        "entity_alias": args.entity_alias,
        "meta": pairs_of(args.metadata, "-metadata") or None,
        "no_parent": True if args.orphan else None,
        "no_default_policy": True if args.no_default_policy else None,
        "renewable": args.renewable,
    }
    if args.id:
        data["id"] = context.terminal.key(args.id, "Token").reveal().decode()
    path = f"{_OWN}/create/{args.role}" if args.role else f"{_OWN}/create"
    given = {name: value for name, value in data.items() if value is not None}
    context.terminal.require_reader()
    document = connect(context).write(path, given)
    return render.answer(context.terminal, document, "Token created.", once=True)


def _lookup(context: Context) -> int:
    client, terminal = connect(context), context.terminal
    target = _target(context)
    if target is None:
        document = client.read(f"{_OWN}/lookup-self")
    else:
        kind, data = target
        document = client.write(f"{_OWN}/lookup{kind}", data)
    return render.answer(terminal, document, "")


def _renew(context: Context) -> int:
    increment = {"increment": context.args.increment} if context.args.increment else {}
    kind, data = _target(context) or ("-self", {})
    document = connect(context).write(f"{_OWN}/renew{kind}", {**data, **increment})
    return render.answer(context.terminal, document, "Token renewed.")


def _revoke(context: Context) -> int:
    args = context.args
    target = _target(context)
    if args.self == (target is not None):
        raise InvalidRequest("say which token: TOKEN (or -), -accessor ACCESSOR, or -self")
    kind, data = target or ("-self", {})
    if args.mode == "orphan":
        if kind:
            raise InvalidRequest("-mode=orphan takes the token itself")
        kind = "-orphan"
    document = connect(context).write(f"{_OWN}/revoke{kind}", data)
    return render.answer(context.terminal, document, "Revoked token (if it existed)")


def _target(context: Context) -> tuple[str, dict[str, str]] | None:
    """Return the suffix of the API path and its data; None if no token was named."""
    given = context.args.token
    if context.args.accessor:
        if not given:
            raise InvalidRequest("-accessor takes the accessor as an argument")
        return "-accessor", {"accessor": given}
    if not given:
        return None
    return "", {"token": context.terminal.key(given, "Token").reveal().decode()}


def _capabilities(context: Context) -> int:
    terminal, words = context.terminal, context.args.words
    *tokens, path = words
    if len(tokens) > 1:
        raise InvalidRequest("give [TOKEN] PATH")
    client = connect(context)
    if tokens:
        token = terminal.key(tokens[0], "Token").reveal().decode()
        document = client.write("sys/capabilities", {"token": token, "path": path})
    else:
        document = client.write("sys/capabilities-self", {"path": path})
    found = sorted(((document or {}).get("data") or {}).get("capabilities") or [])
    if terminal.structured:
        return render.as_json(terminal, found)
    terminal.say(", ".join(found))
    return OK


def _creation(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--policy", metavar="NAME", action="append", help="may be given repeatedly")
    add("--ttl", metavar="TIME", help="time to live before it must be renewed")
    add("--explicit-max-ttl", metavar="TIME", help="hard limit on its lifetime")
    add("--period", metavar="TIME", help="TTL of each renewal, without a maximum lifetime")
    add("--use-limit", metavar="N", type=int, help="number of uses")
    add("--display-name", metavar="NAME", help="a name for the journal")
    add("--type", metavar="service|batch", help="the kind of token")
    add("--role", metavar="NAME", help="the token role to create it with")
    add("--entity-alias", metavar="NAME", help="an alias that the role allows")
    add("--metadata", metavar="KEY=VALUE", action="append", help="may be given repeatedly")
    add("--orphan", action="store_true", help="without a parent: it outlives your token")
    add("--no-default-policy", action="store_true", help="without the policy `default`")
    add("--renewable", metavar="true|false", help="whether it can be renewed")
    add("--id", metavar="TOKEN", help="the token's value, `-` for stdin; needs sudo")


def _which(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "token", metavar="TOKEN|ACCESSOR", nargs="?", help="`-` reads it from stdin"
    )
    parser.add_argument("--accessor", action="store_true", help="the argument is an accessor")


def _renewal(parser: argparse.ArgumentParser) -> None:
    _which(parser)
    parser.add_argument("--increment", metavar="TIME", help="requested extension")


def _revocation(parser: argparse.ArgumentParser) -> None:
    _which(parser)
    parser.add_argument("--self", action="store_true", help="revoke the token in use")
    parser.add_argument("--mode", choices=("orphan",), metavar="orphan", help="keep its children")


def _question(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", metavar="[TOKEN] PATH", nargs="+")


TOKEN: Final = Group(
    "Tokens",
    {
        "create": Command(
            "Create a token: a child of the one in use.", _create, "",
            "  $ ironkeep token create -policy=dev -ttl=1h", _creation,
        ),
        "lookup": Command(
            "Show a token's properties; by default the one in use.", _lookup,
            "[TOKEN | ACCESSOR]",
            "  $ ironkeep token lookup - < token.txt\n  $ ironkeep token lookup -accessor 0Uwy…",
            _which,
        ),
        "renew": Command(
            "Extend a token; by default the one in use.", _renew, "[TOKEN | ACCESSOR]",
            "  $ ironkeep token renew -increment=1h", _renewal,
        ),
        "revoke": Command(
            "Revoke a token, its descendants and all their leases.", _revoke,
            "[TOKEN | ACCESSOR]",
            "  $ ironkeep token revoke - < token.txt\n  $ ironkeep token revoke -self", _revocation,
        ),
        "capabilities": Command(
            "Show a token's capabilities on a path; by default the one in use.", _capabilities,
            "[TOKEN] PATH", "  $ ironkeep token capabilities secret/data/app", _question,
        ),
    },
)  # fmt: skip
