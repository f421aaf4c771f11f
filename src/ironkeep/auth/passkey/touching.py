"""The page where a touch is given for one request: open, for the id in the link is all it takes.

Who has the link sees what is asked; only an authenticator of the session's own person answers.
"""

from dataclasses import dataclass, field
from typing import Any

from ironkeep.access.step_up.step_ups import StepUps
from ironkeep.core.text.goformat import rfc3339
from ironkeep.core.webauthn.step_up import CREDENTIAL
from ironkeep.plugin.call import Call
from ironkeep.plugin.response import Response


@dataclass(frozen=True)
class TouchInput:
    """An assertion."""

    credential: dict[str, Any] = field(
        metadata={"help": "The assertion in JSON, as browsers' toJSON writes it."}
    )
    id: str = field(default="", metadata={"help": "The demand, in the path."})


def read_demand(call: Call) -> Response:
    """Return what a touch would allow, and what a browser needs to have it signed."""
    step_ups = call.use(StepUps)
    kept = step_ups.find(call.tx, call.params["id"], call.now_ns)
    statement = kept.statement
    return Response(
        data={
            "operation": statement.op,
            "path": statement.path,
            "name": kept.name,
            "device": statement.device,
            "expires": rfc3339(statement.exp),
            "statement": statement.text().decode(),
            "options": {"publicKey": step_ups.options(call.tx, kept)},
        }
    )


def write_touch(call: Call, given: TouchInput) -> Response:
    """Take the assertion; the request goes through once when it is sent again."""
    evidence = call.use(StepUps).satisfy(
        call.account, call.params["id"], given.credential, call.now_ns
    )
    return Response(audited={CREDENTIAL: evidence[CREDENTIAL]})
