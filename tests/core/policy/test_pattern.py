"""Which pattern rules a path: every case of priority, and the index against a plain scan."""

import time

import pytest
from hypothesis import example, given, strategies as st

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.policy.pattern import Pattern, PatternIndex, parse_pattern

SECONDS_FOR_MANY_PATTERNS = 5.0
"""Ten times what ten thousand take here; a quadratic step would take minutes."""


def index(*patterns: str) -> PatternIndex[str]:
    return PatternIndex({parse_pattern(pattern): pattern for pattern in patterns})


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("a/b", Pattern("a/b", is_prefix=False, has_wildcards=False)),
        ("/a/b", Pattern("a/b", is_prefix=False, has_wildcards=False)),
        ("//a", Pattern("/a", is_prefix=False, has_wildcards=False)),
        ("", Pattern("", is_prefix=False, has_wildcards=False)),
        ("*", Pattern("", is_prefix=True, has_wildcards=False)),
        ("a/*", Pattern("a/", is_prefix=True, has_wildcards=False)),
        ("a**", Pattern("a*", is_prefix=True, has_wildcards=False)),
        ("a/*/b", Pattern("a/*/b", is_prefix=False, has_wildcards=False)),
        ("+", Pattern("+", is_prefix=False, has_wildcards=True)),
        ("+/a", Pattern("+/a", is_prefix=False, has_wildcards=True)),
        ("/+/a", Pattern("+/a", is_prefix=False, has_wildcards=True)),
        ("a/+", Pattern("a/+", is_prefix=False, has_wildcards=True)),
        ("a/+/b*", Pattern("a/+/b", is_prefix=True, has_wildcards=True)),
        ("a+/b", Pattern("a+/b", is_prefix=False, has_wildcards=False)),
        ("+a", Pattern("+a", is_prefix=False, has_wildcards=False)),
        ("a/+b", Pattern("a/+b", is_prefix=False, has_wildcards=False)),
    ],
)
def test_normalisation(text: str, pattern: Pattern) -> None:
    assert parse_pattern(text) == pattern


@pytest.mark.parametrize("text", ["+*", "a/+*", "a+*", "+*/b", "/+*"])
def test_a_glob_on_a_wildcard_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"'\+\*' is not allowed"):
        parse_pattern(text)


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("*", ["", "a", "a/b/"], []),
        ("a/*", ["a/", "a/b", "a/b/c"], ["a", "ab", "b/a/"]),
        ("a*", ["a", "ab", "a/b"], ["", "b"]),
        ("+", ["a", "", "*"], ["a/", "a/b"]),
        ("+/", ["a/", "/"], ["a", "a/b"]),
        ("a/+", ["a/b", "a/", "a/+"], ["a", "a/b/", "a/b/c", "b/b"]),
        ("a/+/c", ["a/b/c", "a//c"], ["a/c", "a/b/c/", "a/b/d", "a/b/b/c"]),
        ("+/+/c", ["a/b/c", "//c"], ["a/c", "c"]),
        ("a/+/*", ["a/b/", "a/b/c", "a/b/c/d/"], ["a/b", "a"]),
        ("a/+/c*", ["a/b/c", "a/b/cc", "a/b/c/d"], ["a/b/", "a/b/d", "a/c"]),
        ("a/*/+", ["a/*/b"], ["a/b/b", "a/b/c/d"]),
        ("a/+b*", ["a/+b", "a/+bc/d"], ["a/xb"]),
    ],
)
def test_what_a_pattern_matches(pattern: str, matching: list[str], others: list[str]) -> None:
    found = index(pattern)
    assert [path for path in matching if found.most_specific(path) is None] == []
    assert [path for path in others if found.most_specific(path) is not None] == []


@pytest.mark.parametrize(
    ("winner", "loser", "path"),
    [
        # The first wildcard or glob comes later.
        ("foo/a*", "foo/+", "foo/ab"),
        ("foo/bar/+/baz", "foo/+/bar/baz", "foo/bar/bar/baz"),
        ("foo/+/*", "+/*", "foo/bar/bar/baz"),
        ("foo/(ar/+/baz", "foo/+/(ar/baz", "foo/(ar/(ar/baz"),
        ("a/b*", "a/*", "a/bc"),
        ("a/b/*", "a/+/c", "a/b/c"),
        ("a/b*", "+/+", "a/bc"),
        ("a/*", "*", "a/b"),
        ("1/2/*", "1/+/3", "1/2/3"),
        # It is not a prefix.
        ("foo/bar/+/baz", "foo/bar/+/baz*", "foo/bar/bar/baz"),
        ("foo/+/baz", "foo/+/*", "foo/bar/baz"),
        ("1/2/+", "1/2/*", "1/2/3"),
        ("1/2/+/+", "1/2/*", "1/2/3/4"),
        ("a/+/+", "a/+/c*", "a/b/c"),
        # It has fewer wildcard segments.
        ("secret/*", "secret/+/+/foo/*", "secret/a/b/foo/c"),
        ("*", "+/*", "foo/bar/bar/baz"),
        ("foo/+/bar/baz", "foo/+/+/*", "foo/bar/bar/baz"),
        ("foo/+/bar/baz", "foo/+/+/baz", "foo/bar/bar/baz"),
        ("a/+/c/*", "a/+/+/d*", "a/b/c/d"),
        # It is longer.
        ("foo/bar/+/ba*", "foo/bar/+/b*", "foo/bar/bar/baz"),
        ("a/+/cc/+", "a/+/+/d", "a/b/cc/d"),
        ("a/+/éé/+", "a/+/+/ddd", "a/b/éé/ddd"),
        # It sorts later.
        ("a/+/c/+", "a/+/+/d", "a/b/c/d"),
        # A plus inside a segment is no wildcard.
        ("secret/a+b/+/x", "secret/a+b/*", "secret/a+b/y/x"),
        ("a/+b*", "a/+", "a/+bc"),
    ],
)
def test_priority(winner: str, loser: str, path: str) -> None:
    assert index(winner).most_specific(path) == winner
    assert index(loser).most_specific(path) == loser
    assert index(winner, loser).most_specific(path) == winner
    assert index(loser, winner).most_specific(path) == winner
    assert parse_pattern(winner).priority > parse_pattern(loser).priority


