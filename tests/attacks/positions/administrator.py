"""One administrator, alone: every policy there is, two authenticators, and nobody who agrees.

A1  rules on secrets of two people, made weaker in every dimension
A2  other people's accounts: recovery, tickets, authenticators, passwords
A3  break-glass
A4  a machine whose secret ids take two people
A5  their own limits
A6  their own device, and the rules that it has to meet
A7  what ends everything when it is given no name
A8  requests of their own, approved by the people whom they made or became
A9  a harmless change before serious ones, so that nobody is told of these
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from tests.attacks.positions.attempts import Attempts, Row
from tests.attacks.positions.touches import authenticator
from tests.support.devices.soft_device import SoftDevice
from tests.support.people.softauth import SoftAuthenticator

AT: Final = "auth/passkey"
NO_NAMES: Final = ("", "/", "//", " ", " /")
ENDING: Final = [
    ("sys/leases/revoke", "lease_id"), ("auth/token/revoke", "token"),
    ("auth/token/revoke-orphan", "token"), ("auth/token/revoke-accessor", "accessor"),
    ("auth/approle/role/web/secret-id/destroy", "secret_id"),
    ("auth/approle/role/web/secret-id-accessor/destroy", "secret_id_accessor"),
    ("sys/remount", "from"), ("secret/destroy/hers", "versions"),
    ("secret/delete/hers", "versions"),
]  # fmt: skip
"""Routes that end what a field of the body names."""
KEPT: Final = 2
"""Requests that are left waiting, of the three that may."""
LINK: Final = re.compile(r"/ui/step-up/([\w-]+)")
NUMBER: Final = re.compile(r"number (\d{3})\b")


class Administrator:
    """Tries what one person can who may do everything."""

    def __init__(self, attempts: Attempts) -> None:
        self.attempts: Final = attempts
        self.target: Final = attempts.target
        self.token: Final[str] = self.target["token"]
        own = self.target["passkey"]["name"]
        self.puppets: Final = f"{own}-puppet1", f"{own}-puppet2"
        self.waiting: Final[list[tuple[Any, int]]] = []
        """What waits for another person: where it is kept, and the number to approve it with."""
        self.hands: Final[list[str]] = [self.token]
        """Tokens of everybody whom the administrator made or became."""

    def run(self) -> None:
        """Try the steps that were asked for: a person gets so many approvals an hour."""
        self.make_people()
        for step in self.target["steps"]:
            getattr(self, step)()
        self.read()
        self.approve_alone()
        self.read()

    def ask(
        self,
        row: Row,
        method: str,
        path: str,
        data: Any = None,
        token: str = "",
        *,
        touch: bool = True,
    ) -> Any:
        """Ask, touch when that is asked for, and set aside what waits for another person."""
        token, nowhere = token or self.token, self.attempts.nowhere
        answer = self.attempts.ask(row, nowhere, method, path, data, token)
        link = LINK.search(self.attempts.answers[-1])
        if answer is None and touch and link and self.touched(link[1]):
            answer = self.attempts.ask(row, nowhere, method, path, data, token)
        info = answer.get("wrap_info") if isinstance(answer, dict) else None
        number = NUMBER.search(str(answer.get("warnings"))) if info else None
        if number:
            row.let_in -= 1
            self.set_aside(info, int(number[1]), token)
            return None
        return answer

    def set_aside(self, info: Any, number: int, token: str) -> None:
        """Keep a request for later, or withdraw it: few of one person's may wait at a time."""
        if token == self.token and len(self.waiting) < KEPT:
            self.waiting.append((info, number))
            return
        path = f"approval/requests/{info['accessor']}/withdraw"
        self.attempts.ask(Row("", ""), self.attempts.nowhere, "POST", path, {}, token)

    def touched(self, demand: str) -> bool:
        """Give the touch that a request asks for, by the administrator's own authenticator."""
        nowhere, ignored = self.attempts.nowhere, Row("", "")
        path = f"{AT}/step-up/{demand}"
        shown = self.attempts.ask(ignored, nowhere, "GET", path)
        if not shown:
            return False
        signed = authenticator(self.target["passkey"]).get(shown["data"]["options"])
        return self.attempts.ask(ignored, nowhere, "POST", path, {"credential": signed}) is not None

    def make_people(self) -> None:
        """Make people up, with authenticators of the administrator's, and log in as them."""
        row = self.attempts.row("A0", "control: people made up, and tokens of all kinds")
        for name in self.puppets:
            self.ask(row, "POST", f"{AT}/users/{name}", {"token_policies": self.target["policies"]})
            ticket = self.ask(row, "POST", f"{AT}/users/{name}/ticket", {})["data"]["ticket"]
            key = SoftAuthenticator()
            for label in ("one", "two"):
                begun = self.ask(row, "POST", f"{AT}/register/begin", {"ticket": ticket})["data"]
                made = {"id": begun["id"], "credential": key.create(begun["options"])}
                given = {**made, "label": label}
                ticket = self.ask(row, "POST", f"{AT}/register/finish", given)["data"].get("ticket")
            begun = self.ask(row, "POST", f"{AT}/login/begin", {"username": name})["data"]
            signed = {"id": begun["id"], "credential": key.get(begun["options"])}
            self.become(self.ask(row, "POST", f"{AT}/login/finish", signed))
        self.become(self.ask(row, "POST", "auth/token/create-orphan", {}))
        self.become(self.ask(row, "POST", "auth/token/create", {"no_parent": True}))

    def become(self, answer: Any) -> None:
        """Keep the token of an answer."""
        if answer and answer.get("auth"):
            self.hands.append(answer["auth"]["client_token"])

    def weaken(self) -> None:
        """Make the rule on secrets of two people weaker, at every path that it may be known by."""
        row = self.attempts.row("A1", "the rule on secrets of two people, made weaker by one")
        for path in ("secret/two-person", "secret/data/two-person/"):
            for change in ({"class": "open"}, {"class": "guarded"}):
                self.ask(row, "POST", f"sys/classes/{path}", change)
            self.ask(row, "DELETE", f"sys/classes/{path}")
        self.ask(row, "POST", "sys/remount", {"from": "secret", "to": "elsewhere"})
        self.ask(row, "DELETE", "sys/mounts/secret")
        row = self.attempts.row("A1", "rules beside it, which may say what they like")
        for path in (
            "secret/two-person/0",
            "secret/metadata/two-person/0",
            "secret/data/two-person/0/",
        ):
            self.ask(row, "POST", f"sys/classes/{path}", {"class": "open"})
            self.ask(row, "DELETE", f"sys/classes/{path}")

    def take_over(self) -> None:
        """Become somebody else."""
        name = self.target["other"]
        row = self.attempts.row("A2", "the account of another person, by one")
        for token in self.hands:
            given = {"reason": "lost her keys, seen in person"}
            self.ask(row, "POST", f"{AT}/recovery/{name}", given, token)
        for each in (name, name.upper(), f" {name}", f"{name} "):
            self.ask(row, "POST", f"{AT}/recovery/{each}/ticket", {})
            self.ask(row, "POST", f"{AT}/users/{each}/ticket", {})
            self.ask(row, "DELETE", f"{AT}/users/{each}/authenticators/{self.target['key']}")
        for change in ({"recovery_delay": "1h"}, {"recovery_quorum": 1}, {"rp_id": "evil.example"},
                       {"origins": ["https://evil.example"]}):  # fmt: skip
            self.ask(row, "POST", f"{AT}/config", change)
        own = self.target["passkey"]["credential"]
        self.ask(row, "DELETE", f"{AT}/authenticators/{own}", touch=False)
        control = self.attempts.row("A2", "control: a colleague's password, set anew")
        colleague = self.target["colleague"]
        at = f"auth/userpass/users/{colleague}/password"
        self.ask(control, "POST", at, {"password": "set by another"})
        path = f"auth/userpass/login/{colleague}"
        self.become(self.ask(control, "POST", path, {"password": "set by another"}))

    def break_glass(self) -> None:
        """Open break-glass as several people, all made up."""
        row = self.attempts.row("A3", "break-glass, by one")
        at = "sys/break-glass"
        given = {"threshold": 2, "policies": self.target["policies"], "ttl": "30m"}
        self.ask(row, "POST", f"{at}/config", given)
        self.ask(row, "POST", f"{at}/config", {**given, "threshold": 1})
        for name in (*self.puppets, "nobody", self.target["passkey"]["name"]):
            self.ask(row, "POST", f"{at}/people/{name}", {})
        for token in self.hands:
            self.ask(row, "POST", f"{at}/codes", {}, token)
        for name in self.puppets:
            self.ask(row, "POST", f"{at}/open", {"name": name, "code": "0" * 20, "reason": "x"})

    def be_a_machine(self) -> None:
        """Log in as a machine whose secret ids take two people, in every spelling of its name."""
        row = self.attempts.row("A4", "secret ids that take two people, in other spellings")
        role, given = self.target["machine"], Row("", "")
        found = self.ask(given, "GET", f"auth/approle/role/{role}/role-id")
        login = {"role_id": found["data"]["role_id"]} if found else {}
        seen = []
        for name in (role, role.upper(), f"{role}/", f" {role}", f"{role} "):
            at = f"auth/approle/role/{name}"
            seen.append(self.ask(row, "POST", f"{at}/secret-id", {}))
            self.ask(row, "POST", f"{at}/custom-secret-id", {"secret_id": "x" * 40})
            self.ask(row, "POST", at, {"bind_secret_id": False})
        row = self.attempts.row("A4", "logins as that machine")
        for secret in ("x" * 40, "", *(each["data"]["secret_id"] for each in seen if each)):
            self.ask(row, "POST", "auth/approle/login", {**login, "secret_id": secret})

    def lift_limits(self) -> None:
        """Raise one's own budget, by every hand."""
        row = self.attempts.row("A5", "one's own limits, raised by one")
        more = {"hour": 9_000, "day": 9_000, "month": 9_000}
        for token in self.hands:
            for path in (f"entity/{self.target['entity']}", "defaults/entity", "house/all"):
                self.ask(row, "POST", f"sys/budgets/{path}", more, token)
            self.ask(row, "POST", "sys/budgets/defaults", {"soft": 100}, token)
            self.ask(row, "DELETE", f"sys/budgets/entity/{self.target['entity']}", None, token)

    def let_in_a_device(self) -> None:
        """Let a device of one's own in, by every hand, or make the rules for it weaker."""
        made = self.attempts.row("A6", "control: a device of one's own, enrolled")
        row = self.attempts.row("A6", "a device of one's own, let in or excepted by one")
        device = SoftDevice()
        device.enrol(lambda path, data: self.ask(made, "POST", path, data)["data"], "own")
        decision = {"reason": "mine", "until": "30d"}
        for token in self.hands:
            self.ask(row, "POST", f"device/approve/{device.id}", decision, token)
            at = f"device/posture/exceptions/{device.id}/disk-encryption"
            self.ask(row, "POST", at, {"reason": "later", "ttl": "1h"}, token)
        row = self.attempts.row("A6", "rules for devices, made weaker by one")
        self.ask(row, "POST", "device/rules", {"min_key_kind": "file", "privileged_policies": []})
        for mount in ("auth/guarded", "auth/guarded/"):
            self.ask(row, "POST", f"sys/{mount}/tune", {"options": {"token_device": "no"}})
            self.ask(row, "DELETE", f"sys/{mount}")

    def end_everything(self) -> None:
        """End whatever can be ended, by naming nothing."""
        row = self.attempts.row("A7", "what ends things, with nothing named")
        for name in NO_NAMES:
            for path in ("sys/leases/revoke-prefix/", "sys/leases/revoke-force/"):
                self.ask(row, "POST", path + name, {})
                self.ask(row, "PUT", path + name, {})
            for path, field in ENDING:
                self.ask(row, "POST", path, {field: name})
            for mount in ("sys/mounts/", "sys/auth/", "auth/userpass/users/", "secret/metadata/"):
                self.ask(row, "DELETE", mount + name)

    def read(self) -> None:
        """Read what takes two people."""
        row = self.attempts.row("A8", "secrets that take two people, read by one")
        for token in self.hands:
            for number in range(self.target["counts"]["two-person"]):
                for kind in ("data", "subkeys", "metadata"):
                    if kind != "metadata":
                        self.ask(row, "GET", f"secret/{kind}/two-person/{number}", None, token)

    def approve_alone(self) -> None:
        """Approve everything that waits, by every hand, and open it."""
        row = self.attempts.row("A8", "one's own requests, approved by one's own hands")
        opened = self.attempts.row("A8", "one's own requests, opened")
        requests = list(self.waiting)
        for info, number in requests:
            for token in self.hands:
                given = {"accessor": info["accessor"], "number": number}
                self.ask(row, "POST", "sys/control-group/authorize", given, token)
            self.ask(opened, "POST", "sys/wrapping/unwrap", {"token": info["token"]})

    def hide_changes(self) -> None:
        """Take rules away that one may, the harmless one first."""
        row = self.attempts.row("A9", "rules that one may take away, a harmless one first")
        for path in hidden(self.target["real"]):
            self.ask(row, "DELETE", f"sys/classes/{path}")


def hidden(count: int) -> Iterator[str]:
    """Yield the paths of rules, that of the harmless one first."""
    yield "secret/mine/junk"
    yield from (f"secret/mine/real-{number}" for number in range(count))
