"""Logins over the certificate of a device that is turned away: refused, by every auth method.

Such a device is not "no device". Otherwise its login would yield a token that is bound to nothing
and works from anywhere, which is more than a welcome device gets.
"""

from ironkeep.access.alerts.alerts import Alerts
from ironkeep.access.devices.devices import Devices
from ironkeep.core.errors import DeviceRefused
from ironkeep.plugin.entries import Trace
from ironkeep.plugin.request import Request
from ironkeep.plugin.services import Services
from ironkeep.plugin.settings import ServerSettings
from ironkeep.store.state import Tx


def require_welcome(services: Services, request: Request, trace: Trace, account: Tx) -> None:
    """Raise DeviceRefused unless the connection may log in; pass what outlives the refusal."""
    peer = request.peer
    if peer is None or not peer.device:
        return
    domain = services.use(ServerSettings).cluster_name
    refused = services.use(Devices).unwelcome(account, peer, domain, trace.now_ns)
    if refused is None:
        return
    # What only the certificate says of itself is not recorded.
    refusal, device = refused
    trace.reason = refusal.reason
    services.use(Alerts).repeated(
        account, "device-refused", refusal.reason, trace.now_ns, subject="login",
        device=device, path=request.path,
    )  # fmt: skip
    raise DeviceRefused(refusal.say)
