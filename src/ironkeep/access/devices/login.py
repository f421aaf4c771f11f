"""Logins over the certificate of a device that is turned away: refused, by every auth method.

Such a device is not "no device". Otherwise its login would yield a token that is bound to nothing
and works from anywhere, which is more than a welcome device gets.
"""

from ironkeep.core.errors import DeviceRefused
from ironkeep.kernel.house import House
from ironkeep.plugin.entries import Trace
from ironkeep.plugin.request import Request
from ironkeep.store.state import Tx


def require_welcome(house: House, request: Request, trace: Trace, account: Tx) -> None:
    """Raise DeviceRefused unless the connection may log in; pass what outlives the refusal."""
    peer = request.peer
    if peer is None or not peer.device:
        return
    domain = house.settings.cluster_name
    refused = house.devices.unwelcome(account, peer, domain, trace.now_ns)
    if refused is None:
        return
    # What only the certificate says of itself is not recorded.
    reason, device = refused
    trace.reason = reason
    house.alerts.repeated(
        account, "device-refused", reason, trace.now_ns, subject="login",
        device=device, path=request.path,
    )  # fmt: skip
    raise DeviceRefused(reason)
