"""`ironkeep demo -scenario=S4`: a known breach in memory, its verdict, and the truth."""

import io
from dataclasses import replace

import pytest

from ironkeep.cli.exits import LOCAL, OK
from ironkeep.cli.main import main
from ironkeep.cli.output.terminal import Terminal
from ironkeep.core.errors import InvalidRequest
from ironkeep.demo import scenario
from ironkeep.testing.simulation.named import SCENARIOS
from tests.support.simulation.quick_hashes import quick_hashes


def test_a_scenario_tells_the_verdict_and_the_truth(capsys: pytest.CaptureFixture[str]) -> None:
    with quick_hashes():
        assert main(["demo", "-scenario=S4"]) == OK
    told = capsys.readouterr().out
    assert "✓ the verdict is DISPROVEN" in told
    assert "the attacker logs in as app at standby.example:5432" in told
    assert "✓ the verdict claims nothing that is not so" in told


def test_a_scenario_that_does_not_hold_ends_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = replace(SCENARIOS["S4"], right=("PROVEN",))
    monkeypatch.setitem(SCENARIOS, "S4", wrong)
    err = io.StringIO()
    with quick_hashes():
        assert scenario.tell(Terminal(io.BytesIO(), io.StringIO(), err), "s4") == LOCAL
    assert "does not hold: the verdict is PROVEN" in err.getvalue()


def test_an_unknown_scenario_is_refused_with_the_names() -> None:
    with pytest.raises(InvalidRequest, match="choose one of S1, S2, S3"):
        scenario.tell(Terminal(io.BytesIO(), io.StringIO(), io.StringIO()), "S9")
