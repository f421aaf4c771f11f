"""Leases: credentials issued for a limited time, which must be revoked at its end.

    sys/leases : id / lease id              -> the lease, due at its expiry or next attempt
                 token / token hash / suffix -> lease id
                 held / mount uuid / suffix  -> lease id, if a credential must be revoked
                 irrevocable / lease id      -> after `IRREVOCABLE` failed attempts
                 prefix, force, ended        -> sweeps (lending/sweeping.py)

A lease id is `<request path>/<24 base62>`, a token's `<path>/h<hash>`; both are blinded like all
names. Revoking a lease with a payload needs an effect at its mount (lending/performing.py): the
lease is marked first, so that the due turns find it after a crash, and removed when the effect is
done. A lease without a payload is only removed.
"""

from collections.abc import Iterator
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
STEP: Final = 16
"""Leases of an ended token that are revoked with it; due turns revoke the rest."""
IRREVOCABLE: Final = 6
"""Failed attempts after which a lease is listed as irrevocable, as in Vault; a minute or two."""
MAX_REASON: Final = 300
"""Characters of a failure's reason that are kept."""
MAX_BACKOFF_NS: Final = 3_600 * SECOND_NS
"""The longest pause between attempts to revoke; a target down for a day costs some 30 attempts."""

KIND: Final = "lease "
"""The prefix of the due kind of one mount's leases."""
_EVER: Final = 1 << 63
_MARK: Final = "h"


class Lease(msgspec.Struct, frozen=True, omit_defaults=True):
    """One lease. Times are POSIX nanoseconds; `payload` is what its mount needs to revoke it.

    `type` is the mount's type, which stays known when the mount is gone. `error` is the reason of
    the last failed attempt to revoke.
    """

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
    type: str = ""
    error: str = ""

    def __repr__(self) -> str:
        return f"Lease({self.id!r})"


