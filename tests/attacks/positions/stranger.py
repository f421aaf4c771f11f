"""A stranger on the network: the address, the source code, and nothing else.

N1  messages that two parsers read differently, with a request hidden inside
N2  requests that HTTP/1.1 has a server refuse, and heads made to be dear
N3  paths in every spelling, without a token
N4  the worst values of JSON for every field of every route that asks for no token
N5  bodies: too long, forms, trailers without end
N6  connections that say nothing, or never finish
N7  client certificates of the stranger's own making
N8  wrong passwords from many addresses; an accomplice's login tells how others are served
N9  wrong shares, and resets, while a vault is being unsealed
"""

import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.attacks.positions.attempts import Attempts
from tests.attacks.positions.surface import METHODS, declared

HIDDEN: Final = b"GET /v1/sys/health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
"""What is smuggled: it needs no token, so an answer of 200 says that it was taken for a request."""
HOSTILE: Final = [
    b"[" * 100_000, b'{"F":' + b"[" * 2_000 + b"]" * 2_000 + b"}", b'{"F":1e400}',
    b'{"F":-' + b"9" * 5_000 + b"}", b'{"F":"\\ud800"}', b'{"F":"\\u0000\\ufeff"}', b'{"F":null}',
    b'{"F":{"F":[{}]}}', b'{"F":["F",1,null]}', b'{"F":"' + b"," * 60_000 + b'"}',
    b'{"F":"' + b"A" * 60_000 + b'"}', b"\xff\xfe", b"NaN",
]  # fmt: skip
"""Bodies; F is replaced by the fields of the route, one after the other."""
ADDRESSES: Final = 6
GUESSES: Final = 2
"""From each address."""
LOCKING: Final = 5
"""Wrong passwords in a row: as many as lock a name."""


