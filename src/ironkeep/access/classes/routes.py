"""The routes of `sys/classes/<API path>`: what reading below a path takes beyond policy.

A caller names the mount of a rule by its present path; the rule is stored by the mount's uuid, so
it follows a remount. Any API path that reaches a secret names it. On a KV version 2 mount
`secret/prod` and `secret/data/prod` are the same, and so are `metadata/`, `subkeys/`, `delete/`,
`undelete/` and `destroy/`; an AppRole role may be written in capitals too.

A change that weakens the demand at a path in any dimension takes itself what was demanded before.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from ironkeep.access.alerts.alerts import Alerts
from ironkeep.access.classes.classes import Classes, Rule, weakened
from ironkeep.access.second_person import require_another, waits
from ironkeep.core.errors import InvalidRequest, NotFound
from ironkeep.core.operation import Operation
from ironkeep.core.policy.secret_class import BY_TEXT
from ironkeep.plugin.call import Call
from ironkeep.plugin.fields import FoldedText
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.mounts import Mounts
from ironkeep.plugin.plans import SecretPaths
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route
from ironkeep.store.reserved import MOUNTS


@dataclass(frozen=True)
class Prefix:
    """An API path: a mount, or a prefix in it."""

    path: str


@dataclass(frozen=True)
class SetClass:
    """The class below a path; `approvals` and `group` are for classes that need approval."""

    path: str
    secret_class: str = field(
        default="", metadata={"alias": ("class", "guard"), "help": "its class"}
    )
    approvals: int = 1
    group: FoldedText = ""


def read(call: Call, given: Prefix) -> Response:
    """Return the rule at a path, and the class there by all rules."""
    mount, prefix = find_secret(call, given.path)
    rule = call.use(Classes).rule(call.tx, mount.uuid, prefix)
    if rule is None:
        raise NotFound("")
    effective = call.use(Classes).of(call.tx, mount.uuid, prefix)
    return Response(data={**_shown(rule), "effective": effective.text})


def write(call: Call, given: SetClass) -> Response:
    """Set the rule at a path."""
    mount, prefix = find_secret(call, given.path)
    if given.secret_class not in BY_TEXT:
        raise InvalidRequest(f"class is one of {', '.join(BY_TEXT)}")
    rule = Rule(mount.uuid, prefix, given.secret_class, given.approvals, given.group)
    classes = call.use(Classes)
    answer = _weaken(call, mount, prefix, classes.with_rule(call.tx, rule))
    if not waits(answer):
        classes.put(call.tx, rule, call.now_ns)
    return answer


def delete(call: Call, given: Prefix) -> Response:
    """Remove the rule at a path."""
    mount, prefix = find_secret(call, given.path)
    classes = call.use(Classes)
    answer = _weaken(call, mount, prefix, classes.without(call.tx, mount.uuid, prefix))
    if not waits(answer):
        classes.delete(call.tx, mount.uuid, prefix, call.now_ns)
    return answer


def list_rules(call: Call) -> Response:
    """Return every rule, by its path."""
    table = call.use(Mounts).table(call.services.store(call.tx, MOUNTS))
    paths = {mount.uuid: mount for mount in table.by_path.values()}
    found = {
        _path_of(paths[rule.mount], rule.prefix): _shown(rule)
        for rule in call.use(Classes).table(call.tx).rules
        if rule.mount in paths
    }
    if not found:
        raise NotFound("")
    return Response(data={"keys": sorted(found), "key_info": found})


def find_secret(call: Call, path: str) -> tuple[Mount, str]:
    """Return the mount that serves an API path, and the path below it in the form of rules."""
    return call.use(SecretPaths).secret_at(call.tx, path)


def _weaken(call: Call, mount: Mount, prefix: str, after: tuple[Rule, ...]) -> Response:
    """Ask for what the rules demanded before a change that weakens them, and raise an alert."""
    rules = call.use(Classes).table(call.tx).rules
    before = weakened(rules, after, mount.uuid, prefix)
    if before is None:
        return Response()
    answer = require_another(call, before)
    if not waits(answer):
        record = call.actor().record
        call.use(Alerts).raise_(
            call.tx, "class", _text(_at(rules, mount, prefix), _at(after, mount, prefix)),
            call.now_ns, entity=record.entity, device=record.device, path=call.request.path,
        )  # fmt: skip
    return answer


def _at(rules: Iterable[Rule], mount: Mount, prefix: str) -> Rule | None:
    return next((r for r in rules if (r.mount, r.prefix) == (mount.uuid, prefix)), None)


def _text(before: Rule | None, after: Rule | None) -> str:
    was, now = ("no rule" if each is None else each.secret_class for each in (before, after))
    text = f"a rule went from class {was} to {now}"
    if before is None or after is None:
        return text
    if after.approvals < before.approvals:
        text += f", from {before.approvals} approvals to {after.approvals}"
    if before.group and after.group != before.group:
        text += f", from group {before.group} to {after.group or 'none'}"
    return text


def _shown(rule: Rule) -> dict[str, Any]:
    return {"class": rule.secret_class, "approvals": rule.approvals, "group": rule.group}


def _path_of(mount: Mount, prefix: str) -> str:
    if not prefix:
        return mount.path
    return f"{mount.path}{'data/' if _is_kv2(mount) else ''}{prefix}"


def _is_kv2(mount: Mount) -> bool:
    return mount.type == "kv" and mount.options.get("version") == "2"


_AUDITED: Final = ("path", "secret_class", "approvals", "group")

ROUTES: Final = (
    Route(Operation.LIST, "classes/", list_rules, sudo=True, help="All rules."),
    Route(
        Operation.READ, "classes/{path...}", read, Prefix, sudo=True, folder="path",
        help="What reading below a path takes.",
    ),
    Route(
        Operation.UPDATE, "classes/{path...}", write, SetClass, sudo=True, quorum=True,
        audited=_AUDITED, folder="path", help="Set what reading below a path takes.",
    ),
    Route(
        Operation.DELETE, "classes/{path...}", delete, Prefix, sudo=True, quorum=True,
        audited=("path",), folder="path", help="Remove a rule.",
    ),
)  # fmt: skip
