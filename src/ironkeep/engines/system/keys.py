"""The barrier's keys: `key-status`, `rotate`, `rekey`, `generate-root`.

Source: the Vault HTTP API, sys/key-status, sys/rotate, sys/rekey, sys/generate-root. Unlike in
older Vaults, rekey and generate-root need a token with sudo in addition to the shares, so an
unauthenticated client can neither start nor cancel them.
"""

from dataclasses import asdict, dataclass
from typing import Any, Final

import msgspec

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.event import Released
from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.core.text.goformat import rfc3339
from ironkeep.engines.system.sealing import shape_of_shares
from ironkeep.kernel.house import House
from ironkeep.kernel.opening import ROOT_TOKEN
from ironkeep.plugin.call import Call
from ironkeep.plugin.fields import CommaList, Duration
from ironkeep.plugin.response import Response, Unkept
from ironkeep.plugin.route import Route
from ironkeep.seal.rekey import RekeyDone
from ironkeep.seal.root_generation import RootGrant
from ironkeep.seal.seal import check_applicable
from ironkeep.store.reserved import MOUNTS, UPKEEP

SHARES: Final = "unseal-keys"
"""The path by which a journal entry names the shares that a rekey releases."""


@dataclass(frozen=True)
class NewShares:
    """The new number of shares and threshold."""

    secret_shares: int = 5
    secret_threshold: int = 3
    pgp_keys: CommaList = ()
    backup: bool = False
    require_verification: bool = False


@dataclass(frozen=True)
class Share:
    """One share, for the attempt with the given nonce."""

    key: Secret
    nonce: str = ""


@dataclass(frozen=True)
class Otp:
    """The one-time password that will encrypt the new root token."""

    otp: Secret = Secret(b"")
    pgp_key: str = ""


def key_status(call: Call) -> Response:
    """Return the encrypting key's term, its time of installation and its number of uses."""
    ciphers = call.use(House).keys().ciphers
    term = ciphers.keyring.current
    return Response(
        data={
            "term": term.number,
            "install_time": rfc3339(term.created_ns),
            "encryptions": ciphers.encryptions,
        }
    )


def rotate(call: Call) -> Response:
    """Add a key to the keyring; it encrypts from now on."""
    call.use(House).rotate_keys(call.tx, call.now_ns)
    return Response()


@dataclass(frozen=True)
class Rotation:
    """Settings of the automatic rotation; None leaves a setting unchanged."""

    max_operations: int | None = None
    interval: Duration | None = None
    enabled: bool | None = None


def read_rotate_config(call: Call) -> Response:
    """Return the settings of the automatic rotation."""
    config = call.use(House).upkeep.config(call.use(House).store(call.tx, UPKEEP))
    return Response(data=msgspec.to_builtins(config))


def write_rotate_config(call: Call, given: Rotation) -> Response:
    """Change the settings of the automatic rotation."""
    store = call.use(House).store(call.tx, UPKEEP)
    changes = {name: value for name, value in asdict(given).items() if value is not None}
    config = msgspec.structs.replace(call.use(House).upkeep.config(store), **changes)
    call.use(House).upkeep.configure(store, config)
    return Response()


def rekey_status(call: Call) -> Response:
    """Return the progress of a rekey."""
    return Response(body=asdict(call.use(House).rekey.status()))


def rekey_start(call: Call, given: NewShares) -> Response:
    """Start a rekey."""
    check_applicable(call.raw)
    status = call.use(House).rekey.start(
        given.secret_shares,
        given.secret_threshold,
        verify=given.require_verification,
        backup=given.backup,
    )
    return Response(body=asdict(status))


def rekey_cancel(call: Call) -> Response:
    """Cancel a rekey."""
    call.use(House).rekey.cancel()
    return Response()


def rekey_update(call: Call, given: Share) -> Response:
    """Accept one present share; the last one creates the new shares."""
    result = call.use(House).rekey.update(call.tx, _text(given), given.nonce)
    if not isinstance(result, RekeyDone):
        return Response(body=asdict(result))
    body: dict[str, Any] = {
        "nonce": result.nonce,
        "complete": True,
        **shape_of_shares(result.keys),
        "pgp_fingerprints": None,
        "backup": False,
        "verification_required": result.verification_required,
        "verification_nonce": result.verification_nonce,
    }
    released = Released(call.mount.uuid, SHARES, fields=("keys",))
    return Response(body=body, released=(released,), audited={"complete": True})


def _text(given: Share) -> str:
    return given.key.reveal().decode("utf-8", "replace")


def verify_status(call: Call) -> Response:
    """Return the progress of the verification of new shares."""
    return Response(body=asdict(call.use(House).rekey.verify_status()))


