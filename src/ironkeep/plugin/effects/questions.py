"""Questions to the journal that a request asks, answered off the loop.

    handler ── ask ──> Question (the work of a Suspend) ── a worker thread waits ──> Answering
                                                                                      │
                          adapters/questions: a process that only reads the log  <────┤
                          Inline: here, for a log in memory                      <────┘

Jobs are named functions (journal/questions/), so that the same question runs in either place.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol
from weakref import WeakValueDictionary

from ironkeep.core.errors import NotFound, Unavailable
from ironkeep.journal.questions import Context, Job
from ironkeep.plugin.call import Call

CANCELLED: Final = "the question was cancelled"


class Question:
    """One question: callable on a worker thread, and then the answer. Listed until it is answered.

    Its answer is plain data; an error is one of core.errors.
    """

    def __init__(
        self,
        answering: "Answering",
        number: int,
        name: str,
        about: Mapping[str, Any],
        by: str,
        is_abandoned: Callable[[], bool],
    ) -> None:
        self.number: Final = number
        self.name: Final = name
        self.about: Final = about
        self.by: Final = by
        self.is_begun = False
        self.is_ended = False
        self.is_cancelled = False
        self._answering: Final = answering
        self._is_abandoned: Final = is_abandoned

    def __call__(self) -> Any:
        """Return the answer; blocks. Raises Unavailable if it is cancelled or not answerable."""
        self.is_begun = True
        try:
            self.require_wanted()
            return self._answering.answer(self)
        finally:
            self.is_ended = True

    def require_wanted(self) -> None:
        """Raise Unavailable if the client is gone, or somebody has cancelled the question."""
        if self.is_cancelled or self._is_abandoned():
            raise Unavailable(CANCELLED)


class Answering(Protocol):
    """Answers questions, each on the thread that calls it."""

    def answer(self, question: Question) -> Any:
        """Return the answer; raise one of core.errors."""
        ...


class Questions:
    """The questions that are being answered or wait for it, the earliest first."""

    def __init__(self, answering: Answering) -> None:
        self.answering = answering
        self._last = 0
        self._open: Final[WeakValueDictionary[int, Question]] = WeakValueDictionary()

    def ask(
        self,
        name: str,
        about: Mapping[str, Any],
        by: str = "",
        is_abandoned: Callable[[], bool] = bool,
    ) -> Question:
        """Return the question of that name as the work of a Suspend.

        `about` is plain data; `by` names the asker in the list. It is cancelled when is_abandoned
        returns true.
        """
        self._last += 1
        question = Question(self.answering, self._last, name, about, by, is_abandoned)
        self._open[self._last] = question
        return question

    def listed(self) -> list[dict[str, Any]]:
        """Return number, name, asker and state of each question; `place` counts those that wait."""
        found: list[dict[str, Any]] = []
        place = 0
        for number in sorted(self._open.keys()):
            each = self._open.get(number)
            if each is None or each.is_cancelled or each.is_ended:
                continue
            place += not each.is_begun
            state = {"state": "running"} if each.is_begun else {"state": "waiting", "place": place}
            found.append({"number": number, "name": each.name, "by": each.by, **state})
        return found

    def cancel(self, number: int) -> None:
        """Cancel a question; raise NotFound if it is not open."""
        question = self._open.get(number)
        if question is None or question.is_ended:
            raise NotFound(f"no question {number} is being answered")
        question.is_cancelled = True


def question_of(call: Call, name: str, about: Mapping[str, Any]) -> Question:
    """Return a question in the name of a call's actor, given up when its client is gone."""
    actor = call.actor()
    by = actor.name or actor.record.accessor
    return call.use(Questions).ask(name, about, by, call.request.is_abandoned)


class Inline:
    """Answers in this process, one step after another, for a log that only this process has."""

    def __init__(self, jobs: Mapping[str, Job], context: Callable[[], Context]) -> None:
        self._jobs: Final = jobs
        self._context: Final = context

    def answer(self, question: Question) -> Any:
        """Return the answer; raise one of core.errors."""
        steps = self._jobs[question.name](self._context(), question.about)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value
            question.require_wanted()


class Nobody:
    """Answers no question: the default until the server is put together."""

    def answer(self, question: Question) -> Any:
        """Raise Unavailable."""
        raise Unavailable(f"nothing here answers questions such as {question.name!r}")
