"""The three kinds of device key: real TPM, real token, file; what each refuses to give away."""

import importlib
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ironkeep.agent.file_key import FileKeyStore
from ironkeep.agent.keys import ORDER, KeyKind, KeyStore
from ironkeep.agent.pkcs11_key import LABEL, Pkcs11KeyStore, Token
from ironkeep.agent.tpm_key import TpmKeyStore
from ironkeep.core.device.proof import verify
from ironkeep.core.errors import (
    Conflict,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    Unavailable,
)
from ironkeep.core.secret import Secret
from tests.support.devices import hardware

if "CI" in os.environ:
    pkcs11: Any = importlib.import_module("pkcs11")
    tpm2_pytss: Any = importlib.import_module("tpm2_pytss")
else:
    pkcs11 = pytest.importorskip("pkcs11", reason="make hardware")
    tpm2_pytss = pytest.importorskip("tpm2_pytss", reason="make hardware")
TSSPrivKey: Any = importlib.import_module("tpm2_pytss.tsskey").TSSPrivKey

MESSAGE = b"ironkeep/device/enrol/v1\0device and nonce"


def holds_its_contract(store: KeyStore, again: KeyStore, kind: KeyKind) -> None:
    """Make a key, find it again with another store, and see that it is the same one."""
    with pytest.raises(NotFound):
        store.load()
    made = store.create()
    found = again.load()
    assert made.kind is found.kind is store.kind is kind
    assert made.spki == found.spki
    for key in (made, found):
        verify(made.spki, MESSAGE, key.sign(MESSAGE))
        with pytest.raises(PermissionDenied):
            verify(made.spki, MESSAGE + b"!", key.sign(MESSAGE))
    with pytest.raises(Conflict):
        again.create()


def test_a_file_key(tmp_path: Path) -> None:
    path = tmp_path / "device.key"
    holds_its_contract(FileKeyStore(path), FileKeyStore(path), KeyKind.FILE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["device.key"]


def test_a_tpm_key(tmp_path: Path, tcti: str) -> None:
    path = tmp_path / "device.tss"
    holds_its_contract(TpmKeyStore(path, tcti), TpmKeyStore(path, tcti), KeyKind.TPM)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("token", [1], indirect=True)
def test_a_token_key(token: Token) -> None:
    holds_its_contract(Pkcs11KeyStore(token), Pkcs11KeyStore(token), KeyKind.PKCS11)


def test_the_file_ranks_below_hardware() -> None:
    assert ORDER == (KeyKind.TPM, KeyKind.PKCS11, KeyKind.FILE)
    assert set(ORDER) == set(KeyKind)


def test_a_tpm_key_is_of_no_use_with_another_tpm(tmp_path: Path, tcti: str) -> None:
    """What an infostealer copies from the disk does not sign anywhere else."""
    path = tmp_path / "device.tss"
    TpmKeyStore(path, tcti).create()
    with hardware.swtpm(tmp_path / "thief") as elsewhere:
        stolen = TpmKeyStore(path, elsewhere).load()
        with pytest.raises(Unavailable, match=" failed: "):
            stolen.sign(MESSAGE)


def test_a_tpm_key_cannot_be_duplicated(tmp_path: Path, tcti: str) -> None:
    """FixedTPM and fixedParent: the TPM itself refuses to wrap it for anybody else."""
    path = tmp_path / "device.tss"
    TpmKeyStore(path, tcti).create()
    key = TSSPrivKey.from_pem(path.read_bytes())
    with tpm2_pytss.ESAPI(tcti) as session:
        handle = key.load(session)
        symmetric = tpm2_pytss.TPMT_SYM_DEF_OBJECT(algorithm=tpm2_pytss.TPM2_ALG.NULL)
        with pytest.raises(tpm2_pytss.TSS2_Exception):
            session.duplicate(handle, tpm2_pytss.ESYS_TR.NULL, b"", symmetric)
        session.flush_context(handle)


def test_many_signatures_leave_room_in_the_tpm(tmp_path: Path, tcti: str) -> None:
    """A TPM has three places for loaded keys: each use frees its own."""
    key = TpmKeyStore(tmp_path / "device.tss", tcti).create()
    for _ in range(8):
        verify(key.spki, MESSAGE, key.sign(MESSAGE))


def test_a_key_that_a_tpm_did_not_make_is_refused(tmp_path: Path, tcti: str) -> None:
    """A key imported into the TPM has been elsewhere before."""
    made = TpmKeyStore(tmp_path / "device.tss", tcti).create()
    assert made.spki
    key = TSSPrivKey.from_pem((tmp_path / "device.tss").read_bytes())
    key.public.publicArea.objectAttributes ^= tpm2_pytss.TPMA_OBJECT.FIXEDTPM
    path = tmp_path / "imported.tss"
    path.touch(0o600)
    path.write_bytes(key.to_pem())
    with pytest.raises(InvalidRequest, match="not created inside"):
        TpmKeyStore(path, tcti).load()


@pytest.mark.parametrize("content", [b"", b"-----BEGIN TSS2 PRIVATE KEY-----\nAAAA\n", b"x" * 9000])
def test_a_file_that_is_no_tpm_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "device.tss"
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(InvalidRequest):
        TpmKeyStore(path, "swtpm:port=1").load()


def test_without_a_tpm_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="the TPM at device:/nowhere"):
        TpmKeyStore(tmp_path / "device.tss", "device:/nowhere").create()


@pytest.mark.parametrize("token", [2], indirect=True)
def test_a_token_key_cannot_be_read(token: Token) -> None:
    Pkcs11KeyStore(token).create()
    with (
        pkcs11.lib(str(token.module))
        .get_token(token_label=token.label)
        .open(user_pin=hardware.PIN) as session
    ):
        key = session.get_key(pkcs11.ObjectClass.PRIVATE_KEY, label=LABEL)
        assert key[pkcs11.Attribute.SENSITIVE]
        assert not key[pkcs11.Attribute.EXTRACTABLE]
        with pytest.raises(pkcs11.exceptions.AttributeSensitive):
            key[pkcs11.Attribute.VALUE]


def test_a_wrong_pin_or_token_is_said_without_the_pin(token: Token) -> None:
    wrong = replace(token, pin=Secret(b"canary-pin-9"))
    with pytest.raises(Unavailable, match="PinIncorrect") as refusal:
        Pkcs11KeyStore(wrong).load()
    assert "canary-pin-9" not in str(refusal.value)
    with pytest.raises(Unavailable, match="NoSuchToken"):
        Pkcs11KeyStore(replace(token, label="nobody's")).load()
    with pytest.raises(Unavailable, match=" failed: "):
        Pkcs11KeyStore(replace(token, module=Path("/nowhere.so"))).load()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "device.key"
    FileKeyStore(path).create()
    path.chmod(mode)
    with pytest.raises(InvalidRequest, match="chmod 600"):
        FileKeyStore(path).load()


def test_a_link_or_rubbish_in_place_of_a_key_file_is_refused(tmp_path: Path) -> None:
    FileKeyStore(tmp_path / "other.key").create()
    link = tmp_path / "device.key"
    link.symlink_to(tmp_path / "other.key")
    with pytest.raises(InvalidRequest, match="symbolic link"):
        FileKeyStore(link).load()
    with pytest.raises(Conflict):
        FileKeyStore(link).create()
    rubbish = tmp_path / "rubbish.key"
    rubbish.touch(0o600)
    rubbish.write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    with pytest.raises(InvalidRequest, match="holds no private key"):
        FileKeyStore(rubbish).load()
