"""Tables for people, drawn by rich; loaded only when somebody watches."""

from collections.abc import Sequence
from typing import Final, TextIO

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ironkeep.cli.output.colours import WORDS

WHOLE: Final = 24
"""Characters up to which the cells of a column are kept on one line: an RFC 3339 time."""

_BETWEEN: Final = 3
_EDGES: Final = 2
"""Characters that the box takes, between columns and at the ends."""


def draw(stream: TextIO, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Draw rows under headers to stream; nothing in a cell is taken for markup."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    needed = _EDGES
    for column, header in enumerate(headers):
        widest = max((cell_len(row[column]) for row in rows), default=0)
        # An index or a time cut in two is hard to read; long words give way.
        table.add_column(header, overflow="fold", no_wrap=widest <= WHOLE)
        needed += min(max(widest, cell_len(header)), WHOLE) + _BETWEEN
    for row in rows:
        table.add_row(*(Text(cell, WORDS.get(cell, "")) for cell in row))
    console = Console(file=stream, highlight=False)
    if console.width < needed:
        # rich would crop the cells without a word; a line that is too long breaks where it must.
        console = Console(file=stream, highlight=False, width=needed, soft_wrap=True)
    console.print(table)
