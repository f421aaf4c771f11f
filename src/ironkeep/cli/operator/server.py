"""`ironkeep server`: run a server until it is told to stop (SIGTERM, SIGINT)."""

import argparse
from pathlib import Path
from typing import Final

from ironkeep.adapters.process import messages as log, signals
from ironkeep.adapters.process.memory_guard import forbid_dumps
from ironkeep.adapters.process.system import forget_steering
from ironkeep.api.listening import is_loopback
from ironkeep.app import Server
from ironkeep.cli.command import Command, Context
from ironkeep.cli.exits import OK, UNAVAILABLE
from ironkeep.cli.failures import naming_places
from ironkeep.cli.operator import dev
from ironkeep.cli.output import log_file
from ironkeep.cli.output.terminal import Terminal
from ironkeep.cli.version import version_text
from ironkeep.config.environment import environment
from ironkeep.config.file import load
from ironkeep.config.settings import Config
from ironkeep.core.errors import InvalidRequest

_STARTED: Final = "==> Ironkeep server started!"


def _server(context: Context) -> int:
    args, terminal = context.args, context.terminal
    signals.hold()
    forbid_dumps()
    forget_steering()
    if args.dev:
        if args.config:
            raise InvalidRequest("-dev takes no -config: it stores its data temporarily")
        return _develop(args, terminal)
    if args.dev_root_token_id or args.dev_listen_address:
        raise InvalidRequest("-dev-root-token-id and -dev-listen-address need -dev")
    if not args.config:
        raise InvalidRequest("give -config=FILE, or -dev to try things out")
    config = load(Path(args.config))
    log_file.begin(args, config.log_file)
    with naming_places():
        server = Server(config)
    server.unseal_with_file()

    def ready(_server: Server, addresses: list[str]) -> None:
        _describe(terminal, server.config, addresses)
        if not server.house.seal.initialized:
            terminal.say("It has no keys yet: run `ironkeep operator init`.")
        elif server.house.seal.sealed:
            terminal.say("It is sealed: run `ironkeep operator unseal`.")

    server.serve(ready)
    return _ended(server)


def _ended(server: Server) -> int:
    """Return the exit code of a stopped server, and report data that it could not write."""
    for text in server.unwritten:
        log.say(text)
    return UNAVAILABLE if server.unwritten else OK


def _develop(args: argparse.Namespace, terminal: Terminal) -> int:
    log_file.begin(args)
    address = args.dev_listen_address or environment("VAULT_DEV_LISTEN_ADDRESS")
    config = dev.config_for(address or dev.DEFAULT_ADDRESS)
    if not is_loopback(config.listeners[0].host):
        terminal.note("WARNING! A development server without TLS listens beyond this machine.")
    server = Server(config)
    root = args.dev_root_token_id or environment("VAULT_DEV_ROOT_TOKEN_ID")
    keys = dev.prepare(server.house, root)

    def ready(_server: Server, addresses: list[str]) -> None:
        _describe(terminal, config, addresses)
        terminal.say(
            "\nWARNING! dev mode is enabled! In this mode, Ironkeep keeps everything in a\n"
            "temporary directory, starts unsealed and speaks plain HTTP. Never use it for real\n"
            "secrets.\n\n"
            "You may need to set the following environment variable:\n\n"
            f"    $ export VAULT_ADDR='{addresses[0]}'\n\n"
            f"Unseal Key: {keys.unseal_key.reveal().decode()}\n"
            f"Root Token: {keys.root_token.reveal().decode()}\n\n"
            "Development mode should NOT be used in production installations!"
        )

    server.serve(ready)
    return _ended(server)


def _describe(terminal: Terminal, config: Config, addresses: list[str]) -> None:
    """Print the configuration; scripts wait for the line that says that the server started."""
    rows = {
        "Version": version_text(),
        **{f"Listener {number}": address for number, address in enumerate(addresses, start=1)},
        "Storage": str(config.path) if config.path else "a temporary directory",
        "Witnesses": f"{len(config.witnesses)}, quorum {config.quorum}",
    }
    if config.segments is not None:
        rows["Segments"] = ", ".join(config.segments) or "none besides the vault's own"
    if config.ignored:
        rows["Ignored settings"] = ", ".join(config.ignored)
    lines = [f"{name:>20}: {value}" for name, value in rows.items()]
    terminal.say("\n".join(["==> Ironkeep server configuration:", "", *lines, "", _STARTED]))


def _arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--config", metavar="FILE", help="configuration in HCL or JSON, with Vault's keys")
    log_file.add_argument(parser)
    add("--dev", action="store_true", help="a server for trials: temporary data, no TLS")
    add("--dev-root-token-id", metavar="TOKEN", help="the root token [VAULT_DEV_ROOT_TOKEN_ID]")
    add(
        "--dev-listen-address",
        metavar="HOST:PORT",
        help=f"default {dev.DEFAULT_ADDRESS} [VAULT_DEV_LISTEN_ADDRESS]",
    )


SERVER: Final = Command(
    "Start a server. It starts sealed, unless its configuration names a key file.",
    _server,
    "-config=FILE | -dev",
    "  $ ironkeep server -config=/etc/ironkeep/ironkeep.hcl\n"
    "  $ ironkeep server -dev -dev-root-token-id=root -dev-listen-address=127.0.0.1:8200",
    _arguments,
    remote=False,
    output=False,
)
