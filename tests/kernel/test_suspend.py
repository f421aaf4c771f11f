"""Handlers that wait: an intent precedes its effect, and each part is an entry of its own."""

from collections.abc import Callable
from typing import Any

import pytest

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.event import Entry
from ironkeep.core.operation import Operation
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects.answer import Waiting
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Vault


class Slow:
    """Writes an intent, works, and writes what came of it."""

    type = "kv"

    def __init__(self, *, durable: bool, work: Callable[[], str]) -> None:
        self._routes = (
            Route(Operation.UPDATE, "{path...}", self.begin),
            Route(Operation.READ, "{path...}", self.peek),
        )
        self._durable, self._work = durable, work

    def routes(self, _mount: Mount) -> tuple[Route, ...]:
        return self._routes

    def begin(self, call: Call) -> Suspend:
        call.store.put("intent", b"x")
        return Suspend(self._work, self.end, durable=self._durable)

    def end(self, call: Call, result: Any) -> Response:
        if isinstance(result, Exception):
            raise InvalidRequest("the work failed")
        call.store.put("done", str(result).encode())
        return Response(data={"result": result})

    def peek(self, call: Call) -> Response:
        names = ("intent", "done")
        return Response(data={name: call.store.get(name) is not None for name in names})


def fail() -> str:
    raise RuntimeError("hunter2")


def vault_with(*, durable: bool, work: Callable[[], str] = lambda: "fine") -> Vault:
    return Vault.started({**PLUGINS, "kv": Slow(durable=durable, work=work)})


def outcomes(vault: Vault) -> list[str]:
    found = [entry for _, entry in vault.house.audit_reader().entries()]
    return [entry.outcome for entry in found if entry.path == "secret/x" and entry.op == "update"]


@pytest.mark.parametrize("durable", [True, False])
def test_the_intent_stays_only_where_it_is_durable(*, durable: bool) -> None:
    vault = vault_with(durable=durable)
    assert vault.write("secret/x").data == {"result": "fine"}
    assert vault.read("secret/x").data == {"intent": durable, "done": True}
    assert outcomes(vault) == (["pending", "ok"] if durable else ["ok"])


def test_both_entries_belong_to_one_request() -> None:
    vault = vault_with(durable=True)
    vault.write("secret/x")
    found = [entry for _, entry in vault.house.audit_reader().entries() if entry.path == "secret/x"]
    assert len({entry.request for entry in found}) == 1


def test_work_that_failed_is_the_handler_s_to_answer() -> None:
    vault = vault_with(durable=True, work=fail)
    refused = vault.write("secret/x")
    assert (refused.error, refused.errors) == (InvalidRequest, ["the work failed"])
    assert vault.read("secret/x").data == {"intent": True, "done": False}
    assert outcomes(vault) == ["pending", "invalid_request"]


def test_an_effect_waits_for_the_receipt_of_its_intent() -> None:
    for durable in (True, False):
        vault = vault_with(durable=durable)
        outcome = vault.pipeline.handle(vault.asked(Operation.UPDATE, "secret/x", {}, "root"))
        assert isinstance(outcome, Waiting)
        assert (outcome.receipt is not None) is durable
        vault.settle(outcome)


def created(vault: Vault) -> Entry:
    found = [entry for _, entry in vault.house.audit_reader().entries()]
    return [entry for entry in found if entry.path == "auth/token/create"][-1]


def test_an_issued_token_is_named_with_its_policies() -> None:
    vault = Vault.started(PLUGINS)
    made = vault.write("auth/token/create", {"policies": ["default"], "ttl": "1h"}).auth
    entry = created(vault)
    assert entry.issued == made["accessor"]
    assert entry.audited["token_policies"] == ["default"]
    assert entry.audited["ttl"] == 3600


def test_a_refusal_records_no_field() -> None:
    vault = Vault.started(PLUGINS)
    vault.write("auth/token/create", {"policies": ["default"], "type": "nonsense"})
    entry = created(vault)
    assert entry.outcome == "invalid_request"
    assert entry.audited == {}
