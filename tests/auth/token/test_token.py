"""The auth method `token`: what may be asked for, by whom."""

from typing import Any

import pytest

from ironkeep.auth.token import ROUTES, TokenMethod, roles
from ironkeep.core.errors import InvalidRequest, NotFound, PermissionDenied
from ironkeep.core.operation import Operation
from ironkeep.core.policy.glob import matches
from ironkeep.identity.token_issuer import Issued
from ironkeep.kernel.router import Router
from ironkeep.plugin import fields
from ironkeep.plugin.response import Response
from ironkeep.plugin.token import TokenSpec
from tests.support.services import TOKEN, USERPASS, Services

HERE = "127.0.0.1:1"
SUDO = """
path "auth/token/*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }
"""
ROUTER = Router(ROUTES)


def issue(s: Services, *policies: str, **rest: Any) -> Issued:
    spec = TokenSpec(policies, "token", "auth/token/create", **rest)
    return s.tokens.issue(s.tx, TOKEN, spec, s.now, s.entropy)


def ask(
    s: Services,
    caller: Issued,
    path: str,
    op: Operation = Operation.UPDATE,
    **data: Any,
) -> Response:
    """Call the handler that the route table has for path, as the pipeline does."""
    route, params, *_ = ROUTER.match(op, path)
    session = s.tokens.authenticate(s.tx, caller.token, s.now, HERE)
    call = s.call(TOKEN, path, data, params=params, session=session, token=caller.token, op=op)
    given = () if route.input is None else (fields.parse(route.input, {**data, **params}),)
    response = route.handler(call, *given)
    assert isinstance(response, Response)
    call.tx.merge()
    return response


def make(s: Services, caller: Issued, path: str = "create", **data: Any) -> Issued:
    """Ask for a token and have it issued, as the pipeline does."""
    spec = ask(s, caller, path, **data).issue
    assert spec is not None
    session = s.tokens.authenticate(s.tx, caller.token, s.now, HERE)
    return s.tokens.issue(s.tx, TOKEN, spec, s.now, s.entropy, session)


def data_of(response: Response) -> dict[str, Any]:
    assert isinstance(response.data, dict)
    return response.data


@pytest.fixture
def s() -> Services:
    return Services()


@pytest.fixture
def root(s: Services) -> Issued:
    return issue(s, "root", no_default_policy=True)


@pytest.fixture
def admin(s: Services) -> Issued:
    s.policies.put(s.tx, "admin", SUDO, s.now)
    return issue(s, "admin")


@pytest.fixture
def dev(s: Services) -> Issued:
    return issue(s, "dev", "ops")


def test_a_child_inherits_policies_and_names_its_parent(s: Services, dev: Issued) -> None:
    child = make(s, dev)
    assert child.record.policies == ("default", "dev", "ops")
    assert child.record.parent == dev.hash
    assert not child.record.orphan
    assert child.record.display_name == "token"
    assert child.record.path == "auth/token/create"


def test_weakly_typed_input_of_the_command_line(s: Services, root: Issued) -> None:
    child = make(
        s, root, ttl="1h", num_uses="5", renewable="false", policies="a,b", no_parent="true",
        meta="k=v", display_name="my app!",
    )  # fmt: skip
    record = child.record
    assert (record.ttl_seconds, record.num_uses, record.renewable) == (3600, 5, False)
    assert (record.policies, record.orphan) == (("a", "b", "default"), True)
    assert (record.meta, record.display_name) == ({"k": "v"}, "token-my-app")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"policies": ["dev"]}, ("default", "dev")),
        ({"policies": ["dev"], "no_default_policy": True}, ("dev",)),
        ({"policies": ["DEV", "default"]}, ("default", "dev")),
    ],
)
def test_a_subset_of_the_parents_policies(
    s: Services, dev: Issued, asked: dict[str, Any], expected: tuple[str, ...]
) -> None:
    assert make(s, dev, **asked).record.policies == expected


