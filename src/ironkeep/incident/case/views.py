"""Routes that show the state of a case: summary, exposure, verdict, next steps.

The journal's process computes the answers (incident/evidence/views.py).
"""

from collections.abc import Callable
from typing import Final

import msgspec

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.operation import Operation
from ironkeep.incident.case.cases import At, Case, summary
from ironkeep.incident.case.workspace import Workspace, instant, load
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route


def _viewed(
    call: Call, view: str, given: At, then: Callable[[Call, bytes], Response] | None = None
) -> Suspend:
    """Ask for a view of a case, and answer with its JSON, or with what `then` makes of it."""
    as_of = instant(given.as_of, call.now_ns) if given.as_of else None
    workspace = Workspace(call, given.id, as_of)

    def answered(later: Call, answer: bytes | Exception) -> Response:
        if isinstance(answer, Exception):
            raise answer
        return Response(data=msgspec.Raw(answer)) if then is None else then(later, answer)

    question = workspace.archive.ask_view(view, given.id, workspace.as_of_ns, call.now_ns)
    return Suspend(question, answered)


def read(call: Call, given: Case) -> Suspend:
    """Return a summary of a case."""

    def then(later: Call, answer: bytes) -> Response:
        return Response(
            data={**summary(load(later.store, given.id)), **msgspec.json.decode(answer)}
        )

    return _viewed(call, "case", At(given.id), then)


def exposure(call: Call, given: At) -> Suspend:
    """Return what was read, could be read and could be reached, each row with its reason."""
    return _viewed(call, "exposure", given)


def verdict(call: Call, given: At) -> Suspend:
    """Return the verdict with all claims and open items."""
    return _viewed(call, "verdict", given)


def steps(call: Call, given: Case) -> Suspend:
    """Return the next steps of a case, in order; `stated` is what another person is to confirm."""
    return _viewed(call, "steps", At(given.id))


def sealed_case(_call: Call) -> Response:
    """Refuse to delete a case: it ends with its proof, and its records stay in the journal."""
    raise InvalidRequest("a case cannot be deleted: its records are part of the journal")


ROUTES: Final = (
    Route(Operation.READ, "cases/{id}", read, Case, sudo=True, help="A summary of a case."),
    Route(
        Operation.READ, "cases/{id}/exposure", exposure, At, sudo=True, audited=("id",),
        help="The secrets that were read, could be read or could be reached.",
    ),
    Route(
        Operation.READ, "cases/{id}/verdict", verdict, At, sudo=True, audited=("id",),
        help="The verdict, with all claims and open items.",
    ),
    Route(
        Operation.READ, "cases/{id}/steps", steps, Case, sudo=True, audited=("id",),
        help="The next steps, in order.",
    ),
    Route(Operation.DELETE, "cases/{id}", sealed_case, sudo=True, help="Refused."),
)  # fmt: skip
