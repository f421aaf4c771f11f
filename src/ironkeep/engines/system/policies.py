"""ACL policies: `sys/policies/acl` and the older `sys/policy`.

Source: the Vault HTTP API, sys/policies and sys/policy. A policy's text is returned byte for byte.
"""

import hashlib
from base64 import b64decode
from dataclasses import dataclass, field
from typing import Final

from ironkeep.core.errors import InvalidRequest, NotFound
from ironkeep.core.operation import Operation
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route


@dataclass(frozen=True)
class Write:
    """A policy's name and text; `rules` is the old name of the field."""

    name: str
    policy: str = field(default="", metadata={"alias": ("rules",)})


@dataclass(frozen=True)
class Name:
    """The input that names a policy."""

    name: str


def list_policies(call: Call) -> Response:
    """Return the names of all policies, root included."""
    return Response(data={"keys": call.use(House).policies.names(call.tx)})


def list_old(call: Call) -> Response:
    """Return the names of all policies in the old response format."""
    names = call.use(House).policies.names(call.tx)
    return Response(data={"keys": names, "policies": names})


def _text(call: Call, name: str) -> str:
    text: str | None = call.use(House).policies.text(call.tx, name)
    if text is None:
        raise NotFound(f"No policy named: {name}")
    return text


def read(call: Call, given: Name) -> Response:
    """Return a policy's text."""
    text = _text(call, given.name)
    return Response(data={"name": given.name, "policy": text})


def read_old(call: Call, given: Name) -> Response:
    """Return a policy's text in the old response format."""
    return Response(data={"name": given.name, "rules": _text(call, given.name)})


def write(call: Call, given: Write) -> Response:
    """Parse and store a policy."""
    text = given.policy
    if not text:
        raise InvalidRequest("'policy' parameter not supplied or empty")
    if "{" not in text:
        text = _decoded(text)
    call.use(House).policies.put(call.tx, given.name, text, call.now_ns)
    # The history stores the text; the journal entry contains only its hash.
    return Response(audited={"sha256": hashlib.sha256(text.encode()).hexdigest()})


def _decoded(text: str) -> str:
    try:
        return b64decode(text, validate=True).decode("utf-8")
    except ValueError:
        return text


def delete(call: Call, given: Name) -> Response:
    """Remove a policy; succeed if there is none."""
    call.use(House).policies.delete(call.tx, given.name, call.now_ns)
    return Response()


ROUTES: Final = (
    Route(Operation.LIST, "policies/acl/", list_policies, help="List policies."),
    Route(
        Operation.READ, "policies/acl/{name...}", read, Name, folds="name",
        same_as="policy/{name...}",
        help="Read a policy.",
    ),
    Route(
        Operation.UPDATE, "policies/acl/{name...}", write, Write, audited=("name",), makes=True,
        quorum=True, folds="name", same_as="policy/{name...}", help="Write a policy.",
    ),
    Route(
        Operation.DELETE, "policies/acl/{name...}", delete, Name, quorum=True,
        folds="name", same_as="policy/{name...}", help="Remove a policy.",
    ),
    Route(Operation.READ, "policy", list_old, flat=True, help="List policies."),
    Route(Operation.LIST, "policy/", list_old, flat=True, help="List policies."),
    Route(
        Operation.READ, "policy/{name...}", read_old, Name, flat=True, folds="name",
        same_as="policies/acl/{name...}",
        help="Read a policy.",
    ),
    Route(
        Operation.UPDATE, "policy/{name...}", write, Write, audited=("name",), makes=True,
        quorum=True, folds="name", same_as="policies/acl/{name...}", help="Write a policy.",
    ),
    Route(
        Operation.DELETE, "policy/{name...}", delete, Name, quorum=True, folds="name",
        same_as="policies/acl/{name...}",
        help="Remove a policy.",
    ),
)  # fmt: skip
