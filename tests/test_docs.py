"""Links and paths in the documents lead somewhere, claims have their tests, commands exist."""

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final, get_args

import pytest

from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.checks.table import CHECKS

ROOT: Final = Path(__file__).parents[1]
DOCS: Final = ROOT / "docs"
SOURCES: Final = ROOT / "src" / "ironkeep"
PAGES: Final = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
EVERY_PAGE: Final = pytest.mark.parametrize(
    "page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES]
)
LINK: Final = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
FENCED: Final = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
FILE: Final = re.compile(r"(?<![\w./<>{}-])((?:\w+/)*\w+\.(?:py|js|css|html))(?![\w./])")
"""A file of the tree: by its path from the root or from src/ironkeep, or by its name alone."""
FOLDER: Final = re.compile(r"(?<![\w./])((?:src/ironkeep|tests|docs)/[\w/]+)/(?=[`\s),])")
DOTTED: Final = re.compile(r"`(?:ironkeep\.)?([a-z_]+(?:\.\w+)+)`")


@EVERY_PAGE
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target, anchor in links_of(page):
        assert target.exists(), f"a link leads to {target}, which does not exist"
        if anchor:
            assert anchor in anchors_of(target), f"{target} has no heading #{anchor}"


def test_every_page_is_reached_from_the_index_and_the_index_from_the_readme() -> None:
    assert DOCS / "README.md" in {target for target, _ in links_of(ROOT / "README.md")}
    reached, pending = set[Path](), [DOCS / "README.md"]
    while pending:
        page = pending.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            pending += [target for target, _ in links_of(page)]
    assert [page for page in PAGES if page not in reached] == []


def test_a_reader_finds_every_page_in_the_index_itself() -> None:
    listed = {target for target, _ in links_of(DOCS / "README.md")}
    assert [page for page in DOCS.rglob("*.md") if page not in {*listed, DOCS / "README.md"}] == []


@EVERY_PAGE
def test_every_file_and_module_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [name for name in FILE.findall(text) if not is_file(name)] == []
    assert [name for name in FOLDER.findall(text) if not (ROOT / name).is_dir()] == []
    assert [name for name in DOTTED.findall(text) if not is_defined(name)] == []


def links_of(page: Path) -> Iterator[tuple[Path, str]]:
    """Yield the file and the anchor of each relative link of a page."""
    for target, anchor in LINK.findall(FENCED.sub("", page.read_text(encoding="utf-8"))):
        if not target.startswith("http"):
            yield (page.parent / target).resolve() if target else page, anchor


def anchors_of(page: Path) -> set[str]:
    """Return the anchors of a page's headings, spelt as GitHub spells them."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def is_file(name: str) -> bool:
    """Return whether a path exists, or whether a bare name is that of some file of the tree."""
    if "/" in name:
        return any((folder / name).is_file() for folder in (ROOT, SOURCES))
    folders = (SOURCES, ROOT / "tests", ROOT / "tools", ROOT / "bench")
    return any(True for folder in folders for _ in folder.rglob(name))


def is_defined(name: str) -> bool:
    """Return whether a dotted name leads to a module, or to what a module defines.

    A name whose first part is not one of our packages belongs to another library.
    """
    path, parts = SOURCES, name.split(".")
    if not (path / parts[0]).is_dir():
        return True
    while parts and (path / parts[0]).is_dir():
        path /= parts.pop(0)
    if not parts:
        return True
    module = path / f"{parts[0]}.py"
    if not module.is_file():
        return False
    text = module.read_text(encoding="utf-8")
    return all(
        re.search(rf"^\s*(?:def |class )?{part}\b", text, re.MULTILINE) for part in parts[1:]
    )


def test_the_floors_are_drawn_as_they_are_checked() -> None:
    """The drawing names every layer of the import contract, from the top down."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    (layers,) = (each["layers"] for each in contracts if each.get("containers") == ["ironkeep"])
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    drawing = page.partition("## The floors")[2].split("```")[1]
    drawn = [re.split(r" {2,}", line)[0] for line in drawing.strip().splitlines()]
    assert " ".join(drawn).split() == re.findall(r"\w+", " ".join(layers))


def test_every_function_that_the_architecture_names_exists() -> None:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    classes = [
        text
        for path in SOURCES.rglob("*.py")
        for text in re.split(r"^class ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    ]
    named = re.findall(r"`([A-Z]\w+)\.(\w+)`", page)
    assert named
    for owner, function in named:
        pattern = re.compile(rf"{owner}\b.*?^    def {function}\b", re.DOTALL | re.MULTILINE)
        assert any(pattern.match(text) for text in classes), f"{owner}.{function}"


def test_each_claim_of_the_threat_model_has_its_test() -> None:
    claims = re.findall(r"\[`(test_\w+)`\]\(\.\./(\S+\.py)\)", _threat_model())
    assert len(claims) > 20
    for name, path in claims:
        assert f"def {name}(" in (ROOT / path).read_text(), f"{path} has no {name}"


def test_every_claim_of_the_threat_model_names_a_test() -> None:
    lines = [*_threat_model().splitlines(), ""]
    claims = [row for row, below in pairwise(lines) if row[:2] == "| " and below[:2] != "|-"]
    assert len(claims) > 50
    assert [claim for claim in claims if "test_" not in claim] == []


def _threat_model() -> str:
    return (ROOT / "docs" / "threat-model.md").read_text()


def test_the_rules_of_the_verdict_have_every_check_and_every_record() -> None:
    """A verifier that is written from the page alone comes to the same verdict."""
    page = (ROOT / "docs/formats/verdict.md").read_text()
    described = set(re.findall(r"^\| (E\d+) \| ([^|]+) \|", page, re.MULTILINE))
    assert {(str(check.claim), check.name) for check in CHECKS} - described == set()
    records = {
        str(kind.__struct_config__.tag): kind.__struct_fields__ for kind in get_args(ev.AnyRecord)
    }
    for name, fields in records.items():
        (row,) = re.findall(rf"^\| `{name}` \| (.+) \|$", page, re.MULTILINE)
        missing = [field for field in fields if not re.search(rf"\b{field}\b", row)]
        assert missing == [], (name, row)


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
