"""`sys/identity-report`: every identity that can still log in with a secret that can be copied.

Each auth method lists its own (access/identity_report/copyable_logins.py); tokens that are bound to
nothing come from the token store. Batch tokens are not stored, and so cannot be listed.
"""

from collections.abc import Iterator
from typing import Any, Final

from ironkeep.access.devices.devices import REQUIRED, TOKEN_DEVICE
from ironkeep.access.devices.machine import MACHINE_SECONDS
from ironkeep.access.identity_report.copyable_logins import Copyable, TellsCopyable
from ironkeep.core.errors import Sealed
from ironkeep.core.operation import Operation
from ironkeep.core.policy.builtin import ROOT_POLICY_NAME
from ironkeep.core.text.goformat import duration, rfc3339
from ironkeep.core.units import SECOND_NS
from ironkeep.identity.token_store import StoredToken
from ironkeep.identity.tokens import Tokens
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects.pauses import Pauses, in_turns
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.mounts import Mounts
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Plugins, Route
from ironkeep.store.reserved import MOUNTS

MAX_ROWS: Final = 10_000
"""Rows in one report. `complete` is false when rows were left out."""
PAGE: Final = 16
"""Identities inspected in one turn, some 150 µs each."""


def report(call: Call) -> Response | Suspend:
    """Return the identities that can log in with a copied secret; `complete` if none is missing."""
    rows: list[dict[str, Any]] = []
    sealed: list[str] = []

    def answer(_later: Call, _: None) -> Response:
        complete = len(rows) < MAX_ROWS and not sealed
        return Response(
            data={"identities": rows, "complete": complete, "sealed": sealed, "count": len(rows)},
            audited={"count": len(rows)},
        )

    return in_turns(call, _collect(call, rows, sealed), answer)


def _collect(call: Call, rows: list[dict[str, Any]], sealed: list[str]) -> Pauses[None]:
    """Add all rows, and the paths of the mounts that are sealed."""
    for mount in _logins(call):
        plugin = call.use(Plugins)[mount.type]
        if isinstance(plugin, TellsCopyable):
            try:
                yield from _take(rows, call, mount.path, plugin.copyable(call, mount))
            except Sealed:
                sealed.append(mount.path)
    yield from _take(rows, call, "auth/token/", _tokens(call))


def _take(
    rows: list[dict[str, Any]], call: Call, mount: str, found: Iterator[Copyable | None]
) -> Pauses[None]:
    for number, each in enumerate(found, 1):
        if len(rows) >= MAX_ROWS:
            return
        if each is not None:
            rows.append(_row(each, mount, call.now_ns))
        if number % PAGE == 0:
            yield


def _row(each: Copyable, mount: str, now_ns: int) -> dict[str, Any]:
    return {
        "kind": each.kind,
        "name": each.name,
        "mount": mount,
        "why": each.why,
        "mend": each.mend,
        "created": rfc3339(each.created_ns) if each.created_ns else None,
        "age_seconds": (now_ns - each.created_ns) // SECOND_NS if each.created_ns else None,
        "last_use": rfc3339(each.used_ns) if each.used_ns else None,
        "expires": rfc3339(each.expires_ns) if each.expires_ns else None,
    }


def _logins(call: Call) -> list[Mount]:
    """Return the auth mounts that require no device, so that a copied secret is enough there."""
    table = call.use(Mounts).table(call.services.store(call.tx, MOUNTS))
    return [
        mount
        for path, mount in sorted(table.by_path.items())
        if path.startswith("auth/") and mount.options.get(TOKEN_DEVICE) != REQUIRED
    ]


def _tokens(call: Call) -> Iterator[Copyable | None]:
    """Yield the tokens that are bound to nothing and live longer than `MACHINE_SECONDS`.

    None stands for any other token, so that turns count those too.
    """
    tokens = call.use(Tokens)
    for name in tokens.store.all(call.tx):
        record = tokens.store.load(call.tx, name)
        counts = record is not None and _is_copyable(record) and _is_alive(call, record)
        yield _of_token(record) if record is not None and counts else None


def _is_copyable(record: StoredToken) -> bool:
    lives = record.expires_ns - record.issued_ns
    is_long = not record.expires_ns or lives > MACHINE_SECONDS * SECOND_NS
    return not (record.device or record.peer or record.wraps) and is_long


def _is_alive(call: Call, record: StoredToken) -> bool:
    found = call.use(Tokens).find_accessor(call.tx, record.accessor, call.now_ns)
    return found is not None


def _of_token(record: StoredToken) -> Copyable:
    if not record.expires_ns:
        lives = "never expires"
    elif record.period_seconds:
        lives = f"is renewed for ever, {duration(record.period_seconds)} at a time"
    else:
        lives = f"lives {duration((record.expires_ns - record.issued_ns) // SECOND_NS)}"
    root = "a root token" if ROOT_POLICY_NAME in record.policies else "a token"
    return Copyable(
        "token",
        f"{record.display_name or 'token'} ({record.accessor})",
        f"{root} that is bound to no device and no key, and {lives}",
        "revoke it by its accessor; log in from an enrolled device, or by jwt or cert",
        created_ns=record.issued_ns,
        used_ns=record.renewed_ns,
        expires_ns=record.expires_ns,
    )


ROUTES: Final = (
    Route(
        Operation.READ, "identity-report", report, sudo=True,
        help="The identities that can log in with a copied secret.",
    ),
)  # fmt: skip
