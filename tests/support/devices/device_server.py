"""A real server over TLS with people and their devices, for tests of what a thief can do there."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from ironkeep.testing.server import ServerProcess
from tests.support.devices.device_estate import ADMIN, PASSWORD
from tests.support.devices.soft_device import SoftDevice
from tests.support.devices.tls_client import TlsClient
from tests.support.people.passkeys import RP_ID, Person
from tests.support.people.softauth import ORIGIN, SoftAuthenticator


class DeviceServer:
    """People log in from devices whose files are in a folder of their own."""

    def __init__(self, server: ServerProcess, folder: Path) -> None:
        assert server.tls is not None
        self.server: Final = server
        self.folder: Final = folder
        self.ca: Final = server.tls.ca
        self.plain: Final = TlsClient(server.address, self.ca)
        self.mounted = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.plain.close()

    def prepare(self, policies: Mapping[str, str], people: Mapping[str, Sequence[str]]) -> None:
        """Make policies and people, an administrator `eve` among them."""
        root = self.server.token
        self.plain.post("sys/auth/userpass", {"type": "userpass"}, root)
        for name, text in {"admin": ADMIN, **policies}.items():
            self.plain.post(f"sys/policies/acl/{name}", {"policy": text}, root)
        for name, held in {"eve": ["admin"], **people}.items():
            user = {"password": PASSWORD, "token_policies": list(held)}
            self.plain.post(f"auth/userpass/users/{name}", user, root)

    def login(self, name: str, client: TlsClient | None = None) -> str:
        """Return a fresh token of a person, over client's connection or from nowhere."""
        path = f"auth/userpass/login/{name}"
        made = (client or self.plain).post(path, {"password": PASSWORD})
        token: str = made["auth"]["client_token"]
        return token

    def person(self, name: str, policies: Sequence[str]) -> Person:
        """Return a person with two authenticators, who logs in with nothing else."""
        root, at = self.server.token, "auth/passkey"
        if not self.mounted:
            self.mounted = True
            self.plain.post(f"sys/{at}", {"type": "passkey"}, root)
            self.plain.post(f"{at}/config", {"rp_id": RP_ID, "origins": [ORIGIN]}, root)
        self.plain.post(f"{at}/users/{name}", {"token_policies": list(policies)}, root)
        ticket = self.data(f"{at}/users/{name}/ticket", {}, root)["ticket"]
        person = Person(name, [SoftAuthenticator(), SoftAuthenticator()])
        for number, key in enumerate(person.keys):
            begun = self.data(f"{at}/register/begin", {"ticket": ticket})
            made = {"id": begun["id"], "credential": key.create(begun["options"])}
            done = self.data(f"{at}/register/finish", {**made, "label": f"key {number}"})
            ticket = done.get("ticket", "")
        return person

    def touch(self, person: Person, client: TlsClient | None = None) -> str:
        """Return a fresh token of a person with authenticators, as `login` does."""
        client, at = client or self.plain, "auth/passkey/login"
        begun = client.post(f"{at}/begin", {"username": person.name})["data"]
        signed = {"id": begun["id"], "credential": person.keys[0].get(begun["options"])}
        token: str = client.post(f"{at}/finish", signed)["auth"]["client_token"]
        return token

    def enrol(self, name: str, token: str = "") -> SoftDevice:
        """Return a device of a person's that the administrator let in; token is of the person."""
        token, device = token or self.login(name), SoftDevice()
        device.enrol(lambda path, data: self.data(path, data, token), f"laptop of {name}")
        decision = {"reason": "works here", "until": "30d"}
        self.plain.post(f"device/approve/{device.id}", decision, self.login("eve"))
        return device

    def data(self, path: str, data: Mapping[str, Any], token: str = "") -> Any:
        """Send what must succeed; return the answer's data."""
        return self.plain.post(path, data, token)["data"]

    def certify(self, device: SoftDevice) -> tuple[Path, Path]:
        """Return the files of a fresh certificate of a device, and of its key."""
        certificate, key = device.certificate(self.data)
        paths = self.folder / f"{device.id}.pem", self.folder / f"{device.id}.key"
        for path, pem in zip(paths, (certificate, key), strict=True):
            path.write_bytes(pem)
        return paths

    def client(self, device: SoftDevice) -> TlsClient:
        """Return a connection of a device."""
        return TlsClient(self.server.address, self.ca, *self.certify(device))
