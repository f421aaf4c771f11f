"""The first-server runbook works, step by step, as it stands there."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from ironkeep.testing.server import stop
from ironkeep.testing.tls import Tls, make_tls

PAGE = (Path(__file__).parents[1] / "docs/runbooks/first-server.md").read_text()
CONFIG, ADMIN = re.findall(r"```hcl\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [
    line.partition("    #")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
]
SAYS: Final = {"server": "==> Ironkeep server started!", "witness": "mirror "}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class Machine:
    """Where the runbook is followed: its paths and addresses, in a folder of this machine."""

    def __init__(self, folder: Path, tls: Tls, stack: ExitStack) -> None:
        self.folder, self.stack = folder, stack
        ports = free_port(), free_port()
        self.there = {
            "/etc/ironkeep/ca.crt": str(tls.ca),
            "/etc/ironkeep/tls.crt": str(tls.cert),
            "/etc/ironkeep/tls.key": str(tls.key),
            "/etc/ironkeep/tower.crt": str(tls.cert),
            "/etc/ironkeep/tower.key": str(tls.key),
            "/etc/ironkeep": str(folder),
            "/var/lib": str(folder),
            "https://tower.example:8210": f"https://localhost:{ports[1]}",
            "0.0.0.0:8210": f"127.0.0.1:{ports[1]}",
            "0.0.0.0:8200": f"127.0.0.1:{ports[0]}",
            "127.0.0.1:8200": f"127.0.0.1:{ports[0]}",
        }
        self.env = {
            "HOME": str(folder), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "VAULT_ADDR": f"https://127.0.0.1:{ports[0]}", "VAULT_CACERT": str(tls.ca),
            "PYTHONUNBUFFERED": "1",
        }  # fmt: skip

    def moved(self, text: str) -> str:
        """Return text with the paths and addresses of this machine."""
        for written, here in self.there.items():
            text = text.replace(written, here)
        return text

    def run(self, command: str, given: str = "") -> str:
        """Run one command of the page; return what it says."""
        done = subprocess.run(
            ["bash", "-euc", self.moved(command)], cwd=self.folder, env=self.env, input=given,
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stderr)
        return done.stdout + done.stderr

    def start(self, command: str) -> None:
        """Start what the page leaves running, and wait until it says that it runs."""
        self.stack.enter_context(self._running(self.moved(command.removesuffix("&"))))

    @contextmanager
    def _running(self, command: str) -> Iterator[None]:
        process = subprocess.Popen(
            ["bash", "-euc", f"exec {command}"], cwd=self.folder, env=self.env, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            said = []
            for line in process.stdout:
                said.append(line)
                if SAYS[command.split()[1]] in line:
                    break
            else:
                raise AssertionError(said)
            yield
        finally:
            stop(process)
            process.stdout.close()


def test_it_works_as_it_is_written(tmp_path: Path) -> None:
    with ExitStack() as stack:
        machine = Machine(tmp_path, make_tls(tmp_path), stack)
        for name, text in {
            "app.hcl": ADMIN,
            "admin.hcl": ADMIN,
            "ann.txt": "a",
            "bob.txt": "b",
        }.items():
            (tmp_path / name).write_text(text)
        keys: list[str] = []
        for command in COMMANDS:
            if command.startswith("ironkeep witness vkey"):
                key = machine.run(command).strip()
                config = machine.moved(CONFIG).replace("tower.example/w1+…", key)
                (tmp_path / "server.hcl").write_text(config)
            elif command.endswith("&"):
                machine.start(command)
                found = next((tmp_path / "ironkeep/audit").glob("*/vkey"))
                (tmp_path / "vkey").write_bytes(found.read_bytes())
            elif command == "ironkeep operator unseal":
                for each in keys[:3]:
                    machine.run(f"{command} -", each)
                machine.run("ironkeep login -", keys[-1])
            elif command.startswith("ironkeep login"):
                machine.run(f"{command} password=- < ann.txt")
            else:
                said = machine.run(command)
                keys = keys or re.findall(r"(?:Key \d|Token): (\S+)", said)
        approve_for_one_another(machine)


def approve_for_one_another(machine: Machine) -> None:
    """Read what takes two people, as ann; approve as bob."""
    tokens = {}
    for name in ("ann", "bob"):
        login = f"ironkeep login -no-store -field=token -method=userpass username={name} password=-"
        tokens[name] = machine.run(f"{login} < {name}.txt").strip()
    as_ann, as_bob = (f"VAULT_TOKEN={tokens[name]} ironkeep" for name in ("ann", "bob"))
    machine.run(f"{as_ann} kv put secret/prod/db password=swordfish")
    asked = machine.run(f"{as_ann} kv get secret/prod/db")
    found = re.search(r"accessor (\S+) and the number (\d+)", asked)
    token = re.search(r"wrapping_token +(\S+)", asked)
    assert found
    assert token
    machine.run(f"{as_bob} approval approve -number={found[2]} {found[1]}")
    assert "swordfish" in machine.run(f"{as_ann} unwrap {token[1]}")
