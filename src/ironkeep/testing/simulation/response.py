"""Steps of the responders.

`Work` is one round of a competent responder: it reads the verdict and acts on each open item. The
other steps are single requests, which a story may put in a wrong order or leave out.
"""

from base64 import b64encode
from collections.abc import Callable
from typing import Any, Final

from ironkeep.core.evidence import records as ev
from ironkeep.core.operation import Operation
from ironkeep.core.units import SECOND_NS
from ironkeep.testing.simulation.cluster import LOGIN_SECONDS
from ironkeep.testing.simulation.step import Step
from ironkeep.testing.simulation.world import (
    CIPHERTEXT,
    PEOPLE,
    POLICIES,
    PRIMARY,
    RESPONDERS,
    SECRETS,
    STANDBY,
    World,
    value_in,
)


class Open(Step, frozen=True, tag="open"):
    """Open a case, from before the attacker held anything; a document is handed in first."""

    on: str = "person:ann"
    early: int = 2

    def _play(self, world: World) -> None:
        for name in RESPONDERS:
            world.sessions[name] = world.login(name)
        if self.on.startswith("document:"):
            name = self.on.partition(":")[2]
            content = b64encode(CIPHERTEXT).decode()
            world.write(
                "incident/documents", {"name": name, "content": content}, world.sessions["rita"]
            )
        now_ns = world.vault.clock.now_ns()
        ago = (now_ns - (world.began_ns or now_ns)) // SECOND_NS + self.early
        given = {
            "title": "a session was stolen",
            "subjects": [self.on],
            "start": f"{ago}s",
            "basis": "the last good image of the machine",
        }
        reply = world.write("incident/cases", given, world.sessions["rita"])
        if reply is not None:
            world.case = str(reply.data["id"])


class Include(Step, frozen=True, tag="include"):
    """Widen the case to another subject."""

    on: str = "person:bob"

    def _play(self, world: World) -> None:
        if world.case:
            world.on("widen", {"subjects": [self.on], "basis": "seen on the same machine"})


class Do(Step, frozen=True, tag="do"):
    """One step of the eviction: contain, rotate, kill, probe or sweep; of one secret, or of all."""

    what: str = "contain"
    secret: str = ""

    def _play(self, world: World) -> None:
        if world.case:
            world.on(self.what, {"secret": self.secret} if self.secret else {})


class RotateEach(Step, frozen=True, tag="rotate-each"):
    """Rotate the accounts of the database one by one, but for one."""

    but: str = ""

    def _play(self, world: World) -> None:
        listed = world.ask(Operation.LIST, "database/static-roles/") if world.case else None
        for name in () if listed is None or listed.error else listed.keys:
            if name != self.but:
                world.on("rotate", {"secret": f"database/static-creds/{name}"})


class Replace(Step, frozen=True, tag="replace"):
    """Replace and revoke a version of a secret; a lie reports that alone.

    `forget` leaves out the users of the secret, who go on with the version.
    """

    name: str = "key"
    version: int = 1
    lie: bool = False
    forget: bool = False

    def _play(self, world: World) -> None:
        if not world.case:
            return
        if self.forget and world.versions[self.name]:
            world.renew(self.name, alone=False)
        report_only = self.lie or self.forget
        replace(world, f"secret/{self.name}", self.version, done=not report_only, lie=self.lie)


class Check(Step, frozen=True, tag="check-root"):
    """State that Ironkeep's own root of trust was checked, and whether it is sound."""

    sound: bool = True

    def _play(self, world: World) -> None:
        for root in ev.ROOT_ITEMS if world.case else ():
            _check(world, root, sound=self.sound)


class Explain(Step, frozen=True, tag="explain"):
    """Explain whatever differs, without having looked into it."""

    def _play(self, world: World) -> None:
        found = world.verdict_now()["open_items"] if world.case else []
        for item in found:
            if item["check"] == "not explained":
                text = str(item["item"]).partition("#")[2]
                given = {"item": text, "reason": "belongs there"}
                world.on("explain", given, honest=False)


