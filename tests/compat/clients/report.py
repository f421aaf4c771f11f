"""What is expected of each client, and what docs/api.md says of it."""

import json
from pathlib import Path
from typing import Final

from tests.compat.clients.outcome import Suite

ROOT: Final = Path(__file__).parents[3]
DOCS: Final = ROOT / "docs" / "api.md"
EXPECTED: Final = Path(__file__).with_name("expected.json")
KINDS: Final = ("refused", "absent")

Expected = dict[str, dict[str, dict[str, str]]]
"""By suite and kind: the tests that fail, each with its reason."""


def expected() -> Expected:
    """Return the expectations."""
    found: Expected = json.loads(EXPECTED.read_text(encoding="utf-8"))
    return found


def surprises(suite: Suite) -> list[str]:
    """Return what came out otherwise than expected, in words."""
    if suite.missing:
        return []
    known = expected().get(suite.key, {})
    reasons = {name: why for kind in KINDS for name, why in known.get(kind, {}).items()}
    ran = {each.name for each in suite.outcomes}
    found = [f"{name}: expected to fail, and did not run" for name in sorted(set(reasons) - ran)]
    for each in suite.outcomes:
        if not each.passed and each.name not in reasons:
            found.append(f"{each.name}: failed: {each.detail}")
        if each.passed and each.name in reasons:
            found.append(f"{each.name}: passes now; it was expected to fail ({reasons[each.name]})")
    return found


def as_markdown(suite: Suite) -> str:
    """Return the lists of one client as they stand in docs/api.md."""
    known = expected().get(suite.key, {})
    passed = [each.name for each in suite.outcomes if each.passed]
    failed = {each.name for each in suite.outcomes if not each.passed}
    refused = {name: why for name, why in known.get("refused", {}).items() if name in failed}
    absent = {name: known.get("absent", {}).get(name, "not looked into")
              for name in sorted(failed - set(refused))}  # fmt: skip
    counts = f"{len(passed)} pass, {len(refused)} are refused on purpose, {len(absent)}"
    names = ", ".join(f"`{name}`" for name in passed)
    lines = [f"### {suite.title}", "", f"{counts} are not there yet.", "", f"Pass: {names}."]
    for title, failing in (("Refused on purpose", refused), ("Not there yet", absent)):
        if failing:
            lines += ["", f"{title}:", "", *(f"- `{name}`: {why}" for name, why in failing.items())]
    return "\n".join(lines)


def markers(key: str) -> tuple[str, str]:
    """Return the lines between which a client's lists stand."""
    return f"<!-- {key}: begin -->", f"<!-- {key}: end -->"


def write(suite: Suite) -> None:
    """Put a client's lists into docs/api.md."""
    begin, end = markers(suite.key)
    before, found, rest = DOCS.read_text(encoding="utf-8").partition(begin)
    if not found:
        raise RuntimeError(f"{DOCS} has no {begin}")
    after = rest.partition(end)[2]
    DOCS.write_text(f"{before}{begin}\n{as_markdown(suite)}\n{end}{after}", encoding="utf-8")
