"""Server processes: start them, wait until they answer, measure their CPU time, stop them."""

import datetime as dt
import os
import socket
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import IO

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))
"""guarded.py takes its device in software from `tests.support`."""
START_SECONDS = 20.0
TICKS = os.sysconf("SC_CLK_TCK")
UNCHECKED = ssl._create_unverified_context()  # noqa: SLF001 - our own server, our own certificate


@dataclass
class Process:
    """A server process, and the time until it answered its first request."""

    process: subprocess.Popen[bytes]
    urls: dict[str, str]
    boot_seconds: float = field(default=0.0)

    @property
    def cpu_seconds(self) -> float:
        """User and system time so far, of all threads and of all processes that it started."""
        return self.own_cpu_seconds + self.beside_cpu_seconds

    @property
    def own_cpu_seconds(self) -> float:
        """User and system time so far, of all threads of the process itself."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / TICKS

    @property
    def beside_cpu_seconds(self) -> float:
        """User and system time so far of the processes that it started, such as the index's."""
        parents, ticks = _processes()
        beside, waiting = 0, [self.process.pid]
        while waiting:
            parent = waiting.pop()
            found = [child for child, above in parents.items() if above == parent]
            beside += sum(ticks[child] for child in found)
            waiting += found
        return beside / TICKS

    def stop(self) -> None:
        """Terminate the process and wait for its end; kill it if it does not end."""
        self.process.terminate()
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _processes() -> tuple[dict[int, int], dict[int, int]]:
    """Return the parent of each process, and its time in ticks with that of ended children."""
    parents, ticks = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            stat = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        pid = int(path.parent.name)
        parents[pid] = int(stat[1])
        ticks[pid] = sum(map(int, stat[11:15]))
    return parents, ticks


def start(
    command: list[str],
    urls: dict[str, str],
    probe: str,
    *,
    program: str = sys.executable,
    messages: IO[bytes] | None = None,
) -> Process:
    """Start a server; return it once probe is answered. Its messages go to stderr, or a file."""
    began = time.perf_counter()
    process = subprocess.Popen([program, *command], stdout=subprocess.DEVNULL, stderr=messages)
    found = Process(process, urls)
    while time.perf_counter() - began < START_SECONDS:
        try:
            _answer(probe)
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.002)
        else:
            found.boot_seconds = time.perf_counter() - began
            return found
    process.kill()
    process.wait()
    raise SystemExit(f"{program} {' '.join(command)} did not start")


def _answer(probe: str) -> None:
    """Get one answer over a socket; loading a client library would take longer than the start."""
    url = httpx.URL(probe)
    with socket.create_connection((url.host, url.port or 80), timeout=1) as plain:
        sock = UNCHECKED.wrap_socket(plain) if url.scheme == "https" else plain
        sock.sendall(f"GET {url.path} HTTP/1.1\r\nHost: {url.host}\r\n\r\n".encode())
        if not sock.recv(4_096).startswith(b"HTTP/1.1 "):
            raise OSError("no HTTP")


def free_ports(count: int) -> list[int]:
    """Return ports that are free now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a self-signed P-256 certificate for 127.0.0.1 and its key; return both paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return cert_file, key_file
