"""`ironkeep agent`: enrol this machine, run the agent that forwards its clients, show its state."""

import argparse
import asyncio
import http.client
import json
import os
import socket
import webbrowser
from functools import partial
from pathlib import Path
from typing import Final

from ironkeep.adapters.process import messages as log, signals
from ironkeep.adapters.process.memory_guard import forbid_dumps
from ironkeep.adapters.process.system import SystemClock
from ironkeep.agent.certificates import Certificates
from ironkeep.agent.daemon import Agent
from ironkeep.agent.enrolment import Enrolment, Place, enrol
from ironkeep.agent.keys import KeyKind
from ironkeep.agent.listening import bind_loopback, bind_socket
from ironkeep.agent.posture import report_text
from ironkeep.agent.proxy import STATUS
from ironkeep.agent.tpm_key import RESOURCE_MANAGER
from ironkeep.agent.vault import Vault
from ironkeep.cli.client import tokenfile
from ironkeep.cli.client.connection import DEFAULT_ADDRESS, current_token
from ironkeep.cli.command import Command, Context, Group
from ironkeep.cli.exits import OK
from ironkeep.cli.failures import Unreachable
from ironkeep.cli.output import log_file, render
from ironkeep.config.environment import environment
from ironkeep.core.errors import InvalidRequest

FOLDER: Final = ".ironkeep-agent"
SOCKET: Final = "agent.sock"

_KINDS: Final = ("auto", *KeyKind)
_OWNERS: Final = ("corporate", "personal")
_MAX_STATUS: Final = 1 << 16
_OK: Final = 200


def run_enrol(context: Context) -> int:
    """Make the device key, request its enrolment, and print the command that approves it."""
    args = context.args
    token = current_token()
    if token is None:
        raise InvalidRequest("log in first with `ironkeep login`: only a user can enrol a device")
    vault = Vault(
        args.address or environment("VAULT_ADDR") or DEFAULT_ADDRESS,
        args.ca_cert or environment("VAULT_CACERT"),
    )
    place = _place(args)
    made = enrol(vault, _folder(args), token, args.name, args.ownership, place)
    context.terminal.say(
        f"device {made.device} ({made.name}), key kind {place.kind.value}: proved, waiting for "
        "approval.\n\n"
        "Another administrator approves it with:\n"
        f"  ironkeep write device/approve/{made.device} reason=WHY until=30d\n\n"
        "`ironkeep agent run` then gets the certificate. You can start it now: it keeps asking."
    )
    return OK


def run_agent(context: Context) -> int:
    """Run the agent until told to stop."""
    args = context.args
    signals.hold()
    log_file.begin(args)
    folder = _folder(args)
    enrolment = Enrolment.load(folder)
    key = enrolment.device_key(folder)
    # The private key is in memory now: block dumps and tracing, also by this user's programs.
    forbid_dumps()
    clock = SystemClock()
    vault = Vault(enrolment.address, enrolment.ca_cert)

    def report(device: str, nonce: str) -> str:
        return report_text(device, nonce, clock.now_ns())

    certificates = Certificates(vault, enrolment.device, key, report)
    path = _socket(args)
    unix = bind_socket(path)
    try:
        loopback = bind_loopback(args.listen) if args.listen else None
        if loopback is not None:
            host, port = loopback.getsockname()[:2]
            log.say(f"listening at http://{host}:{port}")
        log.say(f"listening at {path}")
        agent = Agent(enrolment, certificates, clock, log.say, partial(_prompt, args.open))
        asyncio.run(agent.run(unix, loopback, partial(log.say, "ready"), signals.watch))
    finally:
        path.unlink(missing_ok=True)
    return OK


def run_status(context: Context) -> int:
    """Print the status of the running agent."""
    path = _socket(context.args)
    connection = http.client.HTTPConnection("localhost", timeout=5)
    context.closing.callback(connection.close)
    connection.sock = socket.socket(socket.AF_UNIX)
    try:
        connection.sock.connect(str(path))
        connection.request("GET", STATUS)
        answer = connection.getresponse()
        found = json.loads(answer.read(_MAX_STATUS))
    except (OSError, http.client.HTTPException, ValueError):
        raise Unreachable(f"no agent answers at {path}: start `ironkeep agent run`") from None
    if answer.status != _OK or not isinstance(found, dict):
        raise Unreachable(f"the program that answers at {path} is not an agent")
    if context.terminal.structured:
        render.as_json(context.terminal, found)
    else:
        width = max(map(len, found), default=0)
        for name, value in found.items():
            context.terminal.say(f"{name:<{width}}  {value or '-'}")
    return OK


