"""The survey finds all that the slow model finds, and nothing else, whatever has happened since."""

from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings, strategies as st

from ironkeep.core.evidence.node import name_of, place_of
from ironkeep.core.ids import EntityId
from ironkeep.core.operation import Operation
from ironkeep.core.units import SECOND_NS
from ironkeep.store.reserved import MOUNTS
from ironkeep.testing.parts import tables
from tests.support.incident.incident_estate import PASSWORD, Estate
from tests.support.incident.readable_model import Event, could_read

MOUNTED = ("one", "two")
NAMES = ("a", "b/c")
POLICIES = ("p", "q")
PATTERNS = ("one/data/*", "one/data/a", "two/data/b/*", "moved/data/*", "*")

policies = st.lists(st.sampled_from(POLICIES), max_size=2, unique=True).map(tuple)
rules = st.lists(
    st.tuples(st.sampled_from(PATTERNS), st.sampled_from(("read", "read", "deny"))), max_size=3
).map(tuple)
steps = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(MOUNTED), st.sampled_from(NAMES)),
    st.tuples(st.just("write"), st.sampled_from(MOUNTED), st.sampled_from(NAMES)),
    st.tuples(st.just("limit"), st.sampled_from(MOUNTED), st.sampled_from(NAMES)),
    st.tuples(st.just("no_key"), st.sampled_from(MOUNTED), st.sampled_from(NAMES)),
    st.tuples(st.just("move"), st.sampled_from(MOUNTED)),
    st.tuples(st.just("no_mount"), st.sampled_from(MOUNTED)),
    st.tuples(st.just("policy"), st.sampled_from(POLICIES), rules),
    st.tuples(st.just("no_policy"), st.sampled_from(POLICIES)),
    st.tuples(st.just("user"), policies),
    st.tuples(st.just("person"), policies),
    st.tuples(st.just("login")),
    st.tuples(st.just("wait"), st.integers(1, 90)),
    st.tuples(st.just("window")),
    st.tuples(st.just("user"), st.just(("p", "q"))),
    st.tuples(st.just("user"), st.just(("q",))),
    st.tuples(st.just("switch"), policies),
)


