"""The tree of HCL 1 and JSON: nothing is merged or dropped, and every limit holds."""

import json
import time
from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import InvalidRequest, TooLarge
from ironkeep.core.policy import hcl
from ironkeep.core.policy.hcl_lexer import MAX_NUMBER_LENGTH, MAX_TEXT_BYTES

SECONDS_FOR_ANY_TEXT = 5.0
"""Several times what the worst text takes; a quadratic step would take half a minute."""


def shape(body: hcl.Body) -> list[tuple[object, ...]]:
    return [(item.key, *item.labels, _shape(item.value)) for item in body.items]


def _shape(value: hcl.Value) -> object:
    if isinstance(value, hcl.Body):
        return shape(value)
    return [_shape(one) for one in value] if isinstance(value, tuple) else value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("a = 1", [("a", 1)]),
        ('"a" = "b"', [("a", "b")]),
        ("a = true b = false", [("a", True), ("b", False)]),
        ("a = 1, b = 2,", [("a", 1), ("b", 2)]),
        ("a = []", [("a", [])]),
        ('a = ["b", 1, false, [2],]', [("a", ["b", 1, False, [2]])]),
        ('a = [{"b" = "c"}, {}]', [("a", [[("b", "c")], []])]),
        ("a {}", [("a", [])]),
        ("a = {}", [("a", [])]),
        ("a = { b = 1, c = 2 }", [("a", [("b", 1), ("c", 2)])]),
        ('path "x" { b = 1 }', [("path", "x", [("b", 1)])]),
        ("path x { }", [("path", "x", [])]),
        ('f "a" "b" {}', [("f", "a", "b", [])]),
        ('g = { f "n" { i { c = 2 } } }', [("g", [("f", "n", [("i", [("c", 2)])])])]),
        ("a-b.c = <<E\nx\nE\n", [("a-b.c", "x\n")]),
    ],
)
def test_hcl(text: str, expected: list[object]) -> None:
    assert shape(hcl.parse(text)) == expected


def test_repeated_blocks_all_stay_in_order() -> None:
    body = hcl.parse('path "a" { c = ["deny"] }\npath "a" { c = ["read"] }\npath "b" {}')
    assert shape(body) == [
        ("path", "a", [("c", ["deny"])]),
        ("path", "a", [("c", ["read"])]),
        ("path", "b", []),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "a = 1\na = 1",
        "a = {}\na = {}",
        "a {}\na = {}",
        "a = {}\na {}",
        "a {}\na = 1\na {}",
        'x { "a" = 1, a = 2 }',
        "x = [{ a = 1 a = 1 }]",
        "a = 1 b = 2 c = 3 a = 4",
    ],
)
def test_a_second_attribute_is_an_error(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"line \d+, column \d+: 'a' is given twice"):
        hcl.parse(text)