class Confirm(Step, frozen=True, tag="confirm"):
    """A second responder confirms what the first one stated, as far as it is true."""

    def _play(self, world: World) -> None:
        if world.case and world.stated:
            world.on("confirm", {"items": world.stated[:100]}, "rob")
            world.stated.clear()


class Residue(Step, frozen=True, tag="residue"):
    """State what cannot be known or undone."""

    def _play(self, world: World) -> None:
        if world.case:
            world.on("residue", {"words": "what was seen stays seen"})


class Readmit(Step, frozen=True, tag="readmit"):
    """Let a person in again, with another password unless that is forgotten."""

    who: str = "ann"
    forget: bool = False

    def _play(self, world: World) -> None:
        if not world.case:
            return
        if not self.forget:
            world.write(f"auth/userpass/users/{self.who}/password", {"password": "a new one"})
        world.on("readmit", {"principal": f"person:{self.who}", "reason": "a new machine"})


class Work(Step, frozen=True, tag="work"):
    """Read the verdict, and act on each open item once."""

    def _play(self, world: World) -> None:
        if not world.case:
            return
        found = world.verdict_now()["open_items"]
        done: set[str] = set()
        for item in sorted(found, key=lambda each: _ORDER.index(_group(each["check"]))):
            group = _group(item["check"])
            if group in _ONCE and group in done:
                continue
            done.add(group)
            _ACTS[group](world, item)
        Confirm().play(world)


class Judge(Step, frozen=True, tag="judge"):
    """Ask for the verdict, which ends nothing."""

    def _play(self, world: World) -> None:
        if world.case:
            world.verdict()
            world.judged.append((world.case, world.vault.clock.now_ns()))


RESPONSE: Final = (
    Open, Include, Do, RotateEach, Replace, Check, Explain, Confirm, Residue, Readmit, Work, Judge,
)  # fmt: skip


def replace(
    world: World, secret: str, version: int, *, done: bool = True, lie: bool = False
) -> None:
    """Revoke a version of a secret at its users, and report that; replace it if it is current."""
    name = secret.partition("/")[2]
    if done:
        if version >= len(world.versions[name]):
            world.renew(name)
        world.revoke(name, version)
    report = {
        "secret": f"{secret}@{version}",
        "system": "system:portal" if name == "pay" else "",
        "method": "it was taken back",
        "receipt": "the issuer lists it no longer",
    }
    world.on("rotate", report, honest=not lie)


def undo(world: World, path: str) -> None:
    """Take back a change of the vault that an exposed person made."""
    kind, _, name = path.rpartition("/")
    if kind == "auth/userpass/users" and name in PEOPLE:
        world.write(f"{path}/password", {"password": f"reset password of {name}"})
    elif kind == "sys/policies/acl" and name in POLICIES:
        world.write(path, {"policy": POLICIES[name]})
    elif kind == "secret/data":
        world.renew(name)
    elif path.startswith("auth/approle/role/"):
        role = path.removeprefix("auth/approle/role/").partition("/")[0]
        world.ask(Operation.DELETE, f"auth/approle/role/{role}")
    elif kind in {"auth/userpass/users", "sys/policies/acl", "database/static-roles"}:
        world.ask(Operation.DELETE, path)


def _check(world: World, root: str, *, sound: bool = True) -> None:
    world.on("check-root", {"item": root, "sound": sound, "detail": "looked at"})


def _step(what: str) -> Callable[[World, dict[str, Any]], None]:
    def act(world: World, _item: dict[str, Any]) -> None:
        world.on(what, {})

    return act


def _revoke(world: World, item: dict[str, Any]) -> None:
    secret, _, version = str(item["label"]).partition(" version ")
    if secret.startswith("secret/") and secret.partition("/")[2] in SECRETS:
        replace(world, secret, int(version))
    else:
        world.on("rotate", {})


