"""The routes behind the step-up page, where a touch allows one request.

They need no token: the id in the link is enough to read the request, but only an authenticator of
the session's own person can allow it.
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
    """Return the request that a touch would allow, and the options to sign it with."""
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
    """Accept the assertion; the request is then allowed once when it is sent again."""
    evidence = call.use(StepUps).satisfy(
        call.account, call.params["id"], given.credential, call.now_ns
    )
    return Response(audited={CREDENTIAL: evidence[CREDENTIAL]})
