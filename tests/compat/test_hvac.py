"""hvac 2.4, unmodified, works against an Ironkeep server: its own suite says so."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def _suite() -> ModuleType:
    path = Path(__file__).with_name("hvac_suite.py")
    spec = importlib.util.spec_from_file_location("hvac_suite", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


suite = _suite()


@pytest.mark.timeout(1_300)
@pytest.mark.skipif(not suite.SUITE.exists(), reason="`make .venv/.hvac` fetches hvac's tests")
def test_the_suite_passes_as_documented() -> None:
    assert suite.as_markdown(suite.run()) == suite.documented(), (
        "run `make compat` and look at the difference in docs/api.md"
    )
