"""Routes: the most literal pattern wins, whatever the order of the table."""

from itertools import permutations

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import NotFound, UnsupportedOperation
from ironkeep.core.operation import Operation
from ironkeep.kernel.router import Router
from ironkeep.plugin.call import Call
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route

READ, LIST, UPDATE, CREATE, HELP = (
    Operation.READ, Operation.LIST, Operation.UPDATE, Operation.CREATE, Operation.HELP,
)  # fmt: skip


def handler(_call: Call) -> Response:
    return Response()


def routes(*patterns: str, op: Operation = READ) -> list[Route]:
    return [Route(op, pattern, handler, help=f"at {pattern}") for pattern in patterns]


TABLE = routes("a", "a/b", "a/{x}", "a/{x}/c", "a/{x...}", "{x...}", "{x}/tune", "{x...}/tune")


@pytest.mark.parametrize(
    ("path", "pattern", "params"),
    [
        ("a", "a", {}),
        ("a/b", "a/b", {}),
        ("a/z", "a/{x}", {"x": "z"}),
        ("a/z/c", "a/{x}/c", {"x": "z"}),
        ("a/z/d", "a/{x...}", {"x": "z/d"}),
        ("a/", "a/{x...}", {"x": ""}),
        ("z", "{x...}", {"x": "z"}),
        ("", "{x...}", {"x": ""}),
        ("z/tune", "{x}/tune", {"x": "z"}),
        ("y/z/tune", "{x...}/tune", {"x": "y/z"}),
        ("a.b", "{x...}", {"x": "a.b"}),
        ("a/z\n", "a/{x}", {"x": "z\n"}),
    ],
)
def test_the_most_literal_wins(path: str, pattern: str, params: dict[str, str]) -> None:
    route, found, *_ = Router(TABLE).match(READ, path)
    assert (route.pattern, dict(found)) == (pattern, params)


def test_the_order_of_the_table_does_not_matter() -> None:
    some = routes("a/b", "a/{x}", "a/{x...}", "{x...}")
    for order in permutations(some):
        found = [Router(order).match(READ, path)[0].pattern for path in ("a/b", "a/z", "a/", "q")]
        assert found == ["a/b", "a/{x}", "a/{x...}", "{x...}"]


def test_an_operation_that_only_another_pattern_has_is_looked_for_further() -> None:
    table = [*routes("a/b", op=UPDATE), *routes("a/{x}")]
    assert Router(table).match(READ, "a/b")[0].pattern == "a/{x}"
    assert Router(table).match(CREATE, "a/b")[0].op is UPDATE
    with pytest.raises(UnsupportedOperation):
        Router(table).match(LIST, "a/b")
    with pytest.raises(NotFound):
        Router(table).match(READ, "b")


def test_listing_has_its_own_spelling() -> None:
    table = [*routes("users/", op=LIST), *routes("users/{name}")]
    assert Router(table).match(LIST, "users/")[0].pattern == "users/"
    with pytest.raises(UnsupportedOperation):
        Router(table).match(READ, "users/")
    assert Router(table).match(HELP, "users")[0].help


def test_help_is_there_for_every_pattern() -> None:
    router = Router(TABLE)
    assert router.match(HELP, "a/b")[0].pattern == "a/b"
    with pytest.raises(NotFound):
        Router(routes("a")).match(HELP, "b")


def test_two_routes_for_the_same_thing_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="two routes for read a"):
        Router(routes("a", "a"))


@given(st.text(max_size=50))
def test_any_text_is_matched_literally(path: str) -> None:
    route, params, *_ = Router(TABLE).match(READ, path)
    assert route.pattern.replace("{x...}", params.get("x", "")).replace(
        "{x}", params.get("x", "")
    ) == path  # fmt: skip
