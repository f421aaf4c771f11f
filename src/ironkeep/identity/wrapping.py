"""Response wrapping: a response stored behind a token that opens it once.

    sys/wrapping : hash of the wrapping token -> the response, removed with the token

A response that releases a secret of a segment is encrypted with the segment's keys: it is sealed
and destroyed with the segment.

The wrapping token is an ordinary token with the fixed policy `response-wrapping`, so it has an
accessor, expires and can be revoked. It also ends when the tokens of a person who wrapped or
rewrapped the response are revoked. Unwrapping removes it in the same transaction: of two racing
requests in one batch, the second finds nothing. Source: Vault, "Response wrapping".

The recipient should check `creation_path` before unwrapping: a token that was intercepted, opened
and wrapped again shows sys/wrapping/wrap. A response that was wrapped for a session on an enrolled
device can be unwrapped only over an enrolled device's connection, of any person, because a token in
transit can be stolen.
"""

from typing import Any, Final

import msgspec

from ironkeep.core.errors import InvalidRequest, PermissionDenied
from ironkeep.core.event import Released
from ironkeep.core.ids import DeviceId, MountUuid, TokenAccessor, TokenHash
from ironkeep.core.policy.builtin import RESPONSE_WRAPPING_POLICY_NAME
from ironkeep.core.ports import Entropy
from ironkeep.core.secret import Secret
from ironkeep.core.text.goformat import rfc3339
from ironkeep.core.units import SECOND_NS
from ironkeep.identity.people import with_chain
from ironkeep.identity.token_store import StoredToken
from ironkeep.identity.tokens import Tokens
from ironkeep.plugin.cidr import inside, parse_cidrs
from ironkeep.plugin.token import DEFAULT_TTL_SECONDS, Session
from ironkeep.seal.segments import Segments
from ironkeep.store.record import Codec
from ironkeep.store.reserved import WRAPPING, StoreOf
from ironkeep.store.state import Tx

MAX_TTL_SECONDS: Final = DEFAULT_TTL_SECONDS
"""Longest TTL: a wrapped response is in transit, and needs no more time than a token's default."""

_AAD: Final = b"ironkeep/wrapped/v1"
_SYS: Final = MountUuid("sys")
_INVALID: Final = "wrapping token is not valid or does not exist"


class Wrapped(msgspec.Struct, frozen=True, omit_defaults=True):
    """A stored response and the secrets that unwrapping releases; times are POSIX nanoseconds.

    With a `segment` the body is encrypted with the segment's keys.
    """

    body: bytes
    creation_path: str
    created_ns: int
    ttl_seconds: int
    released: tuple[Released, ...] = ()
    wrapped_accessor: str = ""
    segment: str = ""
    named_accessor: str = ""
    """The accessor of a credential in the response other than a token, such as a secret id."""

    def __repr__(self) -> str:
        return f"Wrapped({self.creation_path!r})"


_WRAPPED: Final = Codec(Wrapped)


