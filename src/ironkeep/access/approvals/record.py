"""The stored record of a pending request, and the digest that binds each approval to it.

    digest = SHA-256( JSON, keys sorted: v, accessor, op, path, data, wrap, session, entity, device,
                      created_ns )

`data` is the request's data in that same JSON. An approval is an approval of this digest, and the
journal entries of the approval and of the read both contain it.
"""

from hashlib import sha256
from typing import Any, Final

import msgspec

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.event import Value
from ironkeep.core.ids import DeviceId, EntityId, TokenHash
from ironkeep.core.operation import Operation
from ironkeep.core.text.number_hook import encoded
from ironkeep.core.text.numbers import Spelt
from ironkeep.plugin.request import Request
from ironkeep.plugin.token import Session
from ironkeep.store.record import Codec

PLACE: Final = "sys/approvals"
"""The reserved place of this feature's records."""

MAX_DATA: Final = 65_536
"""Bytes of a request's data that are kept: the approver has to be able to read all of it."""
MAX_REASON: Final = 512

_JSON: Final = msgspec.json.Encoder(decimal_format="number", order="sorted", enc_hook=encoded)
_PARSE: Final = msgspec.json.Decoder(dict[str, Any], float_hook=Spelt)


class Authorization(msgspec.Struct, frozen=True, omit_defaults=True):
    """One person's approval. `people` are all who stand behind the token that gave it.

    `touch` is the signed statement and `key` the authenticator of the touch for it, "" for none.
    """

    entity: EntityId
    name: str
    time_ns: int
    people: tuple[str, ...]
    device: DeviceId = DeviceId("")
    touch: str = ""
    key: str = ""


class Kept(msgspec.Struct, frozen=True, omit_defaults=True):
    """One pending request. Times are POSIX nanoseconds.

    `people` are all who stand behind the requester's token, `holders` those who had it in their
    hands; `owner` is the owner of its device. `need` other people have to approve, each of whom
    holds all policies in `groups`. `seen` is when each of them first looked.
    """

    accessor: str
    op: str
    path: str
    data: bytes
    session: TokenHash
    entity: EntityId
    people: tuple[str, ...]
    created_ns: int
    number: int
    need: int
    secret_class: str = msgspec.field(name="guard")
    device: DeviceId = DeviceId("")
    owner: str = ""
    wrap: int = 0
    groups: tuple[str, ...] = ()
    reason: str = ""
    ticket: str = ""
    tries: int = 0
    approvals: tuple[Authorization, ...] = ()
    seen: dict[str, int] = {}
    holders: tuple[str, ...] = ()

    @property
    def askers(self) -> tuple[str, ...]:
        """The people against whose limits on requests this one counts, its own person first."""
        return self.holders or (self.entity,)

    @property
    def approved(self) -> bool:
        """True once enough people have approved."""
        return len(self.approvals) >= self.need

    @property
    def digest(self) -> str:
        """The hash (hex) that an approval covers."""
        return _digest(
            self.accessor, self.op, self.path, self.data, self.wrap, self.session, self.entity,
            self.device, self.created_ns,
        )  # fmt: skip

    def digest_of(self, request: Request, session: Session) -> str:
        """Return the digest that another request would have in this record."""
        record = session.record
        return _digest(
            self.accessor, request.op.value, request.path, data_of(request.data),
            request.wrap_ttl_seconds or 0, session.hash, record.entity, record.device,
            self.created_ns,
        )  # fmt: skip

    def request(self, opening: Request) -> Request:
        """Return the kept request, with the token and address of its opening, marked as granted."""
        return Request(
            Operation(self.op),
            self.path,
            _PARSE.decode(self.data),
            opening.token,
            opening.remote,
            self.wrap or None,
            "",
            opening.parent,
            opening.peer,
            self.accessor,
        )


KEPT: Final = Codec(Kept)


def data_of(data: dict[str, Any]) -> bytes:
    """Return data as it is stored; raise InvalidRequest if it would not parse to the same again."""
    raw = b""
    try:
        raw = _JSON.encode(data)
        same = len(raw) <= MAX_DATA and _PARSE.decode(raw) == data
    except (TypeError, NotImplementedError, ValueError, RecursionError, OverflowError):
        same = False
    if not same:
        raise InvalidRequest(
            f"the data of a request that waits for approval is JSON of at most {MAX_DATA} bytes"
        )
    return raw


def decision_of(kept: Kept) -> dict[str, Value]:
    """Return the fields by which the entry of a decision names its request."""
    return {"approval_digest": kept.digest, "requester": kept.entity, "of": kept.path}


def shown_data(kept: Kept) -> dict[str, Any]:
    """Return the data of a kept request, parsed."""
    return _PARSE.decode(kept.data)


def without_words(request: Request) -> tuple[dict[str, object], str, str]:
    """Return a request's data without `reason` and `ticket`, and those two texts.

    They are for the approver, and only a read has them: in its query, since it has no body. In any
    other request fields of these names could be data.
    """
    data = dict(request.data)
    if request.op is not Operation.READ:
        return data, "", ""
    reason, ticket = data.pop("reason", ""), data.pop("ticket", "")
    for word in (reason, ticket):
        if not isinstance(word, str) or len(word) > MAX_REASON or not word.isprintable():
            raise InvalidRequest(f"reason and ticket are text of at most {MAX_REASON} characters")
    return data, str(reason), str(ticket)


def _digest(
    accessor: str,
    op: str,
    path: str,
    data: bytes,
    wrap: int,
    session: str,
    entity: str,
    device: str,
    created_ns: int,
) -> str:
    fields = {
        "v": 1,
        "accessor": accessor,
        "op": op,
        "path": path,
        "data": msgspec.Raw(data),
        "wrap": wrap,
        "session": session,
        "entity": entity,
        "device": device,
        "created_ns": created_ns,
    }
    return sha256(_JSON.encode(fields)).hexdigest()