@pytest.mark.parametrize(
    "asked",
    [
        {"policies": ["other"]},
        {"policies": ["dev", "root"]},
        {"no_parent": True},
        {"period": "1h"},
        {"id": "mine"},
        {"entity_alias": "ann"},
        {"type": "fast"},
        {"num_uses": -1},
        {"type": "batch", "num_uses": 1},
        {"display_name": "x" * 129},
    ],
)
def test_what_a_plain_token_may_not_ask_for(
    s: Services, dev: Issued, asked: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequest):
        make(s, dev, **asked)


@pytest.mark.parametrize(
    "asked",
    [{"policies": ["other"]}, {"no_parent": True}, {"period": "1h"}, {"id": "mine"}],
)
def test_what_sudo_allows(s: Services, admin: Issued, asked: dict[str, Any]) -> None:
    assert make(s, admin, **asked).record.accessor


def test_sudo_does_not_make_root(s: Services, admin: Issued) -> None:
    with pytest.raises(InvalidRequest, match="without parent token being root"):
        make(s, admin, policies=["root"])


def test_root_makes_root_but_not_a_longer_one(s: Services, root: Issued) -> None:
    assert make(s, root).record.policies == ("root",)
    short = make(s, root, ttl=60)
    assert make(s, short, ttl=30).record.policies == ("root",)
    with pytest.raises(InvalidRequest, match="expiring root tokens"):
        make(s, short)


def test_counted_and_batch_tokens_make_none(s: Services) -> None:
    with pytest.raises(InvalidRequest, match="restricted use token"):
        make(s, issue(s, "dev", num_uses=5))
    with pytest.raises(InvalidRequest, match="batch tokens cannot create"):
        make(s, issue(s, "dev", type="batch"))


def test_create_orphan(s: Services, dev: Issued) -> None:
    orphan = make(s, dev, "create-orphan")
    s.tokens.revoke(s.tx, dev.hash, s.now)
    assert s.tokens.authenticate(s.tx, orphan.token, s.now, HERE).record.orphan


def test_an_orphan_has_no_entity_and_dies_with_the_person_all_the_same(s: Services) -> None:
    spec = TokenSpec(("dev",), "ann", "auth/userpass/login/ann", alias="ann")
    login = s.tokens.issue(s.tx, USERPASS, spec, s.now, s.entropy)
    orphan, child = make(s, login, "create-orphan"), make(s, login)
    assert (orphan.record.entity, child.record.entity) == ("", login.record.entity)
    s.tokens.revoke_entity_before(s.tx, login.record.entity, s.now, s.now)
    for issued in (orphan, child):
        with pytest.raises(PermissionDenied):
            s.tokens.authenticate(s.tx, issued.token, s.now, HERE)


@pytest.mark.parametrize(
    "custom", ["hvs.x", "hvb.x", "s.x", "my.token", "x.", "a b", "a\nb", "é", "x" * 513]
)
def test_custom_tokens_that_are_refused(s: Services, root: Issued, custom: str) -> None:
    with pytest.raises(InvalidRequest):
        make(s, root, id=custom)


def test_lookup_in_its_three_ways(s: Services, dev: Issued, admin: Issued) -> None:
    by_token = data_of(ask(s, admin, "lookup", token=dev.token.reveal().decode()))
    own = data_of(ask(s, dev, "lookup-self", Operation.READ))
    by_accessor = data_of(ask(s, admin, "lookup-accessor", accessor=dev.record.accessor))
    assert by_accessor["id"] == ""
    for data in (by_token, own):
        assert data["id"].equals(dev.token.reveal())
        assert {**data, "id": ""} == by_accessor


def test_a_use_is_seen_by_the_request_that_makes_it(s: Services) -> None:
    counted = issue(s, "dev", num_uses=3)
    s.tokens.use(s.tx, s.tokens.authenticate(s.tx, counted.token, s.now, HERE), s.now)
    assert data_of(ask(s, counted, "lookup-self", Operation.READ))["num_uses"] == 2


