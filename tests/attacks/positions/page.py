"""A page in the browser of a person who uses the vault: what it can have the browser send.

B1  at a name of its own that resolves to the vault (rebinding), or of another origin, with a
    valid token: the worst that a page can know
B2  what a form sends without asking: wrong passwords, for somebody to be locked out
B3  pages of the vault in a frame of its own, and answers that it may read
B4  a touch that its visitor gives on it, or gave elsewhere, to log in as the visitor
B5  what a browser keeps: the code of a login, the ticket of a registration
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final

from ironkeep.core.webauthn.webauthn import encode
from tests.attacks.positions.attempts import Attempts, Row
from tests.attacks.positions.touches import authenticator
from tests.support.people.softauth import ORIGIN, UV, SoftAuthenticator

EVIL: Final = [
    "evil.example", "evil.example:8200", "127.0.0.1.evil.example", "localhost.evil.example",
    "evil.localhost.example", "127.0.0.1@evil.example", "127-0-0-1.evil.example", "[::1].evil", "",
]  # fmt: skip
ELSEWHERE: Final = [
    "Origin: https://evil.example", "Origin: null", "Origin: ", "Origin: https://127.0.0.1.evil",
    "Origin: https://127.0.0.1:1", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site",
    "Sec-Fetch-Site: cross-site\r\nOrigin: https://127.0.0.1", "Sec-Fetch-Site: ",
    "Sec-Fetch-Mode: no-cors\r\nOrigin: https://evil.example", "Origin: file://127.0.0.1",
]  # fmt: skip
ASKED: Final = [
    "GET /v1/auth/token/lookup-self", "GET /v1/secret/data/open/0", "LIST /v1/secret/metadata/",
    "POST /v1/sys/wrapping/wrap", "PUT /v1/auth/token/renew-self", "OPTIONS /v1/secret/data/open/0",
]  # fmt: skip
PAGES: Final = ["login", "register", "approvals", "step-up/abc", "session.js", "ironkeep.css"]
SIMPLE: Final = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
]
POSTS: Final = 10


class Page:
    """Tries what a browser can be made to do."""

    def __init__(self, attempts: Attempts) -> None:
        self.attempts: Final = attempts
        self.target: Final = attempts.target
        self.token: Final[str] = self.target["token"]
        self.own: Final = f"{attempts.host}:{attempts.port}"

    def run(self) -> None:
        """Try everything."""
        self.rebind()
        self.lock_out()
        self.frame()
        self.relay()
        self.look_back()

    def send(self, row: Row, line: str, *lines: str, body: str = "") -> bytes:
        """Send a request as a browser would."""
        head = [f"{line} HTTP/1.1", *lines, "Connection: close", f"Content-Length: {len(body)}"]
        data = "\r\n".join(head) + f"\r\n\r\n{body}"
        return self.attempts.exchange(row, data.encode("latin-1"), most=2)

    def ask(self, row: Row, path: str, data: Any) -> Any:
        """Post something from anywhere; return the answer's data, {} when refused."""
        answer = self.attempts.ask(row, self.attempts.nowhere, "POST", f"auth/passkey/{path}", data)
        return (answer or {}).get("data") or {}

    def rebind(self) -> None:
        """Ask with a valid token, at a name of its own and from another origin."""
        mine = f"X-Vault-Token: {self.token}"
        row = self.attempts.row("B1", "a valid token, by a page at a name of its own")
        for host in EVIL:
            for line in ASKED:
                self.send(row, line, f"Host: {host}", mine)
        row = self.attempts.row("B1", "a valid token, by a page of another origin")
        for lines in ELSEWHERE:
            for line in ASKED:
                self.send(row, line, f"Host: {self.own}", mine, lines)
        control = self.attempts.row("B1", "control: the same by a page of this origin")
        same = "Sec-Fetch-Site: same-origin"
        self.send(control, ASKED[0], f"Host: {self.own}", mine, same)

    def lock_out(self) -> None:
        """Post wrong passwords as forms do; an accomplice tells whether that locked anybody out."""
        row = self.attempts.row("B2", "wrong passwords as a form posts them")
        victim = self.target["victim"]
        line, host = f"POST /v1/auth/userpass/login/{victim['name']}", f"Host: {self.own}"
        for kind in SIMPLE:
            for browser in ("Origin: https://evil.example", "Sec-Fetch-Site: cross-site"):
                for number in range(POSTS):
                    lines = (host, browser, f"Content-Type: {kind}")
                    self.send(row, line, *lines, body=f'{{"password":"wrong {number}"}}')
        row = self.attempts.row("B2", "the right password afterwards")
        self.send(row, line, host, body=f'{{"password":"{victim["password"]}"}}')

    def frame(self) -> None:
        """Show pages of the vault inside its own, and read answers of the API."""
        row = self.attempts.row("B3", "pages that another page may frame")
        for page in PAGES:
            row.tried += 1
            fetched = self.attempts.row("B3", f"control: {page}")
            got = self.send(fetched, f"GET /ui/{page}", f"Host: {self.own}").lower()
            framed = b"frame-ancestors 'none'" not in got or b"x-frame-options: deny" not in got
            row.let_in += framed
        row = self.attempts.row("B3", "answers that another page may read")
        ignored = Row("", "")
        for line in ASKED:
            for lines in ("Origin: https://evil.example", f"Origin: https://{self.own}"):
                asked = "Access-Control-Request-Method: POST"
                got = self.send(ignored, line, f"Host: {self.own}", lines, asked)
                row.tried += 1
                row.let_in += b"access-control-allow" in got.lower()

    def relay(self) -> None:
        """Log in as a visitor, by touches that they gave for something else."""
        name = self.target["passkey"]["name"]
        control = self.attempts.row("B4", "control: a touch given where it belongs")
        begun = self.ask(control, "login/begin", {"username": name})
        right = {"id": begun["id"], "credential": self.visitor().get(begun["options"])}
        self.ask(control, "login/finish", right)
        row = self.attempts.row("B4", "touches given on another page, twice, or for another login")
        self.ask(row, "login/finish", right)
        starts = Row("", "")
        for change in changes():
            begun = self.ask(starts, "login/begin", {"username": name})
            signed = self.visitor(**change).get(begun["options"])
            self.ask(row, "login/finish", {"id": begun["id"], "credential": signed})
        first, second = (self.ask(starts, "login/begin", {"username": name}) for _ in range(2))
        signed = self.visitor().get(first["options"])
        self.ask(row, "login/finish", {"id": second["id"], "credential": signed})
        for key in ("id", "rawId"):
            begun = self.ask(starts, "login/begin", {"username": name})
            signed = {**self.visitor().get(begun["options"]), key: encode(b"another key")}
            self.ask(row, "login/finish", {"id": begun["id"], "credential": signed})
        begun = self.ask(starts, "login/begin", {"username": name})
        signed = self.visitor().get(begun["options"])
        self.ask(row, "add/finish", {"id": begun["id"], "credential": signed})

    def visitor(self, **changes: Any) -> SoftAuthenticator:
        """Return the visitor's authenticator; they touch it whenever they are asked to."""
        return authenticator(self.target["passkey"], **changes)

    def look_back(self) -> None:
        """Use what a browser keeps in its history."""
        control = self.attempts.row("B5", "control: a login in the browser for a waiting command")
        challenge = encode(sha256(b"v" * 43).digest())
        given = {"port": 5_555, "state": "A" * 43, "code_challenge": challenge}
        cli = self.ask(control, "cli/start", given)["cli"]
        begun = self.ask(control, "login/begin", {"cli": cli})
        signed = {"credential": self.visitor().get(begun["options"]), "cli": cli}
        done = self.ask(control, "login/finish", {"id": begun["id"], **signed})
        code = done["redirect"].partition("code=")[2].partition("&")[0]
        row = self.attempts.row("B5", "the code of that login, from the browser's history")
        for verifier in ("w" * 43, "", "A" * 43, challenge, "v" * 43):
            self.ask(row, "cli/finish", {"code": code, "code_verifier": verifier})
        row = self.attempts.row(
            "B5", "a ticket that was opened elsewhere, from a browser's history"
        )
        for holder in ({}, {"holder": ""}, {"holder": encode(b"h" * 32)}):
            self.ask(row, "register/begin", {"ticket": self.target["ticket"], **holder})


def changes() -> Iterator[dict[str, Any]]:
    """Yield what is different about a touch that was given on a page of another origin."""
    for origin in ("https://evil.example", f"{ORIGIN}.evil.example", "http://vault.example", "null",
                   f"{ORIGIN}:444", f"{ORIGIN}/", "https://evil.vault.example", ""):  # fmt: skip
        yield {"origin": origin}
    yield {"cross_origin": True}
    yield {"rp_id": "evil.example"}
    yield {"rp_id": "example"}
    yield {"flags": 0}
    yield {"flags": UV}
