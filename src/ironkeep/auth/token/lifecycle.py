"""Looking up, renewing and revoking tokens.

Source: the Vault HTTP API, auth/token.
"""

from dataclasses import dataclass, field
from typing import Final

from ironkeep.core.errors import InvalidRequest, PermissionDenied
from ironkeep.core.event import PRESENTED
from ironkeep.core.ids import TokenHash
from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.identity.batch_token import is_batch
from ironkeep.identity.token_store import ACCESSORS, StoredToken
from ironkeep.identity.tokens import Tokens
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects.listings import list_folder
from ironkeep.plugin.fields import Duration, check_named
from ironkeep.plugin.response import Response, Unkept
from ironkeep.plugin.route import Route
from ironkeep.plugin.token import TokenRecord
from ironkeep.store.reserved import TOKENS

_INCREMENT: Final = "Seconds from now; the server may grant less."
_BATCH: Final = "batch tokens cannot be revoked"


@dataclass(frozen=True)
class ByToken:
    """A token in the body."""

    token: Secret = field(metadata={"help": "The token."})


@dataclass(frozen=True)
class LookupToken:
    """A token in the body; the caller's own without one."""

    token: Secret | None = field(
        default=None, metadata={"help": "The token; your own if not given."}
    )


@dataclass(frozen=True)
class ByAccessor:
    """An accessor in the body."""

    accessor: str = field(metadata={"help": "The accessor of the token."})


@dataclass(frozen=True)
class RenewToken(ByToken):
    """A token to renew, and the lifetime asked for."""

    increment: Duration = field(default=0, metadata={"help": _INCREMENT})


@dataclass(frozen=True)
class RenewSelf:
    """The lifetime asked for."""

    token: Secret | None = field(default=None, metadata={"help": "Ignored."})
    increment: Duration = field(default=0, metadata={"help": _INCREMENT})


@dataclass(frozen=True)
class RenewAccessor(ByAccessor):
    """The accessor of a token to renew, and the lifetime asked for."""

    increment: Duration = field(default=0, metadata={"help": _INCREMENT})


def lookup(call: Call, given: LookupToken) -> Response:
    """Return the properties of a token."""
    if given.token is None:
        return lookup_self(call)
    _, record = call.use(Tokens).find(call.tx, given.token, call.now_ns)
    token = Unkept(given.token.reveal())
    data = call.use(Tokens).describe(call.tx, record, token, call.now_ns)
    return Response(data=data, audited={PRESENTED: record.accessor} if record.accessor else {})


def lookup_self(call: Call) -> Response:
    """Return the properties of the caller's token."""
    session = call.actor()
    record = call.use(Tokens).store.load(call.tx, session.hash) or session.record
    assert call.request.token is not None
    token = Unkept(call.request.token.reveal())
    return Response(data=call.use(Tokens).describe(call.tx, record, token, call.now_ns))


def lookup_accessor(call: Call, given: ByAccessor) -> Response:
    """Return the properties of the token with an accessor, without the token itself."""
    _, record = _by_accessor(call, given.accessor)
    return Response(data=call.use(Tokens).describe(call.tx, record, None, call.now_ns))


def renew(call: Call, given: RenewToken) -> Response:
    """Renew a token."""
    try:
        name, record = call.use(Tokens).find(call.tx, given.token, call.now_ns)
    except PermissionDenied:
        # Not 403: clients would conclude that their own token was refused, and log in again.
        raise InvalidRequest("token not found") from None
    return _renew(call, name, record, given.token, given.increment)


def renew_self(call: Call, given: RenewSelf) -> Response:
    """Renew the caller's token."""
    session = call.actor()
    return _renew(call, session.hash, session.record, call.request.token, given.increment)


def renew_accessor(call: Call, given: RenewAccessor) -> Response:
    """Renew the token with an accessor."""
    name, record = _by_accessor(call, given.accessor)
    return _renew(call, name, record, None, given.increment)


def revoke(call: Call, given: ByToken) -> Response:
    """Revoke a token, its descendants and their leases; an absent token is fine."""
    name = _revocable(call, given.token)
    if name is not None:
        call.use(Tokens).revoke(call.tx, name, call.now_ns)
    return Response()


def revoke_self(call: Call) -> Response:
    """Revoke the caller's token, its descendants and their leases."""
    session = call.actor()
    if session.record.type == "batch":
        raise InvalidRequest(_BATCH)
    call.use(Tokens).revoke(call.tx, session.hash, call.now_ns)
    return Response()


