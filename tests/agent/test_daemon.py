"""The agent with a real server: enrolled, let in, and unmodified clients at its addresses."""

import json
import re
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import hvac
import pytest

from ironkeep.app import PLUGINS
from ironkeep.core.ids import MountAccessor, MountUuid
from ironkeep.core.operation import Operation
from ironkeep.plugin.mount import Mount
from ironkeep.testing.server import ServerProcess, environment
from ironkeep.testing.tls import make_tls
from tests.support.devices.agent_process import AgentProcess, running
from tests.support.devices.device_estate import PASSWORD
from tests.support.devices.device_server import DeviceServer

METHODS: Final = {
    Operation.READ: "GET", Operation.LIST: "LIST", Operation.UPDATE: "POST",
    Operation.PATCH: "PATCH", Operation.DELETE: "DELETE",
}  # fmt: skip
RULES: Final = ("disk-encryption", "firewall", "secure-boot", "screen-lock")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeviceServer]:
    """A server over TLS with ann, who has a secret, and eve, who decides."""
    folder = tmp_path_factory.mktemp("server")
    with ServerProcess.configured(folder, tls=make_tls(folder)) as process:
        process.initialise()
        with DeviceServer(process, folder) as made:
            made.prepare({}, {"ann": ["admin"]})
            made.plain.post("sys/mounts/secret", {"type": "kv"}, process.token)
            made.plain.post("secret/db", {"password": "canary-1"}, process.token)
            yield made


def enrolled(server: DeviceServer, folder: Path, *flags: str) -> str:
    """Enrol a device of ann's in folder; return its id. Nobody has decided on it yet."""
    done = server.server.cli(
        "agent", "enrol", f"-dir={folder}", "-ownership=corporate", "-name=laptop", *flags,
        env={"VAULT_TOKEN": server.login("ann")},
    )  # fmt: skip
    assert done.code == 0, done.err
    found = re.search(r"device ([0-9a-f-]{36})", done.out)
    assert found is not None
    return found[1]


def approve(server: DeviceServer, device: str) -> None:
    """Let a device in, and forgive this machine what a laptop would not be forgiven."""
    eve = server.login("eve")
    for rule in RULES:
        excuse = {"reason": "a test machine", "ttl": "1h"}
        server.plain.post(f"device/posture/exceptions/{device}/{rule}", excuse, eve)
    server.plain.post(f"device/approve/{device}", {"reason": "a test", "until": "1h"}, eve)


@contextmanager
def agent_of(server: DeviceServer, folder: Path, *flags: str) -> Iterator[AgentProcess]:
    """Run the agent of a device that was let in, with its first certificate."""
    approve(server, enrolled(server, folder, *flags))
    with running(folder, environment(server.folder)) as agent:
        agent.wait_for(" ready")
        yield agent


@pytest.fixture(scope="module")
def agent(server: DeviceServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentProcess]:
    """An agent with a key in a file."""
    folder = tmp_path_factory.mktemp("agent")
    with agent_of(server, folder, "-key=file") as made:
        yield made


@pytest.fixture(scope="module")
def token(agent: AgentProcess) -> str:
    """A token of ann's, who logged in through the agent."""
    client = hvac.Client(url=agent.address)
    made = client.auth.userpass.login("ann", PASSWORD)
    found: str = made["auth"]["client_token"]
    return found


def curl(*words: str) -> tuple[int, Any]:
    """Run curl; return status and JSON."""
    done = subprocess.run(
        ["curl", "-sS", "-w", "\n%{http_code}", *words], capture_output=True, text=True,
        timeout=60, check=True,
    )  # fmt: skip
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body) if body else None


def header(name: str, value: str) -> Sequence[str]:
    return ("-H", f"{name}: {value}")


def test_hvac_works_unmodified(agent: AgentProcess, token: str) -> None:
    client = hvac.Client(url=agent.address, token=token)
    assert client.is_authenticated()
    assert client.secrets.kv.v1.read_secret("db", "secret")["data"] == {"password": "canary-1"}
    client.secrets.kv.v1.create_or_update_secret("big", {"x": "y" * 400_000}, mount_point="secret")
    read = client.secrets.kv.v1.read_secret("big", "secret")
    assert len(read["data"]["x"]) == 400_000
    assert "db" in client.secrets.kv.v1.list_secrets("", "secret")["data"]["keys"]


def test_curl_works_at_the_socket(agent: AgentProcess, token: str) -> None:
    at = ("--unix-socket", str(agent.socket))
    status, body = curl(*at, *header("X-Vault-Token", token), "http://x/v1/secret/db")
    assert (status, body["data"]) == (200, {"password": "canary-1"})
    status, body = curl(*at, "-X", "LIST", *header("X-Vault-Token", token), "http://x/v1/secret/")
    assert status == 200
    assert stat.S_IMODE(agent.socket.stat().st_mode) == 0o600


def test_the_agent_adds_no_token(agent: AgentProcess, token: str) -> None:
    """Whoever reaches it, with a token logged in through it or not, is nobody without one."""
    assert token
    status, _ = curl("--unix-socket", str(agent.socket), "http://x/v1/secret/db")
    assert status in {400, 403}


