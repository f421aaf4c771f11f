"""A server, a browser, and a page of somebody else's origin."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser

from ironkeep.testing.server import ServerProcess
from tests.support.people.chromium import Visitor, chromium, missing, visitor


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run a browser for one module: while there is one, this thread can run no other event loop."""
    if why := missing():
        pytest.skip(why)
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess.development(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module")
def origin(server: ServerProcess) -> str:
    """Return the origin of the pages: passkeys need a name, and no number, as their host."""
    return server.address.replace("127.0.0.1", "localhost")


@pytest.fixture
def person(browser: Browser) -> Iterator[Visitor]:
    with visitor(browser) as person:
        yield person


@dataclass
class Elsewhere:
    """A site of somebody else: it serves one page at every path, and notes what it is asked."""

    page: str = ""
    origin: str = ""
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    site = Elsewhere()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            body = site.page.encode()
            self.send_response(200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            del format, args

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        site.origin = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        try:
            yield site
        finally:
            http.shutdown()
            thread.join()
