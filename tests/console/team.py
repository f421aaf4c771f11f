"""People of a house with passkeys, each with a browser and an authenticator of their own."""

import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx
from playwright.sync_api import expect

from ironkeep.testing.server import ServerProcess
from tests.support.people.chromium import Visitor

GUARDED: Final = "secret/data/guarded/key"
SHARED: Final = "secret/data/shared/key"
POLICY: Final = """
path "secret/data/*" { capabilities = ["create", "read", "update"] }
path "approval/*" { capabilities = ["read", "list", "update"] }
"""


_LOGIN: Final = """async () => {
  const { ask, sign } = await import("/ui/ironkeep.js");
  const { data } = await ask("POST", "auth/passkey/login/begin", {});
  const given = { id: data.id, credential: await sign(data.options) };
  return (await ask("POST", "auth/passkey/login/finish", given)).auth.client_token;
}"""


@dataclass
class Asked:
    """What somebody who asked for an approval has: their token, what opens it, the number."""

    token: str
    wrapping: str
    accessor: str
    number: int


def set_up(server: ServerProcess, origin: str) -> None:
    """Configure passkeys for the pages' origin, and keep two secrets that take more than policy."""
    server.api("POST", "sys/auth/passkey", {"type": "passkey"})
    party = {"rp_id": urlsplit(origin).hostname, "origins": [origin]}
    server.api("POST", "auth/passkey/config", party)
    server.api("PUT", "sys/policies/acl/team", {"policy": POLICY})
    for path in (GUARDED, SHARED):
        server.api("POST", path, {"data": {"key": "kept"}})
    limits = {"hour": 1_000, "day": 1_000, "month": 1_000}
    server.api("POST", "sys/budgets/defaults/entity", limits)
    server.api("POST", "sys/classes/secret/data/guarded", {"class": "guarded"})
    server.api("POST", "sys/classes/secret/data/shared", {"class": "two-person"})


@dataclass
class Person:
    """Somebody with a name, a browser, and what is plugged into it."""

    name: str
    visitor: Visitor
    server: ServerProcess
    origin: str
    authenticator: str = ""

    def invite(self) -> str:
        """Have an administrator make this person known, and return a ticket for them."""
        path = f"auth/passkey/users/{self.name}"
        self.server.api("POST", path, {"token_policies": "team"})
        return str(self.server.api("POST", f"{path}/ticket", {})["data"]["ticket"])

    def open_ticket(self, ticket: str) -> None:
        """Open the page that a ticket leads to."""
        page = self.visitor.page
        page.goto(f"{self.origin}/ui/register")
        page.get_by_label("Your ticket").fill(ticket)
        page.get_by_role("button", name="Open").click()

    def touch(self, label: str) -> None:
        """Plug in a new authenticator, and register it on the open page."""
        page = self.visitor.page
        self.authenticator = self.visitor.add_authenticator()
        page.get_by_label("A name for this authenticator").fill(label)
        page.get_by_role("button", name="Register with a touch").click()
        status = page.get_by_role("status")
        expect(status).to_contain_text("Your authenticator is registered.")

    def register(self, ticket: str = "") -> None:
        """Register a first authenticator."""
        self.open_ticket(ticket or self.invite())
        self.touch("blue key")

    def credentials(self) -> list[dict[str, Any]]:
        """Return what is registered in this person's authenticator."""
        return self.visitor.credentials(self.authenticator)

    def touches(self) -> int:
        """Return how often this person's authenticator has signed."""
        return int(self.credentials()[0]["signCount"])

    def step_up_link(self, path: str, token: str) -> str:
        """Read what takes a touch; return where that is given, without the origin."""
        link = re.search(r"/ui/step-up/[\w-]+", self.read(path, token).json()["errors"][0])
        assert link is not None
        return link[0]

    def sign_in(self, page: str = "login") -> None:
        """Open a page and sign in on it."""
        self.visitor.page.goto(f"{self.origin}/ui/{page}")
        self.visitor.page.get_by_role("button", name="Sign in with your passkey").click()

    def token(self) -> str:
        """Return a token of a login of one's own, which no page has and ends."""
        self.visitor.page.goto(f"{self.origin}/ui/login")
        return str(self.visitor.page.evaluate(_LOGIN))

    def page_token(self, page: str = "login") -> str:
        """Sign in on a page; return the token that it holds, seen on its way there."""
        with self.visitor.page.expect_response("**/login/finish") as answered:
            self.sign_in(page)
        return str(answered.value.json()["auth"]["client_token"])

    def read(self, path: str, token: str, **parameters: str) -> httpx.Response:
        """Read at the API with a token."""
        given = {name: value for name, value in parameters.items() if value}
        url = f"{self.server.address}/v1/{quote(path)}"
        headers = {"X-Vault-Token": token}
        return httpx.get(url, params=given, headers=headers, trust_env=False)

    def lookup(self, token: str) -> int:
        """Return the status of asking who a token is."""
        return self.read("auth/token/lookup-self", token).status_code

    def post(self, path: str, data: dict[str, str], token: str = "") -> httpx.Response:
        """Write to the API."""
        url = f"{self.server.address}/v1/{path}"
        headers = {"X-Vault-Token": token} if token else {}
        return httpx.post(url, json=data, headers=headers, trust_env=False)

    def unwrap(self, asked: Asked) -> httpx.Response:
        """Open what was asked for, as who asked."""
        return self.post("sys/wrapping/unwrap", {"token": asked.wrapping}, asked.token)
