"""Parse the text of an ACL policy into rules that keep their line numbers.

Spec: Vault, "Policies"; OpenBao internal/vault/policy/policy.go. Clauses that cannot be enforced
are refused, not ignored, because a policy that promises more than the vault enforces is dangerous:

- keys of a path stanza: mfa_methods, control_group, expiration, pagination_limit,
  list_scan_response_keys_filter_path, subscribe_event_types, and any unknown key;
- capabilities: subscribe, recover, scan, and any unknown word.

The caller keeps the text byte for byte: clients parse it on their own.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ironkeep.core.errors import InvalidRequest, TooLarge
from ironkeep.core.policy import hcl
from ironkeep.core.policy.builtin import ROOT_POLICY_NAME
from ironkeep.core.policy.parameters import ParameterRules, Values
from ironkeep.core.policy.pattern import parse_pattern
from ironkeep.core.policy.template import Template, parse_template

MAX_RULES: Final = 10_000
"""Rules of a policy: far more than people write; bounds compiling one token's policies."""

MAX_PATTERN_BYTES: Final = 4096
"""Bytes of a pattern: a longer one matches no path that fits into a request line."""

MAX_WRAPPING_TTL_SECONDS: Final = 100 * 365 * 86400
"""A century; a longer TTL is a typing error."""

_STANZA_KEYS: Final = frozenset(
    {
        "comment",
        "policy",
        "capabilities",
        "allowed_parameters",
        "denied_parameters",
        "required_parameters",
        "min_wrapping_ttl",
        "max_wrapping_ttl",
    }
)
_UNENFORCED_KEYS: Final = frozenset(
    {
        "mfa_methods",
        "control_group",
        "expiration",
        "pagination_limit",
        "list_scan_response_keys_filter_path",
        "subscribe_event_types",
    }
)
_UNENFORCED_CAPABILITIES: Final = frozenset({"subscribe", "recover", "scan"})
_DURATION: Final = re.compile(
    r"(?:([0-9]{1,12})d)?(?:([0-9]{1,12})h)?(?:([0-9]{1,12})m)?(?:([0-9]{1,12})s)?"
    r"|([0-9]{1,12})"
)


class Capability(StrEnum):
    """The capabilities that a rule grants on a path, in the order in which Vault lists them."""

    SUDO = "sudo"
    READ = "read"
    LIST = "list"
    UPDATE = "update"
    DELETE = "delete"
    CREATE = "create"
    PATCH = "patch"
    DENY = "deny"


_CAPABILITIES: Final[frozenset[str]] = frozenset(Capability)
_READ: Final = frozenset({Capability.READ, Capability.LIST})
_WRITE: Final = _READ | {Capability.CREATE, Capability.UPDATE, Capability.DELETE}
_OLD_WORDS: Final = {
    "deny": frozenset({Capability.DENY}),
    "read": _READ,
    "write": _WRITE,
    "sudo": _WRITE | {Capability.SUDO},
}


@dataclass(frozen=True, slots=True)
class RuleRef:
    """The position of a rule in its policy; line is 0 if the policy is JSON or built in."""

    policy: str
    pattern: str
    line: int

    def __str__(self) -> str:
        """Return `policy:line pattern`, which names the rule in audit entries."""
        place = f"{self.policy}:{self.line}" if self.line else self.policy
        return f"{place} {self.pattern}"


@dataclass(frozen=True, slots=True)
class Rule:
    """One path stanza; a wrapping bound of 0 seconds means no bound."""

    origin: RuleRef
    path: Template
    capabilities: frozenset[Capability]
    parameters: ParameterRules
    min_wrapping_ttl_seconds: int
    max_wrapping_ttl_seconds: int


@dataclass(frozen=True, slots=True)
class Policy:
    """A named list of rules, in the order of the text."""

    name: str
    rules: tuple[Rule, ...]

    @property
    def is_templated(self) -> bool:
        """Return whether the rules depend on the identity of the token's holder."""
        return any(not rule.path.is_literal for rule in self.rules)


ROOT_POLICY: Final = Policy(ROOT_POLICY_NAME, ())
"""The root policy has no text: its name grants everything."""


def parse_policy(name: str, text: str) -> Policy:
    """Parse HCL or JSON; a `name` in the text has no effect, as in Vault.

    Raises InvalidRequest with the position and the problem, or TooLarge past a limit.
    """
    if name == ROOT_POLICY_NAME:
        raise InvalidRequest("the root policy has no text")
    body = hcl.parse(text)
    for item in body.items:
        if item.key not in {"name", "path"}:
            raise item.error(f"unknown key {item.key[:100]!r} in a policy")
    title = body.get("name")
    if title is not None and not isinstance(title.value, str):
        raise title.error("'name' must be a string")
    rules: list[Rule] = []
    for stanza in body.blocks("path", label_count=1):
        if len(rules) == MAX_RULES:
            raise TooLarge(f"a policy has at most {MAX_RULES} path stanzas")
        rules.append(_rule(name, stanza))
    return Policy(name, tuple(rules))