def _explain(world: World, item: dict[str, Any]) -> None:
    """Take back a change of the vault, and explain its entry with that."""
    words = str(item["words"]).split(" ")
    undo(world, words[1])
    world.on("explain", {"item": item["item"], "reason": "taken back by us"})


def _clean(world: World, item: dict[str, Any]) -> None:
    """Drop what was added at the database, or explain what belongs there."""
    text = str(item["item"]).partition("#")[2]
    cluster = world.cluster
    words = text.split(" ")
    accounts = cluster.servers[PRIMARY].accounts
    if words[:2] == ["principal", "account"] and words[2] not in {"admin", "app", "payroll"}:
        accounts.pop(words[2], None)
        for server in cluster.servers.values():
            server.sessions[:] = [each for each in server.sessions if each.username != words[2]]
    elif words[:2] == ["hook", "trigger"]:
        cluster.items[:] = [each for each in cluster.items if each.name != words[2]]
    else:
        world.on("explain", {"item": text, "reason": "belongs there"})
    world.on("sweep", {})


def _follow(world: World, _item: dict[str, Any]) -> None:
    world.cluster.catch_up(STANDBY)
    _kill(world, _item)
    world.on("probe", {})


def _exempt(world: World, item: dict[str, Any]) -> None:
    given = {"item": item["item"], "reason": "accepted for a week", "ttl": "168h"}
    world.on("exempt", given)


def _compare(world: World, item: dict[str, Any]) -> None:
    """Give a secret another value, also where else it stands; then compare again."""
    if item["status"] == "open":
        _revoke(world, item)
        exposed = str(item["label"]).partition(" ")[0].removeprefix("secret/")
        for name in SECRETS:
            path = f"secret/data/{name}"
            if value_in(world.read(path), path) in world.versions.get(exposed, ())[:-1]:
                world.renew(name)
    world.on("probe", {})


def _kill(world: World, _item: dict[str, Any]) -> None:
    """End the sessions; what they added meanwhile shows in a sweep after that."""
    world.on("kill", {})
    world.on("sweep", {})


def _end_later(world: World, _item: dict[str, Any]) -> None:
    """End the sessions again once no login can be under way any more."""
    world.wait(LOGIN_SECONDS)
    _kill(world, _item)
    world.on("probe", {})


def _leave(_world: World, _item: dict[str, Any]) -> None:
    """Nothing is done about it."""


_ACTS: Final[dict[str, Callable[[World, dict[str, Any]], None]]] = {
    "contain": _step("contain"),
    "revoke": _revoke,
    "explain": _explain,
    "clean": _clean,
    "kill": _kill,
    "wait": _end_later,
    "compare": _compare,
    "follow": _follow,
    "probe": _step("probe"),
    "sweep": _step("sweep"),
    "exempt": _exempt,
    "root": lambda world, item: _check(world, str(item["item"])),
    "residue": lambda world, _item: Residue().play(world),
    "leave": _leave,
}
_ORDER: Final = list(_ACTS)
_ONCE: Final = {"contain", "kill", "wait", "compare", "follow", "probe", "sweep", "residue"}
_GROUPS: Final = {
    "not contained": "contain",
    "not surveyed": "contain",
    "acts again": "contain",
    "not revoked": "revoke",
    "released again": "revoke",
    "foothold in vault": "explain",
    "not explained": "clean",
    "sessions not ended": "kill",
    "sessions remain": "kill",
    "worked after revocation": "follow",
    "accepted elsewhere": "follow",
    "not presented": "probe",
    "not answered": "probe",
    "not watched": "probe",
    "used later": "probe",
    "not swept": "sweep",
    "host not swept": "sweep",
    "no baseline": "exempt",
    "no verifier": "exempt",
    "root not checked": "root",
    "no residue": "residue",
    "still current": "compare",
    "endpoint not asked": "probe",
    "endpoint not cleared": "kill",
    "logins under way": "wait",
}


def _group(check: str) -> str:
    return _GROUPS.get(check, "leave")
