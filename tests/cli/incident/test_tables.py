"""The tables of the incident commands: what a responder has to know stands beside each row."""

import io
from collections.abc import Callable, Mapping
from typing import Any

from ironkeep.cli.incident import tables, verdict_table
from ironkeep.cli.output.terminal import Terminal


def shown(show: Callable[[Terminal, Mapping[str, Any]], None], data: Mapping[str, Any]) -> str:
    """Return what a table prints."""
    out = io.StringIO()
    show(Terminal(io.BytesIO(), out, io.StringIO()), data)
    return out.getvalue()


def test_several_lists_of_an_answer_have_their_names() -> None:
    compared = [{"secret": "secret/app version 1", "state": "replaced"}]
    out = shown(tables.rows, {"compared": compared, "probed": []})
    assert out.startswith("Compared: 1\nSecret ")
    assert out.endswith("Probed: 0\n")


def test_a_single_empty_list_says_that_nothing_was_to_do() -> None:
    assert shown(tables.rows, {"killed": []}) == "Nothing to do.\n"


def test_a_sweep_names_its_host_and_the_changes_that_are_explained() -> None:
    row = {"id": "1", "what": "changed", "item": "key password app", "acting": False}
    swept = {
        "system": "system orders",
        "endpoint": "db.example:5432",
        "differences": [
            {**row, "own": True},
            {**row, "item": "principal account backdoor", "own": False, "acting": True},
        ],
        "gaps": [],
    }
    first, *lines = shown(tables.swept, {"swept": [swept]}).splitlines()
    assert first == (
        "system orders at db.example:5432: 2 differences, 1 of them made by the vault itself"
    )
    assert lines[2].endswith("explained: the vault's own change")
    assert lines[3].endswith("ACTING")


def test_a_step_shows_the_statement_that_waits_for_another_person() -> None:
    step = {"step": 8, "do": "confirm", "label": "entry:17", "words": "only jo states it"}
    stated = {**step, "stated": "jo: no host to ask"}
    out = shown(tables.steps, {"outcome": "NOT PROVEN", "steps": [stated, {**step, "stated": ""}]})
    assert "only jo states it; jo: no host to ask\n" in out
    assert out.endswith("only jo states it\n")


def test_a_verdict_says_how_many_rows_the_server_left_out() -> None:
    claim = {
        "id": "E2", "title": "every exposed credential revoked", "status": "open", "exempt": 0,
        "items": [{"label": "secret/a version 1", "words": "exposed and not revoked"}],
        "entries": [4], "sworn": [],
    }  # fmt: skip
    verdict = {
        "scope": "case 1", "claims": [claim], "exemptions": [], "credentials": [], "residue": ["w"],
        "waiting": [{"entry": 17, "words": "only jo states that secret/a may stay open for now"}],
    }  # fmt: skip
    whole = shown(verdict_table.details, verdict)
    assert "more" not in whole
    assert "(1 measured)" in whole
    assert "  waits (entry:17): only jo states that secret/a may stay open for now\n" in whole
    of_claim = {"items": 70_001, "entries": 12, "sworn": 2}
    counts = {"exemptions": 0, "credentials": 5, "residue": 3, "claims": {"E2": of_claim}}
    lines = shown(verdict_table.details, {**verdict, "counts": counts}).splitlines()
    assert "         - 70000 more, which a pack shows" in lines
    assert "5 more, which a pack shows" in lines
    assert lines[-1] == "  - 2 more, which a pack shows"
    assert "(10 measured, 2 sworn)" in lines[1]
