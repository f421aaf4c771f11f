"""A TPM and a token, real ones in software, for the tests that need them."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironkeep.agent.pkcs11_key import Token
from ironkeep.core.secret import Secret
from tests.support.devices import hardware


def need(program: str, library: str) -> None:
    """Skip without program or library, unless these are the tests that count."""
    if "CI" in os.environ:
        return
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    pytest.importorskip(library, reason=f"{library} is not installed: make hardware")


@pytest.fixture
def tcti(tmp_path: Path) -> Iterator[str]:
    """The TCTI of a fresh TPM."""
    need("swtpm", "tpm2_pytss")
    with hardware.swtpm(tmp_path / "tpm") as found:
        yield found


@pytest.fixture(scope="session")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all tokens of this process: SoftHSM reads its configuration once."""
    need("softhsm2-util", "pkcs11")
    folder = tmp_path_factory.mktemp("softhsm")
    os.environ.update(hardware.softhsm_environment(folder))
    for number in range(4):
        hardware.make_softhsm_token(folder, f"token-{number}")
    return folder


@pytest.fixture
def token(softhsm: Path, request: pytest.FixtureRequest) -> Token:
    """A token; which one is the parameter, 0 by default, and each test has its own."""
    assert softhsm.is_dir()
    number = getattr(request, "param", 0)
    return Token(hardware.SOFTHSM, f"token-{number}", Secret(hardware.PIN.encode()))
