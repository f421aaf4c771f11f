"""The pipeline's promises: nothing without its entry, nothing without a decision."""

import json

import pytest

from ironkeep import app
from ironkeep.core.errors import (
    InvalidRequest,
    NotFound,
    PermissionDenied,
    Sealed,
    Unavailable,
    Uninitialised,
    UnsupportedOperation,
)
from ironkeep.core.event import Entry, Released
from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.engines.system.mounts import AUTH_TYPES
from ironkeep.journal.frame import MAX_FRAME_ENTRIES
from ironkeep.kernel import reply
from ironkeep.kernel.refusals import WHOLE_A_SECOND
from ironkeep.plugin.call import Call
from ironkeep.plugin.effects.answer import Answer
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.request import Request
from ironkeep.plugin.response import Response
from ironkeep.plugin.route import Route
from ironkeep.testing.parts import part
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Vault

DATA = {"data": {"password": "hunter2"}}


def entries(vault: Vault) -> list[Entry]:
    return [entry for _, entry in vault.house.audit_reader().entries()]


def last(vault: Vault) -> Entry:
    return [entry for entry in entries(vault) if entry.kind == "request"][-1]


def limited(vault: Vault, policy: str) -> str:
    vault.write("sys/policies/acl/limited", {"policy": policy})
    return vault.write("auth/token/create", {"policies": ["limited"]}).token


def test_a_read_is_journalled_with_the_version_that_it_released() -> None:
    vault = Vault.started(PLUGINS)
    vault.write("secret/data/app", DATA)
    reply_ = vault.read("secret/data/app")
    assert reply_.data["data"] == {"password": "hunter2"}
    entry = last(vault)
    released = entry.released[0]
    assert (released.path, released.version, released.fields) == ("app", 1, ("password",))
    assert entry.rule == "root"
    assert reply_.answer.receipt is not None
    assert vault.house.journal.durable_size > reply_.answer.receipt.index


def test_no_value_is_in_any_entry() -> None:
    vault = Vault.started(PLUGINS)
    vault.write("secret/data/app", DATA)
    vault.read("secret/data/app")
    assert all(b"hunter2" not in repr(entry).encode() for entry in entries(vault))


@pytest.mark.parametrize(
    ("path", "token", "error"),
    [
        ("secret/data/app", None, PermissionDenied),
        ("secret/data/app", "hvs.nonsense", PermissionDenied),
        ("nowhere/x", "root", NotFound),
        ("secret/data/../data/app", "root", InvalidRequest),
        ("secret/data/a\0b", "root", InvalidRequest),
        ("secret/" + "a" * 5000, "root", InvalidRequest),
        ("sys/nothing", "root", NotFound),
    ],
)
def test_a_refusal_is_journalled_by_its_code(
    path: str, token: str | None, error: type[Exception]
) -> None:
    vault = Vault.started(PLUGINS)
    vault.write("secret/data/app", DATA)
    refused = vault.read(path, token=token)
    assert refused.error is error
    assert last(vault).outcome == error.code  # type: ignore[attr-defined]
    assert not last(vault).released


def test_another_namespace_is_refused() -> None:
    vault = Vault.started(PLUGINS)
    request = Request(
        Operation.READ, "sys/mounts", {}, Secret(vault.root.encode()), namespace="team-a"
    )
    answer = vault.settle(vault.pipeline.handle(request))
    assert answer.error is InvalidRequest


def test_an_operation_that_a_path_does_not_have() -> None:
    vault = Vault.started(PLUGINS)
    assert vault.delete("sys/health").error is UnsupportedOperation


def test_the_path_wins_over_the_body() -> None:
    """A body that names another path must not reach what the URL's policy does not cover."""
    vault = Vault.started(PLUGINS)
    vault.write("secret/data/other", DATA)
    token = limited(
        vault, 'path "secret/data/mine" { capabilities = ["create", "update", "read"] }'
    )
    sent = {"data": {"x": "1"}, "path": "other"}
    assert vault.write("secret/data/mine", sent, token=token).error is None
    assert part(vault.read("secret/data/other").data, "metadata", "version") == 1
    stolen = vault.read("secret/data/mine", data={"path": "other"}, token=token)
    assert stolen.data["data"] == {"x": "1"}


