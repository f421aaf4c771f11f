"""Issues the token that a response requests, bound to the device of the request's connection."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ironkeep.access.devices.devices import REQUIRED, TOKEN_DEVICE, held_key
from ironkeep.core.errors import DeviceRefused
from ironkeep.kernel.house import House
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.peer import Peer
from ironkeep.plugin.token import Session, TokenSpec
from ironkeep.store.state import Tx


def issue(
    house: House,
    tx: Tx,
    mount: Mount,
    spec: TokenSpec,
    creator: Session | None,
    now_ns: int,
    peer: Peer | None = None,
) -> tuple[Mapping[str, Any], list[str]]:
    """Issue the token that a response requests; return its auth field and warnings.

    A login over a device's connection binds the token to the device. A token requested by another
    token inherits that token's binding. Raise DeviceRefused when the device is another person's, or
    is missing.
    """
    devices = house.features.devices
    if creator is not None:
        spec = replace(spec, device=creator.record.device, peer=creator.record.peer)
        device = None
    else:
        device = devices.device_of(tx, peer, now_ns)
        if device is not None and peer is not None:
            spec = replace(spec, device=device.id, peer=held_key(device, peer) or spec.peer)
        elif mount.options.get(TOKEN_DEVICE) == REQUIRED:
            raise DeviceRefused(
                f"logins at {mount.path} need an enrolled device: use the vault through its "
                "agent, or enrol it with `ironkeep agent enrol`"
            )
    issued = house.tokens.issue(tx, mount, spec, now_ns, house.entropy, creator)
    if device is not None and issued.record.entity != device.owner:
        raise DeviceRefused("this device is enrolled for another person: use your own")
    names = (*issued.record.policies, *issued.identity_policies)
    devices.require_fit(tx, issued.record.device, names)
    return issued.auth(), list(issued.warnings)
