"""Whom to trust when a log is checked offline: a pinned key, a policy, or nobody."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from ironkeep.cli.client.inputs import read_file
from ironkeep.core.errors import InvalidRequest
from ironkeep.tlog.note import NoteVerifier, VerifierKey
from ironkeep.tlog.policy import MAX_POLICY, Policy


@dataclass(frozen=True, slots=True)
class Trust:
    """The keys of logs that count, and the policy whose quorum must have cosigned, if any."""

    keys: tuple[VerifierKey, ...]
    policy: Policy | None

    def key_of(self, origin: str) -> VerifierKey:
        """Return the key of the log of that origin; raise InvalidRequest when none is trusted."""
        for key in self.keys:
            if key.name == origin:
                return key
        raise InvalidRequest(f"no key for the log {origin} is among those given")

    def verifiers(self) -> tuple[NoteVerifier, ...]:
        """Return verifiers for the keys."""
        return tuple(map(NoteVerifier, self.keys))

    def quorum(self) -> Policy:
        """Return the policy, or one that asks for no cosignature."""
        return self.policy or Policy.parse(b"quorum none\n")


def trust_of(args: argparse.Namespace) -> Trust:
    """Return whom the flags -vkey and -policy trust; no keys at all when neither is given."""
    policy = Policy.parse(read_file(Path(args.policy), MAX_POLICY)) if args.policy else None
    if args.vkey:
        return Trust((VerifierKey.parse(args.vkey.strip()),), policy)
    return Trust(tuple(log.key for log in policy.logs) if policy else (), policy)


def trust_arguments(parser: argparse.ArgumentParser) -> None:
    """Add -vkey and -policy."""
    add = parser.add_argument
    add("--vkey", metavar="VKEY", help="the log's verifier key, as you noted it when it was made")
    add("--policy", metavar="FILE", help="a c2sp.org/tlog-policy: logs, witnesses, quorum")
