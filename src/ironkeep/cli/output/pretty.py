"""Tables for interactive terminals, drawn by rich; loaded only there."""

from collections.abc import Sequence
from typing import Final, TextIO

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ironkeep.cli.output.colours import WORDS

WHOLE: Final = 24
"""Columns up to this width, that of an RFC 3339 time, are not wrapped."""

_BETWEEN: Final = 3
_EDGES: Final = 2
"""Characters of the box between columns, and at both ends."""


def draw(stream: TextIO, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Draw rows under headers to stream; cells are not interpreted as markup."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    needed = _EDGES
    for column, header in enumerate(headers):
        widest = max((cell_len(row[column]) for row in rows), default=0)
        # A wrapped index or time is hard to read, so longer columns are wrapped instead.
        table.add_column(header, overflow="fold", no_wrap=widest <= WHOLE)
        needed += min(max(widest, cell_len(header)), WHOLE) + _BETWEEN
    for row in rows:
        table.add_row(*(Text(cell, WORDS.get(cell, "")) for cell in row))
    console = Console(file=stream, highlight=False)
    if console.width < needed:
        # rich would crop the cells silently; let the terminal break long lines instead.
        console = Console(file=stream, highlight=False, width=needed, soft_wrap=True)
    console.print(table)
