"""The command line itself: the table, flags as Vault spells them, help, exit codes."""

import importlib
import io
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest

from ironkeep.cli import exits, failures, main
from ironkeep.cli.command import Command, Group, normalise, parse, parser_of
from ironkeep.cli.output.terminal import Terminal
from ironkeep.cli.version import API_VERSION
from ironkeep.core import errors
from ironkeep.core.errors import InvalidRequest
from ironkeep.engines.system.sealing import WIRE_VERSION
from ironkeep.testing.server import Done

VERBS = """
server status login read write list delete patch unwrap version witness
operator init, operator unseal, operator seal, operator rekey, operator rotate
operator generate-root, operator key-status
kv get, kv put, kv patch, kv delete, kv undelete, kv destroy, kv list, kv rollback
kv enable-versioning, path-help
kv metadata get, kv metadata put, kv metadata patch, kv metadata delete
token create, token lookup, token renew, token revoke, token capabilities
policy list, policy read, policy write, policy delete
secrets list, secrets enable, secrets disable, secrets move, secrets tune
auth list, auth enable, auth disable, auth tune
lease lookup, lease renew, lease revoke
audit tail, audit search, audit proof, audit verify
"""


def here(*words: str) -> Done:
    """Run a command that needs no server."""
    out, err = io.StringIO(), io.StringIO()
    code = main.call(words, Terminal(io.BytesIO(), out, err))
    return Done(code, out.getvalue(), err.getvalue())


def leaves(first: str) -> Iterator[tuple[str, Command]]:
    """Yield every command at or below the first word, by all its words."""

    def below(name: str, found: Command | Group) -> Iterator[tuple[str, Command]]:
        if isinstance(found, Command):
            yield name, found
            return
        for key, item in found.commands.items():
            yield from below(f"{name} {key}", item)

    line = main.COMMANDS[first]
    yield from below(first, getattr(importlib.import_module(line.module), line.name))


AGENT: Final = frozenset({"agent enrol"})


def verbs() -> set[str]:
    first, *rest = VERBS.strip().splitlines()
    return {*first.split(), *(verb.strip() for line in rest for verb in line.split(","))}


def test_every_verb_is_there() -> None:
    firsts = {verb.split()[0] for verb in verbs()}
    assert verbs() <= {name for first in firsts for name, _ in leaves(first)}


@pytest.mark.parametrize("first", sorted(main.COMMANDS))
def test_every_command_explains_itself(first: str) -> None:
    for name, command in leaves(first):
        check_help(name, command)


def check_help(name: str, command: Command) -> None:
    done = here(*name.split(), "-help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"usage: ironkeep {name}")
    assert command.summary.endswith(".")
    if name in verbs():
        assert f"\n  $ ironkeep {name}" in done.out
    # The agent reaches a server by itself, and is reached itself by others.
    assert ("\n  -address=" in done.out) == (command.remote or name in AGENT)
    # Flags are shown as Vault shows them.
    assert "\n  --" not in done.out
    assert max(map(len, done.out.splitlines())) <= 110


def test_groups_explain_themselves_too() -> None:
    assert "  kv " in here("-help").out
    assert here("--help").code == 0
    assert here() == Done(1, here("-h").out, "")
    assert "  metadata " in here("kv", "-help").out
    assert here("kv").code == 1
    assert here("kv", "metadata", "-h").code == 0


@pytest.mark.parametrize(
    "words", [("nosuch",), ("kv", "nosuch"), ("kv", "get"), ("status", "-nosuch"), ("status", "x")]
)
def test_wrong_use_says_where_to_look(words: tuple[str, ...]) -> None:
    done = here(*words)
    assert (done.code, done.out) == (1, "")
    assert "-help`" in done.err


def parsed(*argv: str) -> Any:
    def arguments(parser: Any) -> None:
        parser.add_argument("path")
        parser.add_argument("data", nargs="*")
        parser.add_argument("--mount")
        parser.add_argument("--dev", action="store_true")
        parser.add_argument("--dev-root")

    command = Command("A test.", lambda _: 0, arguments=arguments)
    return parse(parser_of("ironkeep test", command), normalise(argv))


@pytest.mark.parametrize(
    "argv",
    [
        ("-mount=a", "-dev", "-dev-root", "r", "p", "k=-v"),
        ("--mount", "a", "--dev", "p", "k=-v", "--dev-root=r"),
        ("p", "-dev=true", "k=-v", "-dev-root=r", "-mount", "a"),
        ("-dev=1", "-mount=b", "-mount=a", "-dev-root=r", "p", "k=-v"),
    ],
)
def test_flags_come_in_all_spellings_and_anywhere(argv: tuple[str, ...]) -> None:
    args = parsed(*argv)
    assert (args.mount, args.dev, args.dev_root) == ("a", True, "r")
    assert (args.path, args.data) == ("p", ["k=-v"])


def test_a_boolean_can_be_false_and_nothing_else() -> None:
    assert parsed("-dev=false", "p").dev is False
    assert parsed("-tls-skip-verify=F", "p").tls_skip_verify is False
    with pytest.raises(InvalidRequest, match="-dev takes true or false"):
        parsed("-dev=perhaps", "p")


@pytest.mark.parametrize("argv", [("-moun=a", "p"), ("-d", "p"), ("p", "-mount")])
def test_flags_are_not_guessed(argv: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest):
        parsed(*argv)


def test_a_lone_dash_is_an_argument() -> None:
    assert parsed("p", "-").data == ["-"]


def subclasses(cls: type[Exception]) -> Iterator[type[Exception]]:
    for child in cls.__subclasses__():
        yield child
        yield from subclasses(child)


def test_every_error_has_an_exit_code() -> None:
    ours = {
        cls
        for cls in subclasses(errors.IronkeepError)
        if cls.__module__ in {errors.__name__, failures.__name__}
    }
    assert len(ours) > 15
    assert set(exits.EXITS) == ours
    assert all(exits.exit_code(cls) != exits.OK for cls in ours)


def test_the_table_in_words_names_every_code() -> None:
    assert exits.__doc__ is not None
    codes = {*exits.EXITS.values(), exits.OK, exits.REACHES, exits.INTERRUPTED}
    rows = re.findall(r"^\| (\d+) ", exits.__doc__, re.MULTILINE)
    assert codes == set(map(int, rows))


def test_a_subclass_has_its_parents_code() -> None:
    class Special(errors.RolledBack):
        pass

    assert exits.exit_code(Special) == exits.ROLLED_BACK


def test_the_version_is_the_servers() -> None:
    assert API_VERSION == WIRE_VERSION


def test_a_server_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "x")
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:1")
    done = here("read", "a/b")
    assert done.code == 2
    assert "http://127.0.0.1:1" in done.err
    assert "VAULT_ADDR" in done.err
    assert here("status").code == 1


@pytest.mark.parametrize(
    "address",
    ["", " ", "127.0.0.1:8200", "ftp://x", "http://", "http://h:99999", "http://[::1", "http://u:p@h"],
)  # fmt: skip
def test_what_is_no_address_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "x")
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:1")
    assert here("read", "-address", address, "a/b").code == 1


def test_an_interrupt_has_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_args: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "run", interrupted)
    assert here("version").code == exits.INTERRUPTED
