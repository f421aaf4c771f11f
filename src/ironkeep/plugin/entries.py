"""Builds a request's journal entry from the trace that the pipeline collected."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ironkeep.core.event import NODE, VERSION, Entry, Released, Value
from ironkeep.core.ids import ROOT_NAMESPACE, RequestId
from ironkeep.core.operation import Operation
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.request import MAX_PATH, Request
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route
from ironkeep.plugin.token import Session

MAX_POLICIES: Final = 128
"""Policy names recorded of an issued token; with names of maximum length they fit into an entry."""
BEHIND: Final = "behind"
"""The audited fact with the people who handed out the token, if the token has no entity."""
TOKEN_SECONDS: Final = "token_seconds"  # noqa: S105 - a name
"""The audited fact with the life of an issued or renewed token; absent if it has no end."""
MORE: Final = "…"
"""Replaces the policy names past the limit."""


class Trace(msgspec.Struct):
    """The facts about a request that the pipeline collects for its entry.

    `begun` is whether an entry says that it is pending, `resumed` whether its handler goes on after
    slow work; `kept` is the number of rows that the admission keeps whatever becomes of it.
    """

    request_id: RequestId
    now_ns: int
    at: int = 0
    mount: Mount | None = None
    route: Route | None = None
    session: Session | None = None
    rule: str = ""
    reason: str = ""
    op: Operation | None = None
    audited: dict[str, Value] = {}
    handled: bool = False
    begun: bool = False
    resumed: bool = False
    kept: int = 0


def entry_of(
    request: Request,
    trace: Trace,
    outcome: str,
    released: tuple[Released, ...],
    response: Response | None,
    *,
    wrapped: bool = False,
) -> Entry:
    """Return the entry of a request with its outcome and the secrets that it releases.

    A successful login has no session; its entry names the person that it let in.
    """
    session = trace.session
    record = session.record if session else None
    audited = trace.audited
    entity, name = (record.entity, session.name) if session and record else ("", "")
    issued = response.issued if response is not None else ""
    if response is not None:
        audited = {**audited, **response.audited} if response.audited else audited
    if session is not None and session.payers and not session.record.entity:
        audited = {**audited, BEHIND: list(session.payers)}
    if response is not None and response.auth:
        issued = str(response.auth.get("accessor", ""))
        # A case needs a token's policies after it is gone, and for how long it had them: see
        # incident/survey/holdings.py.
        audited = {**audited, "token_policies": _policies_of(response.auth)}
        seconds = response.auth.get("lease_duration")
        if seconds:
            audited[TOKEN_SECONDS] = seconds
        if session is None:
            # A login is an act of the person that it let in.
            entity = str(response.auth.get("entity_id", ""))
            name = response.issue.display_name if response.issue is not None else ""
    # Positional arguments: keywords take five times as long, and every request comes through here.
    return Entry(
        "request",
        trace.now_ns,
        VERSION,
        trace.request_id,
        request.parent,
        ROOT_NAMESPACE,
        trace.op or request.op,
        request.path[:MAX_PATH],
        trace.mount.uuid if trace.mount else "",
        entity,
        name,
        record.accessor if record else "",
        record.device if record else "",
        request.remote,
        trace.rule,
        outcome,
        trace.reason,
        released,
        wrapped,
        issued,
        audited,
        trace.at,
        NODE,
    )


def _policies_of(auth: Mapping[str, Any]) -> list[str]:
    """Return a token's own policies as an entry records them, cut off at the limit with `MORE`.

    Those of its person are in the history of the person.
    """
    policies = list(auth.get("token_policies", ()))
    return policies if len(policies) <= MAX_POLICIES else [*policies[:MAX_POLICIES], MORE]