def test_policy_decides_between_create_and_update() -> None:
    vault = Vault.started(PLUGINS)
    token = limited(vault, 'path "secret/data/*" { capabilities = ["create"] }')
    assert vault.write("secret/data/new", DATA, token=token).error is None
    assert vault.write("secret/data/new", DATA, token=token).error is PermissionDenied


def test_a_sudo_path_needs_sudo() -> None:
    vault = Vault.started(PLUGINS)
    token = limited(vault, 'path "sys/auth/*" { capabilities = ["read", "update"] }')
    assert vault.read("sys/auth/token", token=token).error is PermissionDenied
    assert "sudo" in last(vault).reason


def test_a_policy_changed_is_in_force_at_once() -> None:
    vault = Vault.started(PLUGINS)
    vault.write("secret/data/app", DATA)
    token = limited(vault, 'path "secret/data/*" { capabilities = ["read"] }')
    assert vault.read("secret/data/app", token=token).error is None
    vault.write(
        "sys/policies/acl/limited", {"policy": 'path "secret/*" { capabilities = ["deny"] }'}
    )
    assert vault.read("secret/data/app", token=token).error is PermissionDenied


def test_a_revoked_token_is_dead_within_the_same_batch() -> None:
    vault = Vault.started(PLUGINS)
    vault.write("secret/data/app", DATA)
    token = limited(vault, 'path "secret/data/*" { capabilities = ["read"] }')

    def read() -> object:
        request = Request(Operation.READ, "secret/data/app", {}, Secret(token.encode()))
        return vault.pipeline.handle(request)

    before = read()
    vault.pipeline.handle(
        Request(
            Operation.UPDATE, "auth/token/revoke", {"token": token}, Secret(vault.root.encode())
        )
    )
    after = read()
    assert (before.error, after.error) == (None, PermissionDenied)  # type: ignore[attr-defined]


def test_use_counts_are_spent_even_by_refused_requests() -> None:
    vault = Vault.started(PLUGINS)
    made = vault.write("auth/token/create", {"policies": ["default"], "num_uses": 2})
    token = made.token
    assert vault.read("secret/data/app", token=token).error is PermissionDenied
    assert vault.read("auth/token/lookup-self", token=token).error is None
    assert vault.read("auth/token/lookup-self", token=token).error is PermissionDenied


def test_sealed_and_uninitialised_answer_nothing_but_their_own() -> None:
    vault = Vault(PLUGINS)
    assert vault.read("secret/data/app", token="hvs.x").error is Uninitialised
    assert vault.read("sys/mounts", token="hvs.x").error is Uninitialised
    assert vault.read("sys/seal-status", token=None).body["sealed"] is True
    vault.initialise()
    assert vault.read("secret/data/app").error is Sealed
    assert vault.read("sys/mounts").error is Sealed
    assert vault.read("sys/health", token=None).body["sealed"] is True


def test_seal_takes_effect_for_the_next_request() -> None:
    vault = Vault.started(PLUGINS)
    vault.write("secret/data/app", DATA)
    vault.write("sys/seal")
    assert vault.read("secret/data/app").error is Sealed
    vault.unseal()
    assert vault.read("secret/data/app").data["data"] == {"password": "hunter2"}


def test_a_defect_answers_nothing_and_changes_nothing() -> None:
    class Broken:
        type = "kv"

        def routes(self, _mount: Mount) -> tuple[Route, ...]:
            return ROUTES

    def explode(call: Call) -> Response:
        call.store.put("x", b"half done")
        raise ValueError("hunter2")

    def peek(call: Call) -> Response:
        return Response(data={"there": call.store.get("x") is not None})

    ROUTES = (  # noqa: N806 - a table, as engines have
        Route(Operation.UPDATE, "{path...}", explode),
        Route(Operation.READ, "{path...}", peek),
    )
    vault = Vault.started({**PLUGINS, "kv": Broken()})
    broken = vault.write("secret/x")
    assert broken.error is ValueError
    assert broken.errors == ["internal error"]
    assert last(vault).outcome == "internal"
    assert vault.read("secret/x").data == {"there": False}
    assert [type(error) for error in vault.defects] == [ValueError]


