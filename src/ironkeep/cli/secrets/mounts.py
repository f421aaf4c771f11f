"""`ironkeep secrets` and `ironkeep auth`: list, mount, tune, move and unmount."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ironkeep.cli.client.client import connect
from ironkeep.cli.client.inputs import pairs_of
from ironkeep.cli.command import Command, Context, Group
from ironkeep.cli.exits import OK
from ironkeep.cli.output import render
from ironkeep.core.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class _Side:
    """Secrets engines or auth methods: the path of their API, their name, their path prefix."""

    base: str
    noun: str
    prefix: str

    def list(self, context: Context) -> int:
        """Print all mounts of this kind."""
        terminal = context.terminal
        document = connect(context).read(self.base)
        mounts: dict[str, Any] = (document or {}).get("data") or {}
        if terminal.structured:
            return render.as_json(terminal, mounts)
        headers = ["Path", "Type", "Accessor", "Description"]
        names = ["type", "accessor", "description"]
        if context.args.detailed:
            headers += ["Default TTL", "Max TTL", "Options", "UUID"]
        rows = []
        for path in sorted(mounts):
            mount = mounts[path]
            row = [path, *(str(mount[name]) or "n/a" for name in names)]
            if context.args.detailed:
                config = mount["config"]
                ttls = [config["default_lease_ttl"], config["max_lease_ttl"]]
                row += [str(ttl) if ttl else "system" for ttl in ttls]
                row += [render.text(mount["options"]), mount["uuid"]]
            rows.append(row)
        render.table(terminal, headers, rows)
        return OK

    def enable(self, context: Context) -> int:
        """Mount an engine or method."""
        args = context.args
        path = (args.path or args.type).strip("/")
        options = pairs_of(args.options, "-options")
        if args.version:
            options["version"] = args.version
        config = {
            "default_lease_ttl": args.default_lease_ttl,
            "max_lease_ttl": args.max_lease_ttl,
            "listing_visibility": args.listing_visibility,
        }
        data: dict[str, Any] = {
            "type": args.type,
            "description": args.description or "",
            "config": {name: value for name, value in config.items() if value is not None},
        }
        if options:
            data["options"] = options
        document = connect(context).write(f"{self.base}/{path}", data)
        return render.answer(
            context.terminal, document, f"Enabled the {args.type} {self.noun} at: {path}/"
        )

    def disable(self, context: Context) -> int:
        """Unmount an engine or method."""
        path = self._below(context.args.path)
        document = connect(context).delete(f"{self.base}/{path}")
        done = f"Disabled the {self.noun} (if it existed) at: {path}/"
        return render.answer(context.terminal, document, done)

    def tune(self, context: Context) -> int:
        """Change the settings of a mount."""
        args = context.args
        path = self._below(args.path)
        data: dict[str, Any] = {
            "description": args.description,
            "default_lease_ttl": args.default_lease_ttl,
            "max_lease_ttl": args.max_lease_ttl,
            "listing_visibility": args.listing_visibility,
            "options": pairs_of(args.options, "-options") or None,
        }
        given = {name: value for name, value in data.items() if value is not None}
        if not given:
            raise InvalidRequest("give a setting to change: see -help")
        document = connect(context).write(f"{self.base}/{path}/tune", given)
        return render.answer(context.terminal, document, f"Tuned the {self.noun} at: {path}/")

    def move(self, context: Context) -> int:
        """Move a mount to another path."""
        source, target = (self._below(path) for path in (context.args.source, context.args.target))
        data = {"from": self.prefix + source, "to": self.prefix + target}
        document = connect(context).write("sys/remount", data)
        if context.terminal.structured or context.terminal.field:
            return render.answer(context.terminal, document, "")
        done = f"Moved the {self.noun} {source}/ to: {target}/"
        return render.answer(context.terminal, None, done)

    def _below(self, path: str) -> str:
        return path.strip("/").removeprefix(self.prefix)


def _listing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--detailed", action="store_true", help="with times to live and options")


def _one(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH")


def _two(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="FROM")
    parser.add_argument("target", metavar="TO")


def _settings(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--description", metavar="TEXT", help="its purpose")
    add("--default-lease-ttl", metavar="TIME", help="default TTL of its leases and tokens")
    add("--max-lease-ttl", metavar="TIME", help="maximum TTL of its leases and tokens")
    add(
        "--listing-visibility",
        metavar="unauth|hidden",
        help="whether clients without a token see it",
    )
    add("--options", metavar="KEY=VALUE", action="append", help="may be given repeatedly")


def _enabling(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("type", metavar="TYPE")
    parser.add_argument("--path", metavar="PATH", help="mount path; default: the type's name")
    parser.add_argument("--version", metavar="N", help="version of a kv engine: 1 or 2")
    _settings(parser)


def _tuning(parser: argparse.ArgumentParser) -> None:
    _one(parser)
    _settings(parser)


def _group(side: _Side, word: str, example: str) -> Group:
    def command(
        summary: str,
        run: Callable[[Context], int],
        usage: str,
        line: str,
        arguments: Callable[[argparse.ArgumentParser], None],
    ) -> Command:
        return Command(summary, run, usage, f"  $ ironkeep {word} {line}", arguments)

    noun = side.noun
    return Group(
        f"{noun[0].upper()}{noun[1:]}s",
        {
            "list": command(f"List {noun}s.", side.list, "", "list -detailed", _listing),
            "enable": command(f"Mount a new {noun}.", side.enable, "TYPE", example, _enabling),
            "disable": command(
                f"Unmount: the {noun} and all its data are destroyed.", side.disable, "PATH",
                "disable old/", _one,
            ),
            "tune": command(
                f"Change a {noun}'s settings.", side.tune, "PATH", "tune -max-lease-ttl=24h team/",
                _tuning,
            ),
            "move": command(
                f"Move a {noun} to another path, with its data.", side.move, "FROM TO",
                "move team/ crew/", _two,
            ),
        },
    )  # fmt: skip


SECRETS: Final = _group(
    _Side("sys/mounts", "secrets engine", ""), "secrets", "enable -path=team -version=2 kv"
)
AUTH: Final = _group(_Side("sys/auth", "auth method", "auth/"), "auth", "enable userpass")
