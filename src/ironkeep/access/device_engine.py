"""The device engine: which machines may speak for people, by whose decision, and until when.

device/enrol/start|prove                 by the device's person   see devices/enrolment.py
device/approve|refuse|revoke/<id>        by somebody else
device/devices/  device/devices/<id>     who decided, why, until when
device/nonce     device/certificate      by the device itself     see certificates/
device/rules                             what a device's key must be
device/ca                                the authority's certificate
"""

from collections.abc import Sequence
from typing import Final

from ironkeep.access.certificates import certificates
from ironkeep.access.devices import enrolment, routes
from ironkeep.access.posture.routes import POSTURE_ROUTES
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.route import Route

ROUTES: Final = (
    *routes.ROUTES,
    *enrolment.ROUTES,
    *certificates.ROUTES,
    *POSTURE_ROUTES,
)


class DeviceEngine:
    """Enrolment, certificates and posture of devices, in one mount."""

    type: Final = "device"

    def routes(self, _mount: Mount) -> Sequence[Route]:
        """Return the routes of all the parts."""
        return ROUTES
