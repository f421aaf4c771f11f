"""Leases: credentials issued for a limited time, which must be revoked at its end.

    sys/leases : id / lease id              -> the lease, due at its expiry or next attempt
                 token / token hash / suffix -> lease id
                 prefix / prefix             -> leases still to be revoked, due at once
                 force / prefix              -> leases still to be forgotten, due at once

A lease id is `<request path>/<24 base62>`, a token's `<path>/h<hash>`; both are blinded like all
names. Revoking a lease with a payload needs an effect at its mount: the lease is marked first, so
that the tick finds it after a crash, and removed when the effect is done. A lease without a payload
is only removed.
"""

from collections.abc import Iterable
from itertools import islice
from typing import Final, Protocol

import msgspec

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.ids import EntityId, MountUuid, TokenHash, base62
from ironkeep.core.ports import Entropy
from ironkeep.core.units import SECOND_NS
from ironkeep.identity.lifetimes import Limits, is_granted, lifetime
from ironkeep.store.barrier import DueRecord, Store
from ironkeep.store.record import Codec
from ironkeep.store.reserved import LEASES, StoreOf, escape_part, unescape_part
from ironkeep.store.state import Tx

SUFFIX: Final = 24
STEP: Final = 512
"""Leases revoked in one transaction, some 0.2 s; the tick revokes the rest."""
MAX_BACKOFF_NS: Final = 3_600 * SECOND_NS
"""The longest pause between attempts to revoke; a target down for a day costs some 30 attempts."""

_MARK: Final = "h"


class Lease(msgspec.Struct, frozen=True, omit_defaults=True):
    """One lease. Times are POSIX nanoseconds; `payload` is what its mount needs to revoke it."""

    id: str
    token: TokenHash
    path: str
    mount: MountUuid
    issued_ns: int
    expires_ns: int
    entity: EntityId = EntityId("")
    ttl_seconds: int = 0
    max_ttl_seconds: int = 0
    renewable: bool = False
    renewed_ns: int = 0
    renewed_seconds: int = 0
    payload: bytes = b""
    revoking: bool = False
    attempts: int = 0
    of_token: bool = False

    def __repr__(self) -> str:
        return f"Lease({self.id!r})"


class TokenLeases(Protocol):
    """The token store as seen by leases: a token's lease is a mark here, without its times."""

    def revoke(self, tx: Tx, token: TokenHash, now_ns: int) -> None:
        """Revoke a token and everything below it."""
        ...

    def lease(self, tx: Tx, mark: Lease, now_ns: int) -> Lease | None:
        """Return mark with the token's own times, or None when it is not alive."""
        ...


_LEASE: Final = Codec(Lease)


