"""A client with a valid token, bad intentions, and what policy lets it make.

C1  the token anywhere but in the head of a request
C2  a token that is bound to addresses, and what it makes, from elsewhere
C3  parameters that policy denies, in other spellings
C4  one's own request, approved by everything that one's token makes
C5  all secrets, by everything that one's token makes, wrapped, rewrapped and spelt otherwise
C6  guesses in documents that are compared with what is kept
C7  what belongs to other people
C8  wraps, machines and tokens laid by for the time after one was found out
"""

import json
import re
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import Any, Final

from tests.attacks.positions.attempts import Attempts, Row
from tests.attacks.positions.chains import grown, made_of

NUMBER: Final = re.compile(r"number (\d{3})\b")
ELSEWHERE: Final = "127.0.0.1"
BOUND: Final = "127.0.0.2"
"""The address that the bound token is for."""
CLAIMS: Final = [
    f"X-Forwarded-For: {BOUND}", f"X-Real-IP: {BOUND}", f"Forwarded: for={BOUND}",
    f"X-Client-IP: {BOUND}", f"True-Client-IP: {BOUND}", f"X-Forwarded-Host: {BOUND}",
    f"X-Forwarded-For: {BOUND}\r\nX-Forwarded-For: {ELSEWHERE}", f"Via: 1.1 {BOUND}",
]  # fmt: skip


