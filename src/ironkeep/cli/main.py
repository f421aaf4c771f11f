"""The entry point: finds the command, runs it, and turns errors into messages and exit codes.

`COMMANDS` is the whole command line. A line names a module and the `Command` or `Group` in it. The
module is loaded only when its command is called, so no command pays for another's imports.
"""

import difflib
import gc
import importlib
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ironkeep.adapters.process import messages as log
from ironkeep.cli import exits
from ironkeep.cli.command import (
    HELP,
    Command,
    Context,
    Group,
    choose_output,
    normalise,
    parse,
    parser_of,
    wished_format,
)
from ironkeep.cli.failures import CurlString
from ironkeep.cli.output import render
from ironkeep.cli.output.terminal import Terminal
from ironkeep.core.errors import InvalidRequest, IronkeepError

PROGRAM: Final = "ironkeep"


@dataclass(frozen=True, slots=True)
class Line:
    """The module and name of a command, and its summary."""

    module: str
    name: str
    summary: str


COMMANDS: Final[Mapping[str, Line]] = {
    "read": Line("ironkeep.cli.secrets.logical", "READ", "Read data and secrets"),
    "write": Line("ironkeep.cli.secrets.logical", "WRITE", "Write data, configuration and secrets"),
    "list": Line("ironkeep.cli.secrets.logical", "LIST", "List data or secrets"),
    "delete": Line("ironkeep.cli.secrets.logical", "DELETE", "Delete secrets and configuration"),
    "patch": Line("ironkeep.cli.secrets.logical", "PATCH", "Change parts of data"),
    "unwrap": Line("ironkeep.cli.secrets.logical", "UNWRAP", "Unwrap a wrapped answer, once"),
    "path-help": Line(
        "ironkeep.cli.secrets.logical", "PATH_HELP", "Show the parameters of an API path"
    ),
    "login": Line("ironkeep.cli.access.login", "LOGIN", "Log in and store the token"),
    "status": Line("ironkeep.cli.operator.status", "STATUS", "Show whether the server is sealed"),
    "kv": Line("ironkeep.cli.secrets.kv", "KV", "Key-value secrets"),
    "token": Line("ironkeep.cli.access.token", "TOKEN", "Tokens"),
    "policy": Line("ironkeep.cli.access.policy", "POLICY", "ACL policies"),
    "secrets": Line("ironkeep.cli.secrets.mounts", "SECRETS", "Secrets engines"),
    "auth": Line("ironkeep.cli.secrets.mounts", "AUTH", "Auth methods"),
    "identity": Line(
        "ironkeep.cli.access.identity", "IDENTITY", "Identities with copyable login secrets"
    ),
    "lease": Line("ironkeep.cli.secrets.lease", "LEASE", "Leases"),
    "approval": Line("ironkeep.cli.access.approval", "APPROVAL", "Decide on pending requests"),
    "segment": Line("ironkeep.cli.access.segment", "SEGMENT", "Segments with their own keys"),
    "operator": Line(
        "ironkeep.cli.operator.operator", "OPERATOR", "Initialise, unseal, seal, change keys"
    ),
    "audit": Line("ironkeep.cli.audit.audit", "AUDIT", "Read, prove and verify the audit journal"),
    "incident": Line(
        "ironkeep.cli.incident.incident", "INCIDENT", "Cases: exposure, eviction, proof"
    ),
    "verify": Line("ironkeep.cli.incident.verify", "VERIFY", "Verify an evidence pack offline"),
    "demo": Line("ironkeep.demo.command", "DEMO", "Replay a breach, from the leak to the proof"),
    "server": Line("ironkeep.cli.operator.server", "SERVER", "Start a server"),
    "witness": Line(
        "ironkeep.cli.operator.witness", "WITNESS", "Cosign or mirror logs on another machine"
    ),
    "agent": Line("ironkeep.cli.access.agent", "AGENT", "Enrol this device and run its agent"),
    "version": Line("ironkeep.cli.version", "VERSION", "Print the version"),
}