def revoke_accessor(call: Call, given: ByAccessor) -> Response:
    """Revoke the token with an accessor, its descendants and their leases."""
    name, _ = _by_accessor(call, given.accessor)
    call.use(Tokens).revoke(call.tx, name, call.now_ns)
    return Response()


def revoke_orphan(call: Call, given: ByToken) -> Response:
    """Revoke a token; its direct children become orphans."""
    name = _revocable(call, given.token)
    if name is None:
        raise InvalidRequest("token to revoke not found")
    call.use(Tokens).revoke_orphan(call.tx, name, call.now_ns)
    return Response()


def list_accessors(call: Call) -> Response | Suspend:
    """List the accessors of all service tokens."""
    return list_folder(call, call.services.store(call.tx, TOKENS), ACCESSORS)


def tidy(call: Call) -> Response:
    """Have the next ticks remove the records of expired tokens."""
    count = call.use(Tokens).tidy(call.tx, call.now_ns)
    return Response(
        warnings=["Tidy operation successfully started."],
        audited={"found": count},
        accepted=True,
    )


def _by_accessor(call: Call, accessor: str) -> tuple[TokenHash, StoredToken]:
    found: tuple[TokenHash, StoredToken] | None = call.use(Tokens).find_accessor(
        call.tx, accessor, call.now_ns
    )
    if found is None:
        raise InvalidRequest("invalid accessor")
    return found


def _revocable(call: Call, token: Secret) -> TokenHash | None:
    """Return the hash of a stored token, None when it is absent; refuse a batch token."""
    check_named("token", token)
    if is_batch(token.reveal()):
        raise InvalidRequest(_BATCH)
    name: TokenHash | None = call.use(Tokens).store.hash_of(call.tx, token)
    if name is None or call.use(Tokens).store.load(call.tx, name) is None:
        return None
    return name


def _renew(
    call: Call, name: TokenHash, record: TokenRecord, token: Secret | None, increment: int
) -> Response:
    if record.type == "batch":
        raise InvalidRequest("batch tokens cannot be renewed")
    tokens = call.use(Tokens)
    renewed, warnings = tokens.renew(call.tx, name, increment, tokens.limits, call.now_ns)
    return Response(auth=tokens.auth(call.tx, renewed, token), warnings=warnings)


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        Operation.LIST,
        "accessors/",
        list_accessors,
        sudo=True,
        help="List the accessors of all tokens.",
    ),
    Route(Operation.UPDATE, "lookup", lookup, input=LookupToken, help="Look up a token."),
    Route(Operation.READ, "lookup", lookup, input=LookupToken, help="Look up a token."),
    Route(Operation.READ, "lookup-self", lookup_self, help="Look up your token."),
    Route(Operation.UPDATE, "lookup-self", lookup_self, help="Look up your token."),
    Route(
        Operation.UPDATE,
        "lookup-accessor",
        lookup_accessor,
        input=ByAccessor,
        audited=("accessor",),
        help="Look up the token with an accessor.",
    ),
    Route(
        Operation.UPDATE,
        "renew",
        renew,
        input=RenewToken,
        audited=("increment",),
        releases=True,
        help="Renew a token.",
    ),
    Route(
        Operation.UPDATE,
        "renew-self",
        renew_self,
        input=RenewSelf,
        audited=("increment",),
        releases=True,
        help="Renew your token.",
    ),
    Route(
        Operation.UPDATE,
        "renew-accessor",
        renew_accessor,
        input=RenewAccessor,
        audited=("accessor", "increment"),
        help="Renew the token with an accessor.",
    ),
    Route(
        Operation.UPDATE,
        "revoke",
        revoke,
        input=ByToken,
        help="Revoke a token and its descendants.",
    ),
    Route(
        Operation.UPDATE, "revoke-self", revoke_self, help="Revoke your token and its descendants."
    ),
    Route(
        Operation.UPDATE,
        "revoke-accessor",
        revoke_accessor,
        input=ByAccessor,
        audited=("accessor",),
        help="Revoke the token with an accessor and its descendants.",
    ),
    Route(
        Operation.UPDATE,
        "revoke-orphan",
        revoke_orphan,
        input=ByToken,
        sudo=True,
        help="Revoke a token; its children become orphans.",
    ),
    Route(Operation.UPDATE, "tidy", tidy, help="Remove the records of expired tokens."),
)