def test_the_same_key_in_two_bodies_is_not_twice() -> None:
    assert shape(hcl.parse("x { a = 1 } y { a = 2 }")) == [("x", [("a", 1)]), ("y", [("a", 2)])]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a", "line 1, column 2: expected '=' or '{', found the end of the text"),
        ("a b", "line 1, column 4: expected '{', found the end of the text"),
        ('path "a" = {}', "line 1, column 10: expected '{', found '='"),
        ("a = ", "line 1, column 5: expected a value, found the end of the text"),
        ("a = b", "line 1, column 5: expected a value, found 'b'"),
        ("a = null", "line 1, column 5: expected a value, found 'null'"),
        ("\n}", "line 2, column 1: expected a key, found '}'"),
        ("a {", "line 1, column 4: expected a key or '}', found the end of the text"),
        ("a { 1 = 2 }", "line 1, column 5: expected a key or '}', found a number"),
        ("a = [1 2]", "line 1, column 8: expected ',' or ']', found a number"),
        ("a = [,]", "line 1, column 6: expected a value, found ','"),
        ("a = 1,, b = 2", "line 1, column 7: expected a key, found ','"),
        ('a = 1 "s"', "line 1, column 10: expected '=' or '{', found the end of the text"),
        ('a = ["x" "hunter2"]', "line 1, column 10: expected ',' or ']', found a string"),
    ],
)
def test_errors_point_at_the_place_and_quote_no_string(text: str, error: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        hcl.parse(text)
    assert str(caught.value) == error


def test_items_know_their_place() -> None:
    (_, second) = hcl.parse('a = 1\n  path "x" {\n}').items
    assert (second.line, second.column, second.is_block) == (2, 3, True)
    assert str(second.error("no")) == "line 2, column 3: no"


def _nested_blocks(depth: int) -> str:
    return "a {" * depth + "}" * depth


def _nested_lists(depth: int) -> str:
    return "a = " + "[" * depth + "]" * depth


def _nested_json(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


def _nested_json_lists(depth: int) -> str:
    return '{"a":' + "[" * (depth - 1) + "]" * (depth - 1) + "}"


# The body of a JSON text is a level of its own, that of an HCL text is not.
@pytest.mark.parametrize(
    "nested", [_nested_blocks, _nested_lists, _nested_json, _nested_json_lists]
)
def test_the_depth_limit(nested: Callable[[int], str]) -> None:
    hcl.parse(nested(hcl.MAX_DEPTH))
    for depth in (hcl.MAX_DEPTH + 1, 1_000, 50_000):
        with pytest.raises(TooLarge, match="nested deeper"):
            hcl.parse(nested(depth))


def test_the_label_limit() -> None:
    hcl.parse("a" + " b" * hcl.MAX_LABELS + "{}")
    with pytest.raises(InvalidRequest, match="labels"):
        hcl.parse("a" + " b" * (hcl.MAX_LABELS + 1) + "{}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", []),
        (' \n{"a": 1, "b": [true, null, "x", 1.5], "c": {"d": {}}}', None),
        ('{"a": "\\u00e9\\ud83d\\udd11"}', [("a", "é🔑")]),
    ],
)
def test_json(text: str, expected: list[object] | None) -> None:
    if expected is None:
        expected = [("a", 1), ("b", [True, None, "x", 1.5]), ("c", [("d", [])])]
    assert shape(hcl.parse(text)) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1, "a": 2}', "'a' is given twice"),
        ('{"x": {"a": 1, "\\u0061": 2}}', "'a' is given twice"),
        ('{"a": 1', "line 1, column 8"),
        ('{"a": 1} {"b": 2}', "line 1, column 10"),
        ('{"a": 1,}', "line 1"),
        ("{'a': 1}", "line 1"),
        ('{"a": NaN}', "NaN"),
        ('{"a": -Infinity}', "Infinity"),
        ('{"a": 1e999}', "too large"),
        ('{"a": ' + "9" * (MAX_NUMBER_LENGTH + 1) + "}", "too long"),
        ('{"a": 1.' + "9" * MAX_NUMBER_LENGTH + "}", "too long"),
        ('{"a": "\\ud800"}', "surrogate"),
        ('{"\\udfff": 1}', "surrogate"),
        ('{"a": "\\u0000"}', "NUL"),
        ('{"a": "\t"}', "line 1"),
    ],
)
def test_json_refusals(text: str, words: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        hcl.parse(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        'listener "tcp" { address = "a" }\nlistener "unix" { address = "b" }',
        'listener = { "tcp" = { address = "a" }, "unix" = { address = "b" } }',
        'listener = [{ tcp { address = "a" } }, { unix { address = "b" } }]',
        '{"listener": {"tcp": {"address": "a"}, "unix": {"address": "b"}}}',
        '{"listener": [{"tcp": {"address": "a"}}, {"unix": [{"address": "b"}]}]}',
    ],
)
def test_blocks_find_their_labels_in_every_spelling(text: str) -> None:
    blocks = list(hcl.parse(text).blocks("listener", 1))
    assert [(block.labels, block.body().plain()) for block in blocks] == [
        (("tcp",), {"address": "a"}),
        (("unix",), {"address": "b"}),
    ]