class Leases:
    """Stores leases; each mount implements the revocation of its own."""

    def __init__(self, stores: StoreOf) -> None:
        self._stores: Final = stores
        self._tokens: TokenLeases | None = None

    def attach(self, tokens: TokenLeases) -> None:
        """Connect the token store, so that tokens' leases resolve; called once, at start-up."""
        self._tokens = tokens

    def issue(
        self,
        tx: Tx,
        lease: Lease,
        limits: Limits,
        now_ns: int,
        entropy: Entropy,
    ) -> tuple[Lease, list[str]]:
        """Register a lease whose path, token, mount, ttl and payload are filled in.

        Return it with its id and times, and warnings about a capped TTL.
        """
        seconds, warnings = lifetime(
            limits,
            issued_ns=now_ns,
            now_ns=now_ns,
            ttl=lease.ttl_seconds,
            longest=lease.max_ttl_seconds,
        )
        suffix = base62(entropy.token(2 * SUFFIX), SUFFIX)
        issued = msgspec.structs.replace(
            lease,
            id=f"{lease.path}/{suffix}",
            issued_ns=now_ns,
            expires_ns=now_ns + seconds * SECOND_NS,
            ttl_seconds=seconds,
        )
        self._save(tx, issued)
        self._of(tx).put(f"token/{issued.token}/{suffix}", issued.id.encode())
        return issued, warnings

    def mark_token(
        self, tx: Tx, path: str, token: TokenHash, mount: MountUuid, now_ns: int
    ) -> None:
        """Make the lease of a token visible under its path."""
        mark = Lease(token_lease_id(path, token), token, path, mount, now_ns, 0, of_token=True)
        self._of(tx).put(f"id/{mark.id}", _LEASE.encode(mark))

    def unmark_token(self, tx: Tx, path: str, token: TokenHash) -> None:
        """Remove what `mark_token` made."""
        self._of(tx).delete(f"id/{token_lease_id(path, token)}")

    def get(self, tx: Tx, lease_id: str, now_ns: int) -> Lease | None:
        """Return a lease that is in force, or None."""
        raw = self._of(tx).get(f"id/{lease_id}")
        lease = None if raw is None else _LEASE.decode(raw)
        if lease is None or lease.revoking:
            return None
        if lease.of_token:
            return None if self._tokens is None else self._tokens.lease(tx, lease, now_ns)
        granted = is_granted(lease.issued_ns, lease.renewed_ns, now_ns=now_ns)
        return lease if granted and now_ns < lease.expires_ns else None

    def renew(
        self, tx: Tx, lease_id: str, increment: int, limits: Limits, now_ns: int
    ) -> tuple[Lease, list[str]]:
        """Extend a lease to end increment seconds from now; return it with warnings.

        An increment of 0 repeats the last increment, or else the lease's own TTL. A token's lease
        is renewed by Tokens.renew instead. Raise InvalidRequest when the lease does not exist, is
        not renewable or is past its maximum.
        """
        lease = self.get(tx, lease_id, now_ns)
        if lease is None:
            raise InvalidRequest("lease not found")
        if not lease.renewable or lease.of_token:
            raise InvalidRequest("lease is not renewable")
        seconds, warnings = lifetime(
            limits,
            issued_ns=lease.issued_ns,
            now_ns=now_ns,
            increment=increment,
            ttl=lease.renewed_seconds or lease.ttl_seconds,
            longest=lease.max_ttl_seconds,
        )
        renewed = msgspec.structs.replace(
            lease,
            expires_ns=now_ns + seconds * SECOND_NS,
            renewed_ns=now_ns,
            renewed_seconds=seconds if increment else lease.renewed_seconds,
        )
        self._save(tx, renewed)
        return renewed, warnings

    def revoke(self, tx: Tx, lease_id: str, now_ns: int) -> None:
        """Revoke a lease, if it exists; it is invalid at once."""
        raw = self._of(tx).get(f"id/{lease_id}")
        if raw is None:
            return
        lease = _LEASE.decode(raw)
        if lease.of_token:
            if self._tokens is not None:
                self._tokens.revoke(tx, lease.token, now_ns)
        elif not lease.payload:
            self.done(tx, lease)
        elif not lease.revoking:
            marked = msgspec.structs.replace(lease, revoking=True)
            self._of(tx).put(f"id/{lease.id}", _LEASE.encode(marked), now_ns)

    def revoke_prefix(self, tx: Tx, prefix: str, now_ns: int) -> None:
        """Revoke the lease with the id prefix, and all below it; past `STEP` the tick continues."""
        prefix = prefix.removesuffix("/")
        self.revoke(tx, prefix, now_ns)
        found = list(islice(self._ids(tx, prefix), STEP + 1))
        # In reverse order: the folder's first row then shows at once that it is not yet empty.
        for lease_id in reversed(found[:STEP]):
            self.revoke(tx, lease_id, now_ns)
        if len(found) > STEP:
            self._of(tx).put(f"prefix/{escape_part(prefix)}", b"", now_ns)

    def force_prefix(self, tx: Tx, prefix: str, now_ns: int) -> int:
        """Remove all leases below prefix without revoking their credentials; return the count.

        The credentials stay valid at their target: use it for a target that is gone for good. Past
        `STEP` the tick continues, and the count covers the first step only.
        """
        prefix = prefix.removesuffix("/")
        found = [prefix, *islice(self._ids(tx, prefix), STEP + 1)]
        if len(found) > STEP + 1:
            self._of(tx).put(f"force/{escape_part(prefix)}", b"", now_ns)
        count = 0
        for lease_id in reversed(found[: STEP + 1]):
            raw = self._of(tx).get(f"id/{lease_id}")
            if raw is None:
                continue
            count += 1
            lease = _LEASE.decode(raw)
            if lease.of_token:
                self.revoke(tx, lease_id, now_ns)
            else:
                self.done(tx, lease)
        return count

    def end_token(self, tx: Tx, token: TokenHash, now_ns: int) -> int:
        """Revoke the leases that a token obtained; return the count."""
        store = self._of(tx)
        suffixes = store.list(f"token/{token}")
        for suffix in suffixes:
            raw = store.get(f"token/{token}/{suffix}")
            if raw is not None:
                self.revoke(tx, raw.decode(), now_ns)
        return len(suffixes)

    def count_of(self, tx: Tx, token: TokenHash) -> int:
        """Return the number of leases that a token obtained."""
        return len(self._of(tx).list(f"token/{token}"))

    def count(self, tx: Tx) -> int:
        """Return the number of leases, including those of tokens."""
        return sum(1 for _ in self._of(tx).walk("id"))

    def due(self, tx: Tx, records: Iterable[DueRecord], now_ns: int) -> list[Lease]:
        """Process the due records of this place; return the leases to be revoked now.

        The caller revokes each at its mount and then calls `done` or `failed`. A crash before that
        leaves the lease marked and due.
        """
        waiting = []
        for record in records:
            kind, _, rest = record.path.partition("/")
            if kind == "prefix":
                self._of(tx).delete(record.path)
                self.revoke_prefix(tx, unescape_part(rest), now_ns)
            elif kind == "force":
                self._of(tx).delete(record.path)
                self.force_prefix(tx, unescape_part(rest), now_ns)
            elif kind == "id":
                self.revoke(tx, rest, now_ns)
                raw = self._of(tx).get(record.path)
                if raw is not None:
                    waiting.append(_LEASE.decode(raw))
        return waiting

    def end_future(self, tx: Tx, now_ns: int) -> None:
        """Revoke all leases granted after now, by a clock that was ahead: see `is_granted`."""
        for lease_id in tuple(self._ids(tx, "")):
            raw = self._of(tx).get(f"id/{lease_id}")
            lease = None if raw is None else _LEASE.decode(raw)
            if lease is None or lease.of_token or lease.revoking:
                continue
            if not is_granted(lease.issued_ns, lease.renewed_ns, now_ns=now_ns):
                self.revoke(tx, lease_id, now_ns)

    def done(self, tx: Tx, lease: Lease) -> None:
        """Remove a lease whose credential is revoked."""
        store = self._of(tx)
        store.delete(f"id/{lease.id}")
        store.delete(f"token/{lease.token}/{lease.id.rpartition('/')[2]}")

    def failed(self, tx: Tx, lease: Lease, now_ns: int) -> Lease:
        """Record a failed attempt to revoke; the next is due after a doubled pause."""
        attempts = lease.attempts + 1
        pause = min(SECOND_NS << min(attempts, 32), MAX_BACKOFF_NS)
        noted = msgspec.structs.replace(lease, attempts=attempts, revoking=True)
        self._of(tx).put(f"id/{lease.id}", _LEASE.encode(noted), now_ns + pause)
        return noted

    def _ids(self, tx: Tx, prefix: str) -> Iterable[str]:
        paths = self._of(tx).walk(f"id/{prefix}" if prefix else "id")
        return (path.removeprefix("id/") for path in paths)

    def _save(self, tx: Tx, lease: Lease) -> None:
        self._of(tx).put(f"id/{lease.id}", _LEASE.encode(lease), lease.expires_ns)

    def _of(self, tx: Tx) -> Store:
        return self._stores(tx, LEASES)

    # Keep this method last: in the class body below it, `list` no longer names the type.
    def list(self, tx: Tx, prefix: str) -> list[str]:
        """Return the names directly below prefix, sorted; folders end in a slash."""
        return self._of(tx).names(f"id/{prefix}" if prefix else "id")


def token_lease_id(path: str, token: TokenHash) -> str:
    """Return the lease id of a token that was issued at path."""
    return f"{path}/{_MARK}{token}"
