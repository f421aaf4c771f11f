"""Refuse a login, at every auth method, over the certificate of a device that is not accepted.

Such a login must not count as one without a device: it would yield a token that is bound to nothing
and works from anywhere, which is more than an accepted device gets.
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
    """Raise DeviceRefused unless the connection may log in.

    Pass the transaction that outlives the refusal.
    """
    peer = request.peer
    if peer is None or not peer.device:
        return
    domain = services.use(ServerSettings).cluster_name
    refused = services.use(Devices).unwelcome(account, peer, domain, trace.now_ns)
    if refused is None:
        return
    # `device` is "" unless the device authority signed the certificate: an unverified claim to be
    # some device must not be recorded.
    refusal, device = refused
    trace.reason = refusal.reason
    services.use(Alerts).repeated(
        account, "device-refused", refusal.reason, trace.now_ns, subject="login",
        device=device, path=request.path,
    )  # fmt: skip
    raise DeviceRefused(refusal.say)
