"""Path patterns of ACL policies, and the index that finds the pattern that decides a path.

Spec: Vault, "Policies: path syntax" and "priority matching". `*` at the end matches any rest; `+`
as a whole segment matches any one segment, even an empty one; all other text is literal. Exactly
one pattern decides a path, the most specific; the others are ignored.

OpenBao's acl.go also treats the `+` of a literal segment as the first wildcard, so that a deny on
`secret/a+b/+/x` loses to `secret/a+b/*`. Here only a whole segment is a wildcard, as documented.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeAlias, TypeVar

from ironkeep.core.errors import InvalidRequest

T = TypeVar("T")

Priority: TypeAlias = tuple[int, bool, int, int, str]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A normalised pattern; `text` lacks the `*` of a prefix."""

    text: str
    is_prefix: bool
    has_wildcards: bool

    @property
    def priority(self) -> Priority:
        """Return the key that orders patterns matching one path; the greatest decides.

        A pattern is lower if its first wildcard comes earlier; if it is a prefix and the other is
        not; if it has more wildcard segments; if it is shorter; if it sorts before the other.
        """
        wildcards = self.text.split("/").count("+") if self.has_wildcards else 0
        # The slash added in front makes the index of "/+/" that of the "+" in the text.
        first = f"/{self.text}/".index("/+/") if self.has_wildcards else len(self.text)
        size = len(self.text.encode(errors="surrogatepass"))
        return first, not self.is_prefix, -wildcards, size, self.text

    def reaches(self, folder: str) -> bool:
        """Return whether it matches folder (which ends in `/`) or may match a path below it."""
        if not self.has_wildcards:
            below = self.text.startswith(folder)
            return below or (self.is_prefix and folder.startswith(self.text))
        mine, theirs = self.text.split("/"), folder.removesuffix("/").split("/")
        for position, segment in enumerate(theirs):
            if position == len(mine) - 1 and self.is_prefix and segment.startswith(mine[-1]):
                return True
            if position == len(mine) or mine[position] not in {"+", segment}:
                return False
        return True


def parse_pattern(text: str) -> Pattern:
    """Return the pattern of a policy stanza without one leading `/`; refuse `+*`."""
    text = text.removeprefix("/")
    if "+*" in text:
        raise InvalidRequest(f"path {text!r}: '+*' is not allowed")
    return Pattern(
        text=text.removesuffix("*"),
        is_prefix=text.endswith("*"),
        has_wildcards="+" in text.split("/"),
    )


class PatternIndex(Generic[T]):
    """The patterns of one ACL with a value each; `exact` is a plain dict for the hot path."""

    __slots__ = ("_prefixes", "_root", "exact")

    def __init__(self, values: Mapping[Pattern, T]) -> None:
        self.exact: Final[dict[str, T]] = {}
        prefixes: dict[str, _Ranked[T]] = {}
        wildcards: list[tuple[Pattern, T]] = []
        for pattern, value in values.items():
            if pattern.has_wildcards:
                wildcards.append((pattern, value))
            elif pattern.is_prefix:
                prefixes[pattern.text] = (pattern.priority, value)
            else:
                self.exact[pattern.text] = value
        self._prefixes = _PrefixTable(prefixes)
        self._root = _grow(wildcards) if wildcards else None

    def most_specific(self, path: str) -> T | None:
        """Return the value of the prefix or wildcard pattern that decides path, without `exact`.

        Visits each segment of each pattern at most once.
        """
        best = self._prefixes.longest(path)
        if self._root is not None:
            best = _walk(self._root, path, best)
        return None if best is None else best[1]


_Ranked: TypeAlias = tuple[Priority, T]


class _PrefixTable(Generic[T]):
    """Finds the longest matching prefix by bisection."""

    __slots__ = ("_parents", "_prefixes", "_values")

    def __init__(self, values: Mapping[str, _Ranked[T]]) -> None:
        self._prefixes = sorted(values)
        self._values = [values[prefix] for prefix in self._prefixes]
        self._parents: list[int] = []
        chain: list[int] = []
        for position, prefix in enumerate(self._prefixes):
            while chain and not prefix.startswith(self._prefixes[chain[-1]]):
                chain.pop()
            self._parents.append(chain[-1] if chain else -1)
            chain.append(position)

    def longest(self, text: str) -> _Ranked[T] | None:
        # All texts that sort between a prefix of text and text start with that prefix too. So each
        # prefix of text is its nearest predecessor or an ancestor of that.
        position = bisect_right(self._prefixes, text) - 1
        while position >= 0:
            if text.startswith(self._prefixes[position]):
                return self._values[position]
            position = self._parents[position]
        return None


class _Node(Generic[T]):
    """One segment of wildcard patterns; `tails` are last segments that end in `*`."""

    __slots__ = ("here", "literals", "plus", "tail_values", "tails")

    def __init__(self) -> None:
        self.literals: dict[str, _Node[T]] = {}
        self.plus: _Node[T] | None = None
        self.here: _Ranked[T] | None = None
        self.tail_values: dict[str, _Ranked[T]] = {}
        self.tails: _PrefixTable[T] | None = None

    def child(self, segment: str) -> "_Node[T]":
        if segment != "+":
            return self.literals.setdefault(segment, _Node())
        if self.plus is None:
            self.plus = _Node()
        return self.plus


def _grow(patterns: list[tuple[Pattern, T]]) -> _Node[T]:
    root: _Node[T] = _Node()
    with_tails: list[_Node[T]] = []
    for pattern, value in patterns:
        node, ranked = root, (pattern.priority, value)
        *folders, last = pattern.text.split("/")
        for segment in folders:
            node = node.child(segment)
        if pattern.is_prefix:
            if not node.tail_values:
                with_tails.append(node)
            node.tail_values[last] = ranked
        else:
            node.child(last).here = ranked
    for node in with_tails:
        node.tails = _PrefixTable(node.tail_values)
    return root


def _walk(root: _Node[T], path: str, best: _Ranked[T] | None) -> _Ranked[T] | None:
    nodes = [root]
    for segment in path.split("/"):
        following: list[_Node[T]] = []
        for node in nodes:
            # The tails of one node differ only in length, so the longest has the highest priority.
            if node.tails is not None:
                best = _better(best, node.tails.longest(segment))
            literal = node.literals.get(segment)
            if literal is not None:
                following.append(literal)
            if node.plus is not None:
                following.append(node.plus)
        if not following:
            return best
        nodes = following
    for node in nodes:
        best = _better(best, node.here)
    return best


def _better(best: _Ranked[T] | None, other: _Ranked[T] | None) -> _Ranked[T] | None:
    if best is None or (other is not None and other[0] > best[0]):
        return other
    return best
