"""Who may ask whom: the flow matrix between segments, as pure functions.

A caller comes from somewhere by each of several facts: the device it holds, the address it calls
from, the auth method that it logged in at. Every fact that is known must let it through by itself,
so that one stolen fact (a token, a laptop, a foothold in a network) opens nothing alone. Inside one
segment nothing is asked; across segments everything is refused that no rule allows.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from ironkeep.core.policy.decision import Deny, denied

HOUSE: Final = "house"
"""The segment of whatever belongs to no other, and of callers that nothing places elsewhere."""


class FlowRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """Lets callers from `source` ask `target`; with `policies`, only those that hold one of them.

    `since_ns` is POSIX nanoseconds; `by` names who wrote the rule.
    """

    source: str
    target: str
    policies: tuple[str, ...] = ()
    reason: str = ""
    by: str = ""
    since_ns: int = 0

    def allows(self, source: str, target: str, policies: Collection[str]) -> bool:
        """Return whether the rule lets a caller with these policies go from source to target."""
        named = not self.policies or any(name in policies for name in self.policies)
        return named and (self.source, self.target) == (source, target)

    def __str__(self) -> str:
        who = f" for {', '.join(self.policies)}" if self.policies else ""
        return f"{self.source} -> {self.target}{who}"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a caller comes from by one fact; in several segments, any of them may let it through.

    `by` is in words: "device", "network" or "login".
    """

    by: str
    segments: frozenset[str]


def flow_refusal(
    origins: Iterable[Origin],
    target: str,
    rules: Iterable[FlowRule],
    policies: Collection[str] = (),
) -> Deny | None:
    """Return the refusal when a caller may not ask target, None when it may."""
    table = tuple(rules)
    known = tuple(origins) or (Origin("default", frozenset({HOUSE})),)
    for origin in known:
        if target in origin.segments:
            continue
        if not any(
            rule.allows(source, target, policies) for source in origin.segments for rule in table
        ):
            names = ", ".join(sorted(origin.segments))
            return denied(f"no flow rule lets {names} (by {origin.by}) ask segment {target}")
    return None


def class_refusal(target: str, allowed: Collection[str], classes: Collection[str]) -> Deny | None:
    """Return the refusal when devices of these classes may not reach a segment, else None.

    A class is an ownership ("corporate"), a kind of key ("tpm") or both ("corporate/tpm"). No
    allowed class means any device, and none.
    """
    if not allowed or any(name in classes for name in allowed):
        return None
    have = f"is {', '.join(sorted(classes))}" if classes else "is not known"
    return denied(
        f"segment {target}: the device {have}; the segment takes {', '.join(sorted(allowed))}"
    )
