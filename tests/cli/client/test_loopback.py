"""The command's own address while it waits for a browser: what other local processes can do."""

import socket
import threading

import pytest

from ironkeep.cli.client import loopback as module
from ironkeep.cli.client.loopback import MAX_CONNECTIONS, Loopback
from ironkeep.core.errors import InvalidRequest

RIGHT = b"GET /cb?code=right&state=s HTTP/1.1"


def connect(waiting: Loopback) -> socket.socket:
    return socket.create_connection(("127.0.0.1", waiting.port), timeout=20)


def bring(waiting: Loopback, data: bytes) -> bytes:
    with connect(waiting) as browser:
        browser.sendall(data)
        return browser.makefile("rb").read()


def request(waiting: Loopback, line: bytes = RIGHT) -> bytes:
    return line + b"\r\nHost: 127.0.0.1:%d\r\n\r\n" % waiting.port


def started(waiting: Loopback) -> tuple[threading.Thread, list[str]]:
    codes: list[str] = []
    thread = threading.Thread(target=lambda: codes.append(waiting.wait()))
    thread.start()
    return thread, codes


def test_connections_that_say_nothing_or_drip_hold_up_nobody() -> None:
    with Loopback("s") as waiting:
        thread, codes = started(waiting)
        others = [connect(waiting) for _ in range(MAX_CONNECTIONS + 10)]
        for other in others[-5:]:
            other.sendall(b"GET /")
        assert bring(waiting, request(waiting)).startswith(b"HTTP/1.1 200")
        thread.join(20)
        assert codes == ["right"]
        for other in others:
            other.close()


def test_a_connection_has_some_seconds_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READ_SECONDS", 0.3)
    with Loopback("s") as waiting:
        thread, codes = started(waiting)
        with connect(waiting) as other:
            other.settimeout(0.05)
            try:
                while True:  # until it is cut off
                    other.sendall(b"a")
                    try:
                        if other.recv(1) == b"":
                            break
                    except TimeoutError:
                        continue
            except OSError:
                pass
        bring(waiting, request(waiting))
        thread.join(20)
        assert codes == ["right"]


@pytest.mark.parametrize(
    "line",
    [
        b"GET /cb?code=x&state=y HTTP/1.1",
        b"GET /cb?code=x HTTP/1.1",
        b"GET /?code=x&state=s HTTP/1.1",
        b"POST /cb?code=x&state=s HTTP/1.1",
        b"GET /cb?state=s HTTP/1.1",
        b"GET //[/cb?code=x&state=s HTTP/1.1",
        b"GET /cb?code=x&state=%C3%A9 HTTP/1.1",
        b"GET /cb?" + b"a&" * 100 + b"code=x&state=s HTTP/1.1",
        b"\xff\xfe",
        b"",
    ],
)
def test_only_a_request_with_our_state_brings_a_code(line: bytes) -> None:
    with Loopback("s") as waiting:
        assert waiting.code_in(request(waiting, line)) == ""
        assert waiting.code_in(request(waiting)) == "right"


@pytest.mark.parametrize(
    "host",
    [
        b"",
        b"Host: evil.example\r\n",
        b"Host: 127.0.0.1:1\r\n",
        b"Host: 127.0.0.1:{}\r\nHost: x\r\n",
    ],
)
def test_only_at_this_address(host: bytes) -> None:
    with Loopback("s") as waiting:
        named = host.replace(b"{}", b"%d" % waiting.port)
        assert waiting.code_in(RIGHT + b"\r\n" + named + b"\r\n") == ""


def test_nobody_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.05)
    with Loopback("s") as waiting, pytest.raises(InvalidRequest, match="sign-in timed out"):
        waiting.wait()