class Client:
    """Tries what a token allows, and what it does not."""

    def __init__(self, attempts: Attempts) -> None:
        self.attempts: Final = attempts
        self.target: Final = attempts.target
        self.policies: Final[list[str]] = self.target["policies"]
        self.token: Final[str] = self.target["token"]
        self.laid: Final = attempts.loot / "laid.json"

    def run(self) -> None:
        """Try everything; or lay by for later, or try what was laid by."""
        if "laid" in self.target:
            self.afterwards() if self.target["laid"] else self.lay_by()
            return
        self.misplace()
        self.move()
        self.respell_parameters()
        self.approve_alone()
        self.multiply()
        self.guess()
        self.meddle()

    def ask(self, row: Row, method: str, path: str, data: Any = None, token: str = "-") -> Any:
        """Ask with the token, or another."""
        given = self.token if token == "-" else token
        return self.attempts.ask(row, self.attempts.nowhere, method, path, data, given)

    def raw(self, row: Row, lines: list[str], source: str = "", before: str = "") -> None:
        """Look the token up, with these lines in the head."""
        head = [*lines, "Host: 127.0.0.1", "Connection: close"]
        text = f"{before}GET /v1/auth/token/lookup-self HTTP/1.1\r\n" + "\r\n".join(head)
        self.attempts.exchange(row, f"{text}\r\n\r\n".encode(), most=1, source=source)

    def misplace(self) -> None:
        """Give the token where nothing may decide, or together with another."""
        row = self.attempts.row("C1", "the token in a trailer, a URL, a cookie, a body, or twice")
        mine, other = f"X-Vault-Token: {self.token}", "X-Vault-Token: hvs.another"
        head = "GET /v1/auth/token/lookup-self{} HTTP/1.1\r\nHost: 127.0.0.1\r\n{}\r\n{}"
        chunked = "Connection: close\r\nTransfer-Encoding: chunked\r\n"
        for data in (
            head.format("", chunked, f"0\r\n{mine}\r\n\r\n"),
            head.format("", f"{chunked}Trailer: X-Vault-Token\r\n", f"0\r\n{mine}\r\n\r\n"),
            head.format("", chunked, f"0\r\nAuthorization: Bearer {self.token}\r\n\r\n"),
            head.format("", chunked, f"0;{mine}\r\n\r\n"),
        ):
            self.attempts.exchange(row, data.encode(), most=1)
        for lines in (
            [mine, other], [other, mine], [mine, mine],
            [other, f"Authorization: Bearer {self.token}"],
            [f"X-Vault-Token : {self.token}"], [f"X_Vault_Token: {self.token}"],
            [f"X: y\r\n {mine}"], [f"Cookie: vault_token={self.token}; X-Vault-Token={self.token}"],
            [f"Authorization: Basic {self.token}"], [f"X-Vault-Token: x {self.token}"],
            [f"X-Original-URL: /v1/sys/health\r\n{other}"], [f"X-Vault-Token: {self.token}, x"],
        ):  # fmt: skip
            self.raw(row, lines)
        for query in (f"?token={self.token}", f"?X-Vault-Token={self.token}"):
            data = head.format(query, "Connection: close\r\n", "")
            self.attempts.exchange(row, data.encode(), most=1)
        control = self.attempts.row("C1", "control: the token where it belongs")
        self.raw(control, [mine])

    def move(self) -> None:
        """Use a token that is bound to an address, and what it makes there, from elsewhere."""
        bound = self.target["bound"]
        here = self.attempts.row("C2", "made and used at the address that the token is bound to")
        tokens = [bound, *made_of(partial(self.at_home, here), bound, self.policies, "c2")]
        row = self.attempts.row("C2", "a bound token and what it made, from elsewhere")
        for token in tokens:
            for claim in ([], *([each] for each in CLAIMS)):
                self.raw(row, [f"X-Vault-Token: {token}", *claim], ELSEWHERE)
            proxied = f"PROXY TCP4 {BOUND} {ELSEWHERE} 1 2\r\n"
            self.raw(row, [f"X-Vault-Token: {token}"], ELSEWHERE, proxied)

    def at_home(self, row: Row, method: str, path: str, data: Any, token: str) -> Any:
        """Send a request from the address that the bound token is for; return the answer."""
        body = b"" if data is None else json.dumps(data).encode()
        head = (
            f"{method} /v1/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
            f"Content-Length: {len(body)}\r\n" + (f"X-Vault-Token: {token}\r\n" if token else "")
        )
        got = self.attempts.exchange(row, head.encode() + b"\r\n" + body, most=2, source=BOUND)
        top, _, rest = got.partition(b"\r\n\r\n")
        return json.loads(rest) if top.startswith(b"HTTP/1.1 200") else None

    def respell_parameters(self) -> None:
        """Give people a policy that the desk's token may not give."""
        row = self.attempts.row("C3", "a denied policy for a user, in other spellings")
        held = self.attempts.row("C3", "users who hold the denied policy")
        at, desk, denied = "auth/userpass/users/c3", self.target["desk"], self.target["denied"]
        for name, given in spellings(denied):
            self.ask(row, "POST", at, {"password": "a long password", name: given}, desk)
            made = self.ask(row, "GET", at, None, desk)
            held.tried += 1
            held.let_in += bool(made) and denied in made["data"]["token_policies"]

    def approve_alone(self) -> None:
        """Ask for what takes another person, and be that person in every way there is."""
        asked = self.attempts.row("C4", "a secret that takes another person, asked for")
        asker = self.target["asker"]
        answer = self.ask(asked, "GET", "secret/data/two-person/0", None, asker)
        info, number = answer["wrap_info"], int(NUMBER.findall(str(answer["warnings"]))[0])
        made = self.attempts.row("C4", "tokens that the one who asked made")
        send = partial(self.attempts.ask, made, self.attempts.nowhere)
        row = self.attempts.row("C4", "the same, approved by these")
        opened = self.attempts.row("C4", "the same, opened")
        for token in grown(send, asker, self.policies, "c4"):
            given = {"accessor": info["accessor"], "number": number}
            self.ask(row, "POST", "sys/control-group/authorize", given, token)
            at = f"approval/requests/{info['accessor']}/approve"
            self.ask(row, "POST", at, {"number": number}, token)
            self.ask(opened, "POST", "sys/wrapping/unwrap", {"token": info["token"]}, token)

    def multiply(self) -> None:
        """Read everything, by tokens of every making, in every way that a secret is given."""
        row = self.attempts.row("C5", "every secret by what the token made, wrapped and rewrapped")
        send = partial(self.attempts.ask, row, self.attempts.nowhere)
        for token in made_of(send, self.token, self.policies, "c5"):
            for secret_class, count in self.target["counts"].items():
                for number in range(count):
                    self.take(row, f"{secret_class}/{number}", token)

    def take(self, row: Row, name: str, token: str) -> None:
        """Read one secret plainly, by its fields, and wrapped twice over."""
        self.ask(row, "GET", f"secret/data/{name}", None, token)
        self.ask(row, "GET", f"secret/subkeys/{name}", None, token)
        wrapping = self.wrap(row, f"secret/data/{name}", token)
        if wrapping:
            self.ask(row, "POST", "sys/wrapping/unwrap", {"token": wrapping}, "")

    def wrap(self, row: Row, path: str, token: str) -> str:
        """Have a read wrapped, and what was wrapped moved behind a fresh token; return that."""
        nowhere = self.attempts.nowhere
        asked = {"X-Vault-Wrap-TTL": "3600"}
        answer = self.attempts.ask(row, nowhere, "GET", path, None, token, asked)
        info = (answer or {}).get("wrap_info")
        if not info or "number" in str(answer.get("warnings")):
            return ""
        moved = self.ask(row, "POST", "sys/wrapping/rewrap", {"token": info["token"]}, token)
        found: str = ((moved or {}).get("wrap_info") or info)["token"]
        return found

    def guess(self) -> None:
        """Hand in documents that may hold a secret, and see what is told of them."""
        row = self.attempts.row("C6", "guesses of guarded secrets, as leaked documents")
        told = self.attempts.row("C6", "matches that were told")
        for number, document in enumerate(self.target["documents"]):
            given = {"name": f"guess-{number}", "content": document}
            answer = self.ask(row, "POST", "incident/documents", given)
            told.tried += 1
            told.let_in += bool(answer and answer["data"]["found"])

    def meddle(self) -> None:
        """Decide on what is other people's."""
        row = self.attempts.row("C7", "decisions on the device of another person")
        for verb in ("revoke", "approve", "refuse"):
            given = {"reason": "bored", "until": "30d"}
            self.ask(row, "POST", f"device/{verb}/{self.target['device']}", given)

    def lay_by(self) -> None:
        """Make whatever may still open something when everything of one's own was ended."""
        row = self.attempts.row("C8", "made and wrapped beforehand")
        send = partial(self.attempts.ask, row, self.attempts.nowhere)
        first = list(made_of(send, self.token, self.policies, "c8"))
        second = chain.from_iterable(
            made_of(send, token, self.policies, f"c8-{number}")
            for number, token in enumerate(first)
            if not token.startswith("hvb.")
        )
        tokens = [self.token, *first, *second]
        wraps = [self.wrap(row, "secret/data/open/0", token) for token in tokens]
        laid = {"tokens": tokens, "wraps": [each for each in wraps if each]}
        self.laid.write_text(json.dumps(laid))

    def afterwards(self) -> None:
        """Try what was laid by."""
        laid = self.target["laid"]
        row = self.attempts.row("C9", "tokens that were laid by")
        for token in laid["tokens"]:
            self.ask(row, "GET", "auth/token/lookup-self", None, token)
            self.ask(row, "GET", "secret/data/open/1", None, token)
            self.ask(row, "POST", "auth/token/create-orphan", {}, token)
        row = self.attempts.row("C9", "wraps that were laid by")
        for token in laid["wraps"]:
            self.ask(row, "POST", "sys/wrapping/rewrap", {"token": token}, token)
            self.ask(row, "POST", "sys/wrapping/unwrap", {"token": token}, "")


def spellings(policy: str) -> Iterator[tuple[str, Any]]:
    """Yield names and values of a parameter that give somebody a policy."""
    for name in ("token_policies", "policies", "Token_Policies"):
        yield from (
            (name, policy), (name, [policy]), (name, f"web,{policy}"), (name, ["web", policy]),
            (name, f" {policy}"), (name, policy.upper()), (name, f"{policy},"),
            (name, [f" {policy.title()} "]), (name, [[policy]]), (name, {policy: None}),
            (name, f"web\t,\n{policy}"), (name, f'["{policy}"]'),
        )  # fmt: skip
