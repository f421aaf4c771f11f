"""sys/audit/log/search and follow: names, people with their logins, cursors over epochs."""

from typing import Any

import pytest

from ironkeep.core.errors import Conflict, InvalidRequest, NotFound, PermissionDenied
from ironkeep.core.event import Entry
from ironkeep.engines.system.search import OUTCOMES, instant
from ironkeep.plugin.effects.questions import Nobody
from ironkeep.plugin.effects.readings import IDLE_SECONDS, MAX_OF_TOKEN, NOTICE
from ironkeep.testing.memory_log import LogDisk
from ironkeep.testing.parts import tables, text
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import ORIGIN, Reply, Vault
from tests.support.log.sample_journal import SAMPLE_ORIGIN

SEARCH = "sys/audit/log/search"
FOLLOW = "sys/audit/log/follow"
POLICY = """
path "secret/*" { capabilities = ["create", "read", "update"] }
path "sys/audit/log/*" { capabilities = ["read", "delete", "sudo"] }
"""


@pytest.fixture
def vault() -> Vault:
    vault = Vault.started(PLUGINS)
    vault.write("sys/policies/acl/reader", {"policy": POLICY})
    for path in ("userpass", "staff"):
        vault.write(f"sys/auth/{path}", {"type": "userpass"})
        user = {"password": "a good password", "token_policies": "reader"}
        vault.write(f"auth/{path}/users/ada", user)
    vault.write("secret/data/app", {"data": {"a": "1"}})
    return vault


def login(vault: Vault, mount: str = "userpass", password: str = "a good password") -> Reply:
    return vault.write(f"auth/{mount}/login/ada", {"password": password}, token=None)


def search(vault: Vault, **asked: Any) -> list[dict[str, object]]:
    return tables(vault.read(SEARCH, data=asked).data, "entries")


def ends(vault: Vault) -> list[Entry]:
    found = (entry for _, entry in vault.house.audit_reader().entries())
    return [entry for entry in found if entry.op == NOTICE]


def test_the_entry_of_a_login_names_the_person(vault: Vault) -> None:
    made = login(vault)
    entity, accessor = text(made.auth, "entity_id"), text(made.auth, "accessor")
    vault.read("secret/data/app", token=made.token)
    assert login(vault, password="wrong").error is not None
    found = search(vault, entity="userpass/ada")
    assert [(each["path"], each["entity"]) for each in found] == [
        ("auth/userpass/login/ada", entity),
        ("secret/data/app", entity),
    ], "a refused login is no act of the person"
    assert (found[0]["issued"], found[0]["name"]) == (accessor, "userpass-ada")
    assert search(vault, entity=entity) == found
    assert search(vault, accessor=accessor) == found


def test_a_name_is_one_person_or_an_error(vault: Vault) -> None:
    made = login(vault)
    assert len(search(vault, entity="ada")) == 1
    other = login(vault, "staff")
    both = vault.read(SEARCH, data={"entity": "ada"})
    assert both.error is InvalidRequest
    for each in (made, other):
        assert text(each.auth, "entity_id") in both.errors[0]
    named = ("userpass/ada", "auth/userpass/ada", "userpass-ada", text(made.auth, "entity_id"))
    for name in named:
        assert [each["path"] for each in search(vault, entity=name)] == ["auth/userpass/login/ada"]
    for name in ("eve", "userpass/eve", "staff/", " ", "x" * 2_000, "a\nb"):
        assert vault.read(SEARCH, data={"entity": name}).error is InvalidRequest, name
    assert vault.defects == []


def test_a_deleted_person_and_one_of_a_removed_mount_are_found(vault: Vault) -> None:
    made = login(vault)
    entity = text(made.auth, "entity_id")
    vault.delete("sys/auth/userpass")
    tx = vault.house.state.begin()
    vault.house.identity.delete(tx, entity, vault.clock.now_ns())  # type: ignore[arg-type]
    tx.merge()
    vault.flush()
    assert [each["path"] for each in search(vault, entity=entity)] == ["auth/userpass/login/ada"]


def test_a_secret_is_found_in_all_versions_and_by_its_changes(vault: Vault) -> None:
    vault.write("secret/data/app", {"data": {"a": "2"}})
    vault.read("secret/data/app")
    vault.read("secret/data/app", data={"version": 1})
    vault.delete("secret/metadata/app")
    for name in ("secret/app", "secret/data/app"):
        found = search(vault, secret=name)
        assert [each["op"] for each in found] == ["create", "update", "read", "read", "delete"]
    for name in ("secret/none", "nowhere/app", "secret/", "sys/mounts"):
        refused = vault.read(SEARCH, data={"secret": name})
        assert refused.error is InvalidRequest, name
        assert name.rstrip("/") in refused.errors[0]