def _prompt(browser: bool, link: str) -> None:
    log.say(f"confirm with your authenticator: {link}")
    if browser:
        webbrowser.open(link)


def _place(args: argparse.Namespace) -> Place:
    """Return the place for the key; `auto` takes the best one available."""
    kind = args.key
    tcti = args.tpm or RESOURCE_MANAGER
    if kind == "auto":
        has_tpm = bool(args.tpm) or os.access("/dev/tpmrm0", os.R_OK | os.W_OK)
        below = KeyKind.PKCS11 if args.pkcs11_module else KeyKind.FILE
        kind = KeyKind.TPM if has_tpm else below
    if kind == KeyKind.TPM:
        return Place(KeyKind.TPM, tcti=tcti)
    if kind == KeyKind.FILE:
        return Place(KeyKind.FILE)
    if not (args.pkcs11_module and args.pkcs11_token and args.pkcs11_pin_file):
        raise InvalidRequest("give -pkcs11-module, -pkcs11-token and -pkcs11-pin-file")
    module, pin = (str(Path(one).absolute()) for one in (args.pkcs11_module, args.pkcs11_pin_file))
    return Place(KeyKind.PKCS11, module=module, token=args.pkcs11_token, pin_file=pin)


def _folder(args: argparse.Namespace) -> Path:
    return Path(args.dir).absolute() if args.dir else tokenfile.home() / FOLDER


def _socket(args: argparse.Namespace) -> Path:
    return Path(args.socket).absolute() if args.socket else _folder(args) / SOCKET


def _add_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dir", metavar="DIR", help=f"the agent's state; default ~/{FOLDER}")


def _add_enrol(parser: argparse.ArgumentParser) -> None:
    _add_dir(parser)
    add = parser.add_argument
    add("--name", metavar="NAME", default=socket.gethostname(), help="the device's name")
    add(
        "--ownership",
        choices=_OWNERS,
        metavar="|".join(_OWNERS),
        required=True,
        help="the device's owner",
    )
    add(
        "--key",
        choices=_KINDS,
        metavar="|".join(_KINDS),
        default="auto",
        help="storage of the key; auto: the best available",
    )
    add("--tpm", metavar="TCTI", help=f"the TPM's address; default {RESOURCE_MANAGER}")
    add("--pkcs11-module", metavar="FILE", help="the PKCS #11 library of the token")
    add("--pkcs11-token", metavar="LABEL", help="the token's label")
    add("--pkcs11-pin-file", metavar="FILE", help="a file with the token's PIN, mode 0600")
    add("--address", metavar="URL", help="URL of the server [VAULT_ADDR]")
    add("--ca-cert", metavar="FILE", help="PEM file with the server's CA [VAULT_CACERT]")


def _add_socket(parser: argparse.ArgumentParser) -> None:
    _add_dir(parser)
    parser.add_argument("--socket", metavar="FILE", help=f"default DIR/{SOCKET}")


def _add_run(parser: argparse.ArgumentParser) -> None:
    _add_socket(parser)
    add = parser.add_argument
    add("--listen", metavar="127.0.0.1:PORT", help="also listen here, for clients without sockets")
    add("--open", action="store_true", help="open the browser to confirm with an authenticator")
    log_file.add_argument(parser)


AGENT: Final = Group("Enrol this device and run its agent.", {
    "enrol": Command(
        "Make this machine's key and request its enrolment, which another person approves.",
        run_enrol,
        examples=(
            "  $ ironkeep agent enrol -ownership=corporate -name='laptop of ann'\n"
            "  $ ironkeep agent enrol -ownership=personal -key=file"
        ),
        arguments=_add_enrol, remote=False, output=False,
    ),
    "run": Command(
        "Keep a fresh certificate and forward this machine's clients to the server.",
        run_agent,
        examples=(
            "  $ ironkeep agent run\n"
            "  $ ironkeep agent run -listen=127.0.0.1:8100"
            "   (then VAULT_ADDR=http://127.0.0.1:8100)"
        ),
        arguments=_add_run, remote=False, output=False,
    ),
    "status": Command(
        "Show the running agent's device and certificate.",
        run_status, arguments=_add_socket, remote=False,
    ),
})  # fmt: skip