def verify_restart(call: Call) -> Response:
    """Restart the verification."""
    return Response(body=asdict(call.use(House).rekey.restart_verification()))


def verify(call: Call, given: Share) -> Response:
    """Accept one new share for verification; the last one puts the new shares in force."""
    return Response(body=asdict(call.use(House).rekey.verify(call.tx, _text(given), given.nonce)))


def no_backup(_call: Call) -> Response:
    """Refuse: no backup exists, because shares are never stored."""
    raise InvalidRequest("no backed-up keys found")


def root_status(call: Call) -> Response:
    """Return the progress of the generation of a root token."""
    return Response(body=_root(call))


def _root(call: Call, **more: Any) -> dict[str, Any]:
    status = asdict(call.use(House).root_generation.status())
    return {
        **status,
        "pgp_fingerprint": "",
        "encoded_token": "",
        "encoded_root_token": "",
        "otp": "",
        **more,
    }


def root_start(call: Call, given: Otp) -> Response:
    """Start the generation of a root token."""
    check_applicable(call.raw)
    otp = given.otp.reveal().decode("utf-8", "replace")
    _, made = call.use(House).root_generation.start(otp)
    return Response(body=_root(call, otp=Unkept(made.reveal()) if made is not None else ""))


def root_cancel(call: Call) -> Response:
    """Cancel the generation of a root token."""
    call.use(House).root_generation.cancel()
    return Response()


def root_update(call: Call, given: Share) -> Response:
    """Accept one share; the last one creates a root token, encrypted with the one-time password."""
    house = call.use(House)
    result = house.root_generation.update(_text(given), given.nonce)
    if not isinstance(result, RootGrant):
        return Response(body=_root(call))
    mount = house.mounts.table(house.store(call.tx, MOUNTS)).by_path["auth/token/"]
    issued = house.tokens.issue(call.tx, mount, ROOT_TOKEN, call.now_ns, house.entropy)
    encoded = Secret(result.encode(issued.token).encode())
    return Response(
        body={
            **asdict(result.status), "pgp_fingerprint": "", "otp": "",
            "encoded_token": encoded, "encoded_root_token": encoded,
        },
        issued=issued.record.accessor,
        audited={"token_policies": list(ROOT_TOKEN.policies)},
    )  # fmt: skip


ROUTES: Final = (
    Route(Operation.READ, "key-status", key_status, flat=True, help="The encrypting key."),
    Route(Operation.UPDATE, "rotate", rotate, sudo=True, help="Add a key to the keyring."),
    Route(Operation.UPDATE, "rotate/keyring", rotate, sudo=True, help="Add a key to the keyring."),
    Route(
        Operation.READ, "rotate/config", read_rotate_config, sudo=True,
        help="The settings of the automatic rotation.",
    ),
    Route(
        Operation.UPDATE, "rotate/config", write_rotate_config, Rotation, sudo=True,
        audited=("max_operations", "interval", "enabled"),
        help="Change the settings of the automatic rotation.",
    ),
    Route(Operation.READ, "rekey/init", rekey_status, sudo=True, help="The progress of a rekey."),
    Route(Operation.UPDATE, "rekey/init", rekey_start, NewShares, sudo=True, help="Start a rekey."),
    Route(Operation.DELETE, "rekey/init", rekey_cancel, sudo=True, help="Cancel a rekey."),
    Route(
        Operation.UPDATE, "rekey/update", rekey_update, Share, sudo=True, releases=True,
        help="Submit a present share.",
    ),
    Route(Operation.READ, "rekey/verify", verify_status, sudo=True, help="Its progress."),
    Route(Operation.DELETE, "rekey/verify", verify_restart, sudo=True, help="Restart it."),
    Route(Operation.UPDATE, "rekey/verify", verify, Share, sudo=True, help="Submit a new share."),
    Route(Operation.READ, "rekey/backup", no_backup, sudo=True, help="No backup exists."),
    Route(Operation.DELETE, "rekey/backup", no_backup, sudo=True, help="No backup exists."),
    Route(Operation.READ, "generate-root/attempt", root_status, sudo=True, help="Its progress."),
    Route(
        Operation.UPDATE, "generate-root/attempt", root_start, Otp, sudo=True, quorum=True,
        help="Start to generate a root token.",
    ),
    Route(Operation.DELETE, "generate-root/attempt", root_cancel, sudo=True, help="Cancel it."),
    Route(
        Operation.UPDATE, "generate-root/update", root_update, Share, sudo=True, releases=True,
        quorum=True, help="Submit a present share.",
    ),
)  # fmt: skip