def test_an_unknown_token_or_device_is_an_error(vault: Vault) -> None:
    for asked in ({"accessor": "none"}, {"device": "laptop"}, {"since": "yesterday"}):
        assert vault.read(SEARCH, data=asked).error is InvalidRequest, asked


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"since": "yesterday"}, "'yesterday' is no time"),
        ({"until": "-3h"}, "'-3h' is no time"),
        ({"since": "1h", "until": "2h"}, "no time is after `since` and before `until`"),
        ({"since": "2099-01-01T00:00:00Z"}, "`since` is in the future"),
        ({"outcome": "permision_denied"}, "no entry has the outcome 'permision_denied'"),
    ],
)
def test_conditions_that_nothing_can_meet_are_errors(
    vault: Vault, asked: dict[str, str], words: str
) -> None:
    refused = vault.read(SEARCH, data=asked)
    assert refused.error is InvalidRequest
    assert words in refused.errors[0]


@pytest.mark.parametrize("outcome", sorted(OUTCOMES))
def test_every_outcome_may_be_asked_for(vault: Vault, outcome: str) -> None:
    assert all(each.get("outcome", "ok") == outcome for each in search(vault, outcome=outcome))


def test_times_are_of_the_servers_clock(vault: Vault) -> None:
    vault.clock.advance(seconds=600)
    vault.read("secret/data/app")
    assert [each["op"] for each in search(vault, secret="secret/app", since="5m")] == ["read"]
    assert [each["op"] for each in search(vault, secret="secret/app", until="5m")] == ["create"]


NOW = 1_800_000_000_000_000_000


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("", 0),
        ("1h", NOW - 3_600_000_000_000),
        ("90", NOW - 90_000_000_000),
        ("2020-01-01T00:00:00Z", 1_577_836_800_000_000_000),
        ("2020-01-01T02:00:00.000001+02:00", 1_577_836_800_000_001_000),
        ("9999-12-31T00:00:00Z", (1 << 63) - 1),
        ("0001-01-01T00:00:00Z", 1),
    ],
)
def test_times_are_absolute_or_ago(text: str, moment: int) -> None:
    assert instant(text, NOW) == moment


