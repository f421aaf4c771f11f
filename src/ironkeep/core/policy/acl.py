"""Decide whether the policies of a token allow one operation on one path.

Spec: OpenBao internal/vault/policy/acl.go, with the order of look-ups of GHSA-xp3c. Deviations,
each to the safe side: a wrapping TTL of zero does not satisfy a bound on wrapping (such a response
is not wrapped); the values of templates are always checked (`core/policy/template.py`).

1. Rules of several policies on one pattern are merged: a deny wins, capabilities and parameter
   clauses add up, and of two wrapping bounds the shorter applies.
2. One pattern decides a path: the exact one, otherwise the most specific
   (`core/policy/pattern.py`). A list also tries the path without its last `/`, but only if nothing
   matched the path with it.
3. That rule grants the operation, or the operation is denied.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ironkeep.core.errors import InvalidRequest, PermissionDenied
from ironkeep.core.operation import Operation
from ironkeep.core.policy.builtin import ROOT_POLICY_NAME
from ironkeep.core.policy.parameters import NO_READERS, Readers
from ironkeep.core.policy.pattern import Pattern, PatternIndex, parse_pattern
from ironkeep.core.policy.policy import Capability, Policy, Rule, RuleRef
from ironkeep.core.policy.template import TemplateContext
from ironkeep.core.text.spelling import Spelling

MAX_SPELLED: Final = 64
"""Respelled forms kept for one ACL: one for each `Spelling` of the routes it is used on."""

_NEEDED: Final = {
    Operation.READ: Capability.READ,
    Operation.LIST: Capability.LIST,
    Operation.CREATE: Capability.CREATE,
    Operation.UPDATE: Capability.UPDATE,
    Operation.PATCH: Capability.PATCH,
    Operation.DELETE: Capability.DELETE,
}
_REQUIRING: Final = frozenset({Operation.READ, Operation.UPDATE, Operation.CREATE, Operation.PATCH})
"""Operations for which a rule may require fields, as in Vault: a delete sends no fields."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision and the rule behind it (None: no rule matched, or no rule was needed).

    `sudo` means that the rule grants sudo on the path, whether or not the operation is allowed.
    `depends_on_data` means that other fields or another wrapping TTL may change the decision; if it
    is false, the decision holds for every request with this path and operation. `reason` is for
    the audit entry: it contains words of Ironkeep and of the policy, never of the request.
    """

    allowed: bool
    rule: RuleRef | None
    reason: str
    sudo: bool = False
    root: bool = False
    depends_on_data: bool = False


_HELP: Final = Decision(allowed=True, rule=None, reason="help needs no capability")
_UNMATCHED: Final = Decision(allowed=False, rule=None, reason="no rule matches the path")
_ROOT: Final = Decision(
    allowed=True,
    rule=RuleRef(ROOT_POLICY_NAME, "*", 0),
    reason="the root policy grants everything",
    sudo=True,
    root=True,
)


class Acl:
    """The compiled policies of one token; immutable except for its cache of decisions."""

    __slots__ = ("_exact", "_folder", "_index", "_is_root", "_rules", "_spelled", "_written")

    def __init__(
        self, written: Sequence[tuple[Pattern, Rule]], *, is_root: bool, folder: bool = False
    ) -> None:
        self._written = written
        self._rules = _merged(written)
        self._index = PatternIndex(self._rules)
        self._exact = self._index.exact
        self._is_root = is_root
        self._folder = folder
        self._spelled: dict[Spelling, Acl] = {}

    def spelled(self, spelling: Spelling) -> "Acl":
        """Return the ACL for paths in the canonical form of that spelling.

        Its rules are brought into that form too, and rules that become the same are merged, so a
        deny in any spelling denies.
        """
        known = self._spelled.get(spelling)
        if known is None:
            known = self._respelled(spelling)
            if len(self._spelled) >= MAX_SPELLED:
                self._spelled.clear()
            self._spelled[spelling] = known
        return known

    def _respelled(self, spelling: Spelling) -> "Acl":
        written = [(_respell(pattern, spelling), rule) for pattern, rule in self._written]
        same = all(
            one is other for (one, _), (other, _) in zip(written, self._written, strict=True)
        )
        if self._is_root or (same and not spelling.has_folder):
            return self
        return Acl(written, is_root=False, folder=spelling.has_folder)

    def decide(
        self,
        path: str,
        operation: Operation,
        data: Mapping[str, object] | None = None,
        wrap_ttl_seconds: int | None = None,
        readers: Readers = NO_READERS,
    ) -> Decision:
        """Decide one operation on path, which is the request's path after `/v1/`.

        data has the fields that the client sent, readers the way in which the route's handler reads
        them; wrap_ttl_seconds is None if the client did not ask for wrapping. The caller must check
        `sudo` itself if the path needs it.
        """
        if self._is_root:
            return _ROOT
        if path.startswith("/"):
            path = path.lstrip("/")
        rule = self._exact.get(path) or self._find(path, operation)
        if rule is None:
            return _HELP if operation is Operation.HELP else _UNMATCHED
        decision = rule.decisions.get(operation) or rule.decide(operation)
        if decision.depends_on_data:
            return rule.judge(decision, operation, data or {}, wrap_ttl_seconds, readers)
        return decision

    def capabilities(self, path: str) -> list[str]:
        """Return the token's capabilities on path, in Vault's order; ["root"] or ["deny"]."""
        if self._is_root:
            return ["root"]
        path = path.lstrip("/")
        rule = self._exact.get(path) or self._find(path, Operation.LIST)
        granted = [] if rule is None else [word for word in Capability if word in rule.capabilities]
        return [str(word) for word in granted] or [str(Capability.DENY)]

    def reaches(self, folder: str) -> bool:
        """Return whether any rule grants anything on folder (ending in `/`) or below it."""
        return self._is_root or any(
            rule.capabilities and not rule.denies and pattern.reaches(folder)
            for pattern, rule in self._rules.items()
        )

    def _find(self, path: str, operation: Operation) -> "_MergedRule | None":
        if operation is not Operation.LIST or not path.endswith("/"):
            found = self._index.most_specific(path)
            if self._folder and (found is None or not found.denies):
                # A folder's last slash has no meaning: a deny that matches `folder/` applies too.
                below = self._index.most_specific(path + "/")
                return below if below is not None and below.denies else found
            return found
        bare = path[:-1]
        return (
            self._exact.get(bare)
            or self._index.most_specific(path)
            or self._index.most_specific(bare)
        )


class _MergedRule:
    """The merged rules of one pattern."""

    __slots__ = (
        "_granted_by",
        "_max_ttl",
        "_min_ttl",
        "_origin",
        "_parameters",
        "capabilities",
        "decisions",
    )

    def __init__(self, rule: Rule) -> None:
        self.capabilities = rule.capabilities
        self.decisions: dict[Operation, Decision] = {}
        self._origin = rule.origin
        self._granted_by = dict.fromkeys(rule.capabilities, rule.origin)
        self._parameters = rule.parameters
        self._min_ttl = rule.min_wrapping_ttl_seconds
        self._max_ttl = rule.max_wrapping_ttl_seconds

    @property
    def denies(self) -> bool:
        """Return whether one of the rules is a deny, which overrides all others."""
        return Capability.DENY in self.capabilities

    def add(self, rule: Rule) -> None:
        """Merge another rule on the same pattern, before any decision; neither may be a deny."""
        self.capabilities |= rule.capabilities
        self._granted_by = dict.fromkeys(rule.capabilities, rule.origin) | self._granted_by
        self._parameters = self._parameters.merge(rule.parameters)
        self._min_ttl = _shorter(self._min_ttl, rule.min_wrapping_ttl_seconds)
        self._max_ttl = _shorter(self._max_ttl, rule.max_wrapping_ttl_seconds)

    def decide(self, operation: Operation) -> Decision:
        """Decide operation without the request's fields, and remember the decision."""
        self.decisions[operation] = decision = self._decide(operation)
        return decision

    def judge(
        self,
        decision: Decision,
        operation: Operation,
        data: Mapping[str, object],
        wrap_ttl_seconds: int | None,
        readers: Readers,
    ) -> Decision:
        """Return decision, or a refusal because of the fields or the wrapping TTL."""
        reason = self._refuse_wrapping(wrap_ttl_seconds or 0)
        if reason is None:
            reason = self._parameters.refusal(
                data,
                readers,
                nulls=operation is Operation.PATCH,
                requires=operation in _REQUIRING,
            )
        if reason is None:
            return decision
        return Decision(False, decision.rule, reason, decision.sudo, depends_on_data=True)

    def _decide(self, operation: Operation) -> Decision:
        if operation is Operation.HELP:
            return _HELP
        needed = _NEEDED[operation]
        sudo = Capability.SUDO in self.capabilities
        if self.denies:
            return Decision(False, self._origin, "the rule denies the path")
        if needed not in self.capabilities:
            return Decision(False, self._origin, f"the rule does not grant {needed}", sudo)
        conditional = bool(self._min_ttl or self._max_ttl or self._parameters)
        return Decision(
            True,
            self._granted_by[needed],
            f"the rule grants {needed}",
            sudo,
            depends_on_data=conditional,
        )

    def _refuse_wrapping(self, ttl: int) -> str | None:
        if (self._max_ttl or self._min_ttl) and ttl <= 0:
            return "the response must be wrapped"
        if self._max_ttl and ttl > self._max_ttl:
            return f"the wrapping TTL is over the maximum of {self._max_ttl} s"
        # A merge can leave a minimum above the maximum; then no TTL is allowed.
        if ttl < self._min_ttl:
            return f"the wrapping TTL is under the minimum of {self._min_ttl} s"
        return None


