"""Policies by name: their exact text, its history, and compiled forms.

    sys/policies : acl / name -> the text

Names are lower-cased. `root` has no text and grants everything; `response-wrapping` is fixed;
`default` can be edited but not deleted. A compiled form is used only while the rows that it came
from are the same objects, so a change applies to the next request and nothing needs invalidation.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from ironkeep.core.errors import IntegrityError, InvalidRequest, TooLarge
from ironkeep.core.policy.acl import Acl, compile_acl
from ironkeep.core.policy.builtin import (
    DEFAULT_POLICY_NAME,
    DEFAULT_POLICY_TEXT,
    IMMUTABLE_POLICY_NAMES,
    RESPONSE_WRAPPING_POLICY_NAME,
    RESPONSE_WRAPPING_POLICY_TEXT,
    ROOT_POLICY_NAME,
)
from ironkeep.core.policy.policy import ROOT_POLICY, Policy, parse_policy
from ironkeep.core.policy.template import TemplateContext
from ironkeep.core.ports import Row
from ironkeep.core.text.spelling import folded
from ironkeep.plugin.token import Verdicts
from ironkeep.store.barrier import Store
from ironkeep.store.history import History
from ironkeep.store.reserved import POLICIES, StoreOf
from ironkeep.store.state import Tx

MAX_NAME: Final = 128
"""Characters in a policy's name: every token with the policy contains it."""
MAX_TEXT_BYTES: Final = 2**18
"""Parsing blocks all other requests for three seconds a mebibyte, and is repeated when the compiled
form was dropped."""
MAX_COMPILED: Final = 4_096
"""Compiled policies, and compiled ACLs, cached in memory; all are dropped when there are more."""
KIND: Final = "policy"
"""The kind under which the history records texts."""

_VERSION: Final = b"\x01"
_FOLDER: Final = "acl"
_BUILT_IN: Final = {
    DEFAULT_POLICY_NAME: DEFAULT_POLICY_TEXT,
    RESPONSE_WRAPPING_POLICY_NAME: RESPONSE_WRAPPING_POLICY_TEXT,
}

