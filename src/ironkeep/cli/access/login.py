"""`ironkeep login`: get a token, check it, and store it in ~/.vault-token.

Secrets are typed without echo or read from standard input with `-`. A password on the command line
works as in Vault (`password=…`), but other users can see it in the process list.
"""

import argparse
import getpass
import importlib
from typing import Any, Final

from ironkeep.cli.client import tokenfile
from ironkeep.cli.client.client import Client, connect
from ironkeep.cli.client.connection import require_token
from ironkeep.cli.client.inputs import data_of, text_of_value
from ironkeep.cli.command import Command, Context
from ironkeep.cli.exits import LOCAL, OK
from ironkeep.cli.output import render
from ironkeep.cli.output.terminal import Terminal
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.secret import Secret

_PLACE: Final = f"~/{tokenfile.NAME}"
_METHODS: Final = ("token", "userpass", "passkey")


def _login(context: Context) -> int:
    args, terminal = context.args, context.terminal
    if args.method not in _METHODS:
        raise InvalidRequest(f"-method is one of {', '.join(_METHODS)}")
    client = connect(context)
    if not args.no_store:
        tokenfile.require_place(tokenfile.home())
    if not args.no_print:
        terminal.require_reader()
    if args.method == "token":
        document = _with_token(client, terminal, args.arguments)
    elif args.method == "passkey":
        document = _with_passkey(client, terminal, args)
    else:
        document = _with_password(client, terminal, args)
    return _finish(context, document)


def _with_token(client: Client, terminal: Terminal, words: list[str]) -> dict[str, Any]:
    """Return a login answer for an existing token."""
    given = words[0].removeprefix("token=") if words else None
    if len(words) > 1:
        raise InvalidRequest("login with a token takes one argument: the token, or -")
    token = terminal.key(given, "Token")
    require_token(token)
    reply = client.send("GET", "auth/token/lookup-self", token=token)
    if reply.document is None or reply.document.get("wrap_info"):
        return reply.document or {}
    data = reply.document["data"]
    auth = {
        "client_token": token.reveal().decode("ascii"),
        "accessor": data["accessor"],
        "policies": data["policies"],
        "token_policies": data["policies"],
        "identity_policies": data.get("identity_policies"),
        "metadata": data.get("meta"),
        "lease_duration": data["ttl"],
        "renewable": data.get("renewable", False),
    }
    return {**reply.document, "data": None, "auth": auth}


def _with_password(client: Client, terminal: Terminal, args: argparse.Namespace) -> dict[str, Any]:
    data = data_of(args.arguments, terminal)
    name = _username(data) or _own_name()
    if data.get("password") in (None, ""):
        data["password"] = text_of_value(terminal.secret(None, "Password").reveal())
    path = (args.path or args.method).strip("/")
    return client.write(f"auth/{path}/login/{name}", data) or {}


def _username(data: dict[str, Any]) -> str:
    """Remove and return the user's name from data; "" if it is absent.

    An empty name is refused: it usually comes from an unset variable, and another user would be
    logged in.
    """
    name = data.pop("username", None)
    if name is not None and not str(name).strip():
        raise InvalidRequest("username is empty: is a variable not set?")
    return str(name or "")


def _own_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # OSError from Python 3.13 on
        raise InvalidRequest("this user has no name on this machine: give username=NAME") from None


def _with_passkey(client: Client, terminal: Terminal, args: argparse.Namespace) -> dict[str, Any]:
    data = data_of(args.arguments, terminal)
    username = _username(data)
    if data:
        raise InvalidRequest("a login with a passkey takes username=NAME or no argument")
    path = (args.path or args.method).strip("/")
    # Loaded on demand: the library for security keys loads longer than other commands run.
    found: dict[str, Any] = importlib.import_module("ironkeep.cli.access.passkey").log_in(
        client, terminal, path, username
    )
    return found


def _finish(context: Context, document: dict[str, Any]) -> int:
    args, terminal = context.args, context.terminal
    auth = document.get("auth")
    if auth and not auth.get("client_token"):
        raise InvalidRequest("the login needs a second factor, which this command does not support")
    if not auth:
        return render.answer(terminal, document, "Logged in.")
    failed = None if args.no_store else _keep(auth["client_token"])
    if failed is not None:
        terminal.note(f"WARNING! The token could not be stored in {_PLACE}: {failed}")
    if args.no_print:
        return OK if failed is None else LOCAL
    if not (terminal.structured or terminal.field):
        kept = "It is not stored." if args.no_store or failed else f"It is stored in {_PLACE}."
        terminal.note(f"Success! You are now authenticated. The token is shown below. {kept}")
    code = render.answer(terminal, document, "")
    return code if failed is None else LOCAL


def _keep(token: str) -> str | None:
    """Store token; return the reason if that fails, since an exception would lose the token."""
    try:
        tokenfile.store(tokenfile.home(), Secret(token.encode()))
    except OSError as error:
        return error.strerror or type(error).__name__
    return None


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("arguments", metavar="TOKEN | key=value", nargs="*", default=[])
    add("--method", metavar="NAME", default="token", help="token (the default), passkey, userpass")
    add("--path", metavar="PATH", help="mount of the method; default: its name")
    add("--no-store", action="store_true", help="do not store the token")
    add("--no-print", action="store_true", help="do not print the token")


LOGIN: Final = Command(
    "Log in, and store the token in ~/.vault-token (mode 0600) for later commands.",
    _login,
    "[TOKEN | key=value...]",
    "  $ ironkeep login                                  (asks for a token)\n"
    "  $ ironkeep login - < token.txt\n"
    "  $ ironkeep login -method=userpass username=ada    (asks for the password)\n"
    "  $ ironkeep login -method=passkey                  (a touch, here or in the browser)",
    _arguments,
)
