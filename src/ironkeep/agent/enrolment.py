"""What the agent keeps between runs, `agent.json`: server, device and key, and no secret.

Enrolling makes the device key, asks the server for a challenge in the name of a person who has just
logged in, and proves the key. Another person then decides.
"""

from base64 import b64encode
from pathlib import Path
from typing import Final

import msgspec

from ironkeep.agent import private_files
from ironkeep.agent.file_key import FileKeyStore
from ironkeep.agent.keys import DeviceKey, KeyKind, KeyStore
from ironkeep.agent.pkcs11_key import Pkcs11KeyStore, Token
from ironkeep.agent.tpm_key import TpmKeyStore
from ironkeep.agent.vault import Vault
from ironkeep.core.device.proof import enrol_message
from ironkeep.core.errors import Conflict, IntegrityError, InvalidRequest, NotFound, UpstreamFailed
from ironkeep.core.secret import Secret

NAME: Final = "agent.json"
MAX_FILE: Final = 16_384
MAX_PIN: Final = 256


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the device key is: its kind, and how to reach the TPM or the token.

    `pin_file` is a file of mode 0600 that holds the token's PIN.
    """

    kind: KeyKind
    tcti: str = ""
    module: str = ""
    token: str = ""
    pin_file: str = ""

    def store(self, folder: Path) -> KeyStore:
        """Return the store; what the TPM or a file keeps is in folder."""
        if self.kind is KeyKind.TPM:
            return TpmKeyStore(folder / "device.tss", self.tcti)
        if self.kind is KeyKind.FILE:
            return FileKeyStore(folder / "device.key")
        pin = Secret(private_files.read(Path(self.pin_file), MAX_PIN).strip())
        return Pkcs11KeyStore(Token(Path(self.module), self.token, pin))


class Enrolment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An enrolled device: where its server is, its id there, and its key (hex of the SPKI)."""

    v: int
    address: str
    ca_cert: str
    device: str
    name: str
    place: Place
    key: str

    def save(self, folder: Path) -> None:
        """Keep it in folder."""
        private_files.create(folder / NAME, msgspec.json.format(msgspec.json.encode(self)))

    @classmethod
    def load(cls, folder: Path) -> "Enrolment":
        """Return what folder keeps; raise NotFound, or InvalidRequest when it is no such file.

        A folder that others may write to is refused too: they could have put another file there.
        """
        private_files.require_own_folder(folder)
        try:
            found = msgspec.json.decode(private_files.read(folder / NAME, MAX_FILE), type=cls)
        except msgspec.MsgspecError:
            raise InvalidRequest(f"{folder / NAME} is not an agent's file") from None
        if found.v != 1:
            raise InvalidRequest(f"{folder / NAME} is of version {found.v}; this agent reads 1")
        return found

    def device_key(self, folder: Path) -> DeviceKey:
        """Return the key that was enrolled; raise IntegrityError when another is in its place."""
        key = self.place.store(folder).load()
        if key.spki.hex() != self.key:
            raise IntegrityError("the device key is not the one that was enrolled")
        return key


def enrol(
    vault: Vault, folder: Path, token: Secret, name: str, ownership: str, place: Place
) -> Enrolment:
    """Make the key if need be, ask to enrol it, and prove it; return what was kept in folder.

    A key that an attempt left behind is used again; raise Conflict when the device is enrolled.
    """
    private_files.make_folder(folder)
    if (folder / NAME).exists():
        raise Conflict(f"{folder} holds a device already: give another -dir, or remove it")
    store = place.store(folder)
    try:
        key = store.load()
    except NotFound:
        key = store.create()
    wish = {
        "name": name,
        "ownership": ownership,
        "key_kind": key.kind.value,
        "key_spki": b64encode(key.spki).decode(),
    }
    begun = vault.post("device/enrol/start", wish, token)
    try:
        device, nonce = str(begun["id"]), str(begun["nonce"])
    except KeyError:
        raise UpstreamFailed("the server's answer to enrol/start has no id and nonce") from None
    signature = b64encode(key.sign(enrol_message(device, nonce))).decode()
    vault.post("device/enrol/prove", {"id": device, "signature": signature}, token)
    made = Enrolment(1, vault.address, vault.ca_cert, device, name, place, key.spki.hex())
    made.save(folder)
    return made