class World:
    """An estate with a person, and the events for the model."""

    def __init__(self) -> None:
        self.estate = Estate.fresh()
        self.events: list[Event] = []
        self.uuids: dict[str, str] = {}
        self.paths: dict[str, str] = {}
        self.from_ns = 0
        for name in MOUNTED:
            self.must(f"sys/mounts/{name}", {"type": "kv", "options": {"version": "2"}})
            self.paths[name] = f"{name}/"
            self.uuids[name] = self._uuid(f"{name}/")
            self.happened("mount", self.uuids[name], f"{name}/")
        self.set_user(("p",))
        self.policy("p", (("one/data/*", "read"),))
        self.policy("q", (("*", "read"), ("one/data/a", "deny")))
        for mount in MOUNTED:
            for name in NAMES:
                self.write(mount, name)
        self.login()
        self.window()

    def _uuid(self, path: str) -> str:
        house = self.estate.vault.house
        return house.mounts.table(house.store(house.state.begin(), MOUNTS)).by_path[path].uuid

    def now(self) -> int:
        return self.estate.vault.clock.now_ns()

    def happened(self, kind: str, *about: object) -> None:
        self.events.append(Event(self.now(), kind, about))

    def must(self, path: str, data: dict[str, Any]) -> dict[str, object]:
        return self.estate.must(path, data)

    def gone(self, path: str) -> None:
        assert self.estate.request(Operation.DELETE, path).error is None

    def do(self, step: tuple[Any, ...]) -> None:
        kind, *about = step
        if about and about[0] in MOUNTED and about[0] not in self.paths:
            return
        getattr(self, kind if kind not in {"user", "person"} else f"set_{kind}")(*about)

    def write(self, mount: str, name: str) -> None:
        self.must(f"{self.paths[mount]}data/{name}", {"data": {"k": "v"}})
        self.happened("write", self.uuids[mount], name)

    def limit(self, mount: str, name: str) -> None:
        self.must(f"{self.paths[mount]}metadata/{name}", {"max_versions": 1})
        self.happened("limit", self.uuids[mount], name, 1)

    def no_key(self, mount: str, name: str) -> None:
        self.gone(f"{self.paths[mount]}metadata/{name}")
        self.happened("no_key", self.uuids[mount], name)

    def move(self, mount: str) -> None:
        target = "moved/" if self.paths[mount] != "moved/" else f"{mount}/"
        if target in self.paths.values():
            return
        self.must("sys/remount", {"from": self.paths[mount], "to": target})
        self.paths[mount] = target
        self.happened("mount", self.uuids[mount], target)

    def no_mount(self, mount: str) -> None:
        self.gone(f"sys/mounts/{self.paths.pop(mount)}")
        self.happened("no_mount", self.uuids[mount])

    def policy(self, name: str, said: tuple[tuple[str, str], ...]) -> None:
        unique = dict(said)
        text = "\n".join(
            f'path "{pattern}" {{ capabilities = ["{what}"] }}' for pattern, what in unique.items()
        )
        self.must(f"sys/policies/acl/{name}", {"policy": text or "# nothing"})
        self.happened("policy", name, tuple(unique.items()))

    def no_policy(self, name: str) -> None:
        self.gone(f"sys/policies/acl/{name}")
        self.happened("no_policy", name)

    def set_user(self, granted: tuple[str, ...]) -> None:
        if any(event.kind == "user" for event in self.events):
            given: dict[str, Any] = {"token_policies": list(granted)}
        else:
            given = {"password": PASSWORD, "token_policies": list(granted), "token_ttl": "60s"}
        self.must("auth/userpass/users/ann", given)
        self.happened("user", "ann", granted)

    def switch(self, granted: tuple[str, ...]) -> None:
        """Change the user right before the window: tokens keep what they were issued with."""
        self.set_user(granted)
        self.window()

    def set_person(self, granted: tuple[str, ...]) -> None:
        vault, identity = self.estate.vault, self.estate.vault.house.identity
        vault.clock.advance(seconds=1)
        tx = vault.house.state.begin()
        known = identity.get(tx, EntityId(self.entity))
        assert known is not None
        identity.update(tx, msgspec.structs.replace(known, policies=granted), self.now())
        tx.merge()
        vault.flush()
        self.happened("person", granted)

    def login(self) -> None:
        estate = self.estate
        token = estate.login("ann")
        mine = estate.get("auth/token/lookup-self", token)
        self.entity = str(mine["entity_id"])
        issued_ns = self.now() - SECOND_NS
        granted = next(event.about[1] for event in reversed(self.events) if event.kind == "user")
        self.events.append(
            Event(issued_ns, "token", (mine["accessor"], granted, issued_ns + 60 * SECOND_NS))
        )

    def wait(self, seconds: int) -> None:
        self.estate.vault.tick(seconds)

    def window(self) -> None:
        self.from_ns = self.now()


def found(world: World) -> set[tuple[str, str, int]]:
    """Return what a case that begins with the window lists as readable."""
    estate = world.estate
    # The start is written as whole seconds ago, from the instant of the request.
    seconds = (world.now() - world.from_ns) // SECOND_NS + 1
    case = estate.open_case("person:ann", start=f"{seconds}s")
    listed = estate.get(f"incident/cases/{case}/exposure", estate.responder)["could_read"]
    nodes = [str(row["node"]) for row in tables({"rows": listed}, "rows")]
    versions = {(*place_of(each), int(name_of(each).rpartition("@")[2])) for each in nodes}  # type: ignore[arg-type]
    return {each for each in versions if each[0] in world.uuids.values()}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, min_size=2, max_size=16))
def test_what_could_be_read_is_what_the_model_says(told: list[tuple[Any, ...]]) -> None:
    world = World()
    for step in told:
        world.do(step)
    wanted = could_read(world.events, "ann", world.from_ns, world.now() + SECOND_NS)
    assert found(world) == wanted
