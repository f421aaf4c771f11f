"""What a refused request leaves behind is journalled before: a case tells deeds by it."""

from collections.abc import Callable
from typing import Any

import pytest

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.operation import Operation
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Vault

Part = Callable[[Call], Response | Suspend]


class Slow:
    """Runs parts, one after another, with work that is not durable between them."""

    type = "kv"

    def __init__(self, *parts: Part) -> None:
        self._parts = parts

    def routes(self, _mount: Mount) -> tuple[Route, ...]:
        return (
            Route(Operation.UPDATE, "{path...}", lambda call: self._run(call, 0)),
            Route(Operation.READ, "{path...}", peek),
        )

    def _run(self, call: Call, number: int) -> Response | Suspend:
        answer = self._parts[number](call)
        if number + 1 == len(self._parts):
            return answer
        return Suspend(lambda: "", lambda later, _none: self._run(later, number + 1))


def peek(call: Call) -> Response:
    return Response(data={"kept": call.lasting.get("kept") is not None})


def keep(call: Call) -> Response:
    """Write what stays whatever becomes of the request."""
    call.lasting.put("kept", b"x")
    return Response()


def nothing(_call: Call) -> Response:
    return Response()


def refuse(_call: Call) -> Response:
    raise InvalidRequest("no")


def keep_and_refuse(call: Call) -> Response:
    keep(call)
    return refuse(call)


def told(*parts: Part) -> tuple[list[str], bool]:
    """Return the outcomes of a write's entries in order, and whether something stayed."""
    vault = Vault.started({**PLUGINS, "kv": Slow(*parts)})
    vault.write("secret/x")
    found = [entry for _, entry in vault.house.audit_reader().entries()]
    mine = [each for each in found if each.path == "secret/x" and each.op == "update"]
    assert len({each.request for each in mine}) == 1
    kept: Any = vault.read("secret/x").data["kept"]
    return [each.outcome for each in mine], kept


@pytest.mark.parametrize(
    "parts",
    [
        (keep, refuse),
        (nothing, keep, refuse),
        (nothing, keep_and_refuse),
        (keep, keep, keep_and_refuse),
    ],
    ids=["in the first part", "later", "with the refusal", "in each"],
)
def test_what_a_refused_request_leaves_is_journalled_before(parts: tuple[Part, ...]) -> None:
    assert told(*parts) == (["pending", "invalid_request"], True)


def test_a_refused_request_that_leaves_nothing_was_never_pending() -> None:
    assert told(nothing, refuse) == (["invalid_request"], False)
    assert told(refuse) == (["invalid_request"], False)
    assert told(nothing, nothing) == (["ok"], False)


def test_a_request_that_kept_something_on_the_way_was_pending() -> None:
    assert told(keep, nothing) == (["pending", "ok"], True)
