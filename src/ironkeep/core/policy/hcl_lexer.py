"""Split HCL version 1 into tokens, with the position of each.

Spec: github.com/hashicorp/hcl v1, hcl/scanner and hcl/strconv. A text that this lexer accepts has
the same meaning in HCL 1. It refuses leniencies of HCL 1 that a reader can misunderstand:
hexadecimal and octal numbers, quotes inside `${}`, an indented end marker of a plain heredoc.
Interpolation is not performed: `${…}` and `{{…}}` are text.
"""

import re
from bisect import bisect_left
from dataclasses import dataclass
from typing import Final, NamedTuple

from ironkeep.core.errors import InvalidRequest, TooLarge

MAX_TEXT_BYTES: Final = 1 << 20
"""Bytes of a text: a policy must fit into one storage entry of Vault's raft backend, 1 MiB."""

MAX_TOKENS: Final = 250_000
"""Tokens of a text: ten thousand large path stanzas. Bounds the time spent on the only thread."""

MAX_NUMBER_LENGTH: Final = 32
"""Characters of a number: more than any 64-bit number has; keeps int() and float() cheap."""

_TOKEN: Final = re.compile(
    r"""
    (?P<space>[ \t\r\n]++)
    |(?P<comment>(?:\#|//)[^\n]*+|/\*(?s:.*?)\*/)
    |(?P<word>[A-Za-z_][A-Za-z0-9_.\-]*+)
    |(?P<number>-?[0-9][A-Za-z0-9_.+\-]*+)
    |"(?P<string>(?:[^"\\\n$]++|\$(?!\{)|\$\{[^"\\\n{}]*+\}|\\[^\n])*+)"
    |<<(?P<heredoc>-?[A-Za-z0-9_]++)\r?\n
    |(?P<mark>[={}\[\],])
    """,
    re.VERBOSE,
)
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?P<real>(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)")
_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))")
_SIMPLE_ESCAPES: Final = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", '"': '"',
}  # fmt: skip


class Token(NamedTuple):
    """One token; kind is word, string, number or end, or the punctuation mark itself."""

    kind: str
    value: str
    offset: int


@dataclass(frozen=True, slots=True)
class Source:
    """A text that maps offsets to line and column, both counted from 1."""

    text: str
    newlines: tuple[int, ...]

    def place(self, offset: int) -> tuple[int, int]:
        """Return the line and column of offset."""
        line = bisect_left(self.newlines, offset)
        start = self.newlines[line - 1] + 1 if line else 0
        return line + 1, offset - start + 1

    def error(self, offset: int, message: str) -> InvalidRequest:
        """Build the error that points at offset."""
        line, column = self.place(offset)
        return InvalidRequest(f"line {line}, column {column}: {message}")


def open_source(text: str) -> Source:
    """Check that text is Unicode without NUL and within MAX_TEXT_BYTES, and index its lines."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidRequest("the text is not valid Unicode") from None
    if size > MAX_TEXT_BYTES:
        raise TooLarge(f"the text has {size} bytes, the limit is {MAX_TEXT_BYTES}")
    source = Source(text, tuple(found.start() for found in re.finditer("\n", text)))
    if (nul := text.find("\0")) >= 0:
        raise source.error(nul, "NUL character")
    return source


def tokenise(source: Source) -> list[Token]:
    """Return the tokens of source, the last one of kind `end`."""
    text, offset = source.text, 0
    tokens: list[Token] = []
    while offset < len(text):
        found = _TOKEN.match(text, offset)
        if found is None:
            raise source.error(offset, _complaint(text, offset))
        start, offset = offset, found.end()
        kind = found.lastgroup
        if kind in {"space", "comment"}:
            continue
        value = found[str(kind)]
        if kind == "string":
            value = _unescape(source, start, value)
        elif kind == "heredoc":
            kind = "string"
            value, offset = _heredoc(source, start, value, offset)
        tokens.append(Token(value if kind == "mark" else str(kind), value, start))
        if len(tokens) > MAX_TOKENS:
            raise TooLarge(f"the text has more than {MAX_TOKENS} tokens")
    tokens.append(Token("end", "", len(text)))
    return tokens


def number(source: Source, token: Token) -> int | float:
    """Return the value of a number token: decimal, finite, at most MAX_NUMBER_LENGTH long."""
    found = _NUMBER.fullmatch(token.value)
    if found is None or len(token.value) > MAX_NUMBER_LENGTH:
        raise source.error(token.offset, "not a decimal number")
    if not found["real"]:
        return int(token.value)
    value = float(token.value)
    if value in {float("inf"), float("-inf")}:
        raise source.error(token.offset, "the number is too large")
    return value


def _complaint(text: str, offset: int) -> str:
    if text[offset] == '"':
        return "the string is not closed on its line, or has a quote, brace or escape inside ${}"
    if text.startswith("/*", offset):
        return "the comment is not closed"
    if text.startswith("<<", offset):
        return "a heredoc starts with << or <<-, a marker of letters and digits, and a line break"
    return f"unexpected character {text[offset]!r}"


def _unescape(source: Source, offset: int, raw: str) -> str:
    if "\\" not in raw:
        return raw

    def replace(found: re.Match[str]) -> str:
        point = found[1] or found[2]
        if point is None:
            if found[3] not in _SIMPLE_ESCAPES:
                raise source.error(offset, f"unknown escape {found[0]!r} in a string")
            return _SIMPLE_ESCAPES[found[3]]
        value = int(point, 16)
        # Surrogates cannot be encoded in UTF-8, and NUL is refused in all texts.
        if value == 0 or 0xD800 <= value <= 0xDFFF or value > 0x10FFFF:  # noqa: PLR2004
            raise source.error(offset, f"the escape {found[0]} is not a character")
        return chr(value)

    return _ESCAPE.sub(replace, raw)


def _heredoc(source: Source, start: int, marker: str, offset: int) -> tuple[str, int]:
    name, text = marker.removeprefix("-"), source.text
    lines: list[str] = []
    # No regular expression for each marker: a text could force many compilations.
    while True:
        if offset >= len(text):
            raise source.error(start, f"no line ends the heredoc {name}")
        end = text.find("\n", offset)
        end = len(text) if end < 0 else end
        line = text[offset:end]
        if line.lstrip(" \t\v\f").rstrip("\r") == name:
            break
        lines.append(line + "\n")
        offset = end + 1
    indent = line[: line.index(name)]
    if indent and marker == name:
        raise source.error(offset, f"indent the end marker {name} only after <<-{name}")
    # HCL 1 strips the indent of the end marker, and only if every line has it.
    if all(line.startswith(indent) for line in lines):
        lines = [line[len(indent) :] for line in lines]
    return "".join(lines), end