@pytest.mark.parametrize("text", ["2020-01-01T00:00:00", "yesterday", "-1h"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        instant(text, NOW)


def test_the_asking_entry_says_what_was_asked(vault: Vault) -> None:
    search(vault, secret="secret/app", op="read", since="1h", newest=True)
    entry = [each for _, each in vault.house.audit_reader().entries()][-1]
    asked = {"secret": "secret/app", "op": "read", "since": "1h", "newest": True, "limit": 100}
    assert entry.path == SEARCH
    assert asked.items() <= entry.audited.items()
    assert {"from", "to"} <= set(entry.audited)


def begun(vault: Vault, **asked: Any) -> dict[str, Any]:
    return {**vault.read(FOLLOW, data=asked).data}


def followed(vault: Vault, at: dict[str, Any], limit: int = 1_000) -> list[dict[str, object]]:
    """Return the entries from a cursor on, and advance it."""
    vault.journal.checkpoint()
    asked = {"reading": at["reading"], "cursor": at["cursor"], "limit": limit}
    data = vault.read(FOLLOW, data=asked).data
    at["cursor"] = data["cursor"]
    return tables(data, "entries")


def test_a_follower_gets_every_entry_once(vault: Vault) -> None:
    at = begun(vault, cursor=f"{ORIGIN}@0")
    found: list[object] = []
    for number in range(25):
        vault.read(f"secret/data/k{number}")
        found += [each["index"] for each in followed(vault, at, limit=2)]
    while page := followed(vault, at):
        found += [each["index"] for each in page]
    size = vault.journal.durable_size
    assert found == [index for index, _ in vault.house.audit_reader().entries(0, size)]
    assert len(set(map(str, found))) == len(found)


def test_following_leaves_no_entry_but_counts(vault: Vault) -> None:
    vault.journal.checkpoint()
    at = begun(vault)
    vault.read("secret/data/app")
    followed(vault, at)
    size = vault.journal.durable_size
    for _ in range(50):
        assert followed(vault, at) == []
    assert vault.journal.durable_size == size
    vault.tick(61)
    (notice,) = ends(vault)
    assert (notice.audited["entries"], notice.audited["over"]) == (2, False)
    assert notice.audited["reading"] == at["reading"]
    assert notice.accessor
    assert [each["op"] for each in followed(vault, at)] == [NOTICE]
    for _ in range(4):
        vault.tick(61)
        followed(vault, at)
    assert len(ends(vault)) == 1, "its own notice calls for no other"
    vault.tick(IDLE_SECONDS + 1)
    vault.tick()
    assert (ends(vault)[-1].audited["entries"], ends(vault)[-1].audited["over"]) == (3, True)
    gone = vault.read(FOLLOW, data={"reading": at["reading"], "cursor": at["cursor"]})
    assert gone.error is NotFound


def test_only_signed_entries_are_handed_out(vault: Vault) -> None:
    vault.journal.checkpoint()
    at = begun(vault)
    vault.read("secret/data/app")
    asked = {"reading": at["reading"], "cursor": at["cursor"]}
    assert tables(vault.read(FOLLOW, data=asked).data, "entries") == []
    assert len(followed(vault, at)) == 2


def test_a_cursor_stays_valid_over_restarts_and_seals(vault: Vault) -> None:
    at = begun(vault)
    vault.read("secret/data/one")
    followed(vault, at)
    again = vault.restarted()
    again.unseal()
    asked = {"reading": at["reading"], "cursor": at["cursor"]}
    assert again.read(FOLLOW, data=asked).error is NotFound
    again.read("secret/data/two")
    more = begun(again, cursor=at["cursor"])
    paths = [each.get("path") for each in followed(again, more)]
    assert "secret/data/two" in paths
    assert "secret/data/one" not in paths


@pytest.mark.parametrize(
    "cursor",
    [
        "nonsense", f"{ORIGIN}@", f"{ORIGIN}@-1", f"{ORIGIN}@x", f"{ORIGIN}@{10**30}", "@1",
        f"{SAMPLE_ORIGIN}@1", "vault.example/audit/node-1/2@0", "vault.example/audit/node-1/01@0",
        "vault.example/audit/node-1/0@0", f"{ORIGIN}@9999999", "../../etc/1@0", "x" * 5_000,
        f"{ORIGIN}@٣",
    ],
)  # fmt: skip
def test_a_cursor_that_is_none_is_refused(vault: Vault, cursor: str) -> None:
    refused = vault.read(FOLLOW, data={"cursor": cursor})
    assert refused.error in (InvalidRequest, Conflict)
    assert vault.defects == []


def test_hostile_parameters_are_refused(vault: Vault) -> None:
    reading = begun(vault)["reading"]
    data = vault.read(SEARCH, data={"path": "sys/", "limit": 1}).data
    for path, asked in (
        (FOLLOW, {"limit": 0}),
        (FOLLOW, {"limit": 10**6}),
        (FOLLOW, {"reading": "x" * 10_000}),
        (FOLLOW, {"reading": data["reading"]}),
        (SEARCH, {"reading": reading, "next": 1}),
        (SEARCH, {"reading": data["reading"], "next": "x"}),
        (SEARCH, {"reading": "none", "next": 1}),
        (SEARCH, {"last": -5, "limit": -1}),
        (SEARCH, {"path": ["a"], "limit": {"a": 1}}),
    ):
        refused = vault.read(path, data=asked)
        assert refused.error in (InvalidRequest, NotFound), asked
    assert vault.read(SEARCH, data={"last": -5}).error is None
    assert vault.read(SEARCH, data={"first": 10**18}).error is None
    assert vault.defects == []


def test_a_token_keeps_a_bounded_number_of_readings(vault: Vault) -> None:
    first = begun(vault)
    for _ in range(MAX_OF_TOKEN - 1):
        vault.tick()
        begun(vault)
    followed(vault, first)
    vault.tick()
    begun(vault)
    begun(vault)
    assert len(ends(vault)) == 2
    asked = {"reading": first["reading"], "cursor": first["cursor"]}
    assert vault.read(FOLLOW, data=asked).error is None, "the one that rested longest ended"


def test_a_log_of_an_earlier_epoch_is_followed_into_the_next(vault: Vault) -> None:
    later = Vault(PLUGINS, disk=LogDisk(), origin="vault.example/audit/node-1/2")
    later.initialise()
    later.unseal()
    older = vault.journal.log
    later.house.older_log = lambda origin: older if origin == ORIGIN else None
    keys = vault.house.reading.keys()
    both = (*keys.periods, *later.house.reading.keys().periods)
    object.__setattr__(later.house.reading.keys(), "periods", both)
    at = begun(later, cursor=f"{ORIGIN}@0")
    found = followed(later, at)
    assert [each["index"] for each in found] == [i for i, _ in vault.house.audit_reader().entries()]
    assert at["cursor"] == "vault.example/audit/node-1/2@0"
    assert [each["index"] for each in followed(later, at)][:2] == [1, 3]
    later.house.older_log = lambda _origin: None
    missing = {"reading": at["reading"], "cursor": f"{ORIGIN}@0"}
    refused = later.read(FOLLOW, data=missing)
    assert refused.error in (Conflict, None)


def test_questions_are_listed_and_cancelled_by_auditors_only(vault: Vault) -> None:
    assert vault.read("sys/questions").data == {"questions": []}
    question = vault.house.questions.ask("search", {}, "ada")
    waiting = vault.read("sys/questions").data["questions"]
    number = question.number
    shown = {"number": number, "name": "search", "by": "ada", "state": "waiting", "place": 1}
    assert waiting == [shown]
    token = vault.write("auth/token/create", {"policies": ["default"]}).token
    path = f"sys/questions/{number}"
    assert vault.delete(path, token=token).error is PermissionDenied
    assert vault.delete(path).error is None
    assert question.is_cancelled
    assert vault.delete("sys/questions/999").error is NotFound
    assert vault.delete("sys/questions/x").error is InvalidRequest


def test_without_an_answering_process_a_search_is_unavailable(vault: Vault) -> None:
    vault.house.questions.answering = Nobody()
    refused = vault.read(SEARCH)
    assert refused.answer.error is not None
    assert "nothing here answers" in refused.errors[0]
