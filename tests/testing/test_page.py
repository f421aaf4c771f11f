"""The examples of docs/testing.md and of the package's docstring work as they stand there."""

import inspect
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import hvac
import pytest

import ironkeep.testing
from ironkeep.core.errors import PermissionDenied
from ironkeep.testing.postgres import PostgresServer
from ironkeep.testing.server import ServerProcess
from ironkeep.testing.vault import Vault

PAGE: Final = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()


def examples() -> list[Callable[..., None]]:
    """Return the test functions of all blocks of the page."""
    found = []
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        there: dict[str, Any] = {}
        exec(compile(block, "docs/testing.md", "exec"), there)
        found += [each for name, each in there.items() if name.startswith("test_")]
    return found


@pytest.mark.parametrize("example", examples(), ids=lambda each: each.__name__)
def test_an_example_of_the_page_passes(example: Callable[..., None], tmp_path: Path) -> None:
    if inspect.signature(example).parameters:
        example(tmp_path)
    else:
        example()


def test_the_examples_of_the_docstring_run(tmp_path: Path) -> None:
    doc = ironkeep.testing.__doc__ or ""
    blocks = re.findall(r"\n\n((?: {4}.*\n)+)", doc)
    assert len(blocks) == 3
    there: dict[str, Any] = {
        "hvac": hvac,
        "tmp_path": tmp_path,
        "PermissionDenied": PermissionDenied,
        "PostgresServer": PostgresServer,
        "ServerProcess": ServerProcess,
        "Vault": Vault,
    }
    for block in blocks:
        exec(textwrap.dedent(block), there)
