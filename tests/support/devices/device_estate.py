"""A vault with people, an administrator, and a device or two: for tests of what devices may do."""

from collections.abc import Mapping
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ironkeep.access.device_engine import DeviceEngine
from ironkeep.core.operation import Operation
from ironkeep.plugin.peer import Peer
from ironkeep.plugin.route import Plugin
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Reply, Vault
from tests.support.devices.soft_device import SoftDevice

ADMIN: Final = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'
USER: Final = """
path "device/*" { capabilities = ["create", "read", "update", "list"] }
path "secret/*" { capabilities = ["create", "read", "update", "list"] }
path "auth/token/create" { capabilities = ["update"] }
"""
PASSWORD: Final = "correct horse battery"
PEOPLE: Final = {"ann": "user", "bob": "user", "eve": "admin", "zoe": "admin"}


class DeviceEstate:
    """A vault in memory; everybody is asked by name."""

    def __init__(self, plugins: Mapping[str, Plugin] | None = None) -> None:
        known = {**PLUGINS, "device": DeviceEngine()} if plugins is None else plugins
        self.vault: Final = Vault.started(known)
        self.write("sys/auth/userpass", {"type": "userpass"})
        for policy, text in (("admin", ADMIN), ("user", USER)):
            self.write(f"sys/policies/acl/{policy}", {"policy": text})
        self._people: Final[set[str]] = set()

    def write(self, path: str, data: Mapping[str, Any] | None = None, **rest: Any) -> Any:
        """Send what must succeed; return the answer's data."""
        reply = self.vault.request(Operation.UPDATE, path, data, **rest)
        if reply.error is not None:
            raise AssertionError((path, reply.body))
        return reply.body and reply.body.get("data")

    def refused(self, path: str, data: Mapping[str, Any] | None = None, **rest: Any) -> Reply:
        """Send what must be refused; return the answer."""
        reply = self.vault.request(Operation.UPDATE, path, data, **rest)
        if reply.error is None:
            raise AssertionError((path, reply.body))
        return reply

    def login(self, name: str, peer: Peer | None = None) -> str:
        """Return a fresh token of a person; who is met for the first time is made."""
        if name not in self._people:
            self._people.add(name)
            user = {"password": PASSWORD, "token_policies": [PEOPLE[name]]}
            self.write(f"auth/userpass/users/{name}", user)
        reply = self.vault.write(
            f"auth/userpass/login/{name}", {"password": PASSWORD}, token=None, peer=peer
        )
        return reply.token

    def pending(self, name: str, ownership: str = "corporate") -> SoftDevice:
        """Return a device of a person's that waits for a decision."""
        token, device = self.login(name), SoftDevice()
        device.enrol(
            lambda path, data: self.write(path, data, token=token), f"laptop of {name}", ownership
        )
        return device

    def active(self, name: str, ownership: str = "corporate", until: str = "30d") -> SoftDevice:
        """Return a device of a person's that an administrator let in."""
        device = self.pending(name, ownership)
        self.decide("approve", device, until=until)
        return device

    def decide(self, verb: str, device: SoftDevice, by: str = "eve", **more: str) -> Any:
        """Decide on a device as an administrator."""
        data = {"reason": "works here", **more}
        return self.write(f"device/{verb}/{device.id}", data, token=self.login(by))

    def nonce(self, device: str) -> str:
        """Return a nonce for a device to sign."""
        nonce: str = self.write("device/nonce", {"id": device}, token=None)["nonce"]
        return nonce

    def peer(self, device: SoftDevice) -> Peer:
        """Return what a connection of a device looks like, by a fresh certificate."""
        pem, _ = device.certificate(lambda path, data: self.write(path, data, token=None))
        return Peer.of(x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER))
