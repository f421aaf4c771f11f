"""`ironkeep kv`: key-value secrets in mounts of version 1 and 2."""

import argparse
import re
from collections.abc import Mapping
from typing import Any, Final

from ironkeep.cli.client.client import Client, connect
from ironkeep.cli.client.inputs import data_of
from ironkeep.cli.command import Command, Context, Group
from ironkeep.cli.exits import OK
from ironkeep.cli.failures import NoValue, Refused
from ironkeep.cli.output import render
from ironkeep.cli.output.terminal import Terminal
from ironkeep.cli.secrets import kv_metadata
from ironkeep.cli.secrets.kv_mount import Key, key_arguments, open_key
from ironkeep.core.errors import InvalidRequest

_VERSION: Final = re.compile(r"0*[1-9][0-9]{0,17}", re.ASCII)
"""A version number, counted from 1."""
_NO_PATCH: Final = frozenset({403, 405})
"""The server or a policy refuses PATCH: read and write instead."""


def _get(context: Context) -> int:
    terminal = context.terminal
    terminal.require_reader()
    client, key = open_key(context)
    query = _version_query(key, context.args.version)
    path = key.at("data")
    document = client.read(path, query)
    if document is None:
        raise NoValue(f"No value found at {path}")
    render.warn(terminal, document)
    data = document.get("data") or {}
    if document.get("wrap_info") or not key.is_v2 or not {"data", "metadata"} & data.keys():
        if not terminal.structured and not data and not document.get("wrap_info"):
            raise NoValue(f"No value found at {path}")
        return render.answer(terminal, {**document, "warnings": None}, "")
    if terminal.field:
        return render.field(terminal, data.get("data") or {})
    if terminal.structured:
        return render.as_json(terminal, document)
    return _show(terminal, path, data)


def _show(terminal: Terminal, path: str, data: Mapping[str, Any]) -> int:
    terminal.say(f"====== Secret Path ======\n{path}\n\n======= Metadata =======")
    render.pairs(terminal, data.get("metadata") or {})
    if data.get("data") is not None:
        terminal.say("\n========= Data =========")
        render.pairs(terminal, data["data"])
    return OK


def _version_query(key: Key, version: int | None) -> dict[str, int]:
    if version is None:
        return {}
    if not key.is_v2:
        raise InvalidRequest(f"{key.mount} is a KV mount of version 1: it keeps no versions")
    return {"version": version}


def _put(context: Context) -> int:
    data = data_of(context.args.data, context.terminal)
    if not data:
        raise InvalidRequest("give data as key=value, @file or - (standard input)")
    client, key = open_key(context)
    return _written(context, key, _write(client, key, data, context.args.cas))


def _write(
    client: Client, key: Key, data: Mapping[str, Any], cas: int | None
) -> dict[str, Any] | None:
    if not key.is_v2:
        if cas is not None:
            raise InvalidRequest(
                f"{key.mount} is a KV mount of version 1: it does not support -cas"
            )
        return client.write(key.at("data"), data)
    return client.write(key.at("data"), _body(data, cas))


def _body(data: Mapping[str, Any], cas: int | None) -> dict[str, Any]:
    return {"data": data, **({"options": {"cas": cas}} if cas is not None else {})}


def _written(context: Context, key: Key, document: dict[str, Any] | None) -> int:
    return render.answer(context.terminal, document, f"Data written to: {key.at('data')}")


def _patch(context: Context) -> int:
    args = context.args
    data = data_of(args.data, context.terminal)
    if not data:
        raise InvalidRequest("give data as key=value, @file or - (standard input)")
    client, key = open_key(context)
    _require_v2(key, "patch")
    if args.method == "rw":
        return _written(context, key, _read_and_write(client, key, data))
    try:
        return _written(context, key, client.patch(key.at("data"), _body(data, args.cas)))
    except Refused as error:
        if error.status not in _NO_PATCH or args.method == "patch" or args.cas is not None:
            raise
    return _written(context, key, _read_and_write(client, key, data))


def _read_and_write(client: Client, key: Key, data: Mapping[str, Any]) -> dict[str, Any] | None:
    """Merge in the client; check-and-set fails if another client wrote in between."""
    document = client.read(key.at("data")) or {}
    found = document.get("data") or {}
    if found.get("data") is None:
        raise NoValue(f"No value found at {key.at('data')}")
    return _write(client, key, {**found["data"], **data}, found["metadata"]["version"])


def _rollback(context: Context) -> int:
    client, key = open_key(context)
    _require_v2(key, "rollback")
    path = key.at("data")
    latest = ((client.read(key.at("metadata")) or {}).get("data") or {}).get("current_version")
    old = ((client.read(path, {"version": context.args.version}) or {}).get("data") or {}).get(
        "data"
    )
    if latest is None or old is None:
        raise NoValue(f"No value found at {path} in version {context.args.version}")
    return _written(context, key, _write(client, key, old, latest))


def _delete(context: Context) -> int:
    client, key = open_key(context)
    if context.args.versions:
        return _versions_command(context, client, key, "delete")
    document = client.delete(key.at("data"))
    done = f"Data deleted (if it existed) at: {key.at('data')}"
    return render.answer(context.terminal, document, done)