def test_a_route_that_releases_nothing_cannot_release() -> None:
    class Leaky:
        type = "kv"

        def routes(self, _mount: Mount) -> tuple[Route, ...]:
            return LEAKS

    def leak(_call: Call) -> Response:
        return Response(data={"password": Secret(b"hunter2")})

    LEAKS = (Route(Operation.READ, "{path...}", leak),)  # noqa: N806 - a table, as engines have
    vault = Vault.started({**PLUGINS, "kv": Leaky()})
    answer = vault.read("secret/x")
    assert answer.error is RuntimeError
    assert "hunter2" not in json.dumps(answer.body)


def test_a_route_that_asks_no_guard_releases_nothing_kept() -> None:
    class Unguarded:
        type = "kv"

        def routes(self, _mount: Mount) -> tuple[Route, ...]:
            return ROUTES

    def release(call: Call) -> Response:
        released = (Released(call.mount.uuid, "x"),)
        return Response(data={"password": Secret(b"hunter2")}, released=released)

    ROUTES = (  # noqa: N806 - a table, as engines have
        Route(Operation.READ, "{path...}", release, releases=True),
    )
    vault = Vault.started({**PLUGINS, "kv": Unguarded()})
    answer = vault.read("secret/x")
    assert answer.error is RuntimeError
    assert "hunter2" not in json.dumps(answer.body)


def test_the_encoder_refuses_what_it_does_not_know() -> None:
    with pytest.raises(TypeError):
        reply.encode({"x": object()}, releases=True)


def test_a_full_journal_refuses_and_nothing_has_happened() -> None:
    vault = Vault.started(PLUGINS)
    token = Secret(vault.root.encode())
    read = Request(Operation.READ, "sys/key-status", {}, token)
    for _ in range(MAX_FRAME_ENTRIES + 1):
        answer = vault.pipeline.handle(read)
        assert isinstance(answer, Answer)
        if answer.error is not None:
            break
    write = Request(Operation.UPDATE, "secret/data/app", dict(DATA), token)
    refused = vault.settle(vault.pipeline.handle(write))
    assert refused.error is Unavailable
    assert vault.read("secret/data/app").error is NotFound


def test_strangers_are_counted_when_they_come_too_fast() -> None:
    vault = Vault.started(PLUGINS)
    vault.tick()
    size = vault.house.journal.next_index
    for port in range(10 * WHOLE_A_SECOND):
        vault.read("secret/data/app", token="hvs.guess", remote=f"127.0.0.9:{port}")
    assert vault.house.journal.next_index - size <= WHOLE_A_SECOND
    vault.tick()
    counted = [entry for entry in entries(vault) if entry.kind == "refused"]
    assert sum(int(str(entry.audited["count"])) for entry in counted) == 9 * WHOLE_A_SECOND
    assert counted[0].audited["busiest"] == [f"127.0.0.9 {9 * WHOLE_A_SECOND}"]


def test_a_flood_cannot_hide_what_a_stranger_opens() -> None:
    """An open route that releases a secret is journalled whole, whatever else strangers do."""
    vault = Vault.started(PLUGINS)
    vault.write("secret/data/app", DATA)
    token = vault.read("secret/data/app", wrap=60).body["wrap_info"]["token"]
    for port in range(2 * WHOLE_A_SECOND):
        vault.read("sys/health", token=None, remote=f"127.0.0.9:{port}")
    opened = vault.write("sys/wrapping/unwrap", {"token": token}, token=None)
    assert opened.answer.receipt is not None
    assert last(vault).released[0].path == "app"


def test_unknown_fields_are_named_in_a_warning() -> None:
    vault = Vault.started(PLUGINS)
    made = vault.write("auth/token/create", {"policies": ["default"], "colour": "blue"})
    assert "Endpoint ignored these unrecognized parameters: [colour]" in made.body["warnings"]


def test_wrapping_hides_the_answer_and_opens_once() -> None:
    vault = Vault.started(PLUGINS)
    vault.write("secret/data/app", DATA)
    wrapped = vault.read("secret/data/app", wrap=60).body
    assert wrapped["data"] is None
    assert last(vault).wrapped
    token = wrapped["wrap_info"]["token"]
    opened = vault.write("sys/wrapping/unwrap", {"token": token}, token=None)
    assert opened.data["data"] == {"password": "hunter2"}
    assert last(vault).released[0].path == "app"
    again = vault.write("sys/wrapping/unwrap", {"token": token}, token=None)
    assert again.errors == ["wrapping token is not valid or does not exist"]