_TOP_VERSION: Final = frozenset({"--version", "--v"})


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in argv (without the program's name; by default that of the process)."""
    return call(sys.argv[1:] if argv is None else argv, Terminal.standard())


def call(argv: Sequence[str], terminal: Terminal) -> int:
    """Run the command in argv on terminal; return its exit code, also after any error."""
    try:
        return run(argv, terminal)
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output is gone. Python would fail again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.LOCAL
    except IronkeepError as error:
        render.refused(terminal, error)
        return exits.exit_code(type(error))
    except OSError as error:
        place = f": {error.filename}" if error.filename else ""
        render.failed(terminal, f"{error.strerror or type(error).__name__}{place}")
        return exits.LOCAL
    except Exception as error:  # noqa: BLE001 - its message and values may hold a secret
        render.fail_document(terminal, "the command failed: see the place on standard error")
        log.defect("of the command itself", error)
        return exits.LOCAL


def run(argv: Sequence[str], terminal: Terminal) -> int:
    """Find and run the command in argv; return its exit code or raise its error."""
    for number, word in enumerate(argv, start=1):
        if not word.isascii():
            _require_text(number, word)
    words = _with_help_last(normalise(argv))
    if words and words[0] in _TOP_VERSION:
        words[0] = "version"
    if not words or words[0] in HELP:
        terminal.say(_overview(PROGRAM, {name: line.summary for name, line in COMMANDS.items()}))
        return exits.OK if words else exits.LOCAL
    found = load(words[0])
    if found is None:
        raise _no_command(PROGRAM, words[0], COMMANDS)
    return _descend(f"{PROGRAM} {words[0]}", found, words[1:], terminal)


def _require_text(number: int, word: str) -> None:
    """Raise InvalidRequest for an argument that is not text in the locale's encoding."""
    try:
        word.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidRequest(f"argument {number} is not text in this locale: use UTF-8") from None


def _with_help_last(words: list[str]) -> list[str]:
    """Return words with `help` in the place of a command, `kv help put`, as `kv put -help`."""
    if words[:1] == ["help"]:
        return [*words[1:], "--help"]
    if words[1:2] == ["help"] and isinstance(load(words[0]), Group):
        return [words[0], *words[2:], "--help"]
    return words


def load(name: str) -> Command | Group | None:
    """Load a command of the table by name; return None for an unknown name."""
    line = COMMANDS.get(name)
    if line is None:
        return None
    # An imported module's objects live until exit: collecting garbage during the import would
    # take a tenth of the start-up time for next to nothing.
    collects = gc.isenabled()
    gc.disable()
    try:
        found: Command | Group = getattr(importlib.import_module(line.module), line.name)
    finally:
        if collects:
            gc.enable()
    return found


def _no_command(name: str, word: str, known: Iterable[str]) -> InvalidRequest:
    """Return the error for an unknown command, with the closest known one."""
    close = difflib.get_close_matches(word.lower(), list(known), n=1)
    meant = f" Did you mean `{name} {close[0]}`?" if close else ""
    return InvalidRequest(f"there is no command `{name} {word}`.{meant} See `{name} -help`.")


def _descend(name: str, found: Command | Group, words: Sequence[str], terminal: Terminal) -> int:
    while isinstance(found, Group):
        if not words or words[0] in HELP:
            summaries = {key: item.summary for key, item in found.commands.items()}
            terminal.say(_overview(name, summaries))
            return exits.OK if words else exits.LOCAL
        below = found.commands.get(words[0])
        if below is None:
            raise _no_command(name, words[0], found.commands)
        name, found, words = f"{name} {words[0]}", below, words[1:]
    parser = parser_of(name, found)
    if HELP.intersection(words):
        terminal.say(parser.format_help().rstrip())
        return exits.OK
    # Usage errors are printed in the requested format, too.
    terminal.format = wished_format(words) if found.output else terminal.format
    args = parse(parser, words)
    choose_output(args, terminal)
    context = Context(args, terminal)
    with context.closing:
        try:
            return found.run(context)
        except CurlString as command:
            terminal.say(str(command))
            return exits.OK


def _overview(name: str, summaries: Mapping[str, str]) -> str:
    width = max(map(len, summaries))
    lines = [f"  {key:<{width}}  {summary}" for key, summary in summaries.items()]
    return "\n".join(
        [
            f"usage: {name} <command> [flags] [arguments]",
            "",
            *lines,
            "",
            f"Run `{name} <command> -help` for details.",
        ]
    )