@pytest.mark.parametrize("path", ["lookup-accessor", "renew-accessor", "revoke-accessor"])
def test_an_unknown_accessor(s: Services, admin: Issued, path: str) -> None:
    with pytest.raises(InvalidRequest, match="invalid accessor"):
        ask(s, admin, path, accessor="nothing")


def test_an_unknown_token_is_no_fault_of_the_caller_s(s: Services, admin: Issued) -> None:
    """Clients take 403 for "my token has ended" and log in anew."""
    for unknown in ("hvs.x", "x", "hvb.x"):
        with pytest.raises(InvalidRequest, match="token not found"):
            ask(s, admin, "renew", token=unknown)


def test_a_root_token_is_looked_up_with_all_the_fields(
    s: Services, root: Issued, dev: Issued
) -> None:
    of_root, of_dev = (
        data_of(ask(s, token, "lookup-self", Operation.READ)) for token in (root, dev)
    )
    assert set(of_dev) <= set(of_root)
    assert (of_root["renewable"], of_root["expire_time"], of_root["ttl"]) == (False, None, 0)
    assert of_root["issue_time"].endswith("Z")


def test_an_accessor_is_no_token_and_a_token_no_accessor(s: Services, admin: Issued) -> None:
    with pytest.raises(PermissionDenied, match="bad token"):
        ask(s, admin, "lookup", token=admin.record.accessor)
    with pytest.raises(InvalidRequest, match="invalid accessor"):
        ask(s, admin, "lookup-accessor", accessor=admin.token.reveal().decode())


def test_renewing(s: Services, dev: Issued, admin: Issued) -> None:
    short = make(s, admin, ttl=60)
    text = short.token.reveal().decode()
    s.clock.advance(seconds=30)
    for response in (
        ask(s, admin, "renew", token=text, increment="1h"),
        ask(s, short, "renew-self", increment=3600),
        ask(s, admin, "renew-accessor", accessor=short.record.accessor, increment="3600"),
    ):
        assert response.auth is not None
        assert response.auth["lease_duration"] == 3600
    by_accessor = ask(s, admin, "renew-accessor", accessor=dev.record.accessor).auth
    by_token = ask(s, admin, "renew", token=text).auth
    assert by_accessor is not None
    assert by_accessor["client_token"] == ""
    assert by_token is not None
    assert by_token["client_token"].equals(text.encode())


def test_batch_tokens_are_neither_renewed_nor_revoked(s: Services, admin: Issued) -> None:
    batch = make(s, admin, type="batch")
    text = batch.token.reveal().decode()
    attempts: tuple[tuple[str, Issued, dict[str, Any]], ...] = (
        ("renew", admin, {"token": text}),
        ("renew-self", batch, {}),
        ("revoke", admin, {"token": text}),
        ("revoke-self", batch, {}),
        ("revoke-orphan", admin, {"token": text}),
    )
    for path, caller, data in attempts:
        with pytest.raises(InvalidRequest, match="batch tokens cannot be"):
            ask(s, caller, path, **data)
    assert ask(s, admin, "lookup", token=text).data is not None


def test_revoking(s: Services, admin: Issued) -> None:
    one, two, three = make(s, admin), make(s, admin), make(s, admin)
    ask(s, admin, "revoke", token=one.token.reveal().decode())
    ask(s, admin, "revoke", token=one.token.reveal().decode())
    ask(s, admin, "revoke-accessor", accessor=two.record.accessor)
    ask(s, three, "revoke-self")
    assert s.tokens.accessors(s.tx) == [admin.record.accessor]
    with pytest.raises(InvalidRequest, match="not found"):
        ask(s, admin, "revoke-orphan", token="nothing")


def test_accessors_are_listed(s: Services, admin: Issued, dev: Issued) -> None:
    data = ask(s, admin, "accessors/", Operation.LIST).data
    assert data == {"keys": sorted([admin.record.accessor, dev.record.accessor])}


