"""Names that a person typed reach the server as they are, and none at all reaches nothing."""

import re

import pytest

from ironkeep.cli.command import Command, Group, parse, parser_of
from ironkeep.cli.main import COMMANDS, load
from ironkeep.core.errors import InvalidRequest


def commands(name: str, found: Command | Group | None) -> list[tuple[str, Command]]:
    if isinstance(found, Group):
        return [
            each
            for below, command in found.commands.items()
            for each in commands(f"{name} {below}", command)
        ]
    return [] if found is None else [(name, found)]


EVERY = [each for name in COMMANDS for each in commands(name, load(name))]


def test_all_commands_are_looked_at() -> None:
    names = {name for name, _ in EVERY}
    assert {
        "delete", "kv delete", "kv destroy", "kv metadata delete", "lease revoke", "token revoke",
        "policy delete", "secrets disable", "secrets move", "auth disable", "segment seal",
        "segment cut",
    } <= names  # fmt: skip


@pytest.mark.parametrize(("name", "command"), EVERY, ids=[name for name, _ in EVERY])
@pytest.mark.parametrize("blank", ["", " ", "/", "\t", " / ", "\u00a0"])
def test_an_argument_that_names_nothing_is_refused(name: str, command: Command, blank: str) -> None:
    parser = parser_of(f"ironkeep {name}", command)
    wanted = [a for a in parser._get_positional_actions() if a.choices is None]
    for at, action in enumerate(wanted):
        words = [blank if place == at else "x=y" for place in range(len(wanted))]
        if action.default == blank or any(
            other.default is not None and place != at and other.nargs == "?"
            for place, other in enumerate(wanted)
        ):
            continue
        for option in parser._actions:
            if option.required and option.option_strings:
                words += [option.option_strings[0], "1"]
        with pytest.raises(InvalidRequest, match=re.escape("is empty: is a variable not set?")):
            parse(parser, words)