def compile_acl(policies: Sequence[Policy], templates: TemplateContext) -> Acl:
    """Compile the policies of one token, with the templates filled in for its holder.

    A path whose template has no value is left out. Raises PermissionDenied if a value is not
    allowed in a path, InvalidRequest if root is not the only policy; the caller must then deny.
    """
    if any(policy.name == ROOT_POLICY_NAME for policy in policies):
        if len(policies) > 1:
            raise InvalidRequest("the root policy cannot stand beside other policies")
        return Acl((), is_root=True)
    texts = ((_render(rule, templates), rule) for rule in _rules(policies))
    written = [(parse_pattern(text), rule) for text, rule in texts if text is not None]
    return Acl(written, is_root=False)


def _merged(written: Iterable[tuple[Pattern, Rule]]) -> dict[Pattern, _MergedRule]:
    merged: dict[Pattern, _MergedRule] = {}
    for pattern, rule in written:
        known = merged.get(pattern)
        if known is None or (Capability.DENY in rule.capabilities and not known.denies):
            merged[pattern] = _MergedRule(rule)
        elif not known.denies:
            known.add(rule)
    return merged


def _respell(pattern: Pattern, spelling: Spelling) -> Pattern:
    text = spelling.respell(pattern.text, is_prefix=pattern.is_prefix)
    if text == pattern.text:
        return pattern
    return Pattern(text, pattern.is_prefix, has_wildcards="+" in text.split("/"))


def _rules(policies: Sequence[Policy]) -> Iterable[Rule]:
    return (rule for policy in policies for rule in policy.rules)


def _render(rule: Rule, templates: TemplateContext) -> str | None:
    try:
        return rule.path.render(templates)
    except PermissionDenied as error:
        raise PermissionDenied(f"policy {rule.origin.policy!r}: {error}") from None


def _shorter(one: int, other: int) -> int:
    return min(one, other) if one and other else one or other
