"""The check for the sudo capability, for routes that need it only in some cases."""

from ironkeep.plugin.call import Call


def may_sudo(call: Call) -> bool:
    """Return whether policy grants the caller sudo on the request's path."""
    session = call.actor()
    return session.root or session.acl.decide(call.request.path, call.op, call.raw).sudo
