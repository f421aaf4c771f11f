"""Enrolment of a device, and its result, `agent.json`: server, device id and public key, no secret.

Enrolling creates the device key, gets a challenge from the server in the name of a person who has
just logged in, and proves possession of the key. Another person then approves the device.
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
    """The place of the device key: its kind, and how to reach the TPM or the token.

    `pin_file` is a file of mode 0600 that holds the token's PIN.
    """

    kind: KeyKind
    tcti: str = ""
    module: str = ""
    token: str = ""
    pin_file: str = ""

    def store(self, folder: Path) -> KeyStore:
        """Return the key store; folder holds the file of a TPM key or a file key."""
        if self.kind is KeyKind.TPM:
            return TpmKeyStore(folder / "device.tss", self.tcti)
        if self.kind is KeyKind.FILE:
            return FileKeyStore(folder / "device.key")
        pin = Secret(private_files.read(Path(self.pin_file), MAX_PIN).strip())
        return Pkcs11KeyStore(Token(Path(self.module), self.token, pin))


class Enrolment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An enrolled device: its server, its id and name there, and its public key (hex of SPKI)."""

    v: int
    address: str
    ca_cert: str
    device: str
    name: str
    place: Place
    key: str

    def save(self, folder: Path) -> None:
        """Write the enrolment to folder."""
        private_files.create(folder / NAME, msgspec.json.format(msgspec.json.encode(self)))

    @classmethod
    def load(cls, folder: Path) -> "Enrolment":
        """Return the enrolment in folder; raise NotFound, or InvalidRequest for another file.

        A folder that others may write to is refused too, because they could have replaced the file.
        """
        private_files.require_own_folder(folder)
        try:
            found = msgspec.json.decode(private_files.read(folder / NAME, MAX_FILE), type=cls)
        except msgspec.MsgspecError:
            raise InvalidRequest(f"{folder / NAME} is not a file of an agent") from None
        if found.v != 1:
            raise InvalidRequest(f"{folder / NAME} has version {found.v}; this agent reads only 1")
        return found

    def device_key(self, folder: Path) -> DeviceKey:
        """Return the enrolled key; raise IntegrityError when its place holds another key."""
        key = self.place.store(folder).load()
        if key.spki.hex() != self.key:
            raise IntegrityError("the device key is not the one that was enrolled")
        return key


def enrol(
    vault: Vault, folder: Path, token: Secret, name: str, ownership: str, place: Place
) -> Enrolment:
    """Enrol the device and prove its key; write the enrolment to folder and return it.

    A key left by an earlier attempt is used, else one is created. Raise Conflict when folder holds
    an enrolled device.
    """
    private_files.make_folder(folder)
    if (folder / NAME).exists():
        raise Conflict(f"{folder} already holds a device: give another -dir, or remove it")
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
