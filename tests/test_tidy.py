"""Rules about the tree itself that no linter knows: sizes, names, pages, tables."""

import ast
import inspect
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from ironkeep.api.errors import STATUS
from ironkeep.app import PLUGINS
from ironkeep.cli.exits import EXITS
from ironkeep.core import errors
from ironkeep.core.ids import MountAccessor, MountUuid
from ironkeep.engines.system.mounts import AUTH_TYPES
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.route import Route

ROOT: Final = Path(__file__).parents[1]
SOURCES: Final = sorted((ROOT / "src").rglob("*.py"))
TESTS: Final = sorted((ROOT / "tests").rglob("*.py"))

MAX_LINES: Final = 400
MAX_TEST_LINES: Final = 600
"""Tables of cases may be longer than code."""
MAX_FUNCTION_LINES: Final = 50
NO_NAMES: Final = frozenset({"utils", "util", "helpers", "common", "misc", "manager", "base"})
"""Names of modules that say nothing about what is in them."""
CHECKS: Final = re.compile(r"_?(verify|check|validate)(_|$)")

WORDS_OF_A_WORKPLACE: Final = (
    "shared/" + "reference", "shared/" + "design", "shared/" + "prototypes", "sub" + "agent",
    "/" + "work/", "py" + "pi.org", "python" + "hosted", "as an " + "AI", "language " + "model",
    "Anth" + "ropic", "Cla" + "ude", "Chat" + "GPT",
)  # fmt: skip
"""This repository speaks of itself alone; put together here, so as not to find themselves."""


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def body_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.stmt]:
    """Return a function's statements after its docstring: what it declares is not what it does."""
    return node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body


def test_files_stay_short() -> None:
    for paths, limit in ((SOURCES, MAX_LINES), (TESTS, MAX_TEST_LINES)):
        lines = {short(path): len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
        assert {name: count for name, count in lines.items() if count > limit} == {}


def test_functions_stay_short() -> None:
    long = [
        f"{short(path)}: {node.name}"
        for path in SOURCES
        for node in functions(path)
        if (node.end_lineno or 0) - body_of(node)[0].lineno >= MAX_FUNCTION_LINES
    ]
    assert long == []


def test_modules_have_names_that_say_something() -> None:
    assert [short(path) for path in SOURCES if path.stem in NO_NAMES] == []


def test_a_check_raises_and_never_answers() -> None:
    """A caller can forget to look at a bool, but not at an exception."""
    answering = [
        f"{short(path)}: {node.name}"
        for path in SOURCES
        for node in functions(path)
        if CHECKS.match(node.name)
        and isinstance(node.returns, ast.Name)
        and node.returns.id == "bool"
    ]
    assert answering == []


@pytest.mark.parametrize("kind", sorted(PLUGINS))
def test_every_engine_and_auth_method_has_its_page(kind: str) -> None:
    page = page_of(kind)
    assert page.is_file(), f"write {short(page)}"
    assert page.read_text(encoding="utf-8").startswith("# ")


def page_of(kind: str) -> Path:
    """Return where the page of an engine or an auth method is."""
    return ROOT / "docs" / ("auth" if kind in AUTH_TYPES else "engines") / f"{kind}.md"


def rows_of(kind: str) -> list[str]:
    """Return the lines of the table of routes as a page has them."""
    mount = Mount("", kind, MountUuid(""), MountAccessor(""), options={"version": "2"})
    return [
        f"| {route.op.upper()} | `{route.pattern or '/'}` | {flags_of(route)} | {route.help} |"
        for route in PLUGINS[kind].routes(mount)
    ]


def flags_of(route: Route) -> str:
    flags = {
        "nobody needs a token": route.open or route.login,
        "any token": route.any_token,
        "sudo": route.sudo,
        "releases": route.releases,
        "while sealed": route.sealed_ok,
    }
    return ", ".join(name for name, is_set in flags.items() if is_set)


@pytest.mark.parametrize("kind", sorted(PLUGINS))
def test_the_page_lists_the_routes_that_are_there(kind: str) -> None:
    page = page_of(kind).read_text(encoding="utf-8")
    table = [line for line in page.splitlines() if re.match(r"\| [A-Z]+ \| `", line)]
    assert table == rows_of(kind), "\n".join(rows_of(kind))


def test_every_connector_has_its_page() -> None:
    rooms = [path.parent.name for path in SOURCES if path.match("connectors/*/__init__.py")]
    assert rooms
    for room in rooms:
        assert (ROOT / "docs" / "connectors" / f"{room}.md").is_file(), room


def error_classes() -> list[type[Exception]]:
    return [
        each
        for _, each in inspect.getmembers(errors, inspect.isclass)
        if issubclass(each, errors.IronkeepError) and each is not errors.IronkeepError
    ]


@pytest.mark.parametrize("error", error_classes(), ids=lambda error: error.__name__)
def test_every_error_has_a_status_an_exit_code_and_a_code_of_its_own(
    error: type[errors.IronkeepError],
) -> None:
    assert error in STATUS, "api/errors.py"
    assert error in EXITS, "cli/exits.py"
    codes = [each.code for each in error_classes() if issubclass(each, errors.IronkeepError)]
    assert codes.count(error.code) == 1
    assert f"{error.__name__} " in (errors.__doc__ or ""), "the drawn tree in core/errors.py"


CAUGHT_AT_HOME: Final = frozenset(
    {
        "src/ironkeep/api/http/bodies.py: Gone",
        "src/ironkeep/cli/failures.py: CurlString",
        "src/ironkeep/demo/teller.py: StoryBroken",
    }
)
"""Exceptions of an edge, raised and caught within its own room."""


def test_errors_are_raised_from_the_one_tree() -> None:
    """An exception class elsewhere derives from the tree, is private, or never leaves its room."""
    outside = [
        f"{short(path)}: {node.name}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        and path != ROOT / "src" / "ironkeep" / "core" / "errors.py"
        and not node.name.startswith("_")
        and any(isinstance(base, ast.Name) and base.id == "Exception" for base in node.bases)
    ]
    assert set(outside) == CAUGHT_AT_HOME


def kept_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and path.name != "requirements.lock"]


def test_the_tree_speaks_of_itself_alone() -> None:
    found = [
        f"{short(path)}: {word}"
        for path in kept_files()
        for word in WORDS_OF_A_WORKPLACE
        if word in path.read_text(encoding="utf-8", errors="replace")
    ]
    assert found == []
