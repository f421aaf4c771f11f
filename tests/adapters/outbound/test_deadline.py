"""A server that drips its answer, or its head, holds a thread for so long and no longer."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest

from ironkeep.adapters.outbound import http as outbound_http
from ironkeep.adapters.outbound.deadline import SECONDS, DeadlineTransport
from ironkeep.adapters.witness import http as witness_http

OK = b"HTTP/1.1 200 OK\r\n"


@contextmanager
def server(first: bytes, drip: bytes) -> Iterator[str]:
    """Run a server that sends first, and then drip until the client has gone."""

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):
            one, _ = listener.accept()
            with one:
                one.recv(1 << 16)
                one.sendall(first)
                one.settimeout(0.02)
                while True:
                    one.sendall(drip)
                    with suppress(TimeoutError):
                        if not one.recv(1 << 16):
                            return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        thread.join(20)


@pytest.mark.parametrize(
    "first", [b"", OK, OK + b"X-Drip: ", OK + b"Content-Length: 100000\r\n\r\n"]
)
def test_an_exchange_has_an_end(first: bytes) -> None:
    transport = DeadlineTransport(ssl.create_default_context(), seconds=0.5)
    with (
        server(first, b"H" if not first else b"a") as address,
        httpx.Client(transport=transport, trust_env=False, timeout=3.0) as client,
        pytest.raises((httpx.TimeoutException, httpx.RemoteProtocolError)),
    ):
        client.get(address)


def test_one_in_time_is_whole_and_the_next_begins_anew() -> None:
    transport = DeadlineTransport(ssl.create_default_context(), seconds=20)
    with httpx.Client(transport=transport, trust_env=False) as client:
        for _ in range(2):
            with server(OK + b"Content-Length: 2\r\nConnection: close\r\n\r\nok", b"") as address:
                assert client.get(address).content == b"ok"


def test_other_systems_are_asked_through_it() -> None:
    assert outbound_http.OPERATION_SECONDS < SECONDS
    client = witness_http.WitnessHttp("https://tower.example")
    assert isinstance(client._client._transport, DeadlineTransport)
    client.close()
