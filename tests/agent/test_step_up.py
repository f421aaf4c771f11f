"""A touch through the agent: the client waits, a link is shown, and the read goes through."""

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from ironkeep.testing.server import ServerProcess, environment
from ironkeep.testing.tls import make_tls
from tests.support.devices.agent_process import AgentProcess, running
from tests.support.devices.device_server import DeviceServer
from tests.support.people.softauth import ORIGIN, SoftAuthenticator

RULES: Final = ("disk-encryption", "firewall", "secure-boot", "screen-lock")
PASSKEY: Final = "auth/passkey"


@dataclass
class Desk:
    """Pat at an enrolled machine, with an authenticator."""

    server: DeviceServer
    agent: AgentProcess
    key: SoftAuthenticator
    token: str

    def read(self, path: str) -> httpx.Response:
        """Read through the agent, as an unmodified client."""
        headers = {"X-Vault-Request": "true", "X-Vault-Token": self.token}
        url = f"{self.agent.address}/v1/{path}"
        return httpx.get(url, headers=headers, timeout=60, trust_env=False)

    def touch(self) -> None:
        """Wait for the prompt and answer it."""
        found = re.search(
            r"/ui/step-up/([\w-]+)", self.agent.wait_for("confirm with your authenticator")
        )
        assert found is not None
        path = f"{PASSKEY}/step-up/{found[1]}"
        options = self.server.plain.send("GET", path)[1]["data"]["options"]
        self.server.plain.post(path, {"credential": self.key.get(options)})


def register(server: DeviceServer, name: str) -> SoftAuthenticator:
    """Make a person with two authenticators; return the first."""
    root, plain, keys = server.server.token, server.plain, []
    plain.post(f"{PASSKEY}/users/{name}", {"token_policies": ["admin"]}, root)
    ticket = plain.post(f"{PASSKEY}/users/{name}/ticket", {}, root)["data"]["ticket"]
    for label in ("blue", "green"):
        keys.append(SoftAuthenticator())
        begun = server.data(f"{PASSKEY}/register/begin", {"ticket": ticket})
        made = keys[-1].create(begun["options"])
        done = plain.post(
            f"{PASSKEY}/register/finish", {"id": begun["id"], "credential": made, "label": label}
        )
        ticket = (done.get("data") or {}).get("ticket", "")
    return keys[0]


def login(key: SoftAuthenticator, name: str, post: Any) -> str:
    """Log in with a passkey; return the token."""
    begun = post(f"{PASSKEY}/login/begin", {"username": name})["data"]
    signed = {"id": begun["id"], "credential": key.get(begun["options"])}
    token: str = post(f"{PASSKEY}/login/finish", signed)["auth"]["client_token"]
    return token


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A server with a guarded secret, and pat at a machine whose agent runs."""
    with ServerProcess.configured(tmp_path, tls=make_tls(tmp_path)) as process:
        process.initialise()
        with DeviceServer(process, tmp_path) as server:
            prepare(server)
            key = register(server, "pat")
            folder = tmp_path / "agent"
            enrol(server, folder, login(key, "pat", server.plain.post))
            with running(folder, environment(tmp_path)) as agent:
                agent.wait_for(" ready")

                def post(path: str, data: Any) -> Any:
                    headers = {"X-Vault-Request": "true"}
                    url = f"{agent.address}/v1/{path}"
                    return httpx.post(url, json=data, headers=headers, trust_env=False).json()

                yield Desk(server, agent, key, login(key, "pat", post))


def prepare(server: DeviceServer) -> None:
    root, plain = server.server.token, server.plain
    server.prepare({}, {})
    plain.post("sys/auth/passkey", {"type": "passkey"}, root)
    config = {"rp_id": ORIGIN.partition("://")[2], "origins": [ORIGIN]}
    plain.post(f"{PASSKEY}/config", config, root)
    plain.post("sys/mounts/secret", {"type": "kv"}, root)
    plain.post("secret/db", {"password": "canary-2"}, root)
    plain.post("sys/classes/secret/db", {"class": "guarded"}, root)


def enrol(server: DeviceServer, folder: Path, token: str) -> None:
    done = server.server.cli(
        "agent", "enrol", f"-dir={folder}", "-ownership=corporate", "-name=desk", "-key=file",
        env={"VAULT_TOKEN": token},
    )  # fmt: skip
    found = re.search(r"device ([0-9a-f-]{36})", done.out)
    assert found is not None, done.err
    eve = server.login("eve")
    for rule in RULES:
        excuse = {"reason": "a test machine", "ttl": "1h"}
        server.plain.post(f"device/posture/exceptions/{found[1]}/{rule}", excuse, eve)
    server.plain.post(f"device/approve/{found[1]}", {"reason": "a test", "until": "1h"}, eve)


def test_a_touch_lets_the_waiting_read_through_once(desk: Desk) -> None:
    answers: list[httpx.Response] = []
    reading = threading.Thread(target=lambda: answers.append(desk.read("secret/db")))
    reading.start()
    desk.touch()
    reading.join()
    assert answers[0].status_code == 200, answers[0].text
    assert answers[0].json()["data"] == {"password": "canary-2"}


@pytest.mark.timeout(120)
def test_without_a_touch_the_refusal_is_handed_on_unchanged(desk: Desk) -> None:
    answer = desk.read("secret/db")
    assert answer.status_code == 403
    assert "insufficient_user_authentication" in answer.headers["www-authenticate"]
    assert "one touch of your authenticator" in answer.json()["errors"][0]
    assert "canary-2" not in answer.text