class Wrapping:
    """Wraps responses, and opens each once."""

    def __init__(self, stores: StoreOf, tokens: Tokens, segments: Segments) -> None:
        self._stores: Final = stores
        self._segments: Final = segments
        self._tokens: Final = tokens
        tokens.on_ended.append(self._ended)

    def wrap(
        self,
        tx: Tx,
        body: bytes,
        ttl_seconds: int,
        creation_path: str,
        now_ns: int,
        entropy: Entropy,
        *,
        session: Session | None = None,
        released: tuple[Released, ...] = (),
        wrapped_accessor: str = "",
        named_accessor: str = "",
    ) -> dict[str, Any]:
        """Store body (JSON, or b"" for a response without content) and return its wrap_info.

        The token in wrap_info is a Secret. Raise InvalidRequest for a TTL out of range.
        """
        if not 0 < ttl_seconds <= MAX_TTL_SECONDS:
            raise InvalidRequest(f"a wrapping TTL is 1 to {MAX_TTL_SECONDS} seconds")
        wrapped = Wrapped(
            body,
            creation_path,
            now_ns,
            ttl_seconds,
            released,
            wrapped_accessor,
            named_accessor=named_accessor,
        )
        own = session.record if session is not None else None
        record = StoredToken(
            accessor=TokenAccessor(""),
            policies=(RESPONSE_WRAPPING_POLICY_NAME,),
            path=creation_path,
            issued_ns=now_ns,
            expires_ns=now_ns + ttl_seconds * SECOND_NS,
            orphan=True,
            renewable=False,
            ttl_seconds=ttl_seconds,
            explicit_max_ttl_seconds=ttl_seconds,
            wraps=True,
            creation_path=creation_path,
            device=own.device if own is not None else DeviceId(""),
            bound_cidrs=own.bound_cidrs if own is not None else (),
        )
        return self._keep(tx, wrapped, with_chain(record, session), now_ns, entropy)

    def unwrap(self, tx: Tx, token: Secret, now_ns: int, remote: str = "") -> Wrapped:
        """Return the response behind token, and remove both; raise InvalidRequest without one.

        Raise InvalidRequest also for a remote address outside the ranges of the token that had it
        wrapped. Raise Sealed when the response belongs to a sealed segment; it is then kept.
        """
        return self._take(tx, token, now_ns, remote)[1]

    def rewrap(
        self,
        tx: Tx,
        token: Secret,
        now_ns: int,
        entropy: Entropy,
        session: Session | None = None,
        remote: str = "",
    ) -> dict[str, Any]:
        """Move the response behind token to a new token; errors as `unwrap`.

        The new token expires when the old one would have. It is revoked with the tokens of the
        same people as the old one, and also of the person who rewraps, who knows the new token.
        """
        record, wrapped = self._take(tx, token, now_ns, remote)
        left = max(1, (record.expires_ns - now_ns) // SECOND_NS)
        moved = msgspec.structs.replace(record, issued_ns=now_ns, ttl_seconds=left)
        moved = with_chain(moved, session, makers=record.holders, set_up=record.set_up)
        fresh = msgspec.structs.replace(wrapped, created_ns=now_ns, ttl_seconds=left)
        return self._keep(tx, fresh, moved, now_ns, entropy)

    def lookup(self, tx: Tx, token: Secret, now_ns: int) -> dict[str, Any]:
        """Return a wrapping token's creation path, time and TTL; do not open it.

        Raise InvalidRequest for a token that wraps nothing.
        """
        _, _, wrapped = self._find(tx, token, now_ns)
        return {
            "creation_path": wrapped.creation_path,
            "creation_time": rfc3339(wrapped.created_ns),
            "creation_ttl": wrapped.ttl_seconds,
        }

    def device(self, tx: Tx, token: Secret, now_ns: int) -> DeviceId:
        """Return the device whose session had the response wrapped, or ""; errors as `lookup`."""
        return self._find(tx, token, now_ns)[1].device

    def _take(self, tx: Tx, token: Secret, now_ns: int, remote: str) -> tuple[StoredToken, Wrapped]:
        """Return a token's record and the response behind it, and remove both."""
        name, record, found = self._find(tx, token, now_ns)
        if record.bound_cidrs and not inside(remote, parse_cidrs(record.bound_cidrs)):
            raise InvalidRequest(_INVALID)
        wrapped = self._opened(tx, found)
        self._tokens.revoke(tx, name, now_ns)
        return record, wrapped

    def _keep(
        self, tx: Tx, wrapped: Wrapped, record: StoredToken, now_ns: int, entropy: Entropy
    ) -> dict[str, Any]:
        """Store a response behind a new token with that record; return its wrap_info."""
        token, name, stored = self._tokens.write(tx, record, _SYS, entropy)
        self._stores(tx, WRAPPING).put(name, _WRAPPED.encode(self._sealed(tx, wrapped)))
        info = {
            "token": token,
            "accessor": stored.accessor,
            "ttl": wrapped.ttl_seconds,
            "creation_time": rfc3339(now_ns),
            "creation_path": wrapped.creation_path,
        }
        if accessor := wrapped.wrapped_accessor or wrapped.named_accessor:
            info["wrapped_accessor"] = accessor
        return info

    def _sealed(self, tx: Tx, wrapped: Wrapped) -> Wrapped:
        """Return the stored form of a response: a segment's keys encrypt the segment's secrets."""
        places = self._segments.table(tx).by_place
        for each in wrapped.released:
            segment = places.get(each.mount)
            if segment is not None:
                body = self._segments.keys.barrier(segment).ciphers.encrypt(wrapped.body, _AAD)
                return msgspec.structs.replace(wrapped, body=body, segment=segment.name)
        return wrapped

    def _opened(self, tx: Tx, wrapped: Wrapped) -> Wrapped:
        if not wrapped.segment:
            return wrapped
        ciphers = self._segments.keys.barrier(self._segments.find(tx, wrapped.segment)).ciphers
        body = ciphers.decrypt(wrapped.body, _AAD)
        return msgspec.structs.replace(wrapped, body=body, segment="")

    def _find(self, tx: Tx, token: Secret, now_ns: int) -> tuple[TokenHash, StoredToken, Wrapped]:
        try:
            name, record = self._tokens.find(tx, token, now_ns)
        except PermissionDenied:
            raise InvalidRequest(_INVALID) from None
        raw = self._stores(tx, WRAPPING).get(name)
        if raw is None:
            raise InvalidRequest(_INVALID)
        return name, record, _WRAPPED.decode(raw)

    def _ended(self, tx: Tx, token: TokenHash, record: StoredToken) -> None:
        if record.wraps:
            self._stores(tx, WRAPPING).delete(token)
