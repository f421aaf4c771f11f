"""Ansible's community.hashi_vault lookup, unmodified, through the agent.

Ansible is large and nobody's dependency here: it is installed once, beside the tests' own
environment, and the test is one of the slow ones.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from ironkeep.testing.server import ServerProcess, environment
from ironkeep.testing.tls import make_tls
from tests.support.devices.agent_process import running
from tests.support.devices.device_estate import PASSWORD
from tests.support.devices.device_server import DeviceServer

PACKAGES: Final = ("ansible==11.13.0", "hvac==2.4.0")
FOLDER: Final = Path(sys.prefix) / "ansible"
RULES: Final = ("disk-encryption", "firewall", "secure-boot", "screen-lock")
LOOKUP: Final = "community.hashi_vault.vault_read"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def ansible() -> Path:
    """The program, installed at its first use."""
    program = FOLDER / "bin" / "ansible"
    if not program.exists():
        made = subprocess.run([sys.executable, "-m", "venv", FOLDER], check=False)
        install = [str(FOLDER / "bin" / "pip"), "install", "--quiet", *PACKAGES]
        done = made.returncode or subprocess.run(install, check=False).returncode
        if done and "CI" not in os.environ:
            pytest.skip("Ansible cannot be installed here")
    return program


def test_an_ansible_lookup_works_unmodified(ansible: Path, tmp_path: Path) -> None:
    with ServerProcess.configured(tmp_path, tls=make_tls(tmp_path)) as process:
        process.initialise()
        with DeviceServer(process, tmp_path) as server:
            server.prepare({}, {"ann": ["admin"]})
            server.plain.post("sys/mounts/secret", {"type": "kv"}, process.token)
            server.plain.post("secret/db", {"password": "canary-3"}, process.token)
            enrol(server, tmp_path / "agent")
            with running(tmp_path / "agent", environment(tmp_path)) as agent:
                agent.wait_for(" ready")
                login = (
                    f"lookup('{LOOKUP}', 'secret/db', url='{agent.address}', "
                    f"auth_method='userpass', username='ann', password='{PASSWORD}')"
                )
                done = subprocess.run(
                    [ansible, "localhost", "-m", "debug", "-a", f"msg={{{{ {login} }}}}"],
                    env={**environment(tmp_path), "LC_ALL": "C.UTF-8"},
                    capture_output=True, text=True, check=False, timeout=300,
                )  # fmt: skip
        assert "canary-3" in done.stdout, done.stdout + done.stderr


def enrol(server: DeviceServer, folder: Path) -> None:
    done = server.server.cli(
        "agent", "enrol", f"-dir={folder}", "-ownership=corporate", "-name=desk", "-key=file",
        env={"VAULT_TOKEN": server.login("ann")},
    )  # fmt: skip
    found = re.search(r"device ([0-9a-f-]{36})", done.out)
    assert found is not None, done.err
    eve = server.login("eve")
    for rule in RULES:
        excuse = {"reason": "a test machine", "ttl": "1h"}
        server.plain.post(f"device/posture/exceptions/{found[1]}/{rule}", excuse, eve)
    server.plain.post(f"device/approve/{found[1]}", {"reason": "a test", "until": "1h"}, eve)