class Stranger:
    """Tries what takes no more than an address."""

    def __init__(self, attempts: Attempts) -> None:
        self.attempts: Final = attempts
        self.target: Final = attempts.target
        self.row: Final = attempts.row

    def run(self) -> None:
        """Try everything."""
        if self.target.get("sealed"):
            self.spoil_unsealing()
            return
        self.smuggle()
        self.misspeak()
        self.respell()
        self.feed()
        self.stuff()
        self.dawdle()
        self.present()
        self.guess()
        self.lock_out()

    def head(self, line: bytes, *lines: bytes) -> bytes:
        """Return a head with a Host."""
        return b"\r\n".join([line, b"Host: 127.0.0.1", *lines]) + b"\r\n\r\n"

    def smuggle(self) -> None:
        """Hide a request in a body, or after one, by a framing that can be read in two ways."""
        row = self.row("N1", "a request hidden behind an ambiguous framing")
        for lines, body in framings():
            head = self.head(b"POST /v1/sys/wrapping/lookup HTTP/1.1", *lines)
            self.attempts.exchange(row, head + body, most=2)
        control = self.row("N1", "control: the same request, sent openly behind another one")
        refused = self.head(b"POST /v1/sys/wrapping/lookup HTTP/1.1", b"Content-Length: 2")
        self.attempts.exchange(control, refused + b"{}" + HIDDEN, most=2)

    def misspeak(self) -> None:
        """Send what RFC 9112 has refused, and heads of repetition."""
        row = self.row("N2", "requests that HTTP/1.1 has a server refuse")
        for data in malformed():
            self.attempts.exchange(row, data, most=1)
        row = self.row("N2", "heads of two kilobytes that invite backtracking")
        for piece in (b"a:", b" ", b"\t", b"%25", b"a=b;", b'"\\', b",", b"\xc3"):
            line = b"X-A: " + piece * (2_000 // len(piece)) + b"\xff"
            data = self.head(b"GET /v1/secret/data/open/0 HTTP/1.1", line, b"Connection: close")
            self.attempts.exchange(row, data, most=1)

    def respell(self) -> None:
        """Ask for a secret without a token, by each spelling of its path."""
        row = self.row("N3", "a secret's path in other spellings, without a token")
        for path in paths():
            line = b"GET " + path + b" HTTP/1.1"
            self.attempts.exchange(row, self.head(line, b"Connection: close"), most=1)

    def feed(self) -> None:
        """Give every route that asks for no token the worst values of every field."""
        row = self.row("N4", "hostile bodies at every route that asks for no token")
        for path, route in declared(self.target):
            if not (route.open or route.login) or METHODS[route.op] != "POST":
                continue
            named = [each.name for each in fields(route.input)] if route.input else ["F"]
            for number, body in enumerate(HOSTILE):
                field = named[number % len(named)]
                self.attempts.post(row, path, body.replace(b"F", field.encode()))

    def stuff(self) -> None:
        """Send more than anybody should take."""
        row = self.row("N5", "bodies, forms and trailers that are too long")
        post = b"POST /v1/auth/userpass/login/nobody HTTP/1.1"
        form = b"Content-Type: application/x-www-form-urlencoded"
        chunked = b"Transfer-Encoding: chunked"
        big = b"%41" * (1 << 20)
        for head, body in (
            (self.head(post, form, b"Content-Length: %d" % len(big)), big),
            (self.head(post, form, chunked), b"%x\r\n%b\r\n0\r\n\r\n" % (len(big), big)),
            (self.head(post, b"Content-Length: %d" % len(big)), b'{"password":"' + big),
            (self.head(post, b"Content-Length: 99999999999999999999"), b"{}"),
            (self.head(post, chunked), b"0\r\n" + b"a:b\r\n" * (1 << 18)),
            (self.head(post, chunked), b"1;" + b"a=b;" * (1 << 18)),
            (self.head(post, chunked), b"1\r\n{\r\n" * (1 << 17) + b"0\r\n\r\n"),
        ):
            self.attempts.exchange(row, head + body, most=1)

    def dawdle(self) -> None:
        """Hold connections that say nothing, or begin and never finish; ask beside them."""
        begun = self.head(
            b"POST /v1/auth/userpass/login/nobody HTTP/1.1", b"Content-Length: 1048576"
        )
        with contextlib.ExitStack() as held:
            for _ in range(200):
                held.enter_context(self.attempts.reach())
            for part in [begun + b'{"password":"', begun[:-2], b"G"] * 20:
                held.enter_context(self.attempts.dial()).sendall(part)
            row = self.row("N6", "an ordinary request beside 260 connections that never finish")
            self.attempts.exchange(row, HIDDEN, most=1)

    def present(self) -> None:
        """Log in by client certificates that nobody issued."""
        row = self.row("N7", "client certificates of the stranger's own at every login")
        for number, certificate in enumerate(certificates(self.target["devices"])):
            client = self.attempts.connect(*saved(self.attempts.loot, number, *certificate))
            for path, route in declared(self.target):
                if route.login and METHODS[route.op] == "POST":
                    self.attempts.ask(row, client, "POST", path, {"name": "", "role": ""})

    def guess(self) -> None:
        """Guess passwords from many addresses; see how many are served before an honest login."""
        honest = self.target["honest"]
        before = self.row("N8", "wrong passwords that were answered before the honest login")
        beside = self.row("N8", "an honest login beside wrong passwords from many addresses")
        with contextlib.ExitStack() as held:
            flood = []
            for number in range(ADDRESSES * GUESSES):
                raw = self.attempts.dial(f"127.0.0.{2 + number % ADDRESSES}")
                flood.append(held.enter_context(raw))
                name = honest["name"] if number < 2 else f"nobody-{number}"
                raw.sendall(login(name, "wrong"))
            self.attempts.exchange(beside, login(honest["name"], honest["password"]), most=1)
            before.statuses.update(status_of(raw) for raw in flood)
            before.tried = len(flood)

    def lock_out(self) -> None:
        """Lock somebody out by wrong passwords; an accomplice tells whether that went well."""
        row = self.row("N10", "wrong passwords for one name")
        known = self.target["victim"]
        for number in range(LOCKING):
            given = {"password": f"wrong {number}"}
            path = f"auth/userpass/login/{known['name']}"
            self.attempts.ask(row, self.attempts.nowhere, "POST", path, given)
        row = self.row("N10", "the right password afterwards, from elsewhere")
        wanted = login(known["name"], known["password"])
        self.attempts.exchange(row, wanted, most=1, source="127.0.0.9")

    def spoil_unsealing(self) -> None:
        """Give wrong shares, and ask for the attempt to be thrown away."""
        row = self.row("N9", "wrong shares and resets while a vault is being unsealed")
        for given in [{"key": f"{number:02x}" * 33} for number in range(20)] + [
            {"reset": True}, {"reset": True, "key": ""}, {"key": ""}, {"migrate": True},
            {"reset": "true", "nonce": ""},
        ]:  # fmt: skip
            self.attempts.ask(row, self.attempts.nowhere, "POST", "sys/unseal", given)


def framings() -> Iterator[tuple[list[bytes], bytes]]:
    """Yield headers that frame a body ambiguously, and the body with a request in it."""
    length = b"%d" % len(HIDDEN)
    end = b"0\r\n\r\n" + HIDDEN
    for line in (
        b"Transfer-Encoding: xchunked", b"Transfer-Encoding: chunked, identity",
        b"Transfer-Encoding: identity", b"Transfer-Encoding : chunked",
        b"Transfer-Encoding:\x0bchunked", b"Transfer-Encoding\t: chunked",
        b"X: y\r\n Transfer-Encoding: chunked", b"X: y\rTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
        b"Transfer-Encoding: chunked\r\nContent-Length: 3", b"Transfer_Encoding: chunked\x00",
        b"Content-Length: 0\r\nContent-Length: " + length,
        b"Content-Length: " + length + b"\r\nContent-Length: 0",
        b"Content-Length: 0, " + length, b"Content-Length: +0", b"Content-Length: 0x0",
        b"Content-Length: -0", b"Content-Length: 0_0", b"Content-Length: 0 0",
        b"Content-Length : 0", b"Content-Length: \xd9\xa0", b"Content-Length: 1e0",
    ):  # fmt: skip
        yield [line], end
    chunked = [b"Transfer-Encoding: chunked"]
    for size in (b"0x0", b"-0", b"+0", b"0 0", b"0\n", b"\n0", b"0\r", b"0\x00", b"\x0b0", b"g"):
        yield chunked, size + b"\r\n\r\n" + HIDDEN
    yield chunked, b"2\r\n{}0\r\n\r\n" + HIDDEN
    yield chunked, b"2\n{}\n0\n\n" + HIDDEN


def malformed() -> Iterator[bytes]:
    """Yield requests that are none."""
    path, host = b"GET /v1/sys/health", b"Host: 127.0.0.1\r\n"
    for version in (b"", b" HTTP/0.9", b" HTTP/1.2", b" HTTP/2.0", b" HTTP/9.9", b" HTTP/1.1x",
                    b" http/1.1", b" HTTP/1"):  # fmt: skip
        yield path + version + b"\r\n" + host + b"\r\n"
    for lines in (
        b"", host + host, host + b"host: evil.example\r\n", b"Host: a b\r\n", b"Host: a/b\r\n",
        b"Host: user@127.0.0.1\r\n", b"Host: 127.0.0.1:x\r\n", b"Host: 127.0.0.1\x00\r\n",
        host + b"X-Vault-Token\r\n", host + b": x\r\n", host + b"X(Y): x\r\n", host + b" x\r\n",
        host + b"X: a\x00b\r\n", host + b"X: a\rb\r\n",
        host + b"".join(b"h%d:\r\n" % number for number in range(1_000)),
        host + b"X: " + b"x" * 200_000 + b"\r\n",
    ):  # fmt: skip
        yield path + b" HTTP/1.1\r\n" + lines + b"\r\n"


def paths() -> Iterator[bytes]:
    """Yield request targets that some parser may take for a secret's."""
    name = b"secret/data/open/0"
    yield from (
        b"/v1/" + name, b"/v1//" + name, b"//v1/" + name, b"/V1/" + name, b"/v1/./" + name,
        b"/v1/sys/../" + name, b"/v1/sys/%2e%2e/" + name, b"/v1/sys/health/..%2f..%2f" + name,
        b"/v1/sys/health;/../" + name, b"/ui/../v1/" + name, b"/ui/%2e%2e/v1/" + name,
        b"http://127.0.0.1/v1/" + name, b"http://evil.example/v1/" + name, b"*", b"v1/" + name,
        b"/v1/" + name + b"%00", b"/v1/" + name + b"?token=root", b"/v1/%", b"/v1/%zz",
        b"/v1/%c0%af", b"/v1/%ff%fe", b"/v1/" + b"%2f" * 3_000, b"/v1/" + b"a/" * 3_000,
        b"/v1/sys/health/" + name, b"/v1/" + name + b"?" + b"a&" * 5_000,
        b"/v1/" + name + b"?" + b"%41=%42&" * 1_000, b"/v1/" + b"\xc3\xa9" * 500,
    )  # fmt: skip


def login(name: str, password: str) -> bytes:
    """Return a login by password as bytes."""
    body = f'{{"password":"{password}"}}'
    return (
        f"POST /v1/auth/userpass/login/{name} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def status_of(raw: ssl.SSLSocket) -> int:
    """Return the status of an answer that has come, 0 when none has."""
    raw.setblocking(False)
    try:
        return int(raw.recv(64).split(b" ")[1])
    except (OSError, IndexError):
        return 0


def certificates(devices: list[str]) -> Iterator[tuple[bytes, bytes]]:
    """Yield certificates that the stranger signed, with their keys (PEM)."""
    ours: list[list[x509.GeneralName]] = [
        [x509.DNSName("localhost")],
        [x509.UniformResourceIdentifier(f"urn:uuid:{each}") for each in devices],
        [x509.DNSName(f"host-{number}.example") for number in range(2_000)],
    ]
    for names in ours:
        for ca in (False, True):
            yield certificate(names, ca=ca)


def certificate(names: list[x509.GeneralName], *, ca: bool) -> tuple[bytes, bytes]:
    """Return a certificate that is signed by its own key, and the key (PEM)."""
    key: Any = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ann")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if names:
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
    pem = made.sign(key, SHA256()).public_bytes(Encoding.PEM)
    return pem, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def saved(folder: Path, number: int, certificate_pem: bytes, key_pem: bytes) -> tuple[Path, Path]:
    """Write a certificate and its key to files; return their paths."""
    paths = folder / f"own-{number}.pem", folder / f"own-{number}.key"
    for path, pem in zip(paths, (certificate_pem, key_pem), strict=True):
        path.write_bytes(pem)
    return paths
