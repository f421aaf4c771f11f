"""Tables for people, drawn by rich; loaded only when somebody watches."""

from collections.abc import Sequence
from typing import TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text


def draw(stream: TextIO, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Draw rows under headers to stream; nothing in a cell is taken for markup."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for header in headers:
        table.add_column(header, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console(file=stream, highlight=False).print(table)
