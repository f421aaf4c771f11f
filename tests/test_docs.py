"""The documents tell the truth: links lead somewhere, claims have their tests, commands exist."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\[([^\]]+)\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    for text, target in LINK.findall(page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{text} leads to {target}, which is not there"


def test_each_claim_of_the_threat_model_has_its_test() -> None:
    claims = re.findall(r"\[`(test_\w+)`\]\(\.\./(\S+\.py)\)", _threat_model())
    assert len(claims) > 20
    for name, path in claims:
        assert f"def {name}(" in (ROOT / path).read_text(), f"{path} has no {name}"


def test_no_claim_of_the_threat_model_stands_alone() -> None:
    rows = [line for line in _threat_model().splitlines() if line.startswith("| ")]
    claims = [row for row in rows if row != "| claim | shown by |"]
    assert all("test_" in row for row in claims), "a claim without a test is a wish"


def _threat_model() -> str:
    return (ROOT / "docs" / "threat-model.md").read_text()


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(page.name[:4]) for page in sorted((ROOT / "docs" / "adr").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_the_make_targets_that_documents_name_exist() -> None:
    named: set[str] = set()
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docs" / "api.md"):
        code = re.findall(r"```sh\n.*?```|`make [^`]+`", page.read_text(), re.DOTALL)
        named |= set(re.findall(r"\bmake ([a-z]+)", " ".join(code)))
    assert {"demo", "check", "run"} <= named
    for target in sorted(named):
        done = subprocess.run(
            ["make", "--dry-run", "--always-make", target],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"make {target}: {done.stderr}"
