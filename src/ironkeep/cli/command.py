"""The definition of a command, and the parsing of its arguments.

A command is a value: a summary, its flags, examples, and the function that runs it. Flags have
Vault's syntax: one dash or two, `-name=value` or `-name value`, booleans also `-name=true`, before
or after the other arguments.
"""

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final, NoReturn

from ironkeep.cli.output.documents import JSON, RAW, YAML
from ironkeep.cli.output.terminal import Terminal
from ironkeep.config.environment import environment
from ironkeep.core.errors import InvalidRequest

FORMATS: Final = ("table", JSON, YAML, RAW)
PLACES: Final = frozenset({"mount", "path"})
"""Flags that name a mount."""
MAY_BE_EMPTY: Final = frozenset({"description", "listing_visibility", "namespace"})
"""Flags whose empty value has a meaning: remove the text, or the root namespace."""
HELP: Final = frozenset({"--help", "--h"})

_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "false", "FALSE", "False"})
_GO_FLAG: Final = re.compile(r"-[A-Za-z]")


@dataclass(slots=True)
class Context:
    """One run: the parsed arguments, the streams, and the resources to close at its end."""

    args: argparse.Namespace
    terminal: Terminal
    closing: ExitStack = field(default_factory=ExitStack)


def no_arguments(_parser: argparse.ArgumentParser) -> None:
    """Add no flags: the default of a command."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command that can be run.

    `remote` adds the flags of the connection to a server, `output` those of the output format.
    `run` returns the exit code.
    """

    summary: str
    run: Callable[[Context], int]
    usage: str = ""
    examples: str = ""
    arguments: Callable[[argparse.ArgumentParser], None] = no_arguments
    remote: bool = True
    output: bool = True


@dataclass(frozen=True, slots=True)
class Group:
    """A command with subcommands."""

    summary: str
    commands: Mapping[str, "Command | Group"]


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Prints flags as Vault's help does."""

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings:
            return str(action.metavar or action.dest)
        name = "-" + action.option_strings[0].lstrip("-")
        return name if action.nargs == 0 else f"{name}={action.metavar or 'TEXT'}"


class _Parser(argparse.ArgumentParser):
    """A parser that raises an error instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise InvalidRequest(f"{_as_go(message)}\nSee `{self.prog} -help`.")


def _as_go(message: str) -> str:
    return re.sub(r"--(?=[a-z])", "-", message)


def parser_of(name: str, command: Command) -> argparse.ArgumentParser:
    """Return the parser of one command; name is its full name, `ironkeep kv get`."""
    parser = _Parser(
        prog=name,
        usage=f"{name} [flags] {command.usage}".rstrip(),
        description=command.summary,
        epilog=f"examples:\n{command.examples}" if command.examples else None,
        formatter_class=_Formatter,
        add_help=False,
        allow_abbrev=False,
    )
    command.arguments(parser)
    if command.remote:
        _add_connection(parser)
    if command.output:
        _add_output(parser)
    return parser


def _add_connection(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("connection (the environment variable in brackets)")
    add = group.add_argument
    add("--address", metavar="URL", help="URL of the server [VAULT_ADDR]")
    add("--ca-cert", metavar="FILE", help="PEM file with the server's CA [VAULT_CACERT]")
    add("--ca-path", metavar="DIR", help="directory of such PEM files [VAULT_CAPATH]")
    add("--client-cert", metavar="FILE", help="client certificate, PEM [VAULT_CLIENT_CERT]")
    add("--client-key", metavar="FILE", help="its private key [VAULT_CLIENT_KEY]")
    add("--tls-skip-verify", action="store_true", help="skip TLS verification [VAULT_SKIP_VERIFY]")
    add("--namespace", metavar="PATH", help="namespace of the request [VAULT_NAMESPACE]")
    add("--wrap-ttl", metavar="TIME", help="wrap the answer for this time [VAULT_WRAP_TTL]")
    add("--output-curl-string", action="store_true", help="print the request, do not send it")


def _add_output(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument("--format", metavar="table|json|yaml|raw", help="format [VAULT_FORMAT]")
    group.add_argument("--field", metavar="NAME", help="print only this field")


def parse(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    """Return the parsed arguments; raise InvalidRequest for invalid ones."""
    args = parser.parse_intermixed_args(_settle_booleans(parser, argv))
    _require_names(parser, args)
    return args


def _require_names(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Raise InvalidRequest for an empty argument.

    It usually comes from an unset variable of a script, and the command would do something else
    without it, such as end all leases.
    """
    for action in parser._get_positional_actions():  # noqa: SLF001 - no public access
        value = getattr(args, action.dest, None)
        given = value if isinstance(value, list) else [value]
        for each in given:
            if _is_blank(each) and each != action.default:
                name = action.metavar or action.dest
                raise InvalidRequest(f"{name} is empty: is a variable not set?")
    for action in parser._actions:  # noqa: SLF001 - as above
        if action.option_strings and _names_nothing(action, getattr(args, action.dest, None)):
            # Ignoring an empty flag would widen the command: another mount, no limit, every policy.
            raise InvalidRequest(
                f"{_as_go(action.option_strings[0])} is empty: is a variable not set?"
            )


def _names_nothing(action: argparse.Action, value: object) -> bool:
    if action.dest in MAY_BE_EMPTY or value == action.default:
        return False
    if action.dest in PLACES:
        return _is_blank(value)
    values = value if isinstance(value, list) else [value]
    return any(isinstance(each, str) and not each.strip() for each in values)


def _is_blank(value: object) -> bool:
    return isinstance(value, str) and not value.replace("/", "").strip()


def normalise(argv: Sequence[str]) -> list[str]:
    """Return argv with two dashes before every flag."""
    return ["-" + word if _GO_FLAG.match(word) else word for word in argv]


def _settle_booleans(parser: argparse.ArgumentParser, argv: Sequence[str]) -> list[str]:
    """Return argv with `--flag=true` written as `--flag`, and `--flag=false` removed."""
    booleans = {
        option
        for action in parser._actions  # noqa: SLF001 - argparse has no public list of them
        if action.nargs == 0
        for option in action.option_strings
    }
    result = []
    for word in argv:
        name, equals, value = word.partition("=")
        if not (equals and name in booleans):
            result.append(word)
        elif value in _TRUE:
            result.append(name)
        elif value not in _FALSE:
            raise InvalidRequest(f"{_as_go(name)} takes true or false")
    return result


def wished_format(words: Sequence[str]) -> str:
    """Return the format that words or the environment ask for, before words are parsed."""
    wished = environment("VAULT_FORMAT")
    for word, after in zip(words, [*words[1:], ""], strict=False):
        name, equals, value = word.partition("=")
        if name == "--format":
            wished = value if equals else after
    return wished if wished in FORMATS else FORMATS[0]


def choose_output(args: argparse.Namespace, terminal: Terminal) -> None:
    """Set terminal's format and field from -format, VAULT_FORMAT and -field.

    Raise InvalidRequest for an unknown format.
    """
    if not hasattr(args, "format"):
        return
    chosen = args.format or environment("VAULT_FORMAT") or FORMATS[0]
    if chosen not in FORMATS:
        raise InvalidRequest(f"-format (or VAULT_FORMAT) is one of {', '.join(FORMATS)}")
    terminal.format = str(chosen)
    terminal.field = getattr(args, "field", None) or ""
