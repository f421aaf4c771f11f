"""Views of a case are what the journal's process answers; their lists are cut, their counts not."""

from typing import Any

import msgspec
import pytest

from ironkeep.core.errors import Unavailable
from ironkeep.core.operation import Operation
from ironkeep.incident.evidence import views
from ironkeep.plugin.effects.questions import Answering, Question
from ironkeep.testing.parts import array, number, part, table, tables, text
from tests.support.incident.incident_estate import Estate

VIEWS = ("", "/exposure", "/verdict", "/steps")


class Watched:
    """Passes questions on, and keeps their names and answers."""

    def __init__(self, inner: Answering) -> None:
        self.answered: list[tuple[str, Any]] = []
        self._inner = inner

    def answer(self, question: Question) -> Any:
        """Return the answer."""
        answer = self._inner.answer(question)
        self.answered.append((question.name, answer))
        return answer


class Canned:
    """Gives every question one answer."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def answer(self, _question: Question) -> Any:
        """Return the answer."""
        return self._answer


@pytest.fixture
def estate() -> Estate:
    return Estate.fresh()


def stolen(estate: Estate) -> str:
    """Steal the engineer's session, read with it, and return the path of the case."""
    estate.read_password(estate.login("engineer"))
    return f"incident/cases/{estate.open_case('person:engineer', start='3s')}"


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_asks_one_question_whose_answer_has_all_of_it(estate: Estate, view: str) -> None:
    path = stolen(estate)
    questions = estate.vault.house.questions
    questions.answering = watched = Watched(questions.answering)
    data = estate.get(f"{path}{view}", estate.responder)
    ((name, answer),) = watched.answered
    assert name == "view"
    found = msgspec.json.decode(answer)
    assert found.items() <= data.items()
    # The summary has what the case's own row says, and no evidence: title, number, times.
    assert set(data) - set(found) == (set() if view else {"id", "title", "opened", "start"})


@pytest.mark.parametrize("view", VIEWS[1:])
def test_the_server_derives_nothing_of_a_view_itself(estate: Estate, view: str) -> None:
    path = stolen(estate)
    estate.vault.house.questions.answering = Canned(b'{"answer":[1,2]}')
    assert estate.get(f"{path}{view}", estate.responder) == {"answer": [1, 2]}


def test_a_case_that_the_log_did_not_have_then_has_no_exposure(estate: Estate) -> None:
    path = stolen(estate)
    asked = {"as_of": "1h"}
    early = estate.request(Operation.READ, f"{path}/exposure", asked, estate.responder)
    assert early.errors is not None
    assert "no such case at that time" in early.errors[0]
    late = estate.get(f"{path}/verdict", estate.responder, **asked)
    assert (late["outcome"], late["past"]) == ("NOT PROVEN", True)


def test_every_list_of_a_view_is_cut_and_every_count_is_whole(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stolen(estate)
    estate.on(path.rpartition("/")[2], "contain")
    verdict = estate.get(f"{path}/verdict", estate.responder)
    exposure = estate.get(f"{path}/exposure", estate.responder)
    monkeypatch.setattr(views, "MAX_ROWS", 1)
    cut = estate.get(f"{path}/verdict", estate.responder)
    counts = table(cut, "counts")
    assert counts == verdict["counts"]
    for name in ("open_items", "exemptions", "credentials", "residue"):
        assert number(counts, name) == len(array(verdict, name))
        assert array(cut, name) == array(verdict, name)[:1]
    assert number(counts, "open_items") > 1
    for whole, short in zip(tables(verdict, "claims"), tables(cut, "claims"), strict=True):
        of = table(counts, "claims", text(whole, "id"))
        for name in ("items", "entries", "sworn"):
            assert of[name] == len(array(whole, name))
            assert array(short, name) == array(whole, name)[:1]
        assert short["status"] == whole["status"]
    assert cut["headline"] == verdict["headline"]
    reached = estate.get(f"{path}/exposure", estate.responder)
    assert part(reached, "counts") == part(exposure, "counts")
    assert array(reached, "could_reach") == array(exposure, "could_reach")[:1]
    assert len(tables(estate.get(f"{path}/steps", estate.responder), "steps")) == 1


def test_without_the_journals_process_a_view_is_unavailable(estate: Estate) -> None:
    path = stolen(estate)

    class Gone:
        def answer(self, _question: Question) -> Any:
            raise Unavailable("gone")

    estate.vault.house.questions.answering = Gone()
    for view in VIEWS:
        refused = estate.request(Operation.READ, f"{path}{view}", token=estate.responder)
        assert refused.error is Unavailable