def _undelete(context: Context) -> int:
    client, key = open_key(context)
    return _versions_command(context, client, key, "undelete")


def _destroy(context: Context) -> int:
    client, key = open_key(context)
    return _versions_command(context, client, key, "destroy")


def _versions_command(context: Context, client: Client, key: Key, kind: str) -> int:
    _require_v2(key, kind)
    versions = [part.strip() for item in context.args.versions or () for part in item.split(",")]
    if not versions or not all(_VERSION.fullmatch(version) for version in versions):
        raise InvalidRequest("give the versions: -versions=1,2")
    document = client.write(key.at(kind), {"versions": versions})
    return render.answer(context.terminal, document, f"Data written to: {key.at(kind)}")


def _list(context: Context) -> int:
    if not (context.args.path or context.args.mount):
        raise InvalidRequest("give PATH, or -mount to list the keys of a whole mount")
    client, key = open_key(context)
    path = key.at("metadata").rstrip("/") + "/"
    return render.keys(context.terminal, client.list(path), path)


def _enable_versioning(context: Context) -> int:
    mount = context.args.to_version.strip("/")
    document = connect(context).write(f"sys/mounts/{mount}/tune", {"options": {"version": "2"}})
    return render.answer(context.terminal, document, f"Tuned the secrets engine at: {mount}/")


def _require_v2(key: Key, verb: str) -> None:
    if not key.is_v2:
        raise InvalidRequest(
            f"{key.mount or key.name} keeps no versions: {verb} needs KV version 2"
        )


def _version(text: str) -> int:
    if _VERSION.fullmatch(text) is None:
        raise argparse.ArgumentTypeError("versions are counted from 1")
    return int(text)


def _newest_or_version(text: str) -> int:
    """Accept 0 as the newest version, as Vault's command does."""
    return 0 if text == "0" else _version(text)


def _mount(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("to_version", metavar="MOUNT")


def _folder(parser: argparse.ArgumentParser) -> None:
    """Make PATH optional: without it, -mount names the whole mount, as in Vault's command."""
    parser.add_argument("path", metavar="PATH", nargs="?", default="")
    parser.add_argument("--mount", metavar="PATH", help="the mount; PATH is then below it")


def _data(parser: argparse.ArgumentParser) -> None:
    key_arguments(parser)
    parser.add_argument("data", metavar="key=value", nargs="*", default=[])
    parser.add_argument("--cas", metavar="N", type=int, help="write only if the version is N")


def _patching(parser: argparse.ArgumentParser) -> None:
    _data(parser)
    parser.add_argument(
        "--method",
        choices=("patch", "rw"),
        metavar="patch|rw",
        help="use PATCH only, or read and write",
    )


def _one_version(parser: argparse.ArgumentParser) -> None:
    key_arguments(parser)
    parser.add_argument("--version", metavar="N", type=_newest_or_version, help="the version")


def _old_version(parser: argparse.ArgumentParser) -> None:
    key_arguments(parser)
    add = parser.add_argument
    add("--version", metavar="N", type=_version, required=True, help="the version to restore")


def _versions(parser: argparse.ArgumentParser) -> None:
    key_arguments(parser)
    parser.add_argument("--versions", metavar="N,N", action="append", help="the versions")


KV: Final = Group(
    "Key-value secrets",
    {
        "get": Command(
            "Read a secret.", _get, "PATH",
            "  $ ironkeep kv get secret/app\n"
            "  $ ironkeep kv get -mount=secret -field=password -version=2 app",
            _one_version,
        ),
        "put": Command(
            "Write a secret; KV version 2 adds a version. @file reads a file, - reads stdin.",
            _put, "PATH key=value...",
            "  $ ironkeep kv put secret/app user=ada password=- < password.txt\n"
            "  $ ironkeep kv put -cas=0 secret/app @secret.json",
            _data,
        ),
        "patch": Command(
            "Change parts of a secret; keys that are not named stay unchanged.", _patch,
            "PATH key=value...", "  $ ironkeep kv patch secret/app user=grace", _patching,
        ),
        "delete": Command(
            "Delete the newest version, or -versions; `undelete` restores them.", _delete,
            "PATH", "  $ ironkeep kv delete -versions=1,2 secret/app", _versions,
        ),
        "undelete": Command(
            "Restore deleted versions.", _undelete, "-versions=N,N PATH",
            "  $ ironkeep kv undelete -versions=2 secret/app", _versions,
        ),
        "destroy": Command(
            "Remove versions permanently.", _destroy, "-versions=N,N PATH",
            "  $ ironkeep kv destroy -versions=1 secret/app", _versions,
        ),
        "list": Command(
            "List the keys below a path.", _list, "PATH", "  $ ironkeep kv list secret/", _folder
        ),
        "rollback": Command(
            "Write an old version again as the newest.", _rollback, "-version=N PATH",
            "  $ ironkeep kv rollback -version=1 secret/app", _old_version,
        ),
        "enable-versioning": Command(
            "Convert a mount to KV version 2; each secret becomes version 1 of its key.",
            _enable_versioning, "MOUNT", "  $ ironkeep kv enable-versioning secret/", _mount,
        ),
        "metadata": kv_metadata.METADATA,
    },
)  # fmt: skip
