"""What came of one suite of one client."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Outcome:
    """One test of a client; detail says why it failed."""

    name: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True)
class Suite:
    """All tests of one client; with `missing` it was not run, and this says why."""

    key: str
    title: str
    outcomes: list[Outcome] = field(default_factory=list)
    missing: str = ""
