"""A real server and the process that answers its questions: killed, sealed, restarted, flooded."""

import http.client
import os
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from ironkeep.core.evidence.leaf import is_index
from ironkeep.testing.server import ServerProcess
from ironkeep.tlog.tile import Tile, decode_entries

PATIENCE = 120.0
SEARCH = "sys/audit/log/search"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess.configured(tmp_path_factory.mktemp("questions")) as server:
        server.initialise()
        server.api("PUT", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
        yield server


def search(server: ServerProcess, **asked: Any) -> Any:
    return server.api("GET", f"{SEARCH}?{urlencode(asked)}")["data"]


def workers(server: ServerProcess) -> list[int]:
    """Return the ids of the server's child processes, zombies too."""
    found: list[int] = []
    for task in Path(f"/proc/{server.pid}/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return found


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.02)


def errors_of(server: ServerProcess) -> str:
    return (server.home / "server.err").read_text()


def leaf_on_record(server: ServerProcess) -> bool:
    """Return whether the log has a leaf that is no entry and no key: the index of a run."""
    size = search(server, limit=1)["size"]
    with urllib.request.urlopen(f"{server.address}/v1/sys/audit/log/checkpoint") as answer:
        signed = int(answer.read().split(b"\n")[1])
    first = 4_096 - 4_096 % 256
    for start in range(first, min(size, signed), 256):
        width = min(256, signed - start)
        place = Tile(None, start // 256, width).path.removeprefix("tile/")
        with urllib.request.urlopen(f"{server.address}/v1/sys/audit/log/tile/{place}") as answer:
            if any(map(is_index, decode_entries(answer.read(), width))):
                return True
    return False


def fill(server: ServerProcess, count: int) -> None:
    """Make count requests, pipelined on one connection, so that the journal grows."""
    place = urlsplit(server.address)
    with socket.create_connection((place.hostname, place.port), PATIENCE) as peer:
        one = (
            f"GET /v1/secret/data/filling HTTP/1.1\r\nHost: localhost\r\n"
            f"X-Vault-Token: {server.token}\r\n\r\n"
        ).encode()
        answers = 0
        with peer.makefile("rb") as stream:
            for _ in range(0, count, 50):
                peer.sendall(one * 50)
                for _ in range(50):
                    head = stream.readline()
                    assert head.startswith(b"HTTP/1.1 404"), head
                    length = 0
                    while (line := stream.readline()) != b"\r\n":
                        name, _, value = line.partition(b":")
                        length = int(value) if name == b"content-length" else length
                    stream.read(length)
                    answers += 1
    assert answers >= count


def test_a_killed_process_is_replaced_and_nobody_notices(server: ServerProcess) -> None:
    assert search(server, path="sys/mounts/")["entries"]
    (pid,) = workers(server)
    os.kill(pid, signal.SIGKILL)
    until(lambda: pid not in workers(server))
    assert search(server, path="sys/mounts/")["entries"]
    assert "ended with code -9" in errors_of(server)
    assert server.api("GET", "sys/health")["sealed"] is False


def test_the_index_goes_on_record_and_answers_stay_the_same(server: ServerProcess) -> None:
    fill(server, 4_200)
    size = search(server, limit=1)["size"]
    assert size > 4_096
    until(lambda: list((server.home / "data" / "audit").glob("*/index/0/0*")))
    before = search(server, path="secret/data/filling", limit=5, newest="true", last=size)
    until(lambda: leaf_on_record(server))
    (pid,) = workers(server)
    os.kill(pid, signal.SIGKILL)
    after = search(server, path="secret/data/filling", limit=5, newest="true", last=size)
    assert before["entries"] == after["entries"]
    assert len(before["entries"]) == 5


def test_sealing_ends_the_process_and_unsealing_brings_it_back(
    tmp_path: Path,
) -> None:
    with ServerProcess.configured(tmp_path) as server:
        keys = server.initialise()
        assert search(server, limit=1)["entries"]
        (pid,) = workers(server)
        server.api("PUT", "sys/seal")
        until(lambda: not workers(server))
        assert not Path(f"/proc/{pid}").exists(), "no zombie is left"
        with pytest.raises(Exception, match="503"):
            search(server, limit=1)
        server.api("PUT", "sys/unseal", {"key": keys[0]})
        assert search(server, limit=1)["entries"]
        (last,) = workers(server)
    until(lambda: not Path(f"/proc/{last}").exists())
    assert "the next one is started" not in errors_of(server), "each end was meant"


def test_the_process_has_no_key_where_others_could_read_it(server: ServerProcess) -> None:
    """Gains: a look at the list of processes opens the journal."""
    assert search(server, limit=1)["entries"]
    (pid,) = workers(server)
    shown = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    assert len(shown) == 7
    assert shown[-2].isdigit(), "a descriptor is all that it gets"
    names = [
        each.partition(b"=")[0] for each in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    ]
    assert set(names) <= {b"PYTHONPATH", b"", b"LC_CTYPE"}
    assert server.token.encode() not in Path(f"/proc/{pid}/environ").read_bytes()


def test_a_client_that_leaves_takes_its_question_along(server: ServerProcess) -> None:
    search(server, limit=1)
    (pid,) = workers(server)
    os.kill(pid, signal.SIGSTOP)
    try:
        place = urlsplit(server.address)
        asked = [socket.create_connection((place.hostname, place.port)) for _ in range(3)]
        for peer in asked:
            peer.sendall(
                f"GET /v1/{SEARCH}?limit=1 HTTP/1.1\r\nHost: localhost\r\n"
                f"X-Vault-Token: {server.token}\r\n\r\n".encode()
            )
        until(lambda: len(listed(server)) == 3)
        for peer in asked:
            peer.close()
        until(lambda: listed(server) == [])
    finally:
        os.kill(pid, signal.SIGCONT)
    assert search(server, limit=1)["entries"]


def listed(server: ServerProcess) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.api("GET", "sys/questions")["data"]["questions"]
    return found


def test_a_flood_of_questions_has_places_and_holds_up_no_read(server: ServerProcess) -> None:
    """Gains: an auditor's token stops all other requests."""
    search(server, limit=1)
    (pid,) = workers(server)
    os.kill(pid, signal.SIGSTOP)
    statuses: list[int] = []

    def ask() -> None:
        connection = http.client.HTTPConnection(urlsplit(server.address).netloc, timeout=PATIENCE)
        headers = {"X-Vault-Token": server.token}
        connection.request("GET", f"/v1/{SEARCH}?limit=1", headers=headers)
        statuses.append(connection.getresponse().status)
        connection.close()

    asking = [threading.Thread(target=ask) for _ in range(100)]
    for each in asking:
        each.start()
    try:
        until(lambda: len(listed(server)) == 100)
        shown = listed(server)
        places = [each["place"] for each in shown if each["state"] == "waiting"]
        assert places == list(range(1, len(places) + 1))
        assert sum(each["state"] == "running" for each in shown) == 100 - len(places) == 8
        assert server.api("GET", "sys/mounts"), "others are served meanwhile"
    finally:
        os.kill(pid, signal.SIGCONT)
    for each in asking:
        each.join(PATIENCE)
    assert statuses == [200] * 100


def test_a_follower_keeps_up_with_the_server(server: ServerProcess) -> None:
    begun = server.api("GET", "sys/audit/log/follow")["data"]
    query = {"reading": begun["reading"], "cursor": begun["cursor"]}
    fill(server, 1_500)
    seen: list[int] = []
    deadline = time.monotonic() + PATIENCE
    while len(seen) < 1_500 and time.monotonic() < deadline:
        data = server.api("GET", f"sys/audit/log/follow?{urlencode(query)}")["data"]
        query["cursor"] = data["cursor"]
        seen += [each["index"] for each in data["entries"]]
    assert len(seen) >= 1_500
    assert seen == sorted(set(seen))
