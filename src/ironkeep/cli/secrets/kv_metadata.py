"""`ironkeep kv metadata`: the settings and versions of a key in KV version 2."""

import argparse
from typing import Any, Final

from ironkeep.cli.client.client import Client
from ironkeep.cli.client.inputs import pairs_of
from ironkeep.cli.command import Command, Context, Group
from ironkeep.cli.exits import OK
from ironkeep.cli.failures import NoValue
from ironkeep.cli.output import render
from ironkeep.cli.secrets.kv_mount import Key, key_arguments, open_key
from ironkeep.core.errors import InvalidRequest


def _open(context: Context) -> tuple[Client, Key]:
    client, key = open_key(context)
    if not key.is_v2:
        raise InvalidRequest("only KV mounts of version 2 keep metadata")
    return client, key


def _get(context: Context) -> int:
    terminal = context.terminal
    client, key = _open(context)
    path = key.at("metadata")
    document = client.read(path)
    data = (document or {}).get("data")
    if document is None or not data:
        raise NoValue(f"No value found at {path}")
    if terminal.structured or terminal.field:
        return render.answer(terminal, document, "")
    terminal.say(f"========== Metadata Path ==========\n{path}\n")
    render.pairs(terminal, {name: value for name, value in data.items() if name != "versions"})
    for number, version in (data.get("versions") or {}).items():
        terminal.say(f"\n====== Version {number} ======")
        render.pairs(terminal, version)
    return OK


def _put(context: Context) -> int:
    client, key = _open(context)
    document = client.write(key.at("metadata"), _settings(context.args))
    return render.answer(context.terminal, document, f"Data written to: {key.at('metadata')}")


def _patch(context: Context) -> int:
    client, key = _open(context)
    settings = _settings(context.args)
    removed = context.args.remove_custom_metadata or ()
    if removed:
        settings.setdefault("custom_metadata", {}).update(dict.fromkeys(removed))
    if not settings:
        raise InvalidRequest("give a setting to change: see `ironkeep kv metadata patch -help`")
    document = client.patch(key.at("metadata"), settings)
    return render.answer(context.terminal, document, f"Data written to: {key.at('metadata')}")


def _delete(context: Context) -> int:
    client, key = _open(context)
    document = client.delete(key.at("metadata"))
    done = f"Data deleted (if it existed) at: {key.at('metadata')}"
    return render.answer(context.terminal, document, done)


def _settings(args: argparse.Namespace) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "max_versions": args.max_versions,
        "cas_required": args.cas_required,
        "delete_version_after": args.delete_version_after,
        "custom_metadata": pairs_of(args.custom_metadata, "-custom-metadata") or None,
    }
    return {name: value for name, value in settings.items() if value is not None}


def _writing(parser: argparse.ArgumentParser) -> None:
    key_arguments(parser)
    add = parser.add_argument
    add("--max-versions", metavar="N", type=int, help="versions to keep; 0: the mount's setting")
    add("--cas-required", metavar="true|false", help="whether every write needs -cas")
    add("--delete-version-after", metavar="TIME", help="lifetime of a version")
    add("--custom-metadata", metavar="KEY=VALUE", action="append", help="may be given repeatedly")


def _patching(parser: argparse.ArgumentParser) -> None:
    _writing(parser)
    parser.add_argument(
        "--remove-custom-metadata", metavar="KEY", action="append", help="remove this key"
    )


METADATA: Final = Group(
    "Settings and versions of a key",
    {
        "get": Command(
            "Read a key's settings and versions.", _get, "PATH",
            "  $ ironkeep kv metadata get secret/app", key_arguments,
        ),
        "put": Command(
            "Set a key's settings; those not given return to their default.", _put, "PATH",
            "  $ ironkeep kv metadata put -max-versions=5 -custom-metadata=owner=ada secret/app",
            _writing,
        ),
        "patch": Command(
            "Change some of a key's settings.", _patch, "PATH",
            "  $ ironkeep kv metadata patch -custom-metadata=owner=grace secret/app", _patching,
        ),
        "delete": Command(
            "Remove a key with all its versions permanently.", _delete, "PATH",
            "  $ ironkeep kv metadata delete secret/app", key_arguments,
        ),
    },
)  # fmt: skip