def test_the_same_token_without_the_agent_is_refused_on_every_route(
    server: DeviceServer, agent: AgentProcess, token: str
) -> None:
    tried, let_in = 0, []
    for table, before in (("sys/mounts", ""), ("sys/auth", "auth/")):
        _, body = server.plain.send("GET", table, token=server.server.token)
        for path, each in body["data"].items():
            options = each["options"] or {}
            mount = Mount("", each["type"], MountUuid(""), MountAccessor(""), options=options)
            for route in PLUGINS[each["type"]].routes(mount):
                if route.open or route.login:
                    continue
                target = before + path + re.sub(r"\{\w+(\.\.\.)?\}", "x", route.pattern)
                status, said = server.plain.send(METHODS[route.op], target, {}, token)
                tried += 1
                if status != 403 or "the token is bound to" not in str(said):
                    let_in.append((route.op, target, status))
    assert tried > 100
    assert let_in == []
    assert hvac.Client(url=agent.address, token=token).is_authenticated(), "it is still good here"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((), 412),
        (header("X-Vault-Request", "false"), 412),
        ((*header("X-Vault-Request", "true"), *header("Host", "evil.example")), 403),
        ((*header("X-Vault-Request", "true"), *header("Host", "127.0.0.1.evil.example:1")), 403),
        (header("X-Vault-Request", "true"), 200),
    ],
)
def test_loopback_answers_clients_and_no_browser(
    agent: AgentProcess, headers: Sequence[str], status: int
) -> None:
    assert curl(*headers, f"{agent.address}/v1/sys/seal-status")[0] == status


def test_status_tells_device_kind_and_certificate(
    server: DeviceServer, agent: AgentProcess
) -> None:
    done = server.server.cli("agent", "status", f"-dir={agent.folder}", "-format=json")
    found = done.json()
    assert (found["key_kind"], found["certificate"], found["problem"]) == ("file", "valid", "")
    assert server.server.cli("agent", "status", "-dir=/nowhere").code == 2


def test_no_file_of_the_agent_holds_the_connection_key_or_a_token(
    agent: AgentProcess, token: str
) -> None:
    names = {path.name for path in agent.folder.rglob("*")}
    assert names == {"agent.json", "agent.sock", "device.key"}
    assert token not in (agent.folder / "agent.json").read_text()


def test_a_device_that_waits_gets_nothing_and_its_clients_are_told(
    server: DeviceServer, tmp_path: Path
) -> None:
    device = enrolled(server, tmp_path, "-key=file")
    messages = tmp_path / "messages"
    with running(tmp_path, environment(server.folder), f"-log-file={messages}") as agent:
        assert agent.wait_for("is pending") in messages.read_text()
        status, body = curl("--unix-socket", str(agent.socket), "http://x/v1/sys/seal-status")
        assert status == 503
        assert f"device {device} is pending" in body["errors"][0]


def test_a_machine_in_bad_state_is_told_what_to_mend(server: DeviceServer, tmp_path: Path) -> None:
    device = enrolled(server, tmp_path, "-key=file")
    decision = {"reason": "a test", "until": "1h"}
    server.plain.post(f"device/approve/{device}", decision, server.login("eve"))
    with running(tmp_path, environment(server.folder)) as agent:
        assert "LUKS" in agent.wait_for("no new certificate")


def test_with_a_tpm(server: DeviceServer, tcti: str, tmp_path: Path) -> None:
    with agent_of(server, tmp_path / "agent", f"-tpm={tcti}") as agent:
        done = server.server.cli("agent", "status", f"-dir={agent.folder}", "-format=json")
        assert done.json()["key_kind"] == "tpm"
        client = hvac.Client(url=agent.address)
        client.auth.userpass.login("ann", PASSWORD)
        assert client.is_authenticated()


def test_a_revoked_device_is_cut_off_at_once(server: DeviceServer, tmp_path: Path) -> None:
    with agent_of(server, tmp_path, "-key=file") as agent:
        client = hvac.Client(url=agent.address)
        client.auth.userpass.login("ann", PASSWORD)
        assert client.is_authenticated()
        device = json.loads((tmp_path / "agent.json").read_text())["device"]
        revoke = {"reason": "stolen"}
        server.plain.post(f"device/revoke/{device}", revoke, server.login("eve"))
        assert not client.is_authenticated()


def test_many_parts_and_odd_paths_arrive_as_they_were_sent(
    server: DeviceServer, agent: AgentProcess, token: str
) -> None:
    """A path is the server's to judge: the agent does not tidy it up."""
    at = ("--unix-socket", str(agent.socket), "--path-as-is", *header("X-Vault-Token", token))
    here, _ = curl(*at, "http://x/v1/secret/../secret/db")
    plain = ("--path-as-is", "--cacert", str(server.ca))
    there, _ = curl(*plain, f"{server.server.address}/v1/secret/../secret/db")
    assert here == there == 400
    chunked = header("Transfer-Encoding", "chunked")
    status, _ = curl(*at, *chunked, "-d", '{"a": "b"}', "http://x/v1/secret/odd%20name")
    assert status == 204
    status, body = curl(*at, "http://x/v1/secret/odd%20name")
    assert (status, body["data"]) == (200, {"a": "b"})


def test_a_body_past_the_limit_is_refused(agent: AgentProcess, token: str, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(b'{"a": "' + b"x" * (33 << 20) + b'"}')
    at = ("--unix-socket", str(agent.socket), *header("X-Vault-Token", token))
    chunked = (*header("Transfer-Encoding", "chunked"), *header("Expect", ""))
    assert curl(*at, *chunked, "--data-binary", f"@{big}", "http://x/v1/secret/big")[0] == 413
    assert curl(*at, "http://x/v1/secret/db")[0] == 200


def test_other_places_of_the_agent_are_not_forwarded(agent: AgentProcess) -> None:
    assert curl("--unix-socket", str(agent.socket), "http://x/ui/login")[0] == 404


def test_a_second_agent_does_not_take_the_first_ones_socket(
    server: DeviceServer, agent: AgentProcess
) -> None:
    done = server.server.cli("agent", "run", f"-dir={agent.folder}")
    assert (done.code, "already" in done.err) == (5, True)
    assert agent.socket.exists()