def test_blocks_without_labels() -> None:
    body = hcl.parse("telemetry { x = 1 }\nother { x = 2 }")
    assert [block.body().plain() for block in body.blocks("telemetry", 0)] == [{"x": 1}]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('listener "a" "b" {}', "takes 1 label"),
        ("listener = 1", "must be a block"),
        ('{"listener": null}', "must be a block"),
        ('{"listener": {"tcp": 1}}', "must be a block"),
        ('{"listener": ["tcp"]}', "must be a block"),
    ],
)
def test_blocks_refuse_other_shapes(text: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        list(hcl.parse(text).blocks("listener", 1))


def test_get_wants_one_at_most() -> None:
    body = hcl.parse("a {} b = 1 a {}")
    item = body.get("b")
    assert item is not None
    assert item.value == 1
    assert body.get("c") is None
    with pytest.raises(InvalidRequest, match="line 1, column 12: 'a' is given twice"):
        body.get("a")


def test_plain_refuses_what_a_dict_cannot_say() -> None:
    assert hcl.parse("a = [{ b = [1] }] c { d = 2.5 }").plain() == {
        "a": [{"b": [1]}],
        "c": {"d": 2.5},
    }
    for text in ("a {} a {}", 'a "b" {}'):
        with pytest.raises(InvalidRequest, match="one plain value"):
            hcl.parse(text).plain()


VALUES = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 3))
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.from_regex(r"[a-z][a-z0-9_.-]{0,5}", fullmatch=True), inner, max_size=3
        )
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5), VALUES
)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + escaped.replace("${", "\\u0024{") + '"'


def _hcl(value: object, comma: str) -> str:
    if isinstance(value, dict):
        members = (f"{_quoted(key)} = {_hcl(one, comma)}{comma}" for key, one in value.items())
        return "{" + " ".join(members) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_hcl(one, comma) for one in value) + "]"
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


@given(OBJECTS, st.sampled_from(["", ",", " # c\n", "\n", " /* */ "]))
def test_what_is_written_is_read(value: dict[str, object], comma: str) -> None:
    text = _hcl(value, comma)[1:-1]
    assert hcl.parse(text).plain() == value
    assert hcl.parse(json.dumps(value)).plain() == value


def _refusal(text: str) -> str:
    try:
        hcl.parse(text)
    except InvalidRequest as error:
        return str(error)
    return "none"


@given(
    st.text()
    | st.text('path"{}[]=,#/*\\$<EOF-\n ab1.e')
    | st.binary().map(lambda raw: raw.decode("latin-1"))
)
def test_any_text_is_parsed_or_refused(text: str) -> None:
    assert _refusal(text)
    assert _refusal("{" + text)


PIECES = [
    "[",
    "{",
    "a{",
    "a=[",
    '"',
    '"${',
    '"$',
    "\\",
    '"\\',
    "/*",
    "/",
    "<<A\n",
    "<<-A\n ",
    "#",
    "a ",
]
PIECES += ["-", "0", "\n", "\r", "a=1 ", 'a"b"{}', "a=<<B\nB\n", ",", '{"a":', "{["]


@pytest.mark.parametrize("piece", PIECES)
def test_a_long_text_of_anything_ends_soon(piece: str) -> None:
    size = MAX_TEXT_BYTES // 8
    before = time.process_time()
    for start in ("", "a = ", '"'):
        text = (start + piece * (size // len(piece)))[:size]
        assert len(_refusal(text)) < 500
    assert time.process_time() - before < SECONDS_FOR_ANY_TEXT


def test_many_heredoc_names_end_soon() -> None:
    before = time.process_time()
    text = "".join(f"k{n}=<<h{n}\nh{n}\n" for n in range(40_000))
    assert len(hcl.parse(text).items) == 40_000
    assert time.process_time() - before < SECONDS_FOR_ANY_TEXT
