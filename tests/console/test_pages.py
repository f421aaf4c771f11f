"""The pages as bytes: an exact table, headers on each, no inline script or style, no other host."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import httpx
import pytest

from ironkeep.console.pages import HEADERS, MAX_ID, Pages
from ironkeep.testing.server import ServerProcess

STATIC = files("ironkeep.console") / "static"
NAMES = sorted(each.name for each in STATIC.iterdir() if each.is_file())
PATHS = [
    "/ui/register", "/ui/login", "/ui/approvals", "/ui/step-up/abc-DEF_09",
    *(f"/ui/{name}" for name in NAMES if not name.endswith(".html")),
]  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess.development(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.mark.parametrize("path", PATHS)
def test_every_file_comes_with_every_header(server: ServerProcess, path: str) -> None:
    answer = httpx.get(server.address + path, trust_env=False)
    assert answer.status_code == 200
    given = {(name.encode(), value.encode()) for name, value in answer.headers.items()}
    assert set(HEADERS) <= given
    assert "set-cookie" not in answer.headers
    assert "access-control-allow-origin" not in answer.headers
    bare = httpx.head(server.address + path, trust_env=False)
    assert bare.content == b""
    assert {**bare.headers, "date": ""} == {**answer.headers, "date": ""}


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/ui/login", "text/html; charset=utf-8"),
        ("/ui/login.js", "text/javascript; charset=utf-8"),
        ("/ui/ironkeep.css", "text/css; charset=utf-8"),
        ("/ui/ironkeep.svg", "image/svg+xml"),
    ],
)
def test_a_file_says_what_it_is(server: ServerProcess, path: str, kind: str) -> None:
    assert httpx.get(server.address + path, trust_env=False).headers["content-type"] == kind


@pytest.mark.parametrize(
    "path",
    [
        "/ui", "/ui/", "/ui/login/", "/ui/login.html", "/ui//login", "/ui/Login", "/ui/%6cogin",
        "/ui/step-up", "/ui/step-up/", "/ui/step-up/a/b", "/ui/step-up/a.js", "/ui/step-up/%00",
        "/ui/step-up/..%2flogin", "/ui/..%2f..%2fpages.py", "/ui/pages.py", "/ui/static/login.js",
        "/ui/%2e%2e/pages.py", f"/ui/step-up/{'a' * (MAX_ID + 1)}", "/ui/%ff", "/", "/favicon.ico",
    ],
)  # fmt: skip
def test_nothing_else_is_there(server: ServerProcess, path: str) -> None:
    raw = httpx.URL(server.address).copy_with(raw_path=path.encode("latin-1"))
    assert httpx.get(raw, trust_env=False).status_code == 404


@pytest.mark.parametrize("verb", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "LIST"])
def test_a_page_is_only_read(server: ServerProcess, verb: str) -> None:
    answer = httpx.request(verb, f"{server.address}/ui/login", trust_env=False)
    assert answer.status_code == 405


def test_ids_end_at_their_limit() -> None:
    pages = Pages()
    assert pages(f"/ui/step-up/{'a' * MAX_ID}") is not None
    assert pages(f"/ui/step-up/{'a' * (MAX_ID + 1)}") is None
    assert pages("/ui/step-up/é") is None


def test_every_packaged_file_is_in_the_table() -> None:
    assert all(Pages()(path) is not None for path in PATHS)
    assert {path.removeprefix("/ui/").partition("/")[0] for path in PATHS} >= {
        name.removesuffix(".html") for name in NAMES
    }


class _Elements(HTMLParser):
    """Collects what a page is made of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".html")])
def test_a_page_has_no_inline_script_or_style_and_names_no_other_host(name: str) -> None:
    text = (STATIC / name).read_text(encoding="utf-8")
    elements = _Elements(text).found
    assert "://" not in text
    assert "//" not in re.sub(r"<!.*?>", "", text)
    for tag, attributes in elements:
        assert tag not in ("style", "iframe", "object", "embed", "base")
        assert "style" not in attributes
        assert not [key for key in attributes if key.startswith("on")]
        if tag == "script":
            assert attributes["src"] in {f"/ui/{each}" for each in NAMES}


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".html")])
def test_every_field_of_a_page_has_a_label(name: str) -> None:
    elements = _Elements((STATIC / name).read_text(encoding="utf-8")).found
    labelled = {attributes.get("for") for tag, attributes in elements if tag == "label"}
    ids = {attributes["id"] for _, attributes in elements if "id" in attributes}
    for tag, attributes in elements:
        if tag in ("input", "textarea"):
            assert attributes["id"] in labelled
        for key in ("aria-describedby", "aria-labelledby"):
            assert attributes.get(key) in {None, *ids}


FORBIDDEN = (
    "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(",
    "localStorage", "sessionStorage", "indexedDB", "caches", "serviceWorker", "postMessage",
    "setTimeout(", "atob", "btoa", "http:", "https:",
)  # fmt: skip


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".js")])
def test_a_script_makes_no_markup_and_keeps_nothing(name: str) -> None:
    text = (STATIC / name).read_text(encoding="utf-8")
    code = re.sub(r"(?m)//.*$|/\*[\s\S]*?\*/", "", text.replace(r"http:\/\/127\.0\.0\.1", ""))
    assert [word for word in FORBIDDEN if word in code] == []
    assert "document.cookie" not in code


def test_the_folder_holds_nothing_else() -> None:
    assert {Path(name).suffix for name in NAMES} == {".html", ".css", ".js", ".svg"}