def test_exact_patterns_are_in_their_own_table() -> None:
    found = index("a/b", "a/*", "a/+")
    assert found.exact == {"a/b": "a/b"}
    assert found.most_specific("a/b") == "a/+"


@pytest.mark.parametrize(
    ("pattern", "folder", "reaches"),
    [
        ("foo/bar", "foo/", True),
        ("foo/", "foo/", True),
        ("foo", "foo/", False),
        ("fo*", "foo/", True),
        ("foo/bar/*", "foo/", True),
        ("*", "foo/", True),
        ("bar/*", "foo/", False),
        ("foobar/*", "foo/", False),
        ("+", "foo/", True),
        ("+/*", "foo/", True),
        ("foo/+", "foo/", True),
        ("foo/+/+/*", "foo/", True),
        ("foo/+/+/*", "foo/bar/", True),
        ("foo/+/+/*", "foo/bar/bar/", True),
        ("foo/+/+/*", "foo/bar/bar/baz/", True),
        ("foo/+/+/baz", "foo/bar/bar/baz/", True),
        ("foo/+/bar/baz", "foo/bar/bar/baz/", True),
        ("foo/bar/+/baz*", "foo/bar/bar/baz/", True),
        ("foo/bar/+/b*", "foo/bar/bar/baz/", True),
        ("foo/bar/+/b*", "foo/bar/bar/b/c/d/", True),
        ("foo/bar/+/x*", "foo/bar/bar/baz/", False),
        ("bar/+", "foo/", False),
        ("foo/+", "foo/a/b/", False),
        ("+/x", "foo/bar/", False),
    ],
)
def test_reaching_into_a_folder(pattern: str, folder: str, reaches: bool) -> None:
    assert parse_pattern(pattern).reaches(folder) is reaches


def _matches(pattern: str, path: str) -> bool:
    """Match by definition, segment by segment."""
    pattern = pattern.removeprefix("/")
    glob = pattern.endswith("*")
    wanted, given_ = pattern.removesuffix("*").split("/"), path.split("/")
    if "+" not in wanted:
        literal = pattern.removesuffix("*")
        return path.startswith(literal) if glob else path == literal
    if len(wanted) > len(given_) or (not glob and len(wanted) != len(given_)):
        return False
    *folders, last = wanted
    if any(one not in {"+", other} for one, other in zip(folders, given_, strict=False)):
        return False
    tail = given_[len(folders)]
    return tail.startswith(last) if glob else last in {"+", tail}


SEGMENTS = st.sampled_from(["a", "b", "ab", "aa", "+", "", "é", "+a", "a*"])
PATHS = st.lists(SEGMENTS, min_size=1, max_size=5).map("/".join)
PATTERNS = st.builds(
    lambda path, glob: path + glob if not path.endswith("+") else path,
    PATHS,
    st.sampled_from(["", "*"]),
)


@given(st.lists(PATTERNS, max_size=12), PATHS)
@example(["a/+/b*", "a/+/b", "a/*", "+/+/b"], "a/a/b")
def test_the_index_finds_the_highest_of_all_matches(patterns: list[str], path: str) -> None:
    found = index(*patterns)
    candidates = [one for one in patterns if _matches(one, path)]
    exact = {one.removeprefix("/") for one in candidates if parse_pattern(one) in _exact(patterns)}
    assert (path in found.exact) == bool(exact)
    rest = [one for one in candidates if parse_pattern(one) not in _exact(patterns)]
    best = max(rest, key=lambda one: parse_pattern(one).priority, default=None)
    got = found.most_specific(path)
    assert (got is None) == (best is None)
    if got is not None and best is not None:
        assert parse_pattern(got) == parse_pattern(best)


def _exact(patterns: list[str]) -> set[Pattern]:
    parsed = {parse_pattern(one) for one in patterns}
    return {one for one in parsed if not one.is_prefix and not one.has_wildcards}


@pytest.mark.parametrize(
    ("patterns", "path"),
    [
        ([f"{n}/+/x*" for n in range(10_000)], "5/a/xyz"),
        ([f"+/a{n}*" for n in range(10_000)], "q/a5"),
        (["a" * n + "*" for n in range(1, 1_400)], "a" * 1_399),
        (["a" * n + "*" for n in range(2, 1_400)] + ["a*"], "ab"),
        (
            ["/".join("a+"[n >> bit & 1] for bit in range(12)) + "/x" for n in range(4096)],
            "a/" * 12,
        ),
        (["+/" * n + "x" for n in range(1, 1_000)], "a/" * 999 + "x"),
    ],
)
def test_many_patterns_are_indexed_and_searched_soon(patterns: list[str], path: str) -> None:
    before = time.process_time()
    found = index(*patterns)
    answers = {found.most_specific(path) for _ in range(20)}
    assert len(answers) == 1
    assert time.process_time() - before < SECONDS_FOR_MANY_PATTERNS
