"""Parts of an answer: found by their path, and refused when they are of another type."""

from collections.abc import Callable

import pytest

from ironkeep.testing.parts import array, number, part, table, tables, text, texts

ANSWER = {
    "name": "app",
    "versions": [{"number": 1, "kept": True}, {"number": 2, "kept": False}],
    "keys": ["a", "b"],
}


def test_parts_are_found_by_their_path() -> None:
    assert text(ANSWER, "name") == "app"
    assert number(ANSWER, "versions", 1, "number") == 2
    assert part(ANSWER, "versions", 0, "kept") is True
    assert table(ANSWER, "versions", 0) == {"number": 1, "kept": True}
    assert [each["number"] for each in tables(ANSWER, "versions")] == [1, 2]
    assert texts(ANSWER, "keys") == array(ANSWER, "keys") == ["a", "b"]
    assert table(ANSWER) is ANSWER


@pytest.mark.parametrize(
    ("read", "path", "said"),
    [
        (text, ("versions", 0, "number"), "string expected at ['versions', 0, 'number'], not 1"),
        (number, ("versions", 0, "kept"), "integer expected at ['versions', 0, 'kept'], not True"),
        (table, ("keys",), "object expected at ['keys'], not ['a', 'b']"),
        (array, ("name",), "array expected at ['name'], not 'app'"),
        (part, ("name", "first"), "object expected at ['name'], not 'app'"),
        (part, ("name", 0), "array expected at ['name'], not 'app'"),
        (tables, ("keys",), "object expected at [], not 'a'"),
    ],
)
def test_a_part_of_another_type_is_refused_with_its_path(
    read: Callable[..., object], path: tuple[str | int, ...], said: str
) -> None:
    with pytest.raises(TypeError) as raised:
        read(ANSWER, *path)
    assert str(raised.value) == said


def test_a_missing_part_is_an_error() -> None:
    with pytest.raises(KeyError):
        text(ANSWER, "none")
    with pytest.raises(IndexError):
        text(ANSWER, "keys", 2)
