"""Who stands behind a token, by chains of creation that are drawn: the house against a plain model.

The model knows names and sets. A token is of its own person and of all people of the token that
asked for it; a login is of all people of the tokens that wrote its role or set its password, and of
the one that took its secret id. Each rule on people is then a line of set arithmetic.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from hypothesis import example, given, settings, strategies as st

from ironkeep.access.budgets.record import PERSON
from ironkeep.app import PLUGINS
from ironkeep.core.secret import Secret
from ironkeep.testing.parts import text
from ironkeep.testing.vault import Vault
from tests.support.people.approval_estate import approve, told, unwrap
from tests.support.people.people import person

ALL: Final = """
path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }
"""
PASSWORD: Final = "correct horse battery staple"
SHARED: Final = "secret/data/two/plan"
MUCH: Final = {"hour": 10_000, "day": 10_000, "month": 10_000}


@dataclass(frozen=True)
class Token:
    """A token as the model has it: `own` is the person it names, `holders` had it in their hands.

    `holders` begin with the nearest, which is `own` where there is one.
    """

    text: str
    own: str
    people: frozenset[str]
    holders: tuple[str, ...]


@dataclass(frozen=True)
class Way:
    """Something that may still be opened or logged in by, until one of `fatal` is contained."""

    enter: Callable[[], bool]
    fatal: frozenset[str]


@dataclass
class World:
    """A vault, its tokens, and the model of both."""

    vault: Vault
    tokens: list[Token] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)
    hands: dict[str, set[str]] = field(default_factory=dict)
    users: dict[str, None] = field(default_factory=dict)
    ways: dict[str, Way] = field(default_factory=dict)
    number: int = 0

    def name(self, kind: str) -> str:
        """Return a name that was not used."""
        self.number += 1
        return f"{kind}{self.number}"

    def entity(self, token: str) -> str:
        """Return the entity that a token names."""
        return text(self.vault.read("auth/token/lookup-self", token=token).data, "entity_id")

    def add(self, text: str, own: str, behind: frozenset[str], holders: tuple[str, ...]) -> None:
        """Take in a token; everybody behind one of a person's is a hand of that person."""
        mine = frozenset({own} - {""})
        near = tuple(dict.fromkeys((*(each for each in (own,) if each), *holders)))
        self.tokens.append(Token(text, own, behind | mine, near))
        if own:
            self.ids[own] = self.entity(text)
            self.hands.setdefault(own, {own}).update(behind)


def world() -> World:
    """Return a vault with three people whom nobody made."""
    vault = Vault.started(PLUGINS)
    vault.write("sys/auth/userpass", {"type": "userpass"})
    vault.write("sys/auth/approle", {"type": "approle"})
    vault.write("sys/policies/acl/all", {"policy": ALL})
    vault.write("sys/budgets/defaults/entity", MUCH)
    vault.write("sys/budgets/defaults", {"soft": 100})
    vault.write(SHARED, {"data": {"p": "v"}})
    vault.write("sys/classes/secret/data/two", {"class": "two-person", "approvals": 2})
    made = World(vault)
    for name in ("ann", "ben", "eve"):
        made.add(person(vault, name, ["all"]).token, name, frozenset(), ())
    return made


def done(reply: Any) -> Any:
    """Return the answer to what must succeed."""
    assert reply.error is None, reply.body
    return reply


def child(w: World, a: Token, _: Token) -> None:
    made = done(w.vault.write("auth/token/create", {"policies": ["all"]}, token=a.text))
    w.add(made.token, a.own, a.people, a.holders)


def orphan(w: World, a: Token, _: Token) -> None:
    made = done(w.vault.write("auth/token/create-orphan", {"policies": ["all"]}, token=a.text))
    w.add(made.token, "", a.people, a.holders)


def by_role(w: World, a: Token, b: Token) -> None:
    """An orphan, batch where nobody can tell it from a service token, by somebody's role."""
    name = w.name("role")
    role = {"orphan": True, "allowed_policies": "all", "token_type": "batch", "renewable": False}
    done(w.vault.write(f"auth/token/roles/{name}", role, token=a.text))
    made = done(w.vault.write(f"auth/token/create/{name}", {}, token=b.text))
    text = made.token
    w.tokens.append(Token(text, "", a.people | b.people, b.holders))


