"""Revocation by hand: people replaced a credential at its issuer, and one of them reports it.

A report stays in the journal for good, so one that can only be a slip is refused. A statement about
a system that the credential does not open would wait for a confirmation that nobody can give. An
exposed version as its own replacement would count as delivered too early for ever.
"""

from typing import Final

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.node import NodeId, NodeKind, is_family, kind_of
from ironkeep.incident.case.workspace import Workspace, words
from ironkeep.plugin.response import Response

_CONFIRM: Final = "as reported: another person has to confirm it"


def report(
    workspace: Workspace, secret: str, *, system: str, method: str, receipt: str, replacement: str
) -> Response:
    """Record that an exposed credential was revoked at its issuer; raise InvalidRequest."""
    version = workspace.named(secret)
    if version not in workspace.file.credentials:
        raise InvalidRequest(
            f"{workspace.label(version)} is not an exposed credential of this case"
        )
    record = ev.Revoked(
        workspace.case,
        version,
        _system(workspace, version, system),
        workspace.call.now_ns,
        words(method, "method (how it was revoked at its issuer)"),
        words(receipt, "receipt (its issuer's confirmation)"),
        _replacement(workspace, replacement),
        people=workspace.vouching,
    )
    index = workspace.note(record)
    done = {"secret": workspace.label(version), "state": "revoked", "detail": _CONFIRM}
    return Response(data={"rotated": [{**done, "confirm": f"entry:{index}"}]})


def _system(workspace: Workspace, version: NodeId, given: str) -> str:
    """Return the system where a credential was revoked, "" where nothing verifies it."""
    opened = workspace.file.estate.verifiers(version)
    named = ", ".join(map(workspace.label, opened))
    system = workspace.names.node(given) if given else None
    if opened and not system:
        raise InvalidRequest(f"give the system where it was revoked: it opens {named}")
    if opened and system not in opened:
        raise InvalidRequest(
            f"it opens {named}: give the system where it was revoked as one of these"
        )
    if system is not None and kind_of(system) is not NodeKind.SYSTEM:
        raise InvalidRequest("give the system where it was revoked as system:NAME")
    return system or ""


def _replacement(workspace: Workspace, given: str) -> str:
    """Return the secret version that takes the place of a revoked one, "" if none was named."""
    if not given:
        return ""
    secret = workspace.names.secret(given)
    if secret in workspace.file.rows or is_family(secret):
        raise InvalidRequest(
            f"{workspace.label(secret)} cannot be the replacement: it is exposed itself, or no "
            "single version; give the new one, such as secret/app@2, or leave it out"
        )
    mount, _ = workspace.names.spot(secret)
    if not workspace.names.is_sealed(mount) and not workspace.names.has_version(mount, secret):
        raise InvalidRequest(
            f"there is no {workspace.label(secret)}: put the new value in its place first"
        )
    return secret
