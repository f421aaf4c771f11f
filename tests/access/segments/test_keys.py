"""The keys of segments over time: rotation, key files, and servers for some of them only."""

from pathlib import Path
from typing import Final

import pytest

from ironkeep.access.segments.routes import SegmentEngine
from ironkeep.config.file import parse
from ironkeep.core.errors import InvalidRequest, Sealed
from ironkeep.plugin.route import Plugin
from ironkeep.plugin.settings import ServerSettings
from ironkeep.testing.plugins import PLUGINS as BASE
from ironkeep.testing.server import ServerProcess
from ironkeep.testing.vault import Vault

PLUGINS: Final[dict[str, Plugin]] = {**BASE, "segment": SegmentEngine()}
ONE: Final = {"secret_shares": 1, "secret_threshold": 1}
VALUE: Final = {"data": {"v": "1"}}
SERVER: Final = 'listener "tcp" { tls_disable = true }\nstorage "inmem" {}\n'


def make(vault: Vault, name: str) -> str:
    """Make an open segment with a mount of its name; return its share."""
    share: str = vault.write(f"segment/segments/{name}", ONE).keys[0]
    options = {"version": "2", "segment": name}
    assert vault.write(f"sys/mounts/{name}", {"type": "kv", "options": options}).error is None
    assert vault.write(f"segment/flows/house/{name}", {}).error is None
    assert vault.write(f"segment/segments/{name}/unseal", {"key": share}).error is None
    return share


def terms(vault: Vault, name: str) -> int:
    segments = vault.house.segments
    segment = segments.find(vault.house.state.begin(), name)
    return len(segments.keys.barrier(segment).ciphers.keyring.terms)


def test_the_key_of_a_segment_is_rotated_by_age_and_old_records_stay_readable() -> None:
    vault = Vault.started(PLUGINS)
    share = make(vault, "prod")
    vault.write("prod/data/old", VALUE)
    assert vault.write("sys/rotate/config", {"interval": "24h"}).error is None
    vault.tick(seconds=25 * 3600)
    assert terms(vault, "prod") == 2
    vault.write("prod/data/new", VALUE)
    again = vault.restarted()
    again.unseal()
    again.write("segment/segments/prod/unseal", {"key": share})
    assert terms(again, "prod") == 2
    for name in ("old", "new"):
        assert again.read(f"prod/data/{name}").data["data"] == VALUE["data"]
    assert again.defects == vault.defects == []


def test_rotating_the_house_s_key_leaves_a_sealed_segment_as_it_is() -> None:
    vault = Vault.started(PLUGINS)
    share = make(vault, "prod")
    vault.write("prod/data/x", VALUE)
    vault.write("segment/segments/prod/seal")
    assert vault.write("sys/rotate").error is None
    vault.write("segment/segments/prod/unseal", {"key": share})
    assert terms(vault, "prod") == 1
    assert vault.read("prod/data/x").data["data"] == VALUE["data"]


def test_a_server_takes_no_share_of_a_segment_that_it_is_not_started_for() -> None:
    vault = Vault.started(PLUGINS, settings=ServerSettings(segments=frozenset({"dev"})))
    share: str = vault.write("segment/segments/prod", ONE).keys[0]
    make(vault, "dev")
    reply = vault.write("segment/segments/prod/unseal", {"key": share})
    assert reply.error is InvalidRequest
    assert reply.errors == ["this server does not serve segment 'prod'"]
    options = {"version": "2", "segment": "prod"}
    vault.write("sys/mounts/prod", {"type": "kv", "options": options})
    vault.write("segment/flows/house/prod", {})
    told = vault.read("prod/data/x")
    assert told.error is Sealed
    assert "ask another" in told.errors[0]


@pytest.mark.parametrize(
    ("text", "names"),
    [("", None), ("segments = []", ()), ('segments = ["a", "b", "a"]', ("a", "b"))],
)
def test_the_configuration_names_segments(text: str, names: tuple[str, ...] | None) -> None:
    assert parse(SERVER + text).segments == names


def test_a_segment_s_key_file_is_read() -> None:
    config = parse(SERVER + 'segment "prod" { key_file = "/etc/prod.key" }')
    assert config.segment_key_files == (("prod", Path("/etc/prod.key")),)


@pytest.mark.parametrize(
    "text",
    [
        'segments = "prod"',
        "segments = [1]",
        "segments = true",
        'segment "prod" {}',
        'segment "prod" { keyfile = "/x" }',
        'segment "prod" { key_file = "/x" }\nsegment "prod" { key_file = "/y" }',
        'segments = ["dev"]\nsegment "prod" { key_file = "/x" }',
    ],
)
def test_a_configuration_that_would_be_without_effect_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse(SERVER + text)


def test_a_key_file_opens_its_segment_when_the_house_opens(tmp_path: Path) -> None:
    path = tmp_path / "prod.key"
    with ServerProcess.configured(tmp_path) as first:
        keys = first.initialise()
        made = first.api("PUT", "segment/segments/prod", {**ONE, "key_file": True})
        path.write_text(made["data"]["key_file"], encoding="ascii")
        token = first.token
        first.api("PUT", "segment/segments/other", ONE)
    more = f'segment "prod" {{ key_file = "{path}" }}\nsegment "other" {{ key_file = "{path}" }}'
    with ServerProcess.configured(tmp_path, more=more) as second:
        second.token = token
        second.api("PUT", "sys/unseal", {"key": keys[0]})
        states = second.api("LIST", "segment/segments")["data"]["key_info"]
        assert {name: each["state"] for name, each in states.items()} == {
            "other": "sealed",
            "prod": "open",
        }
    said = (tmp_path / "server.err").read_text(encoding="utf-8")
    assert "segment 'other' stays sealed" in said
    assert made["data"]["key_file"].strip() not in said