def by_alias(w: World, a: Token, b: Token) -> None:
    name = w.name("alias")
    role = {"orphan": True, "allowed_policies": "all", "allowed_entity_aliases": "*"}
    done(w.vault.write(f"auth/token/roles/{name}", role, token=a.text))
    asked = {"entity_alias": name}
    made = done(w.vault.write(f"auth/token/create/{name}", asked, token=b.text))
    w.add(made.token, name, a.people | b.people, b.holders)


def by_secret_id(w: World, a: Token, b: Token) -> None:
    """A machine: a writes its role, b takes the secret id, which stays good for more logins."""
    name = w.name("machine")
    role = {"token_policies": "all", "secret_id_num_uses": 0, "role_id": name}
    done(w.vault.write(f"auth/approle/role/{name}", role, token=a.text))
    at = f"auth/approle/role/{name}/secret-id"
    token = done(w.vault.write(at, {}, token=b.text, wrap=3600)).body["wrap_info"]["token"]
    secret = done(w.vault.write("sys/wrapping/unwrap", {"token": token}, token=None)).data
    login = {"role_id": name, "secret_id": secret["secret_id"]}

    def enter() -> bool:
        return w.vault.write("auth/approle/login", login, token=None).error is None

    text = done(w.vault.write("auth/approle/login", login, token=None)).token
    w.add(text, name, a.people | b.people, b.holders)
    w.ways[name] = Way(enter, frozenset({name, *a.holders, *b.holders}))


def by_password(w: World, a: Token, _: Token) -> None:
    """A user whom a makes."""
    name = w.name("user")
    w.users[name] = None
    user = {"password": PASSWORD, "token_policies": "all"}
    done(w.vault.write(f"auth/userpass/users/{name}", user, token=a.text))
    _log_in(w, name, a)


def by_new_password(w: World, a: Token, b: Token) -> None:
    """The user that was made last, who gets another password from b."""
    if not w.users:
        by_password(w, a, b)
    name = next(reversed(w.users))
    path = f"auth/userpass/users/{name}/password"
    done(w.vault.write(path, {"password": PASSWORD}, token=b.text))
    _log_in(w, name, b)


def _log_in(w: World, name: str, setter: Token) -> None:
    path = f"auth/userpass/login/{name}"

    def log_in() -> Any:
        return w.vault.write(path, {"password": PASSWORD}, token=None)

    w.add(done(log_in()).token, name, setter.people, ())
    fatal = frozenset({name, *setter.holders})
    w.ways[name] = Way(lambda: log_in().error is None, fatal)


def wrapped(w: World, a: Token, b: Token) -> None:
    """An answer that a has wrapped and b moves behind a fresh token."""
    at = f"secret/data/{w.name('wrapped')}"
    w.vault.write(at, {"data": {"p": "v"}})
    token = done(w.vault.read(at, token=a.text, wrap=3600)).body["wrap_info"]["token"]
    moved = w.vault.write("sys/wrapping/rewrap", {"token": token}, token=b.text)
    fresh = done(moved).body["wrap_info"]["token"]

    def enter() -> bool:
        reply = w.vault.write("sys/wrapping/unwrap", {"token": fresh}, token=None)
        return reply.error is None

    w.ways[at] = Way(enter, a.people | b.people)


STEPS: Final = (
    child, orphan, by_role, by_alias, by_secret_id, by_password, by_new_password, wrapped,
)  # fmt: skip


def check_chain(w: World) -> None:
    """Every session names everybody behind it, and its holders in order."""
    tx, now_ns = w.vault.house.state.begin(), w.vault.clock.now_ns()
    for token in w.tokens:
        secret = Secret(token.text.encode())
        session = w.vault.house.tokens.authenticate(tx, secret, now_ns, "127.0.0.1:1")
        assert session.people == {w.ids[each] for each in token.people}, token
        assert session.payers == tuple(w.ids[each] for each in token.holders), token


def check_budgets(w: World, token: Token) -> None:
    """A secret that is read is charged to everybody behind the token, and to nobody else."""
    at = f"secret/data/{w.name('read')}"
    w.vault.write(at, {"data": {"p": "v"}})
    before = _used(w)
    done(w.vault.read(at, token=token.text))
    after = _used(w)
    charged = {name for name in after if after[name] > before[name]}
    assert charged == token.people, token


