"""docs/api.md says of each client what `make clients` compares with: no list is changed alone."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXPECTED = json.loads((ROOT / "tests/compat/clients/expected.json").read_text(encoding="utf-8"))


def section(key: str) -> str:
    text = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    begin, end = f"<!-- {key}: begin -->", f"<!-- {key}: end -->"
    assert text.count(begin) == text.count(end) == 1
    return text.partition(begin)[2].partition(end)[0]


@pytest.mark.parametrize("key", [*sorted(EXPECTED), "hvac"])
def test_whatever_fails_has_a_reason(key: str) -> None:
    failing = re.split(r"^(?:### )?(?:Refused on purpose|Not )", section(key), flags=re.MULTILINE)[
        1:
    ]
    for listed in failing:
        names = re.findall(r"^- .*$", listed.partition("### Fail in the client")[0], re.MULTILINE)
        assert names
        for name in names:
            assert re.fullmatch(r"- `[^`]+`: \S.*", name), name
            assert "not looked into" not in name


@pytest.mark.parametrize("key", sorted(EXPECTED))
def test_the_lists_in_the_docs_are_the_expectations(key: str) -> None:
    text = section(key)
    counts = re.search(
        r"^(\d+) pass, (\d+) are refused on purpose, (\d+) are not", text, re.MULTILINE
    )
    assert counts is not None
    passed, refused, absent = map(int, counts.groups())
    listed = re.search(r"^Pass: (.*)\.$", text, re.MULTILINE)
    assert listed is not None
    assert passed == len(re.findall(r"`[^`]+`", listed[1])) > 0
    for kind, count in (("refused", refused), ("absent", absent)):
        known = EXPECTED[key].get(kind, {})
        assert count == len(known)
        for name, why in known.items():
            assert f"\n- `{name}`: {why}\n" in f"{text}\n"
            assert f"`{name}`" not in listed[1]
