"""Handing a login in a browser to a command on the same machine (RFC 8252, with PKCE, RFC 7636).

    code / minute / hash -> the user, and the challenge that the command's verifier must match

The command listens on 127.0.0.1 and opens the login page with an id that holds its port and the
hash of its own secret, the verifier (RFC 7636, S256). The browser gets a code instead of a token
and navigates to the command with it; it navigates because browsers block pages that fetch from
loopback. A code is good once, within a minute, and only with the verifier; a wrong verifier uses
it up.
"""

import hmac
import re
import struct
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

import msgspec

from ironkeep.auth.passkey.people import User
from ironkeep.core.errors import InvalidCredentials, InvalidRequest
from ironkeep.core.ids import EntityId
from ironkeep.core.secret import Secret
from ironkeep.core.units import SECOND_NS
from ironkeep.core.webauthn import webauthn
from ironkeep.plugin.call import Call
from ironkeep.plugin.response import Response, Unkept
from ironkeep.store.barrier import Store
from ironkeep.store.record import Codec

CODE_NS: Final = 60 * SECOND_NS
CODE_BYTES: Final = 32
PRUNE: Final = 256
"""Codes of past minutes, never fetched, that are removed each time a code is made."""
LOWEST_PORT: Final = 1_024
HIGHEST_PORT: Final = 65_535

_FORM: Final = struct.Struct(">BH32s32s")
_VERSION: Final = 1
_STATE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER: Final = re.compile(rb"[A-Za-z0-9._~-]{43,128}")
"""RFC 7636, 4.1."""


@dataclass(frozen=True)
class StartInput:
    """The address of a waiting command, and its PKCE challenge."""

    port: int = field(metadata={"help": "The port on 127.0.0.1 that the command listens on."})
    state: str = field(metadata={"help": "32 random bytes in base64url, returned in the redirect."})
    code_challenge: str = field(
        metadata={"help": "SHA-256 of the verifier in base64url (RFC 7636, S256)."}
    )


@dataclass(frozen=True)
class FetchInput:
    """A code, and the verifier of the command that asked for it."""

    code: Secret = field(metadata={"help": "The code that came to the loopback address."})
    code_verifier: Secret = field(metadata={"help": "The text that code_challenge is the hash of."})


@dataclass(frozen=True, slots=True)
class Waiting:
    """A waiting command, as its id describes it."""

    port: int
    state: bytes
    challenge: bytes


class Code(msgspec.Struct, frozen=True, omit_defaults=True):
    """A login that waits to be fetched: its user, and the authenticator that was touched."""

    name: str
    challenge: bytes
    expires_ns: int
    entity: EntityId = EntityId("")
    credential: str = ""
    made_ns: int = 0


_CODE: Final = Codec(Code)


def start(call: Call, given: StartInput) -> Response:
    """Return the id to open the login page with; nothing is stored."""
    del call
    if not LOWEST_PORT <= given.port <= HIGHEST_PORT:
        raise InvalidRequest(f"port is {LOWEST_PORT} to {HIGHEST_PORT}")
    if _STATE.fullmatch(given.state) is None:
        raise InvalidRequest("state is 32 random bytes in base64url")
    state, challenge = webauthn.decode(given.state, 32), webauthn.decode(given.code_challenge, 32)
    if len(challenge) != sha256().digest_size:
        raise InvalidRequest("code_challenge is a SHA-256 in base64url")
    cli = webauthn.encode(_FORM.pack(_VERSION, given.port, state, challenge))
    return Response(data={"cli": cli, "page": f"/ui/login?cli={cli}"})


def parse(cli: str) -> Waiting:
    """Return the command that an id describes; raise InvalidRequest unless `start` made the id."""
    raw = webauthn.decode(cli, _FORM.size)
    if len(raw) == _FORM.size:
        version, port, state, challenge = _FORM.unpack(raw)
        if version == _VERSION and port >= LOWEST_PORT:
            return Waiting(port, state, challenge)
    raise InvalidRequest("cli is not an id that cli/start gave")


def hand_over(call: Call, user: User, credential: str, cli: str) -> Response:
    """Store a login to be fetched; return the redirect that takes its code to the command."""
    waiting = parse(cli)
    text = webauthn.encode(call.entropy.token(CODE_BYTES))
    expires_ns = call.now_ns + CODE_NS
    _prune(call)
    code = Code(user.name, waiting.challenge, expires_ns, user.entity, credential, call.now_ns)
    call.store.put(_path(text.encode(), expires_ns), _CODE.encode(code))
    state = webauthn.encode(waiting.state)
    address = f"http://127.0.0.1:{waiting.port}/cb?code={text}&state={state}"
    return Response(
        data={"redirect": Unkept(address.encode())},
        audited={"username": user.name, "credential": credential},
    )


def fetch(call: Call, given: FetchInput) -> Code:
    """Use a code up and return its login; raise InvalidCredentials, with the code used up too."""
    store: Store = call.lasting
    code = given.code.reveal()
    for expires_ns in (call.now_ns, call.now_ns + CODE_NS):
        path = _path(code, expires_ns)
        raw = store.get(path)
        if raw is None:
            continue
        store.delete(path)
        kept = _CODE.decode(raw)
        verifier = given.code_verifier.reveal()
        right = hmac.compare_digest(sha256(verifier).digest(), kept.challenge)
        if right and _VERIFIER.fullmatch(verifier) and call.now_ns < kept.expires_ns:
            return kept
    raise InvalidCredentials("the code is not valid: it was used, it expired, or is not for you")


def _path(code: bytes, expires_ns: int) -> str:
    return f"code/{expires_ns // CODE_NS}/{sha256(code).hexdigest()}"


def _prune(call: Call) -> None:
    for minute in call.store.list("code", PRUNE):
        if (int(minute.rstrip("/")) + 1) * CODE_NS <= call.now_ns:
            call.store.clear(f"code/{minute}", PRUNE)
