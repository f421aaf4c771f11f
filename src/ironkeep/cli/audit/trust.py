"""The keys to trust when a log is checked offline: a pinned key, a policy's, or none."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from ironkeep.cli.client.inputs import read_file
from ironkeep.core.errors import InvalidRequest
from ironkeep.tlog.note import NoteVerifier, VerifierKey
from ironkeep.tlog.policy import MAX_POLICY, Policy


@dataclass(frozen=True, slots=True)
class Trust:
    """The trusted keys of logs, and the policy whose quorum must have cosigned, if any."""

    keys: tuple[VerifierKey, ...]
    policy: Policy | None

    def key_of(self, origin: str) -> VerifierKey:
        """Return the trusted key of the log with this origin; raise InvalidRequest if none is."""
        for key in self.keys:
            if key.name == origin:
                return key
        raise InvalidRequest(f"no key was given for the log {origin}")

    def verifiers(self) -> tuple[NoteVerifier, ...]:
        """Return a verifier for each key."""
        return tuple(map(NoteVerifier, self.keys))

    def quorum(self) -> Policy:
        """Return the policy, or one that requires no cosignature."""
        return self.policy or Policy.parse(b"quorum none\n")


def trust_of(args: argparse.Namespace) -> Trust:
    """Return the keys that -vkey and -policy name; no keys if neither is given."""
    policy = Policy.parse(read_file(Path(args.policy), MAX_POLICY)) if args.policy else None
    if args.vkey:
        return Trust((VerifierKey.parse(args.vkey.strip()),), policy)
    return Trust(tuple(log.key for log in policy.logs) if policy else (), policy)


def trust_arguments(parser: argparse.ArgumentParser) -> None:
    """Add -vkey and -policy."""
    add = parser.add_argument
    add("--vkey", metavar="VKEY", help="the log's verifier key, noted when the log was begun")
    add("--policy", metavar="FILE", help="a c2sp.org/tlog-policy: logs, witnesses, quorum")
