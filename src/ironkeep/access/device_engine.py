"""The device engine: the devices of people, the decisions on them, and their certificates.

device/enrol/start|prove                 by the device's person   see devices/enrolment.py
device/approve|refuse|revoke/<id>        by another person        see devices/enrolment.py
device/devices/  device/devices/<id>     the devices and the decisions on them
device/nonce     device/certificate      by the device itself     see certificates/
device/rules                             the requirements on devices' keys
device/ca                                the authority's certificate
device/posture/… osquery/… ssf/…         see posture/routes.py
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
        """Return the routes of devices, certificates and posture."""
        return ROUTES
