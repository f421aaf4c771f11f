"""`ironkeep witness`: a server that cosigns logs, and with -mirror stores copies of them.

Run it on another machine, under another administrator. Its key is made at the first start, stays in
its directory, and must never be used with an older copy of that directory.
"""

import argparse
from pathlib import Path
from typing import Final

from ironkeep.adapters.log.files import DirectoryLogFiles
from ironkeep.adapters.process import messages as log, signals
from ironkeep.adapters.process.system import SystemClock, SystemEntropy, forget_steering
from ironkeep.api.listening import is_loopback
from ironkeep.api.witness.mirror import Mirror
from ironkeep.api.witness.server import serve
from ironkeep.api.witness.state import Witness
from ironkeep.api.witness.witness import WitnessApp
from ironkeep.cli.client.inputs import read_file
from ironkeep.cli.command import Command, Context
from ironkeep.cli.exits import OK
from ironkeep.cli.failures import naming_places
from ironkeep.cli.output import log_file
from ironkeep.config.settings import Listener
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.secret import Secret
from ironkeep.tlog.cosignature import Cosigner
from ironkeep.tlog.note import KeyType, SigningKey, VerifierKey

ADDRESS: Final = "127.0.0.1:8210"

_KEY: Final = "witness-key"
_KEY_SIZE: Final = 32
_MAX_KEY: Final = 1_024
_MAX_LIST: Final = 1 << 16
_ACTIONS: Final = ("serve", "vkey")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    add = parser.add_argument
    add("action", nargs="?", choices=_ACTIONS, default="serve", metavar="serve|vkey")
    add("--dir", metavar="DIR", help="the witness's state: its key and the checkpoints it saw")
    add("--name", metavar="NAME", help="the witness's name (first start), e.g. tower.example/w1")
    add("--listen", metavar="HOST:PORT", default=ADDRESS, help=f"default {ADDRESS}")
    add("--log", metavar="VKEY", action="append", default=[], help="a log to witness; repeatable")
    add("--logs", metavar="FILE", help="a file of such keys, one per line")
    add("--mirror", metavar="DIR", help="store the logs' entries here, and cosign once stored")
    add("--tls-cert", metavar="FILE", help="PEM certificate; required unless on loopback")
    add("--tls-key", metavar="FILE", help="its private key")
    log_file.add_argument(parser)


def run(context: Context) -> int:
    """Serve until told to stop, or print the verifier key."""
    args = context.args
    if args.dir is None:
        raise InvalidRequest("give -dir, a directory that only this witness uses")
    folder = Path(args.dir)
    # Without the lock, `vkey` also works while the witness runs.
    readonly = args.action == "vkey" and (folder / _KEY).exists()
    with naming_places():
        files = DirectoryLogFiles(folder, readonly=readonly)
    try:
        cosigner = _cosigner(files, args.name)
        if args.action == "vkey":
            context.terminal.say(cosigner.key.format())
            return OK
        return _serve(args, files, cosigner)
    finally:
        files.close()


def _serve(args: argparse.Namespace, files: DirectoryLogFiles, cosigner: Cosigner) -> int:
    signals.hold()
    log_file.begin(args)
    forget_steering()
    listener = _listener(args)
    keys = _log_keys(args)
    mirrors = args.mirror is not None
    witness = Witness(files, keys, cosigner, SystemClock(), cosigns=not mirrors)
    with naming_places():
        copies = DirectoryLogFiles(Path(args.mirror)) if mirrors else None
    try:
        mirror = Mirror(copies, witness) if copies is not None else None

        def ready(address: str) -> None:
            log.say(f"{'mirror' if mirrors else 'witness'} {cosigner.key.format()} at {address}")

        serve(WitnessApp(witness, mirror), listener, ready, signals.watch, log.say)
    finally:
        if copies is not None:
            copies.close()
    return OK


def _cosigner(files: DirectoryLogFiles, name: str | None) -> Cosigner:
    """Return the witness's cosigner; its key is made and stored durably at the first start."""
    try:
        text = files.read(_KEY, 0, _MAX_KEY)
    except FileNotFoundError:
        entropy = SystemEntropy()
        given = name or f"ironkeep-witness/{entropy.token(4).hex()}"
        text = SigningKey(given, Secret(entropy.token(_KEY_SIZE))).format().reveal() + b"\n"
        files.replace(_KEY, text)
    key = SigningKey.parse(Secret(text.removesuffix(b"\n")))
    if name not in {None, key.name}:
        raise InvalidRequest(f"this directory belongs to the witness {key.name}")
    return Cosigner(key)


def _log_keys(args: argparse.Namespace) -> list[VerifierKey]:
    """Return the keys given by flags and in the file; raise InvalidRequest if there are none."""
    lines = list(args.log)
    if args.logs is not None:
        lines += read_file(Path(args.logs), _MAX_LIST).decode(errors="replace").splitlines()
    keys = [VerifierKey.parse(line.strip()) for line in lines if line.strip()]
    for key in keys:
        if key.kind is not KeyType.ED25519:
            raise InvalidRequest(f"{key.name}: this is the key of a witness, not of a log")
    if not keys:
        raise InvalidRequest(
            "give -log VKEY for each log; its VKEY is in the file `vkey` of its audit directory"
        )
    return keys


def _listener(args: argparse.Namespace) -> Listener:
    host, _, port = args.listen.rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise InvalidRequest("-listen is host:port")
    host = host.strip("[]")
    if (args.tls_cert is None) != (args.tls_key is None):
        raise InvalidRequest("give both -tls-cert and -tls-key")
    if args.tls_cert is None and not is_loopback(host):
        raise InvalidRequest(
            "an address that other machines reach needs TLS: give -tls-cert and -tls-key"
        )
    cert, key = (Path(one) if one else None for one in (args.tls_cert, args.tls_key))
    return Listener(host, int(port), cert, key)


WITNESS: Final = Command(
    "Cosign the checkpoints of logs, and with -mirror store their entries, on another machine.",
    run,
    usage="[serve|vkey]",
    examples=(
        "  $ ironkeep witness -dir /var/lib/witness -listen 127.0.0.1:8210 -log VKEY\n"
        "  $ ironkeep witness -dir /var/lib/witness -mirror /srv/mirror -log VKEY\n"
        "  $ ironkeep witness vkey -dir /var/lib/witness"
    ),
    arguments=add_arguments,
    remote=False,
    output=False,
)
