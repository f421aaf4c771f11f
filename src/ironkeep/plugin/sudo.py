"""Whether a caller has the sudo capability, for routes that need it of some callers only."""

from ironkeep.plugin.call import Call


def may_sudo(call: Call) -> bool:
    """Return whether policy grants the caller sudo on the path of the request."""
    session = call.actor()
    return session.root or session.acl.decide(call.request.path, call.op, call.raw).sudo