class TokenLeases(Protocol):
    """The token store as seen by leases: a token's lease is a mark here, without its times."""

    def revoke(self, tx: Tx, token: TokenHash, now_ns: int) -> None:
        """Revoke a token and everything below it."""
        ...

    def lives(self, tx: Tx, token: TokenHash, now_ns: int) -> bool:
        """Return whether a service token is alive, with everything above it."""
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
        store = self._of(tx)
        if issued.token:
            store.put(f"token/{issued.token}/{suffix}", issued.id.encode())
        if issued.payload:
            store.put(f"held/{issued.mount}/{suffix}", issued.id.encode())
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
        """Return a lease that is in force, or None; a lease ends with its token at once."""
        lease = self.stored(tx, lease_id)
        if lease is None or lease.revoking:
            return None
        if lease.of_token:
            return None if self._tokens is None else self._tokens.lease(tx, lease, now_ns)
        if lease.token and self._tokens and not self._tokens.lives(tx, lease.token, now_ns):
            return None
        granted = is_granted(lease.issued_ns, lease.renewed_ns, now_ns=now_ns)
        return lease if granted and now_ns < lease.expires_ns else None

    def stored(self, tx: Tx, lease_id: str) -> Lease | None:
        """Return a lease whose row is there, in force or not, or None."""
        raw = self._of(tx).get(f"id/{lease_id}")
        return None if raw is None else _LEASE.decode(raw)

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
        renewed, warnings = self.extended(lease, increment, limits, now_ns)
        self._save(tx, renewed)
        return renewed, warnings

    def extended(
        self, lease: Lease, increment: int, limits: Limits, now_ns: int
    ) -> tuple[Lease, list[str]]:
        """Return a lease as `renew` would store it; errors as there."""
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
        return renewed, warnings

    def revoke(self, tx: Tx, lease_id: str, now_ns: int) -> None:
        """Revoke a lease, if it exists; it is invalid at once."""
        self.end(tx, lease_id, _EVER, now_ns)

    def end(
        self, tx: Tx, lease_id: str, until_ns: int, now_ns: int, *, force: bool = False
    ) -> bool:
        """Revoke a lease issued until until_ns; return False if there is nothing to do.

        With `force`, forget it without revoking its credential, which stays valid at its system.
        """
        lease = self.stored(tx, lease_id)
        if lease is None or lease.issued_ns > until_ns:
            return False
        if lease.of_token:
            if self._tokens is not None:
                self._tokens.revoke(tx, lease.token, now_ns)
        elif force or not lease.payload:
            self.done(tx, lease)
        elif lease.revoking:
            return False
        else:
            marked = msgspec.structs.replace(lease, revoking=True)
            self._of(tx).put(f"id/{lease.id}", _LEASE.encode(marked), now_ns)
        return True

    def end_token(self, tx: Tx, token: TokenHash, now_ns: int) -> int:
        """Revoke the leases of a token that has ended; return how many were revoked now.

        Past `STEP` the due turns revoke them; none of them is in force any more.
        """
        store = self._of(tx)
        suffixes = store.list(f"token/{token}", STEP + 1)
        for suffix in suffixes[:STEP]:
            raw = store.get(f"token/{token}/{suffix}")
            if raw is not None:
                self.revoke(tx, raw.decode(), now_ns)
        if len(suffixes) > STEP:
            store.put(f"ended/{token}", b"", now_ns)
        return len(suffixes[:STEP])

    def of_token(self, tx: Tx, token: TokenHash) -> Iterator[str]:
        """Yield the ids of the leases that a token obtained."""
        store = self._of(tx)
        for suffix in store.walk(f"token/{token}"):
            raw = store.get(suffix)
            if raw is not None:
                yield raw.decode()

    def below(self, tx: Tx, prefix: str) -> Iterator[str]:
        """Yield the id that equals prefix, and the ids of all leases below it."""
        yield prefix
        for path in self._of(tx).walk(f"id/{prefix}" if prefix else "id"):
            yield path.removeprefix("id/")

    def count_of(self, tx: Tx, token: TokenHash) -> int:
        """Return the number of leases that a token obtained."""
        return len(self._of(tx).list(f"token/{token}"))

    def holds(self, tx: Tx, mount: MountUuid) -> bool:
        """Return whether a mount has lent credentials that are not revoked yet."""
        return bool(self._of(tx).list(f"held/{mount}", 1))

    def count(self, tx: Tx) -> int:
        """Return the number of leases, including those of tokens."""
        return sum(1 for _ in self._of(tx).walk("id"))

    def of_record(self, record: DueRecord) -> Lease:
        """Return the lease in a due record at `id/`."""
        return _LEASE.decode(record.body)

    def needs_effect(self, record: DueRecord) -> bool:
        """Return whether a due record is a lease whose credential must be revoked."""
        if record.place.mount != LEASES or not record.path.startswith("id/"):
            return False
        return bool(self.of_record(record).payload)

    def kind_of(self, record: DueRecord) -> str:
        """Return the due kind of a record of this place: the leases of a mount are one kind."""
        return f"{KIND}{self.of_record(record).mount}" if self.needs_effect(record) else LEASES

    def end_future(self, tx: Tx, now_ns: int) -> None:
        """Revoke all leases granted after now, by a clock that was ahead: see `is_granted`."""
        for lease_id in tuple(self.below(tx, "")):
            lease = self.stored(tx, lease_id)
            if lease is None or lease.of_token or lease.revoking:
                continue
            if not is_granted(lease.issued_ns, lease.renewed_ns, now_ns=now_ns):
                self.revoke(tx, lease_id, now_ns)

    def done(self, tx: Tx, lease: Lease) -> None:
        """Remove a lease whose credential is revoked."""
        suffix = lease.id.rpartition("/")[2]
        paths = [f"id/{lease.id}"]
        if lease.token:
            paths.append(f"token/{lease.token}/{suffix}")
        if lease.payload:
            paths.append(f"held/{lease.mount}/{suffix}")
        if lease.attempts >= IRREVOCABLE:
            paths.append(f"irrevocable/{escape_part(lease.id)}")
        self._of(tx).delete_all(paths)

    def failed(self, tx: Tx, lease: Lease, reason: str, now_ns: int) -> Lease | None:
        """Record a failed attempt to revoke; the next is due after a doubled pause.

        Return the lease, or None if it was forgotten meanwhile.
        """
        lease = self.stored(tx, lease.id) or lease
        if self.stored(tx, lease.id) is None:
            return None
        attempts = lease.attempts + 1
        pause = min(SECOND_NS << min(attempts, 32), MAX_BACKOFF_NS)
        noted = msgspec.structs.replace(
            lease, attempts=attempts, revoking=True, error=reason[:MAX_REASON]
        )
        self._of(tx).put(f"id/{lease.id}", _LEASE.encode(noted), now_ns + pause)
        if attempts == IRREVOCABLE:
            self._of(tx).put(f"irrevocable/{escape_part(lease.id)}", b"")
        return noted

    def irrevocable(self, tx: Tx, limit: int | None = None) -> Iterator[Lease]:
        """Yield the leases that could not be revoked in `IRREVOCABLE` attempts, at most limit."""
        for name in self._of(tx).list("irrevocable", limit):
            lease = self.stored(tx, unescape_part(name))
            if lease is not None:
                yield lease

    def _save(self, tx: Tx, lease: Lease) -> None:
        self._of(tx).put(f"id/{lease.id}", _LEASE.encode(lease), lease.expires_ns)

    def _of(self, tx: Tx) -> Store:
        return self._stores(tx, LEASES)


def token_lease_id(path: str, token: TokenHash) -> str:
    """Return the lease id of a token that was issued at path."""
    return f"{path}/{_MARK}{token}"
