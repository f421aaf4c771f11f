"""A mixed load on a server, remembered well enough to say what must be there after it broke off.

A lane is one client that asks for one thing after another, and whose names no other lane touches.
So what it was told is a prefix of what it asked for, and one more step may have been done: after
any crash what can be observed of its names is one of two states, and nothing else.

    lane = Lane(1, Wire(server.address, token), Gate())
    lane.run(50)
    ...
    complaints = lane.complaints(told, ask)
"""

import http.client
import json
import random
import threading
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

Ask = Callable[[str, str, Mapping[str, Any] | None], tuple[int, Any]]
"""Asks a server: method, path below /v1/, data; returns the status and the answer's JSON."""

RECEIPT: Final = "X-Ironkeep-Audit"
PATIENCE_SECONDS: Final = 120.0
"""What a request may take before it counts as hanging."""
USER: Final = "loader"
PASSWORD: Final = "correct horse battery staple"

_UNAVAILABLE: Final = 503
_BROKEN: Final = (ConnectionError, http.client.HTTPException)
_SECRETS: Final = ("a", "b/c")


@dataclass(frozen=True, slots=True)
class Told:
    """An answer: its status, its JSON, and the receipt of its entry in the journal."""

    status: int
    body: Any
    receipt: str


class Wire:
    """One connection to a server, that a single thread uses."""

    def __init__(self, address: str, token: str = "") -> None:
        self._connection: Final = http.client.HTTPConnection(
            urlsplit(address).netloc, timeout=PATIENCE_SECONDS
        )
        self._headers: Final = {"X-Vault-Token": token} if token else {}

    def send(self, method: str, path: str, data: Mapping[str, Any] | None = None) -> Told:
        """Ask for something; raise TimeoutError when there is no answer in PATIENCE_SECONDS."""
        body = None if data is None else json.dumps(data)
        self._connection.request(method, f"/v1/{path}", body, self._headers)
        with self._connection.getresponse() as answer:
            raw = answer.read()
        receipt = answer.getheader(RECEIPT, "")
        return Told(answer.status, json.loads(raw) if raw else None, receipt)

    def ask(self, method: str, path: str, data: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        """Ask as `Ask` says."""
        told = self.send(method, path, data)
        return told.status, told.body

    def must(self, method: str, path: str, data: Mapping[str, Any] | None = None) -> Any:
        """Ask for something that has to go well; return the answer's JSON."""
        told = self.send(method, path, data)
        if told.status >= http.client.BAD_REQUEST:
            raise AssertionError(f"{method} {path}: {told}")
        return told.body

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class Gate:
    """Closed while the server is sealed on purpose: lanes wait here and then ask again."""

    def __init__(self) -> None:
        self._open: Final = threading.Event()
        self._open.set()

    def pass_through(self) -> bool:
        """Wait until it is open; return whether it opened in time."""
        return self._open.wait(PATIENCE_SECONDS)

    def seal(self, wire: Wire, key: str) -> None:
        """Seal the server and unseal it again."""
        self._open.clear()
        wire.must("PUT", "sys/seal")
        wire.must("PUT", "sys/unseal", {"key": key})
        self._open.set()


@dataclass(slots=True)
class Step:
    """One thing that was asked for, and what can be observed once it is done.

    `receipt` is empty until it was answered, `released` the secret's version that the answer held.
    """

    method: str
    path: str
    data: Mapping[str, Any] | None
    change: dict[str, Any] = field(default_factory=dict)
    receipt: str = ""
    released: int = 0


class Lane:
    """One client of the load; the same number asks for the same things."""

    def __init__(self, number: int, wire: Wire, gate: Gate) -> None:
        self.steps: Final[list[Step]] = []
        self._name: Final = f"lane{number}"
        self._wire: Final = wire
        self._gate: Final = gate
        self._rng: Final = random.Random(number)
        self._now: Final[dict[str, Any]] = {}
        self.ended = ""

    def run(self, count: int) -> None:
        """Take count steps; stop at the first whose outcome is unknown, and say why in `ended`."""
        try:
            for _ in range(count):
                if self.ended:
                    break
                self._take(self._next())
        finally:
            self._wire.close()

    def _take(self, step: Step) -> None:
        self.steps.append(step)
        try:
            told = self._wire.send(step.method, step.path, step.data)
            while told.status == _UNAVAILABLE and "Vault is sealed" in str(told.body):
                self._gate.pass_through()
                told = self._wire.send(step.method, step.path, step.data)
        except _BROKEN as error:
            self.ended = repr(error)
            return
        if told.status == _UNAVAILABLE:
            self.ended = "; ".join(told.body["errors"])
            return
        self._settle(step, told)

    def _settle(self, step: Step, told: Told) -> None:
        """Remember what an answer says; raise AssertionError when it is not the right one."""
        if step.path.endswith(f"login/{USER}"):
            step.change[f"token {told.body['auth']['client_token']}"] = True
        if step.method == "GET":
            found = _secret_in(told.body)
            if found != self._now.get(f"secret {step.path.removeprefix('secret/data/')}"):
                raise AssertionError(f"{step.path} was answered with {found}")
            step.released = found[0] if found and found[1] is not None else 0
        elif told.status >= http.client.BAD_REQUEST:
            raise AssertionError(f"{step.path}: {told}")
        step.receipt = told.receipt
        self._now.update(step.change)

    def _next(self) -> Step:
        """Choose what to ask for."""
        makers: tuple[tuple[Callable[[], Step], int], ...] = (
            (self._write, 8),
            (self._read, 6),
            (self._delete, 2),
            (self._policy, 2),
            (self._create_token, 3),
            (self._revoke_token, 2),
            (self._login, 1),
        )
        (make,) = self._rng.choices([maker for maker, _ in makers], [n for _, n in makers])
        return make()

    def _secret(self) -> str:
        return f"{self._name}/{self._rng.choice(_SECRETS)}"

    def _write(self) -> Step:
        name = self._secret()
        version = (self._now.get(f"secret {name}") or (0, None))[0] + 1
        data = {"step": str(len(self.steps)), "filling": "x" * self._rng.choice((1, 100, 3_000))}
        change = {f"secret {name}": (version, data)}
        return Step("POST", f"secret/data/{name}", {"data": data}, change)

    def _read(self) -> Step:
        return Step("GET", f"secret/data/{self._secret()}", None)

    def _delete(self) -> Step:
        name = self._secret()
        known = self._now.get(f"secret {name}")
        change = {f"secret {name}": (known[0], None)} if known else {}
        return Step("DELETE", f"secret/data/{name}", None, change)

    def _policy(self) -> Step:
        text = f'# {len(self.steps)}\npath "secret/*" {{ capabilities = ["read"] }}'
        change = {f"policy {self._name}": text}
        return Step("PUT", f"sys/policies/acl/{self._name}", {"policy": text}, change)

    def _create_token(self) -> Step:
        token = f"{self._name}-{len(self.steps)}"
        data = {"id": token, "policies": ["default"], "ttl": "1h"}
        return Step("POST", "auth/token/create", data, {f"token {token}": True})

    def _revoke_token(self) -> Step:
        alive = [fact for fact, value in self._now.items() if fact[:6] == "token " and value]
        if not alive:
            return self._create_token()
        fact = self._rng.choice(alive)
        return Step("POST", "auth/token/revoke", {"token": fact[6:]}, {fact: False})

    def _login(self) -> Step:
        return Step("POST", f"auth/userpass/login/{USER}", {"password": PASSWORD})

    def answered(self, told: Container[str]) -> Iterator[tuple[str, Step]]:
        """Yield (receipt, step) for each step whose receipt is among those told."""
        for step in self.steps:
            if step.receipt and step.receipt in told:
                yield step.receipt, step

    def complaints(self, told: Container[str], ask: Ask) -> list[str]:
        """Say what cannot be so of a server, after the answers with the receipts told were given.

        ask asks it with the right to see everything.
        """
        done = sum(1 for _ in self.answered(told))
        if any(step.receipt not in told for step in self.steps[:done]):
            return [f"{self._name} was answered out of order"]
        allowed = [self._state(done), self._state(min(done + 1, len(self.steps)))]
        found = {fact: observe(ask, fact) for fact in allowed[1]}
        states = [{fact: state.get(fact, NOTHING[fact[:6]]) for fact in found} for state in allowed]
        if found in states:
            return []
        wrong = [
            f"{fact}: {found[fact]}, not {sorted({str(state[fact]) for state in states})}"
            for fact in found
            if all(state[fact] != found[fact] for state in states)
        ]
        return wrong or [f"{self._name} is between two states: {found}"]

    def _state(self, done: int) -> dict[str, Any]:
        state: dict[str, Any] = {}
        for step in self.steps[:done]:
            state.update(step.change)
        return state


NOTHING: Final[Mapping[str, Any]] = {"secret": None, "policy": None, "token ": False}
"""What is observed of a fact that never came to be, by its first six letters."""


def observe(ask: Ask, fact: str) -> Any:
    """Return what a server says of a fact: a secret's version and data, a policy's text, ..."""
    kind, _, name = fact.partition(" ")
    if kind == "secret":
        return _secret_in(ask("GET", f"secret/data/{name}", None)[1])
    if kind == "policy":
        status, body = ask("GET", f"sys/policies/acl/{name}", None)
        return body["data"]["policy"] if status == http.client.OK else None
    return ask("POST", "auth/token/lookup", {"token": name})[0] == http.client.OK


def _secret_in(body: Any) -> tuple[int, Any] | None:
    """Return (version, data) of an answer, data None for a deleted version; None without any."""
    data = body.get("data") if body else None
    return (data["metadata"]["version"], data["data"]) if data else None


def run_lanes(lanes: list[Lane], count: int, meanwhile: Callable[[], None]) -> None:
    """Run all lanes at once, count steps each, and `meanwhile` on this thread; wait for all."""
    failures: list[BaseException] = []

    def run(lane: Lane) -> None:
        try:
            lane.run(count)
        except BaseException as error:  # noqa: BLE001 - raised below, on the caller's thread
            failures.append(error)

    threads = [threading.Thread(target=run, args=[lane]) for lane in lanes]
    for thread in threads:
        thread.start()
    try:
        meanwhile()
    finally:
        for thread in threads:
            thread.join()
    for failure in failures:
        raise failure


def prepare(wire: Wire) -> None:
    """Mount what the lanes use, and make their user."""
    wire.must("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
    wire.must("POST", "sys/auth/userpass", {"type": "userpass"})
    wire.must("POST", f"auth/userpass/users/{USER}", {"password": PASSWORD})
