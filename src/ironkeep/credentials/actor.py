"""The originator of a record: the fields of an entry that name it."""

from typing import Final, NamedTuple

from ironkeep.plugin.call import Call


class Actor(NamedTuple):
    """The originator of a record, in the fields of an entry; all empty for the server itself."""

    entity: str = ""
    accessor: str = ""
    device: str = ""
    name: str = ""
    remote: str = ""
    request: str = ""


NOBODY: Final = Actor()
"""The originator of records that the server makes on its own."""


def actor_of(call: Call) -> Actor:
    """Return the originator of a request."""
    session = call.session
    if session is None:
        return Actor(remote=call.request.remote, request=call.request_id)
    record = session.record
    return Actor(
        record.entity,
        record.accessor,
        record.device,
        session.name,
        call.request.remote,
        call.request_id,
    )