def test_a_role_is_read_back_as_written(s: Services, root: Issued) -> None:
    with pytest.raises(NotFound):
        ask(s, root, "roles/", Operation.LIST)
    ask(
        s, root, "roles/ci", allowed_policies="B,a", orphan="true", period="1h",
        path_suffix="ci-1", token_bound_cidrs=["10.0.0.0/8"], explicit_max_ttl=5,
    )  # fmt: skip
    data = data_of(ask(s, root, "roles/ci", Operation.READ))
    expected = {
        "name": "ci",
        "allowed_policies": ("a", "b"),
        "orphan": True,
        "renewable": True,
        "path_suffix": "ci-1",
        "token_period": 3600,
        "period": 3600,
        "token_explicit_max_ttl": 5,
        "token_type": "default-service",
        "token_bound_cidrs": ("10.0.0.0/8",),
    }
    assert {name: data[name] for name in expected} == expected
    ask(s, root, "roles/ci", renewable=False)
    again = data_of(ask(s, root, "roles/ci", Operation.READ))
    assert (again["renewable"], again["orphan"]) == (False, True)
    assert ask(s, root, "roles/", Operation.LIST).data == {"keys": ["ci"]}
    s.clock.advance(seconds=1)
    ask(s, root, "roles/ci", Operation.DELETE)
    with pytest.raises(NotFound):
        ask(s, root, "roles/ci", Operation.READ)
    assert len(s.history.intervals(s.tx, roles.HISTORY, "ci")) == 1


def test_the_role_in_the_path_counts_and_not_one_in_the_body(s: Services, root: Issued) -> None:
    route, params, *_ = ROUTER.match(Operation.UPDATE, "roles/mine")
    session = s.tokens.authenticate(s.tx, root.token, s.now, HERE)
    data = {"role_name": "theirs", "orphan": True}
    call = s.call(TOKEN, "roles/mine", data, params=params, session=session)
    assert route.input is not None
    route.handler(call, fields.parse(route.input, {**params, **data}))
    call.tx.merge()
    assert ask(s, root, "roles/", Operation.LIST).data == {"keys": ["mine"]}


@pytest.mark.parametrize("suffix", ["../x", "a/b", "-a", "a" * 129, ""])
def test_path_suffixes(s: Services, root: Issued, suffix: str) -> None:
    if not suffix:
        ask(s, root, "roles/r", path_suffix=suffix)
        return
    with pytest.raises(InvalidRequest, match="path suffix"):
        ask(s, root, "roles/r", path_suffix=suffix)


@pytest.mark.parametrize(
    ("role", "asked", "expected"),
    [
        ({"allowed_policies": "testpolicy"}, {}, ("default", "testpolicy")),
        ({"allowed_policies": "a,b"}, {"policies": ["a"]}, ("a", "default")),
        ({"allowed_policies": "a", "token_no_default_policy": True}, {}, ("a",)),
        ({"allowed_policies": "a", "disallowed_policies": "default"}, {}, ("a",)),
        ({"allowed_policies_glob": "team-*"}, {"policies": ["team-x"]}, ("default", "team-x")),
        ({"disallowed_policies": "b"}, {"policies": ["c"]}, ("c", "default")),
        ({"disallowed_policies": "b"}, {}, ("default", "dev", "ops")),
        ({}, {"policies": ["dev"]}, ("default", "dev")),
        ({}, {}, ("default", "dev", "ops")),
    ],
)
def test_policies_by_role(
    s: Services,
    root: Issued,
    dev: Issued,
    role: dict[str, Any],
    asked: dict[str, Any],
    expected: tuple[str, ...],
) -> None:
    ask(s, root, "roles/r", **role)
    issued = make(s, dev, "create/r", **asked)
    assert issued.record.policies == expected
    assert (issued.record.role, issued.record.path) == ("r", "auth/token/create/r")


