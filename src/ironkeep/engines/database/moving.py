"""The evidence that a connection may lead elsewhere without its password being given again.

After rotate-root nobody knows that password, and yet a host gets another name. Whoever may write
the configuration could otherwise point it at a host of their own, which passes the login on to the
real server and then acts as the administrator. So the new hosts have to prove more than that the
login succeeds there:

    password given                       the writer knows it anyway
    the same hosts, database and TLS     they prove that they hold the verifier (SCRAM)
    other hosts or CAs, under TLS        they prove that, and the proof covers their certificate
    anything else                        another person approves, and they prove that

The third is SCRAM-SHA-256-PLUS (RFC 5929, tls-server-end-point): a host in between has another
certificate than the server whose verifier it needs.
"""

from enum import Enum

from ironkeep.core.credential.connector import Tls
from ironkeep.engines.database.url import Whereabouts


class Evidence(Enum):
    """The evidence that a change of whereabouts takes."""

    NONE = "no more than any connection"
    PROOF = "each host proves that it holds the verifier"
    BOUND_PROOF = "each host proves it for its own certificate"
    APPROVAL = "another person approves, and each host proves it"


def evidence(
    before: Whereabouts | None, after: Whereabouts, *, password: bool, verify: bool
) -> Evidence:
    """Return the evidence that a change takes; not to `verify` asks for the second person."""
    if before is None or before == after or password:
        return Evidence.NONE
    protection = (after.tls, after.ca_file)
    if set(after.hosts) <= set(before.hosts) and protection == (before.tls, before.ca_file):
        return Evidence.PROOF
    if after.tls is Tls.VERIFY_FULL and verify:
        return Evidence.BOUND_PROOF
    return Evidence.APPROVAL
