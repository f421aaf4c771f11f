"""Names and values planted through every route are nowhere but where they belong: in the answers.

A real server over a real directory takes unique words through everything that has an input, good
requests and bad ones, and has a defect provoked with a secret in its message. Then its whole
directory, its output, its arguments and those of its children are searched for every word, raw and
encoded; again after it was killed. Only a token file that a person asked for may hold one.
"""

import contextlib
import hashlib
import http.client
import json
import os
import re
import socket
import stat
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import fields as fields_of
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import pytest

from ironkeep.app import PLUGINS
from ironkeep.core.ids import MountAccessor, MountUuid
from ironkeep.core.operation import Operation
from ironkeep.engines.system.mounts import AUTH_TYPES
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.route import Route
from ironkeep.testing.server import ServerProcess

PROGRAM: Final = (str(Path(__file__).with_name("leak_server.py")),)
PROVOKED: Final = "provoke-a-defect"
TAIL: Final = '"\\é/<&'
"""What the encodings of a value treat differently."""
KEPT_OF_A_WORD: Final = 15
"""Characters that a shortened copy would still show."""


class Words:
    """The planted words, and how to find them."""

    def __init__(self) -> None:
        self._forms: dict[bytes, str] = {}

    def name(self, label: str) -> str:
        """Return a word fit for a name or a path."""
        word = "cnr" + hashlib.sha256(label.encode()).hexdigest()[:21]
        self.add(label, word.encode())
        return word

    def value(self, label: str) -> str:
        """Return a word with characters that encodings change."""
        value = self.name(label) + TAIL
        for form in (quote(value, safe=""), json.dumps(value), json.dumps(value)[1:-1]):
            self._forms[form.encode()] = label
        return value

    def add(self, label: str, word: bytes) -> None:
        """Look for word itself, its beginning, and its encodings at any alignment."""
        utf16 = word.decode("latin-1").encode("utf-16-le")
        for form in (word, word[:KEPT_OF_A_WORD], word.hex().encode(), utf16):
            self._forms[form] = label
        self._forms[word.hex().upper().encode()] = label
        for lead in range(3):
            encoded = b64encode(bytes(lead) + word)
            inner = encoded[-(-lead * 4 // 3) : (lead + len(word)) * 4 // 3]
            for form in (inner, inner.replace(b"+", b"-").replace(b"/", b"_")):
                self._forms[form] = label

    def pattern(self) -> re.Pattern[bytes]:
        return re.compile(b"|".join(map(re.escape, sorted(self._forms, key=len, reverse=True))))

    def label(self, form: bytes) -> str:
        return self._forms[form]


def test_the_search_finds_a_word_in_every_form() -> None:
    words = Words()
    value = words.value("x")
    found = words.pattern().search
    for form in (
        value.encode(), json.dumps({"a": value}).encode(), quote(value).encode(),
        value.encode().hex().encode(), b64encode(b"a" + value.encode()),
        b64encode(b"ab" + value.encode()), b64encode(value.encode()), value[:20].encode(),
    ):  # fmt: skip
        assert found(b"before" + form + b"after")
    assert not found(words.name("y").encode())


class Client:
    """Sends what it is told, well-formed or not."""

    def __init__(self, server: ServerProcess) -> None:
        address = urlsplit(server.address)
        self._at: Final = (str(address.hostname), int(address.port or 0))
        self.token = server.token

    def send(
        self, method: str, path: str, data: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(*self._at, timeout=60)
        body = data if isinstance(data, bytes) else json.dumps(data).encode() if data else None
        with contextlib.closing(connection):
            sent = {"X-Vault-Token": self.token, **(headers or {})}
            connection.request(method, f"/v1/{quote(path, safe='/?=&%')}", body, sent)
            answer = connection.getresponse()
            raw = answer.read()
        with contextlib.suppress(ValueError):
            return answer.status, json.loads(raw)
        return answer.status, raw

    def post(self, path: str, data: Any = None, **headers: str) -> Any:
        """Send what must succeed."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        status, body = self.send("POST", path, data, named)
        assert status < 300, (path, status, body)
        return body

    def garble(self, raw: bytes) -> None:
        with socket.create_connection(self._at, timeout=60) as connection:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):
                pass


def plant_mounts(client: Client, words: Words) -> str:
    name, value = words.name, words.value
    mount = name("mount")
    options = {"version": "2", name("option"): value("option value")}
    client.post(
        f"sys/mounts/{mount}",
        {"type": "kv", "description": value("description"), "options": options},
    )
    client.post(f"sys/mounts/{mount}/tune", {"description": value("tuned description")})
    client.post("sys/mounts/kv1", {"type": "kv"})
    client.post(f"sys/auth/{name('method')}", {"type": "userpass"})
    for kind in AUTH_TYPES - {"token"}:
        client.post(f"sys/auth/{kind}", {"type": kind, "description": value("method text")})
    client.post(f"sys/mounts/{name('before')}", {"type": "kv"})
    client.post("sys/remount", {"from": name("before"), "to": name("after")})
    client.send("DELETE", f"sys/mounts/{name('after')}")
    return mount


def plant_values(client: Client, words: Words, mount: str) -> None:
    name, value = words.name, words.value
    path = f"{mount}/data/{name('folder')}/{name('key')}"
    data = {name("field"): value("kv value"), "deep": {name("deep field"): [value("deep")]}}
    client.post(path, {"data": data, "options": {"cas": 0}})
    merge = {"Content-Type": "application/merge-patch+json"}
    client.send("PATCH", path, {"data": {name("patched"): value("patch")}}, merge)
    metadata = path.replace("/data/", "/metadata/")
    client.post(metadata, {"custom_metadata": {name("custom"): name("custom value")}})
    for way in ("data", "metadata", "subkeys"):
        assert client.send("GET", path.replace("/data/", f"/{way}/"))[0] == 200
    client.post(path.replace("/data/", "/delete/"), {"versions": [1]})
    client.post(path.replace("/data/", "/destroy/"), {"versions": [1]})
    client.post(f"kv1/{name('v1 key')}", {name("v1 field"): value("v1 value")})
    assert client.send("GET", f"kv1/{name('v1 key')}")[0] == 200
    client.post(f"cubbyhole/{name('hole')}", {name("hole field"): value("hole value")})
    assert client.send("LIST", f"{mount}/metadata/{name('folder')}")[0] == 200


def plant_people(client: Client, words: Words) -> None:
    name, value = words.name, words.value
    rules = f'path "{name("rule path")}/*" {{ capabilities = ["read"] }} # {name("comment")}'
    client.post(f"sys/policies/acl/{name('policy')}", {"policy": rules})
    user, password = name("user"), value("password")
    client.post(f"auth/userpass/users/{user}", {"password": password})
    client.post(f"auth/userpass/users/{user}/policies", {"policies": [name("policy")]})
    made = client.post(f"auth/userpass/login/{user}", {"password": password})
    words.add("user token", made["auth"]["client_token"].encode())
    status, _ = client.send("POST", f"auth/userpass/login/{user}", {"password": value("guess")})
    assert status == 400
    client.post(f"auth/token/roles/{name('role')}", {"allowed_policies": [name("policy")]})
    wish = {
        "id": name("token id"), "display_name": name("display"),
        "meta": {name("meta"): value("meta value")}, "policies": [name("policy")],
    }  # fmt: skip
    token = client.post("auth/token/create", wish)["auth"]["client_token"]
    for way in ("lookup", "renew"):
        client.post(f"auth/token/{way}", {"token": token})
    client.post("sys/capabilities", {"token": token, "paths": [name("asked path")]})
    client.post("auth/token/revoke", {"token": token})
    batch = client.post("auth/token/create", {"type": "batch", "policies": ["default"]})
    words.add("batch token", batch["auth"]["client_token"].encode())


def plant_rest(client: Client, words: Words) -> None:
    name, value = words.name, words.value
    wrapped = client.post("sys/wrapping/wrap", {"x": value("wrapped")}, X_Vault_Wrap_TTL="60")
    token = wrapped["wrap_info"]["token"]
    words.add("wrapping token", token.encode())
    client.post("sys/wrapping/lookup", {"token": token})
    client.post("sys/wrapping/unwrap", {"token": token})
    client.post("sys/tools/hash", {"input": b64encode(value("hashed").encode()).decode()})
    client.send("POST", "sys/generate-root/attempt", {"otp": name("otp")})
    client.post("sys/mounts/database", {"type": "database"})
    for verify in (False, True):
        client.send(
            "POST",
            f"database/config/{name('connection')}",
            {
                "plugin_name": "postgresql-database-plugin", "username": name("admin"),
                "connection_url": "postgresql://{{username}}:{{password}}@127.0.0.1:1/x",
                "password": name("admin password"), "verify_connection": verify,
                "allowed_roles": [name("db role")],
            },
        )  # fmt: skip
    role = {"db_name": name("connection"), "username": name("account")}
    client.send("POST", f"database/static-roles/{name('db role')}", role)
    text = b64encode(f"{value('document text')} {value('kv value')}".encode()).decode()
    client.post("incident/documents", {"name": name("document"), "content": text})
    opened = {
        "title": value("title"), "subjects": [f"document:{name('document')}"],
        "start": "1h", "basis": value("basis"),
    }  # fmt: skip
    case = client.post("incident/cases", opened)["data"]["id"]
    assert client.send("GET", f"incident/cases/{case}/exposure")[0] == 200
    edge = {"kind": "opens", "source": f"system:{name('system')}", "basis": value("edge basis")}
    client.send("POST", "incident/links", {**edge, "targets": [f"store:{name('store')}"]})


MOUNTED: Final = {
    "system": "sys", "kv": "kv1", "cubbyhole": "cubbyhole", "database": "database",
    "incident": "incident", "approval": "approval", "device": "device", "segment": "segment",
    **{kind: f"auth/{kind}" for kind in AUTH_TYPES},
}  # fmt: skip
ENDS_THE_TEST: Final = {"seal", "revoke-self"}
METHODS: Final = {
    Operation.READ: "GET", Operation.LIST: "LIST", Operation.UPDATE: "POST",
    Operation.PATCH: "PATCH", Operation.DELETE: "DELETE",
}  # fmt: skip


def plant_through_every_route(client: Client, words: Words) -> None:
    """Send a word for every part of a path and every field there is, as text and inside objects."""
    assert set(MOUNTED) == set(PLUGINS)
    for kind, path in MOUNTED.items():
        for options in ({}, {"version": "2"}):
            mount = Mount("", kind, MountUuid(""), MountAccessor(""), options=options)
            for route in PLUGINS[kind].routes(mount):
                if route.pattern not in ENDS_THE_TEST:
                    send_words(client, words, route, f"{path}/{route.pattern}")


def send_words(client: Client, words: Words, route: Route, pattern: str) -> None:
    path = re.sub(r"\{\w+(\.\.\.)?\}", lambda found: words.name(pattern + found[0]), pattern)
    fields = [item.name for item in fields_of(route.input)] if route.input else ["x"]
    texts: dict[str, Any] = {name: words.name(f"{pattern} {name}") for name in fields}
    headers = {"Content-Type": "application/merge-patch+json"}
    query = "?" + "&".join(f"{name}={word}" for name, word in texts.items())
    if route.op in (Operation.UPDATE, Operation.PATCH):
        objects = {name: {word: [word]} for name, word in texts.items()}
        for data in (texts, objects):
            assert client.send(METHODS[route.op], path, data, headers)[0] != 500, path
    else:
        assert client.send(METHODS[route.op], path + query)[0] != 500, path


def send_what_is_refused(client: Client, words: Words) -> None:
    name, value = words.name, words.value
    bad: list[tuple[str, str, Any, dict[str, str]]] = [
        ("GET", f"{name('nowhere')}/x", None, {}),
        ("GET", f"sys/policies/acl/{name('no policy')}?{name('query')}={name('asked')}", None, {}),
        ("POST", "sys/policies/acl/x", {"policy": f'path "{value("bad hcl")}" {{ oops'}, {}),
        ("POST", "sys/mounts/x", {"type": name("no type")}, {}),
        ("POST", "auth/token/create", {"ttl": value("no duration")}, {}),
        ("POST", "auth/token/create", b'{"x": "' + value("no json").encode(), {}),
        ("POST", "auth/token/lookup", {"token": f"hvs.{name('no token')}"}, {}),
        ("POST", "sys/leases/lookup", {"lease_id": name("no lease")}, {}),
        ("POST", "sys/unseal", {"key": name("no share")}, {}),
        ("POST", "secret/data/x", {"data": name("no object")}, {}),
        ("GET", "sys/mounts", None, {"X-Vault-Token": f"hvs.{name('stranger')}"}),
        ("GET", "sys/mounts", None, {"X-Vault-Namespace": name("namespace")}),
        ("GET", "sys/mounts", None, {"X-Vault-Wrap-TTL": name("wrap ttl")}),
        (name("verb").upper(), "sys/mounts", None, {}),
        ("GET", f"{name('long')}{'x' * 5_000}", None, {}),
        ("POST", "x", b"[" * 10_000 + value("too deep").encode(), {}),
    ]
    for method, path, data, headers in bad:
        status, body = client.send(method, path, data, headers)
        assert 400 <= status < 500, (method, path[:80], status, body)
    client.send("GET", "sys/mounts", None, {"X-Forwarded-For": name("forwarded")})
    client.garble(b"GET /v1/%b HTTP/9.9\r\n\r\n" % name("garbled").encode())
    client.garble(b"%b\0\0\r\n\r\n" % name("no http").encode())
    status, body = client.send(
        "POST", f"kv1/{name('defect path')}", {PROVOKED: value("defect value")}
    )
    assert (status, body) == (500, {"errors": ["internal error"]})


def files_of(folder: Path) -> Iterator[Path]:
    yield from (path for path in sorted(folder.rglob("*")) if path.is_file())


def arguments_of(pid: int) -> Iterator[bytes]:
    """Yield the command line of a process and of everything below it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(ValueError, OSError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            parents[int(entry.name)] = int(fields[1])
    family = {pid}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    for member in family:
        with contextlib.suppress(OSError):
            yield Path(f"/proc/{member}/cmdline").read_bytes()


def found_in(words: Words, texts: Iterator[tuple[str, bytes]]) -> list[str]:
    pattern = words.pattern()
    return [
        f"{place}: {words.label(hit[0])}"
        for place, text in texts
        for hit in pattern.finditer(text.replace(b"\0" * 512, b""))
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_nothing_planted_is_found_outside_the_answers(tmp_path: Path) -> None:
    words = Words()
    with ServerProcess.configured(tmp_path, program=PROGRAM) as server:
        for key in server.initialise(shares=3, threshold=2):
            words.add("key share", bytes.fromhex(key))
        words.add("root token", server.token.encode())
        client = Client(server)
        mount = plant_mounts(client, words)
        plant_values(client, words, mount)
        plant_people(client, words)
        plant_rest(client, words)
        plant_through_every_route(client, words)
        send_what_is_refused(client, words)

        login = server.cli("login", "-", given=server.token)
        assert login.code == 0, login.err
        token_file = tmp_path / ".vault-token"
        assert token_file.read_text() == server.token
        assert stat.S_IMODE(token_file.stat().st_mode) == 0o600
        token_file.unlink()

        pid = server.process.pid
        running = [(f"arguments of {pid}", text) for text in arguments_of(pid)]
        assert running
        assert found_in(words, iter(running)) == []
        assert re.search(r"core file size +0 +0 ", Path(f"/proc/{pid}/limits").read_text())
        assert (
            found_in(words, ((str(path), path.read_bytes()) for path in files_of(tmp_path))) == []
        )
        os.kill(pid, 9)
        server.process.wait()

    paths = list(files_of(tmp_path))
    assert {"ironkeep.db", "server.err", "server.out"} <= {path.name for path in paths}
    assert found_in(words, ((str(path), path.read_bytes()) for path in paths)) == []
    assert "ValueError at " in (tmp_path / "server.err").read_text(), "the defect was not logged"
    kept = [path for path in paths if (tmp_path / "data") in path.parents]
    assert [path for path in kept if stat.S_IMODE(path.stat().st_mode) & 0o077] == []
