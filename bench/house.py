"""The vault under test: on disk, with all features on, filled with keys, tokens and users."""

import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from processes import Process, free_ports, make_certificate, start

KEYS = 5_000
TOKENS = 64
USERS = 16
WRITERS = 8
READY_SECONDS = 60
PASSWORD = "correct horse battery staple"
POLICY = """
path "secret/data/*" { capabilities = ["create", "read", "update", "list"] }
path "secret/metadata/*" { capabilities = ["read", "list"] }
path "auth/token/lookup-self" { capabilities = ["read"] }
"""


class Server(ABC):
    """A server of the Vault API, and what is in it; `tokens` is a file for the load scripts."""

    def __init__(self, root: Path, urls: dict[str, str]) -> None:
        self.root = root
        self.urls = urls
        self.tokens = root / "tokens"
        self.unseal_key = ""

    @abstractmethod
    def start(self) -> Process:
        """Start the server; return it once it answers sys/health."""

    def fill(self) -> str:
        """Initialise, unseal, and write keys, tokens and users; return the root token."""
        with self._client() as client:
            made = _put(client, "sys/init", {"secret_shares": 1, "secret_threshold": 1})
            self.unseal_key = made["keys"][0]
            self.unseal()
            client.headers["X-Vault-Token"] = made["root_token"]
            _put(client, "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
            # OpenBao prepares a new mount in the background and refuses requests until then.
            _wait(lambda: client.get("secret/config").is_success)
            _put(client, "sys/policies/acl/bench", {"policy": POLICY})
            tokens = [
                _put(client, "auth/token/create", {"policies": ["bench"]})["auth"]["client_token"]
                for _ in range(TOKENS)
            ]
            self.tokens.write_text("\n".join(tokens) + "\n")
            with ThreadPoolExecutor(WRITERS) as pool:
                for _ in pool.map(partial(_write, client), range(1, KEYS + 1)):
                    pass
            _put(client, "sys/auth/userpass", {"type": "userpass"})
            for number in range(1, USERS + 1):
                user = {"password": PASSWORD, "token_policies": ["bench"]}
                _put(client, f"auth/userpass/users/user{number}", user)
            root: str = made["root_token"]
            return root

    def login(self) -> None:
        """Log in once, after all waiting logins; retry while it is refused because of them."""
        with self._client() as client:
            while client.put("auth/userpass/login/user1", json={"password": PASSWORD}).is_error:
                time.sleep(1)

    def unseal(self) -> None:
        """Give the only key share, and wait until the server serves requests."""
        with self._client() as client:
            _put(client, "sys/unseal", {"key": self.unseal_key})
            _wait(lambda: client.get("sys/health").is_success)

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=f"{self.urls['plain']}/v1/", timeout=300)


class House(Server):
    """One Ironkeep server over one directory."""

    def __init__(self, root: Path, cert: Path, key: Path) -> None:
        plain, tls = free_ports(2)
        super().__init__(
            root, {"plain": f"http://127.0.0.1:{plain}", "tls": f"https://127.0.0.1:{tls}"}
        )
        self.config = root / "ironkeep.hcl"
        self.config.write_text(
            f"""
            listener "tcp" {{ address = "127.0.0.1:{plain}"  tls_disable = true }}
            listener "tcp" {{
              address = "127.0.0.1:{tls}"
              tls_cert_file = "{cert}"
              tls_key_file = "{key}"
            }}
            storage "sqlite" {{ path = "{root / "data"}" }}
            """
        )

    @property
    def audit(self) -> Path:
        """The journal's directory."""
        return self.root / "data" / "audit"

    def start(self) -> Process:
        """Start the server; return it once it answers sys/health."""
        probe = f"{self.urls['plain']}/v1/sys/health"
        return start(["-m", "ironkeep", "server", f"-config={self.config}"], self.urls, probe)


@contextmanager
def running() -> Iterator[tuple[House, Process]]:
    """Yield a started server over a directory of its own, which is stopped and removed after it."""
    with tempfile.TemporaryDirectory(prefix="ironkeep-bench-") as folder:
        root = Path(folder)
        house = House(root, *make_certificate(root))
        server = house.start()
        try:
            yield house, server
        finally:
            server.stop()


def _wait(ready: Callable[[], bool]) -> None:
    """Wait until ready answers true."""
    until = time.monotonic() + READY_SECONDS
    while not ready():
        if time.monotonic() > until:
            raise SystemExit(f"a server was not ready after {READY_SECONDS} seconds")
        time.sleep(0.05)


def _write(client: httpx.Client, number: int) -> None:
    data = {"user": "app", "password": "0123456789abcdef" * 2}
    _put(client, f"secret/data/bench/{number}", {"data": data})


def _put(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.put(path, json=body)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json() if answer.content else {}
    return found
