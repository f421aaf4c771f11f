"""The baseline: a bare ASGI handler that returns 300 bytes of JSON, on Ironkeep's HTTP server."""

import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import uvicorn

BODY = b'{"hello":"%s"}' % (b"x" * 288)
HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", str(len(BODY)).encode()),
]


async def hello(
    scope: Mapping[str, Any], receive: object, send: Callable[[Mapping[str, Any]], Awaitable[None]]
) -> None:
    del scope, receive
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


if __name__ == "__main__":
    port, *tls = sys.argv[1:]
    uvicorn.run(
        hello,
        port=int(port),
        http="httptools",
        loop="uvloop",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        ssl_certfile=tls[0] if tls else None,
        ssl_keyfile=tls[1] if tls else None,
    )