def _rule(name: str, stanza: hcl.Item) -> Rule:
    pattern = stanza.labels[0]
    if len(pattern.encode()) > MAX_PATTERN_BYTES:
        raise TooLarge(f"a path pattern has at most {MAX_PATTERN_BYTES} bytes")
    body = stanza.body()
    for item in body.items:
        _check_key(item)
    minimum = _seconds(body.get("min_wrapping_ttl"))
    maximum = _seconds(body.get("max_wrapping_ttl"))
    if 0 < maximum < minimum:
        raise stanza.error("max_wrapping_ttl cannot be less than min_wrapping_ttl")
    comment = body.get("comment")
    if comment is not None and not isinstance(comment.value, str):
        raise comment.error("'comment' must be a string")
    return Rule(
        origin=RuleRef(name, pattern, stanza.line),
        path=_path(stanza, pattern),
        capabilities=_capabilities(body.get("policy"), body.get("capabilities")),
        parameters=ParameterRules(
            allowed=_parameters(body.get("allowed_parameters")),
            denied=_parameters(body.get("denied_parameters")),
            required=frozenset(word.lower() for word in _words(body.get("required_parameters"))),
        ),
        min_wrapping_ttl_seconds=minimum,
        max_wrapping_ttl_seconds=maximum,
    )


def _check_key(item: hcl.Item) -> None:
    if item.key in _UNENFORCED_KEYS:
        raise item.error(
            f"{item.key!r} is not supported; a policy with it is refused, not weakened"
        )
    if item.key not in _STANZA_KEYS or item.labels:
        raise item.error(f"unknown key {item.key[:100]!r} in a path stanza")


def _path(stanza: hcl.Item, pattern: str) -> Template:
    try:
        # Template values never contain "+", "*" or "/", so this check covers every rendered path.
        parse_pattern(pattern)
        return parse_template(pattern)
    except InvalidRequest as error:
        raise stanza.error(f"path {pattern[:100]!r}: {error}") from None


def _capabilities(old: hcl.Item | None, new: hcl.Item | None) -> frozenset[Capability]:
    granted: frozenset[Capability] = frozenset()
    if old is not None:
        if not isinstance(old.value, str) or old.value not in _OLD_WORDS:
            raise old.error("'policy' must be one of deny, read, write, sudo")
        granted = _OLD_WORDS[old.value]
    for word in _words(new):
        assert new is not None
        if word in _UNENFORCED_CAPABILITIES:
            raise new.error(f"the capability {word!r} is not supported")
        if word not in _CAPABILITIES:
            raise new.error(f"unknown capability {word[:100]!r}")
        granted |= {Capability(word)}
    return frozenset({Capability.DENY}) if Capability.DENY in granted else granted


def _words(item: hcl.Item | None) -> list[str]:
    if item is None:
        return []
    if not isinstance(item.value, tuple):
        raise item.error(f"{item.key!r} must be a list of strings")
    words = [word for word in item.value if isinstance(word, str)]
    if len(words) != len(item.value):
        raise item.error(f"{item.key!r} must be a list of strings")
    return words


def _parameters(item: hcl.Item | None) -> Mapping[str, Values]:
    if item is None:
        return {}
    parameters: dict[str, Values] = {}
    for parameter in item.body().items:
        name = parameter.key.lower()
        if not isinstance(parameter.value, tuple) or parameter.labels:
            raise parameter.error(f"the values of {parameter.key[:100]!r} must be a list")
        if name in parameters:
            raise parameter.error(f"{parameter.key[:100]!r} is given twice (case does not count)")
        parameters[name] = tuple(hcl.plain(value) for value in parameter.value)
    return parameters


def _seconds(item: hcl.Item | None) -> int:
    if item is None:
        return 0
    value = item.value
    if isinstance(value, str) and value and (found := _DURATION.fullmatch(value)):
        days, hours, minutes, seconds, bare = (int(digits or 0) for digits in found.groups())
        value = days * 86400 + hours * 3600 + minutes * 60 + seconds + bare
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise item.error(f'{item.key!r} must be whole seconds, or a duration such as "1h30m"')
    if value > MAX_WRAPPING_TTL_SECONDS:
        raise item.error(f"{item.key!r} is more than a century")
    return value
