"""Find the exposed values by which somebody gets into this vault: tokens, secret ids, passwords.

A secret that was read may be a token of the vault itself, or what a machine or a person logs in
with. Storing another value in its place ends none of these.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from ironkeep.core.errors import PermissionDenied
from ironkeep.core.evidence.node import NodeId, NodeKind, node, place_of
from ironkeep.core.evidence.reach import EdgeKind
from ironkeep.core.secret import Secret
from ironkeep.identity.roles import Accepting
from ironkeep.incident.case.fingerprints import layers
from ironkeep.incident.case.guesses import HOUR_NS, Guesses
from ironkeep.incident.case.workspace import Workspace
from ironkeep.incident.eviction.elsewhere import exposed_texts, fields_at
from ironkeep.incident.eviction.texts import forms_of
from ironkeep.plugin.call import Call
from ironkeep.plugin.effects.effects import Steps, Turn, pause
from ironkeep.store.reserved import escape_part

MAX_TRIED: Final = 64
"""Passwords tried for one version, of users whom it names: some 50 ms of a worker each."""

MAX_AN_HOUR: Final = 20
"""Passwords tried for one login in an hour, by whomever: the pace that Vault's user lockout leaves
to guesses, so that a probe is no way around it. A name that is locked is tried, too."""

MAX_NAMING: Final = 1_024
"""Bytes of a text in which names of users are looked for."""

_NAME: Final = re.compile(r"[\w.@+-]+")
_TOKEN: Final = re.compile(rb"hv[sb]\.[A-Za-z0-9_-]+")
_TOO_MANY: Final = "it names more logins of this vault than can be tried: exempt it"
_TOO_OFTEN: Final = (
    "as many values were tried for a login that it names as may be in an hour: probe again later, "
    "or exempt it"
)
_BASIS: Final = "a token of this vault was in it"


def accepted(workspace: Workspace, versions: Iterable[NodeId]) -> Steps[dict[NodeId, str]]:
    """Return what this vault still accepts of the values of versions, in words, by version.

    A token that works is linked to the version that has it, so that it is exposed in the case. The
    turn in which it begins must not have written anything.
    """
    found = dict[NodeId, str]()
    turn = yield from pause()
    for version in versions:
        texts = exposed_texts(workspace, version)
        tokens = _tokens(workspace, version, texts, turn)
        words = tokens or (yield from _logins(workspace, version, texts, turn))
        if words:
            found[version] = words
        turn = yield from pause()
    return found


def _tokens(workspace: Workspace, version: NodeId, texts: list[bytes], turn: Turn) -> str:
    """Link a version to the live tokens in it; return one in words, or ""."""
    tokens, words = workspace.house.tokens, ""
    for each in {each for text in texts for each in _may_be_tokens(text)}:
        try:
            _, record = tokens.find(turn.tx, Secret(each), turn.now_ns)
        except PermissionDenied:
            continue
        words = "it is a token of this vault, and works"
        if record.accessor:
            session = node(NodeKind.SESSION, record.accessor)
            workspace.house.scope.linked(
                version, EdgeKind.HOLDS, (session,), _BASIS, turn.now_ns, workspace.by
            )
            words = f"{words}: contain token:{record.accessor}"
    return words


def _may_be_tokens(text: bytes) -> Iterator[bytes]:
    yield from forms_of(text)
    for layer in layers(text):
        yield from _TOKEN.findall(layer)


def _logins(workspace: Workspace, version: NodeId, texts: list[bytes], turn: Turn) -> Steps[str]:
    """Return a login of this vault for which a version is good, in words, or ""."""
    _, path = place_of(version)
    secrets = {form for text in texts for form in forms_of(text)}
    names = set(path.split("/"))
    for _, value in fields_at(workspace, version):
        if len(value) <= MAX_NAMING:
            names.update(_NAME.findall(value.reveal().decode(errors="replace")))
    tried = 0
    for call, method in _methods(workspace, turn):
        for words, work in method.accepted(call, secrets, names):
            if work is None:
                return words
            tried += 1
            if tried > MAX_TRIED:
                return _TOO_MANY
            guesses = Guesses(
                workspace.house.mount_store(turn.tx, workspace.call.mount), turn.now_ns
            )
            login = f"tried/{escape_part(words)}"
            if len(guesses.recent(login, HOUR_NS)) >= MAX_AN_HOUR:
                return _TOO_OFTEN
            guesses.count(login, HOUR_NS)
            turn, matches = yield work
            if matches is not False:
                return words
    return ""


def _methods(workspace: Workspace, turn: Turn) -> Iterator[tuple[Call, Accepting]]:
    """Yield the auth methods that can tell, each with a call at its mount."""
    for mount in workspace.names.mounts():
        plugin: Any = workspace.house.plugins.get(mount.type)
        if isinstance(plugin, Accepting) and not workspace.names.is_sealed(mount):
            yield (
                msgspec.structs.replace(
                    workspace.call, mount=mount, tx=turn.tx, now_ns=turn.now_ns, records=None
                ),
                plugin,
            )
