"""The vault under test: on disk, with all features on, filled with keys, tokens and users."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from processes import Process, free_ports, start

KEYS = 5_000
TOKENS = 64
USERS = 16
WRITERS = 8
PASSWORD = "correct horse battery staple"
POLICY = """
path "secret/data/*" { capabilities = ["create", "read", "update", "list"] }
path "secret/metadata/*" { capabilities = ["read", "list"] }
path "auth/token/lookup-self" { capabilities = ["read"] }
"""


class House:
    """One Ironkeep server over one directory."""

    def __init__(self, root: Path, cert: Path, key: Path) -> None:
        self.root = root
        plain, tls = free_ports(2)
        self.urls = {"plain": f"http://127.0.0.1:{plain}", "tls": f"https://127.0.0.1:{tls}"}
        self.config = root / "ironkeep.hcl"
        self.tokens = root / "tokens"
        self.unseal_key = ""
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

    def fill(self) -> str:
        """Initialise, unseal, and write keys, tokens and users; return the root token."""
        with httpx.Client(base_url=f"{self.urls['plain']}/v1/") as client:
            made = _put(client, "sys/init", {"secret_shares": 1, "secret_threshold": 1})
            self.unseal_key = made["keys"][0]
            self.unseal()
            client.headers["X-Vault-Token"] = made["root_token"]
            _put(client, "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
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
        with httpx.Client(base_url=f"{self.urls['plain']}/v1/", timeout=300) as client:
            while client.put("auth/userpass/login/user1", json={"password": PASSWORD}).is_error:
                time.sleep(1)

    def unseal(self) -> None:
        """Give the only key share."""
        with httpx.Client(base_url=f"{self.urls['plain']}/v1/") as client:
            _put(client, "sys/unseal", {"key": self.unseal_key})


def _write(client: httpx.Client, number: int) -> None:
    data = {"user": "app", "password": "0123456789abcdef" * 2}
    _put(client, f"secret/data/bench/{number}", {"data": data})


def _put(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.put(path, json=body)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json() if answer.content else {}
    return found
