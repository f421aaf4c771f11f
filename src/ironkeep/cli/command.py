"""What a command is, and how its arguments are read.

A command is a value: a summary, its flags, examples, and the function that runs it. Flags are
spelt as Vault's: one dash or two, `-name=value` or `-name value`, booleans also `-name=true`; and
they may stand before or after the other arguments.
"""

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final, NoReturn

from ironkeep.cli.output.documents import JSON, RAW, YAML
from ironkeep.cli.output.terminal import Terminal
from ironkeep.config import environment
from ironkeep.core.errors import InvalidRequest

FORMATS: Final = ("table", JSON, YAML, RAW)
PLACES: Final = frozenset({"mount", "path"})
"""Flags that say in which mount something is."""
MAY_BE_EMPTY: Final = frozenset({"description", "listing_visibility", "namespace"})
"""Flags whose empty value says something: take the text back, or the root namespace."""
HELP: Final = frozenset({"--help", "--h"})

_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "false", "FALSE", "False"})
_GO_FLAG: Final = re.compile(r"-[A-Za-z]")


@dataclass(slots=True)
class Context:
    """One run: the parsed arguments, the streams, and what is closed when it ends."""

    args: argparse.Namespace
    terminal: Terminal
    closing: ExitStack = field(default_factory=ExitStack)


def no_arguments(_parser: argparse.ArgumentParser) -> None:
    """Take no flags of its own."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command that runs.

    `remote` adds the flags that say how to reach a server, `output` those that say how to print.
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
    """A command with commands below it."""

    summary: str
    commands: Mapping[str, "Command | Group"]


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Shows flags as Vault's help does."""

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings:
            return str(action.metavar or action.dest)
        name = "-" + action.option_strings[0].lstrip("-")
        return name if action.nargs == 0 else f"{name}={action.metavar or 'TEXT'}"


class _Parser(argparse.ArgumentParser):
    """Raises instead of leaving the process."""

    def error(self, message: str) -> NoReturn:
        raise InvalidRequest(f"{_as_go(message)}\nSee `{self.prog} -help`.")


def _as_go(message: str) -> str:
    return re.sub(r"--(?=[a-z])", "-", message)


def parser_of(name: str, command: Command) -> argparse.ArgumentParser:
    """Return the parser of one command; name is how it was called, `ironkeep kv get`."""
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
    add("--address", metavar="URL", help="of the server [VAULT_ADDR]")
    add("--ca-cert", metavar="FILE", help="PEM of the CA that signs the server [VAULT_CACERT]")
    add("--ca-path", metavar="DIR", help="directory of such PEM files [VAULT_CAPATH]")
    add("--client-cert", metavar="FILE", help="PEM to present [VAULT_CLIENT_CERT]")
    add("--client-key", metavar="FILE", help="its key [VAULT_CLIENT_KEY]")
    add("--tls-skip-verify", action="store_true", help="do not verify [VAULT_SKIP_VERIFY]")
    add("--namespace", metavar="PATH", help="[VAULT_NAMESPACE]")
    add("--wrap-ttl", metavar="TIME", help="wrap the answer for this long [VAULT_WRAP_TTL]")
    add("--output-curl-string", action="store_true", help="print the request instead of sending")


def _add_output(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument("--format", metavar="table|json|yaml|raw", help="[VAULT_FORMAT]")
    group.add_argument("--field", metavar="NAME", help="print this field alone")


def parse(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    """Return the arguments; raise InvalidRequest saying what is wrong with them."""
    args = parser.parse_intermixed_args(_settle_booleans(parser, argv))
    _require_names(parser, args)
    return args


def _require_names(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Raise InvalidRequest for an argument that names nothing.

    It is a variable of a script that was not set, and what the command would do without it (end
    all leases, say) was never meant.
    """
    for action in parser._get_positional_actions():  # noqa: SLF001 - there is no other way
        value = getattr(args, action.dest, None)
        given = value if isinstance(value, list) else [value]
        for each in given:
            if _is_blank(each) and each != action.default:
                name = action.metavar or action.dest
                raise InvalidRequest(f"{name} is empty: is a variable not set?")
    for action in parser._actions:  # noqa: SLF001 - as above
        if action.option_strings and _names_nothing(action, getattr(args, action.dest, None)):
            # Taken as not given, it would mean more: another mount, no limit, every policy.
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
    """Return argv with every flag spelt with two dashes."""
    return ["-" + word if _GO_FLAG.match(word) else word for word in argv]


def _settle_booleans(parser: argparse.ArgumentParser, argv: Sequence[str]) -> list[str]:
    """Return argv with `--flag=true` as `--flag`, and without `--flag=false`."""
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
    """Return the format that words or the environment ask for, before they are looked at."""
    wished = environment("VAULT_FORMAT")
    for word, after in zip(words, [*words[1:], ""], strict=False):
        name, equals, value = word.partition("=")
        if name == "--format":
            wished = value if equals else after
    return wished if wished in FORMATS else FORMATS[0]


def choose_output(args: argparse.Namespace, terminal: Terminal) -> None:
    """Set how terminal prints from -format, VAULT_FORMAT and -field; raise InvalidRequest."""
    if not hasattr(args, "format"):
        return
    chosen = args.format or environment("VAULT_FORMAT") or FORMATS[0]
    if chosen not in FORMATS:
        raise InvalidRequest(f"-format (or VAULT_FORMAT) is one of {', '.join(FORMATS)}")
    terminal.format = str(chosen)
    terminal.field = getattr(args, "field", None) or ""