Rows = tuple[tuple[bytes, Row | None], ...]
"""Row keys with the rows found there, from which a value was derived."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """An ACL, its cached decisions, and its sources: the policies' rows and the holder's row."""

    acl: Acl
    rows: Rows
    holder: Row | None
    verdicts: Verdicts = field(default_factory=dict)


class Policies:
    """Reads, writes and compiles policies."""

    def __init__(self, stores: StoreOf, history: History) -> None:
        self._stores: Final = stores
        self._history: Final = history
        self._parsed: dict[str, tuple[Row | None, Policy]] = {}
        self._compiled: dict[tuple[object, ...], Compiled] = {}

    def text(self, tx: Tx, name: str) -> str | None:
        """Return the text of a policy as written, "" for root, or None if it does not exist."""
        name = folded(name)
        if name == ROOT_POLICY_NAME:
            return ""
        return self._read(self._stores(tx, POLICIES), name)

    def texts_since(self, tx: Tx, name: str, time_ns: int) -> Iterator[tuple[int, str | None]]:
        """Yield (start, text) of what a policy said at time_ns or later, the oldest first.

        None means that it did not exist. Work in turns can suspend it.
        """
        name = folded(name)
        if name in IMMUTABLE_POLICY_NAMES:
            yield 0, self.text(tx, name)
            return
        yield 0, _BUILT_IN.get(name)
        for start, value in self._history.since(tx, KIND, name, time_ns):
            yield start, value.decode() if value else _BUILT_IN.get(name)

    def put(self, tx: Tx, name: str, text: str, now_ns: int) -> None:
        """Write a policy; raise InvalidRequest for a bad name or text, TooLarge past a limit."""
        name = normalise_name(name)
        if name in IMMUTABLE_POLICY_NAMES:
            raise InvalidRequest(f"cannot update {name!r} policy")
        try:
            encoded = text.encode()
        except UnicodeEncodeError:
            raise InvalidRequest("the policy is not valid Unicode text") from None
        if len(encoded) > MAX_TEXT_BYTES:
            raise TooLarge(f"a policy holds at most {MAX_TEXT_BYTES} bytes")
        if not encoded.strip():
            raise InvalidRequest("'policy' parameter not supplied or empty")
        parse_policy(name, text)
        self._stores(tx, POLICIES).put(f"{_FOLDER}/{name}", _VERSION + encoded)
        self._history.record(tx, KIND, name, encoded, now_ns)

    def delete(self, tx: Tx, name: str, now_ns: int) -> None:
        """Remove a policy, if it exists. Tokens keep its name but lose its rights."""
        name = folded(name)
        if name in IMMUTABLE_POLICY_NAMES or name == DEFAULT_POLICY_NAME:
            raise InvalidRequest(f"cannot delete {name!r} policy")
        store = self._stores(tx, POLICIES)
        if store.row(f"{_FOLDER}/{name}") is not None:
            store.delete(f"{_FOLDER}/{name}")
            self._history.record(tx, KIND, name, b"", now_ns)

    def exists(self, tx: Tx, name: str) -> bool:
        """Return whether a policy of that name exists; root always does."""
        return self.text(tx, name) is not None

    def names(self, tx: Tx) -> list[str]:
        """Return the names of all policies, sorted, with `root` and `default`."""
        paths = self._stores(tx, POLICIES).walk(_FOLDER)
        stored = {path.removeprefix(f"{_FOLDER}/") for path in paths}
        return sorted(stored | {DEFAULT_POLICY_NAME, ROOT_POLICY_NAME})

    def acl(
        self, tx: Tx, names: tuple[str, ...], templates: TemplateContext, holder: Row | None = None
    ) -> Compiled:
        """Return the ACL of a token with these policies, for the holder that templates describe.

        `holder` is the row from which the templates were made: the ACL is cached while that row is
        the same object. Names without a policy grant nothing. Raise PermissionDenied when a
        template's value is not allowed in a path.
        """
        store = self._stores(tx, POLICIES)
        written = [name for name in names if name not in IMMUTABLE_POLICY_NAMES]
        keys = [store.key_of(f"{_FOLDER}/{name}") for name in written]
        rows = tuple((key, tx.get(key)) for key in keys)
        # `Compiled` references the row, so that its id is not reused while the cache entry exists.
        memo = (names, id(holder))
        known = self._compiled.get(memo)
        if known is not None and _same(known.rows, rows):
            return known
        found = dict(zip(written, (row for _, row in rows), strict=True))
        parsed = (self._policy(store, name, found.get(name)) for name in names)
        policies = [policy for policy in parsed if policy is not None]
        compiled = Compiled(compile_acl(policies, templates), rows, holder)
        if len(self._compiled) >= MAX_COMPILED:
            self._compiled.clear()
        self._compiled[memo] = compiled
        return compiled

    def forget(self) -> None:
        """Drop all compiled forms, because the vault is being sealed."""
        self._parsed.clear()
        self._compiled.clear()

    def _policy(self, store: Store, name: str, row: Row | None) -> Policy | None:
        if name == ROOT_POLICY_NAME:
            return ROOT_POLICY
        known = self._parsed.get(name)
        if known is not None and known[0] is row:
            return known[1]
        text = self._read(store, name)
        if text is None:
            return None
        policy = parse_policy(name, text)
        if len(self._parsed) >= MAX_COMPILED:
            self._parsed.clear()
        self._parsed[name] = (row, policy)
        return policy

    def _read(self, store: Store, name: str) -> str | None:
        if name == RESPONSE_WRAPPING_POLICY_NAME:
            return RESPONSE_WRAPPING_POLICY_TEXT
        raw = store.get(f"{_FOLDER}/{name}")
        if raw is None:
            return _BUILT_IN.get(name)
        if raw[:1] != _VERSION:
            raise IntegrityError("a policy of unknown version: use the release that wrote it")
        return raw[1:].decode()


def _same(known: Rows, rows: Rows) -> bool:
    return all(old is new for (_, old), (_, new) in zip(known, rows, strict=True))


def normalise_name(name: str) -> str:
    """Return name trimmed and in lower case; raise InvalidRequest if it is invalid."""
    name = folded(name.strip())
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise InvalidRequest(f"a policy's name has 1 to {MAX_NAME} printable characters")
    if any(part in {"", ".", ".."} for part in name.split("/")):
        raise InvalidRequest("a policy's name has no empty, '.' or '..' segment")
    return name


def normalise_names(names: Iterable[str], *, add_default: bool) -> tuple[str, ...]:
    """Return the policies of a token, lower-cased, sorted and unique; `root` replaces all others.

    Source: Vault, policyutil.SanitizePolicies.
    """
    wanted = {folded(name.strip()) for name in names} - {""}
    if ROOT_POLICY_NAME in wanted:
        return (ROOT_POLICY_NAME,)
    if add_default:
        wanted.add(DEFAULT_POLICY_NAME)
    return tuple(sorted(wanted))
