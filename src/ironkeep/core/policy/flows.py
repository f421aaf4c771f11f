"""The flow matrix between segments: which segments a caller may access, as pure functions.

A caller's origin is given by several facts: its device, its network address, and the auth method
that it logged in with. Each known fact must allow the access by itself, so that a single stolen
fact (a token, a laptop, a foothold in a network) is not enough. Access inside one segment is always
allowed; access across segments is refused unless a rule allows it.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from ironkeep.core.policy.decision import Deny, denied

HOUSE: Final = "house"
"""The default segment of mounts that belong to no other, and of callers without known origin."""


class FlowRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """Lets callers from `source` access `target`; with `policies`, only callers with one of them.

    `since_ns` is POSIX nanoseconds; `by` names the author of the rule.
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
        holders = f" for {', '.join(self.policies)}" if self.policies else ""
        return f"{self.source} -> {self.target}{holders}"


@dataclass(frozen=True, slots=True)
class Origin:
    """The segments of a caller according to one fact; it is enough that one of them is allowed.

    `by` names the fact: "device", "network" or "login".
    """

    by: str
    segments: frozenset[str]


def flow_refusal(
    origins: Iterable[Origin],
    target: str,
    rules: Iterable[FlowRule],
    policies: Collection[str] = (),
) -> Deny | None:
    """Return the refusal if a caller may not access target, None if it may."""
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
    """Return the refusal if a device of these classes may not access a segment, None if it may.

    A class is an ownership ("corporate"), a kind of key ("tpm") or both ("corporate/tpm"). If
    allowed is empty, the segment accepts any device and also callers without a device.
    """
    if not allowed or any(name in classes for name in allowed):
        return None
    have = f"is {', '.join(sorted(classes))}" if classes else "is not known"
    return denied(
        f"segment {target}: the device {have}; the segment takes {', '.join(sorted(allowed))}"
    )
