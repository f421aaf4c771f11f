"""read, write, list, delete, patch, unwrap and path-help: direct access to any API path."""

import argparse
from typing import Any, Final

from ironkeep.cli.client.client import connect
from ironkeep.cli.client.connection import require_token
from ironkeep.cli.client.inputs import data_of
from ironkeep.cli.command import Command, Context
from ironkeep.cli.exits import OK
from ironkeep.cli.failures import NoValue
from ironkeep.cli.output import render
from ironkeep.core.errors import InvalidRequest


def _path_of(context: Context) -> str:
    """Return the path without outer slashes; blanks are kept, since names may contain them."""
    path: str = context.args.path
    return path.strip("/")


def _read(context: Context) -> int:
    terminal = context.terminal
    path = _path_of(context)
    document = connect(context).read(path, data_of(context.args.data, terminal))
    if document is None or _says_nothing(document):
        render.warn(terminal, document or {})
        raise NoValue(f"No value found at {path}")
    return render.answer(terminal, document, f"Data read from: {path}")


def _says_nothing(document: dict[str, Any]) -> bool:
    """Return whether an answer has no content besides warnings."""
    return "request_id" in document and not any(
        document.get(part) for part in ("data", "auth", "wrap_info", "lease_id")
    )


def _write(context: Context) -> int:
    terminal = context.terminal
    path = _path_of(context)
    data = data_of(context.args.data, terminal)
    if not data and not context.args.force:
        raise InvalidRequest("give data as key=value, @file or -; or -force to write without any")
    terminal.require_reader()
    document = connect(context).write(path, data)
    return render.answer(terminal, document, f"Data written to: {path}", once=True)


def _patch(context: Context) -> int:
    terminal = context.terminal
    path = _path_of(context)
    data = data_of(context.args.data, terminal)
    if not data:
        raise InvalidRequest("give data as key=value, @file or -")
    document = connect(context).patch(path, data)
    return render.answer(terminal, document, f"Data written to: {path}")


def _path_help(context: Context) -> int:
    terminal = context.terminal
    path = _path_of(context)
    document = connect(context).read(path, {"help": 1}) or {}
    if not isinstance(document.get("help"), str):
        raise NoValue(f"No help found at {path}")
    if terminal.structured or terminal.field:
        return render.answer(terminal, {"data": document}, "")
    terminal.say(document["help"].rstrip())
    return OK


def _list(context: Context) -> int:
    path = _path_of(context) + "/"
    return render.keys(context.terminal, connect(context).list(path), path)


def _delete(context: Context) -> int:
    path = _path_of(context)
    document = connect(context).delete(path, data_of(context.args.data, context.terminal))
    return render.answer(context.terminal, document, f"Data deleted (if it existed) at: {path}")


def _unwrap(context: Context) -> int:
    terminal = context.terminal
    terminal.require_reader()
    client = connect(context)
    token, data = None, {}
    if context.args.token:
        token = terminal.key(context.args.token, "Wrapping token")
        require_token(token)
        if client.connection.token is not None:
            # Only the requester can unwrap an approved answer: send the requester's token along.
            data, token = {"token": token.reveal().decode()}, None
    reply = client.send("PUT", "sys/wrapping/unwrap", data=data, token=token)
    if reply.document is None:
        terminal.note("Nothing was wrapped: the answer had no content.")
        return render.as_json(terminal, {}) if terminal.structured else OK
    return render.answer(terminal, reply.document, "", once=True)


def _path_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH")


def _data_arguments(parser: argparse.ArgumentParser) -> None:
    _path_argument(parser)
    parser.add_argument("data", metavar="key=value", nargs="*", default=[])


def _write_arguments(parser: argparse.ArgumentParser) -> None:
    _data_arguments(parser)
    parser.add_argument("--force", "--f", action="store_true", help="write without data")


def _unwrap_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("token", metavar="TOKEN", nargs="?", help="`-` reads it from stdin")


READ: Final = Command(
    "Read data and secrets.",
    _read,
    "PATH [key=value...]",
    "  $ ironkeep read auth/token/lookup-self\n"
    "  $ ironkeep read -field=password database/static-creds/app",
    _data_arguments,
)
WRITE: Final = Command(
    "Write data, configuration and secrets. A value @file is read from a file, - from stdin.",
    _write,
    "PATH key=value...",
    "  $ ironkeep write auth/userpass/users/ada password=- token_policies=dev < password.txt\n"
    "  $ ironkeep write -force sys/rotate",
    _write_arguments,
)
PATCH: Final = Command(
    "Change parts of data; keys that are not named stay unchanged.",
    _patch,
    "PATH key=value...",
    "  $ ironkeep patch secret/metadata/app @metadata.json",
    _data_arguments,
)
LIST: Final = Command(
    "List the keys directly below a path.",
    _list,
    "PATH",
    "  $ ironkeep list auth/userpass/users",
    _path_argument,
)
DELETE: Final = Command(
    "Delete secrets and configuration.",
    _delete,
    "PATH [key=value...]",
    "  $ ironkeep delete auth/userpass/users/ada",
    _data_arguments,
)
PATH_HELP: Final = Command(
    "Show the parameters of an API path, or the paths of a mount.",
    _path_help,
    "PATH",
    "  $ ironkeep path-help secret\n  $ ironkeep path-help auth/approle/role/web",
    _path_argument,
)
UNWRAP: Final = Command(
    "Unwrap a wrapped answer, once. Without TOKEN, the token in use is the wrapping token.",
    _unwrap,
    "[TOKEN]",
    "  $ ironkeep unwrap - < wrapping-token.txt",
    _unwrap_arguments,
)
