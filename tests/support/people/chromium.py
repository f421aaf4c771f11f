"""The system's Chromium without a window, with an authenticator that a test plays the owner of.

    with chromium() as browser, visitor(browser) as eve:
        eve.page.goto("http://localhost:8200/ui/login")
        assert eve.violations() == []

The browser is Debian's; nothing is downloaded. Every wait is bounded. Playwright ends the processes
that it started, by their ids, when a block ends.

Sources: Chrome DevTools Protocol, domain WebAuthn; Content Security Policy Level 3, 5.3 (reports).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright

PROGRAM: Final = Path("/usr/bin/chromium")
WAIT_MS: Final = 60_000
"""For anything that a page is to do; an idle machine needs some 50 ms."""
START_MS: Final = 180_000
VIEW: Final[Any] = {"width": 900, "height": 760}

_WATCH: Final = """
window.addEventListener("securitypolicyviolation", (event) =>
  window.violated(`${event.effectiveDirective}: ${event.blockedURI} ${event.sample}`));
"""


def missing() -> str:
    """Return why there can be no browser here; "" when there can, or when CI has to have one."""
    if PROGRAM.is_file() or os.environ.get("CI"):
        return ""
    return f"needs {PROGRAM}"


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a browser; a process that is root needs it without a sandbox of its own.

    Playwright's event loop counts as running in this thread until the block ends.
    """
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=PROGRAM, headless=True, args=arguments, timeout=START_MS
        )
        try:
            yield browser
        finally:
            browser.close()


class Visitor:
    """One person's browser profile with one page, and a record of what that page does."""

    def __init__(self, context: BrowserContext) -> None:
        context.set_default_timeout(WAIT_MS)
        self.context: Final = context
        self._violations: Final[list[str]] = []
        self.errors: Final[list[str]] = []
        """What scripts threw and nobody caught."""
        self.requests: Final[list[str]] = []
        """The URL of every request, whatever it was for."""
        context.expose_function("violated", self._violated)
        context.add_init_script(_WATCH)
        context.on("request", self._asked)
        self.page: Final[Page] = context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self._cdp: Final = context.new_cdp_session(self.page)
        self._cdp.send("WebAuthn.enable", {"enableUI": False})

    def _violated(self, text: str) -> None:
        self._violations.append(text)

    def violations(self) -> list[str]:
        """Return what the content security policy forbade to any page until now."""
        # Events that are under way come first, in the page and on the way here.
        self.page.evaluate("() => new Promise((done) => setTimeout(done)).then(() => violated(''))")
        return [each for each in self._violations if each]

    def _asked(self, request: Request) -> None:
        self.requests.append(request.url)

    @property
    def origins(self) -> set[str]:
        """The origins that were asked for anything."""
        parts = [urlsplit(url) for url in self.requests]
        return {f"{part.scheme}://{part.netloc}" for part in parts if part.scheme != "data"}

    def add_authenticator(self, *, transport: str = "usb", verified: bool = True) -> str:
        """Plug in an authenticator that answers at once; return its id."""
        made = self._cdp.send(
            "WebAuthn.addVirtualAuthenticator",
            {
                "options": {
                    "protocol": "ctap2",
                    "ctap2Version": "ctap2_1",
                    "transport": transport,
                    "hasResidentKey": True,
                    "hasUserVerification": True,
                    "isUserVerified": verified,
                    "automaticPresenceSimulation": True,
                }
            },
        )
        return str(made["authenticatorId"])

    def remove_authenticator(self, authenticator: str) -> None:
        """Unplug an authenticator; what is registered in it is gone."""
        self._cdp.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": authenticator})

    def set_verified(self, authenticator: str, *, verified: bool) -> None:
        """Let the owner be recognised by the authenticator from now on, or not."""
        self._cdp.send(
            "WebAuthn.setUserVerified",
            {"authenticatorId": authenticator, "isUserVerified": verified},
        )

    def credentials(self, authenticator: str) -> list[dict[str, Any]]:
        """Return what is registered in an authenticator, in the words of the protocol."""
        found = self._cdp.send("WebAuthn.getCredentials", {"authenticatorId": authenticator})
        return list(found["credentials"])

    def kept(self) -> dict[str, Any]:
        """Return all that the open page's origin left in the browser."""
        script = """async () => ({
          cookies: document.cookie,
          local: Object.entries(localStorage),
          session: Object.entries(sessionStorage),
          databases: (await indexedDB.databases()).length,
          caches: (await caches.keys()).length,
          workers: (await navigator.serviceWorker.getRegistrations()).length,
        })"""
        kept: dict[str, Any] = self.page.evaluate(script)
        return {**kept, "jar": self.context.cookies()}


NOTHING: Final[dict[str, Any]] = {
    "cookies": "", "local": [], "session": [], "databases": 0, "caches": 0, "workers": 0, "jar": [],
}  # fmt: skip
"""What `Visitor.kept` returns of a page that keeps nothing."""


@contextmanager
def visitor(browser: Browser, *, dark: bool = False) -> Iterator[Visitor]:
    """Open a profile of its own with one page; it is forgotten in the end."""
    context = browser.new_context(
        viewport=VIEW, color_scheme="dark" if dark else "light", locale="en-GB", timezone_id="UTC"
    )
    try:
        yield Visitor(context)
    finally:
        context.close()
