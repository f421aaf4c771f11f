"""The pages under /ui/: an exact table of packaged files, and their security headers.

The files hold no state and no secret: all data comes from /v1/, with a token that lives in the
memory of one open page. Nothing is stored in the browser, neither in cookies nor in web storage.

Sources: Content Security Policy Level 3, HTML (referrer and opener policies), Permissions Policy.
"""

from collections.abc import Mapping
from importlib.resources import files
from typing import Final

Header = tuple[bytes, bytes]
Found = tuple[list[Header], bytes]

PREFIX: Final = "/ui/"
MAX_ID: Final = 128
"""Characters of the id in /ui/step-up/<id>; the page is the same for all ids."""

_HTML: Final = b"text/html; charset=utf-8"
_SCRIPT: Final = b"text/javascript; charset=utf-8"
_STYLE: Final = b"text/css; charset=utf-8"
_PICTURE: Final = b"image/svg+xml"

_PAGES: Final[Mapping[str, str]] = {
    "register": "register.html",
    "login": "login.html",
    "approvals": "approvals.html",
}
_STEP_UP: Final = "step-up/"
_ASSETS: Final[Mapping[str, bytes]] = {
    "ironkeep.css": _STYLE,
    "ironkeep.svg": _PICTURE,
    "ironkeep.js": _SCRIPT,
    "session.js": _SCRIPT,
    "register.js": _SCRIPT,
    "login.js": _SCRIPT,
    "step-up.js": _SCRIPT,
    "approvals.js": _SCRIPT,
}

CSP: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    b"img-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'; "
    b"require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Only our own files run as scripts or styles. No form is submitted: scripts read the forms.
Trusted Types stop text from becoming markup, even by a mistake in our scripts."""

_PERMISSIONS: Final = (
    b"publickey-credentials-create=(self), publickey-credentials-get=(self), "
    b"camera=(), clipboard-read=(), display-capture=(), geolocation=(), hid=(), "
    b"microphone=(), payment=(), serial=(), usb=()"
)
HEADERS: Final[tuple[Header, ...]] = (
    (b"content-security-policy", CSP),
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", _PERMISSIONS),
    (b"cache-control", b"no-store"),
)


class Pages:
    """All files of the console, read once, with their headers."""

    def __init__(self) -> None:
        folder = files("ironkeep.console") / "static"

        def read(name: str, kind: bytes) -> Found:
            return [*HEADERS, (b"content-type", kind)], (folder / name).read_bytes()

        self._files: Final[Mapping[str, Found]] = {
            **{path: read(name, _HTML) for path, name in _PAGES.items()},
            **{name: read(name, kind) for name, kind in _ASSETS.items()},
        }
        self._step_up: Final = read("step-up.html", _HTML)

    def __call__(self, path: str) -> Found | None:
        """Return headers and body of the file at a URL's path, None when there is none."""
        name = path.removeprefix(PREFIX)
        if name.startswith(_STEP_UP):
            return self._step_up if _is_id(name.removeprefix(_STEP_UP)) else None
        return self._files.get(name)


def _is_id(text: str) -> bool:
    plain = text.replace("-", "").replace("_", "")
    return len(text) <= MAX_ID and plain.isascii() and plain.isalnum()