def _used(w: World) -> dict[str, int]:
    tx, now_ns = w.vault.house.state.begin(), w.vault.clock.now_ns()
    usage = w.vault.house.features.budgets.usage
    return {name: usage(tx, PERSON, id_, now_ns)[0].used for name, id_ in w.ids.items()}


def check_limits(w: World, token: Token) -> None:
    """Nobody changes the limits of anybody with whom they are one hand, nor of all."""
    for name, id_ in w.ids.items():
        reply = w.vault.write(f"sys/budgets/entity/{id_}", {"hour": 20_000}, token=token.text)
        assert (reply.error is not None) == bool(token.people & w.hands[name]), (token, name)
        w.vault.delete(f"sys/budgets/entity/{id_}")
    for path, more in (("defaults/entity", {"hour": 20_000}), ("house/all", MUCH)):
        assert w.vault.write(f"sys/budgets/{path}", more, token=token.text).error is not None


def check_approvals(w: World, asker: Token, first: Token, second: Token) -> None:
    """Two approve: neither is one hand with the asker, nor with the other."""
    reply = w.vault.read(SHARED, token=asker.text)
    if not asker.own:
        assert reply.error is not None
        return
    asked = told(done(reply))
    given: list[Token] = []
    for token in (first, second):
        apart = all(token.people.isdisjoint(each.people) for each in (asker, *given))
        taken = approve(w.vault, token.text, asked).error is None
        assert taken == (bool(token.own) and apart), (asker, given, token)
        given += [token] if taken else []
    opened = unwrap(w.vault, asker.text, asked).error is None
    assert opened == (len(given) == 2)


def check_containment(w: World, name: str) -> None:
    """What a contained person stands behind is dead; what they hold opens nothing."""
    w.vault.clock.advance(seconds=5)
    w.vault.tick(1)
    case = {"title": "t", "subjects": f"person:{w.ids[name]}", "start": "1h", "basis": "b"}
    done(w.vault.write("incident/cases", case))
    # This person alone: without a principal, the people whom they set up are cut off with them.
    alone = {"principal": f"person:{w.ids[name]}"}
    done(w.vault.write("incident/cases/1/contain", alone))
    for token in w.tokens:
        alive = w.vault.read("auth/token/lookup-self", token=token.text).error is None
        assert alive == (name not in token.people), (name, token)
    for what, way in w.ways.items():
        assert way.enter() == (name not in way.fatal), (name, what)


INDEX: Final = st.integers(min_value=0, max_value=63)
CHAINS: Final = st.lists(st.tuples(st.sampled_from(STEPS), INDEX, INDEX), min_size=1, max_size=7)


def built(chain: list[tuple[Any, int, int]]) -> World:
    """Return a world in which a chain of creation was gone through.

    Batch tokens are used, and make nothing.
    """
    w = world()
    for step, a, b in chain:
        able = [token for token in w.tokens if not token.text.startswith("hvb.")]
        # The latest come first: short chains are the exception.
        step(w, able[-1 - a % len(able)], able[-1 - b % len(able)])
    return w


def line(*steps: Any) -> list[tuple[Any, int, int]]:
    """Return a chain in which each step is made by the token before it."""
    return [(step, 0, 0) for step in steps]


@example(line(by_alias, orphan, by_secret_id, child, wrapped), 2, (0, 6, 7))
@example(line(by_password, by_alias, by_role, by_new_password, wrapped), 2, (0, 5, 6))
@example([(by_alias, 0, 2), (by_secret_id, 2, 0), (by_password, 0, 0)], 0, (3, 2, 5))
@example([(by_alias, 0, 0), (by_alias, 1, 1), (wrapped, 2, 4)], 2, (0, 1, 3))
@given(chain=CHAINS, pick=INDEX, picks=st.tuples(INDEX, INDEX, INDEX))
@settings(max_examples=25, deadline=None)
def test_every_rule_on_people_knows_who_stands_behind(
    chain: list[tuple[Any, int, int]], pick: int, picks: tuple[int, int, int]
) -> None:
    w = built(chain)
    check_chain(w)
    check_budgets(w, w.tokens[-1 - pick % len(w.tokens)])
    asker, first, second = (w.tokens[-1 - each % len(w.tokens)] for each in picks)
    check_limits(w, asker)
    check_approvals(w, asker, first, second)
    names = list(w.ids)
    check_containment(w, names[pick % len(names)])
    assert not w.vault.defects