@pytest.mark.parametrize(
    ("role", "asked"),
    [
        ({"allowed_policies": "a"}, {"policies": ["b"]}),
        ({"allowed_policies_glob": "team-*"}, {"policies": ["team"]}),
        ({"allowed_policies": "a", "disallowed_policies": "a"}, {}),
        ({"disallowed_policies_glob": "d*"}, {"policies": ["dev"]}),
        ({"allowed_policies": "root"}, {}),
        ({}, {"policies": ["other"]}),
        ({"allowed_policies": "a"}, {"entity_alias": "ann"}),
        *(
            ({"allowed_policies": "a", "allowed_entity_aliases": "*"}, {"entity_alias": alias})
            for alias in ("ann ", " ann", "ann\ufe0f", "ann\u3164", "e\u0301", "a//b", "..")
        ),
        ({"allowed_policies": "a"}, {"period": "1h"}),
        ({"token_type": "batch", "orphan": True, "renewable": False}, {"num_uses": 1}),
    ],
)
def test_what_a_role_refuses(
    s: Services, root: Issued, dev: Issued, role: dict[str, Any], asked: dict[str, Any]
) -> None:
    ask(s, root, "roles/r", **role)
    with pytest.raises(InvalidRequest):
        make(s, dev, "create/r", **asked)


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"orphan": False}, "non-orphan"),
        ({"renewable": True}, "renewable"),
        ({"token_period": "1h"}, "token_period"),
        ({"token_explicit_max_ttl": "1h"}, "token_explicit_max_ttl"),
    ],
)
def test_a_role_of_batch_tokens_gives_what_a_batch_token_can_be(
    s: Services, root: Issued, wrong: dict[str, Any], kind: str
) -> None:
    right: dict[str, Any] = {"token_type": "batch", "orphan": True, "renewable": False}
    ask(s, root, "roles/r", **right)
    before = data_of(ask(s, root, "roles/r", Operation.READ))
    for path in ("roles/r", "roles/new"):
        with pytest.raises(InvalidRequest, match=kind):
            ask(s, root, path, **{**right, **wrong})
    assert data_of(ask(s, root, "roles/r", Operation.READ)) == before
    with pytest.raises(NotFound):
        ask(s, root, "roles/new", Operation.READ)


def test_what_a_role_gives(s: Services, root: Issued, dev: Issued) -> None:
    ask(
        s, root, "roles/r", allowed_policies="a", orphan=True, token_period="1h", renewable=False,
        token_num_uses=3, token_bound_cidrs="127.0.0.0/8", path_suffix="x",
        token_explicit_max_ttl="10h", allowed_entity_aliases="web-*",
    )  # fmt: skip
    record = make(s, dev, "create/r", entity_alias="WEB-1", num_uses=9).record
    assert (record.orphan, record.period_seconds, record.num_uses) == (True, 3600, 3)
    assert (record.renewable, record.bound_cidrs) == (False, ("127.0.0.0/8",))
    assert (record.path, record.explicit_max_ttl_seconds) == ("auth/token/create/r/x", 36_000)
    found = s.identity.by_alias(s.tx, TOKEN.accessor, "web-1")
    assert found is not None
    assert found.id == record.entity


def test_an_unknown_role(s: Services, root: Issued) -> None:
    with pytest.raises(InvalidRequest, match="unknown role nothing"):
        make(s, root, "create/nothing")


@pytest.mark.parametrize(
    ("pattern", "text", "does"),
    [
        ("a*", "abc", True),
        ("*c", "abc", True),
        ("a*c", "abc", True),
        ("a.c", "abc", False),
        ("*", "", True),
        ("[ab]", "a", False),
        ("a*", "ba", False),
    ],
)
def test_globs(pattern: str, text: str, *, does: bool) -> None:
    assert matches([pattern], text) is does


def test_only_what_must_not_be_shown_is_missing_from_the_audited_fields() -> None:
    for route in TokenMethod().routes(TOKEN):
        assert not {"token", "id", "meta"} & set(route.audited)
        if route.input is not None:
            assert set(route.audited) <= {item.name for item in fields.fields_of(route.input)}


def test_paths_of_root_are_marked() -> None:
    marked = {route.pattern for route in ROUTES if route.sudo}
    assert marked == {"accessors/", "create-orphan", "revoke-orphan"}


def test_tidy(s: Services, admin: Issued) -> None:
    response = ask(s, admin, "tidy")
    assert response.accepted