def test_every_entry_can_be_read_again_whatever_its_fields_were() -> None:
    vault = Vault.started(PLUGINS)
    vault.write("secret/data/app", DATA)
    vault.write("secret/delete/app", {"versions": [1]})
    assert last(vault).audited["versions"] == ["1"]
    found = vault.read("sys/audit/log/search", data={"since_ns": str(vault.clock.now_ns())})
    assert found.error is None


def test_nothing_to_say_is_no_content_and_anything_is_an_envelope() -> None:
    vault = Vault.started(PLUGINS)
    assert vault.write("secret/metadata/app", {"max_versions": 3}).answer.body is None
    warned = vault.write("secret/metadata/app", {"max_versions": 3, "colour": "blue"})
    assert warned.body["data"] is None
    assert warned.body["warnings"]


def test_a_route_that_names_nothing_cannot_release() -> None:
    class Silent:
        type = "kv"

        def routes(self, _mount: Mount) -> tuple[Route, ...]:
            return SILENT

    def leak(_call: Call) -> Response:
        return Response(data={"password": Secret(b"hunter2")})

    SILENT = (Route(Operation.READ, "{path...}", leak, releases=True),)  # noqa: N806 - a table
    vault = Vault.started({**PLUGINS, "kv": Silent()})
    answer = vault.read("secret/x")
    assert answer.error is RuntimeError
    assert "hunter2" not in json.dumps(answer.body)
    assert last(vault).outcome == "internal"


def test_help_is_for_whoever_holds_a_token() -> None:
    vault = Vault.started(PLUGINS)
    token = limited(vault, 'path "nothing" { capabilities = ["deny"] }')
    asked = vault.request(Operation.HELP, "sys/mounts", token=token)
    assert asked.body["help"].startswith("Request: sys/mounts\n")
    assert asked.body["openapi"]["paths"]["/sys/mounts"]["get"]["summary"] == "All mounts."
    assert vault.request(Operation.HELP, "sys/mounts", token=None).error is PermissionDenied
    assert vault.request(Operation.HELP, "sys/health", token=None).error is None
    assert vault.request(Operation.HELP, "nowhere/x", token=token).error is PermissionDenied
    assert vault.request(Operation.HELP, "nowhere/x").error is NotFound
    vault.write("sys/seal")
    assert vault.request(Operation.HELP, "sys/mounts", token=token).error is Sealed
    assert vault.request(Operation.HELP, "sys/health", token=None).error is None


def test_help_of_every_mount_s_root_lists_its_paths() -> None:
    vault = Vault.started(app.PLUGINS)
    for kind in sorted(AUTH_TYPES - {"token"}):
        vault.write(f"sys/auth/{kind}", {"type": kind})
    vault.write("sys/mounts/kv", {"type": "kv"})
    token = limited(vault, 'path "*" { capabilities = ["list"] }')
    roots = ["sys/", *vault.read("sys/mounts").data]
    roots += [f"auth/{path}" for path in vault.read("sys/auth").data]
    assert len(roots) > len(AUTH_TYPES)
    for root in roots:
        for path in (root, root.rstrip("/")):
            asked = vault.request(Operation.HELP, path, token=token)
            assert asked.error is None, path
            assert root in asked.body["help"]
            assert asked.body["openapi"]["paths"]
            assert vault.request(Operation.HELP, path, token=None).error is PermissionDenied


def test_every_entry_names_who_asked_from_where_and_what_decided() -> None:
    vault = Vault.started(PLUGINS)
    vault.write("secret/data/app", DATA)
    token = limited(vault, 'path "secret/data/app" { capabilities = ["read"] }')
    accessor = vault.read("auth/token/lookup-self", token=token).data["accessor"]
    read = vault.read("secret/data/app", token=token, remote="192.0.2.7:1234")
    entry = last(vault)
    assert read.answer.receipt is not None
    assert (entry.op, entry.path, entry.outcome) == ("read", "secret/data/app", "ok")
    assert (entry.accessor, entry.remote) == (accessor, "192.0.2.7:1234")
    assert entry.request == read.body["request_id"]
    assert entry.rule.startswith("limited")
    assert entry.mount == vault.read("sys/mounts/secret").data["uuid"]
    vault.delete("secret/data/app", token=token)
    refused = last(vault)
    assert (refused.accessor, refused.outcome) == (accessor, "permission_denied")
    assert refused.reason
