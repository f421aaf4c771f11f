"""Tokens of HCL 1: what is accepted means the same to HCL 1, the rest is refused with its place."""

import pytest

from ironkeep.core.errors import InvalidRequest, TooLarge
from ironkeep.core.policy.hcl_lexer import (
    MAX_NUMBER_LENGTH,
    MAX_TEXT_BYTES,
    MAX_TOKENS,
    number,
    open_source,
    tokenise,
)


def tokens(text: str) -> list[tuple[str, str]]:
    return [(token.kind, token.value) for token in tokenise(open_source(text))][:-1]


def one(text: str) -> str:
    ((kind, value),) = tokens(text)
    assert kind == "string"
    return value


def test_every_kind_with_its_offset() -> None:
    found = tokenise(open_source('path "a" {\n n = [-1.5e3, true] # end\n}'))
    assert [tuple(token) for token in found] == [
        ("word", "path", 0),
        ("string", "a", 5),
        ("{", "{", 9),
        ("word", "n", 12),
        ("=", "=", 14),
        ("[", "[", 16),
        ("number", "-1.5e3", 17),
        (",", ",", 23),
        ("word", "true", 25),
        ("]", "]", 29),
        ("}", "}", 37),
        ("end", "", 38),
    ]


@pytest.mark.parametrize(
    "text", ["# a", "// a", "/* a */", "/**/", '/* * / ** \n " { */', "#", "//", " \t\r\n", ""]
)
def test_comments_and_space_are_no_tokens(text: str) -> None:
    assert tokens(text) == []
    assert tokens(text + "\nx") == [("word", "x")]


def test_a_comment_ends_at_the_first_mark() -> None:
    assert tokens("/* a */ b /* c */") == [("word", "b")]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('""', ""),
        ('"a b"', "a b"),
        (r'"\"\\\n\t\r\a\b\f\v"', '"\\\n\t\r\a\b\f\v'),
        (r'"\u00e9\U0001F511"', "\u00e9\U0001f511"),
        ('"# // /*"', "# // /*"),
        ('"secret/{{identity.entity.id}}/*"', "secret/{{identity.entity.id}}/*"),
        ('"${var.x} $ $$ {x}"', "${var.x} $ $$ {x}"),
        ('"schlüssel"', "schlüssel"),
    ],
)
def test_strings(text: str, value: str) -> None:
    assert one(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("<<EOF\na\n b\nEOF", "a\n b\n"),
        ("<<EOF\nEOF\n", ""),
        ('<<E_1\nEOF\n\\n ${x} "\nE_1', 'EOF\n\\n ${x} "\n'),
        ("<<-EOF\n    a\n      b\n    EOF\n", "a\n  b\n"),
        ("<<-EOF\n  a\n    EOF\n", "  a\n"),
        ("<<-EOF\n\ta\nEOF\n", "\ta\n"),
        ("<<EOF\r\na\r\nEOF\r\n", "a\r\n"),
        ("<<EOF\n EOFX\nXEOF\nEOF", " EOFX\nXEOF\n"),
    ],
)
def test_heredocs(text: str, value: str) -> None:
    assert one(text) == value


def test_the_text_goes_on_after_a_heredoc() -> None:
    assert tokens("a = <<X\nb\nX\nc") == [
        ("word", "a"),
        ("=", "="),
        ("string", "b\n"),
        ("word", "c"),
    ]


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ('a\n "b', "line 2, column 2", "not closed"),
        ('"a\nb"', "line 1, column 1", "not closed"),
        (r'"\q"', "line 1, column 1", "unknown escape"),
        (r'"\x41"', "line 1, column 1", "unknown escape"),
        (r'"\u12"', "line 1, column 1", "unknown escape"),
        (r'"\ud800"', "line 1, column 1", "not a character"),
        (r'"\u0000"', "line 1, column 1", "not a character"),
        (r'"\U00110000"', "line 1, column 1", "not a character"),
        ('"${a"', "line 1, column 1", "inside ${}"),
        ('"${"a"}"', "line 1, column 1", "inside ${}"),
        (r'"${\n}"', "line 1, column 1", "inside ${}"),
        ("a /* b", "line 1, column 3", "comment is not closed"),
        ("a\n<<EOF\nb", "line 2, column 1", "no line ends"),
        ("<<EOF", "line 1, column 1", "heredoc starts"),
        ("<< EOF\nEOF", "line 1, column 1", "heredoc starts"),
        ("<<-\n\n", "line 1, column 1", "heredoc starts"),
        ("<<EOF\na\n  EOF\nEOF", "line 3, column 1", "indent the end marker"),
        ("a\n\tb ;", "line 2, column 4", "unexpected character ';'"),
        ("a: 1", "line 1, column 2", "unexpected character ':'"),
        ("a\0", "line 1, column 2", "NUL"),
        ("\ufeffa", "line 1, column 1", "unexpected character"),
        ("é", "line 1, column 1", "unexpected character"),
    ],
)
def test_refusals_say_where_and_why(text: str, place: str, words: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        tokens(text)
    assert str(caught.value).startswith(place + ": ")
    assert words in str(caught.value)


def test_lone_surrogates_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="Unicode"):
        open_source('"\ud800"')


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("-7", -7), ("10", 10), ("1.5", 1.5), ("-0.25", -0.25), ("2e3", 2000.0)],
)
def test_numbers(text: str, value: float) -> None:
    source = open_source(text)
    got = number(source, tokenise(source)[0])
    assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize(
    "text",
    [
        "010",
        "0x1F",
        "1_000",
        "1.",
        "1e",
        "1.2.3",
        "1d",
        "-0x1",
        "1e999",
        "9" * (MAX_NUMBER_LENGTH + 1),
    ],
)
def test_other_numbers_are_refused(text: str) -> None:
    source = open_source(text)
    with pytest.raises(InvalidRequest, match="line 1, column 1: "):
        number(source, tokenise(source)[0])


def test_the_longest_number() -> None:
    source = open_source("9" * MAX_NUMBER_LENGTH)
    assert number(source, tokenise(source)[0]) == int("9" * MAX_NUMBER_LENGTH)


def test_the_size_limit_counts_bytes() -> None:
    open_source("é" * (MAX_TEXT_BYTES // 2))
    with pytest.raises(TooLarge, match=str(MAX_TEXT_BYTES)):
        open_source("é" * (MAX_TEXT_BYTES // 2) + "x")


def test_the_token_limit() -> None:
    assert len(tokens("," * MAX_TOKENS)) == MAX_TOKENS
    with pytest.raises(TooLarge, match="tokens"):
        tokens("," * (MAX_TOKENS + 1))
