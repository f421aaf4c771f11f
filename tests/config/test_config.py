"""Configuration: Vault's own files are understood, and nothing misspelt passes in silence."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from ironkeep.config import file as config
from ironkeep.config.environment import environment
from ironkeep.config.file import MAX_LISTENERS, MAX_WITNESSES
from ironkeep.config.settings import DEFAULT_TTL_SECONDS, Config, Listener, Witness
from ironkeep.core.errors import InvalidRequest, IronkeepError

LISTENER = 'listener "tcp" {\n  tls_disable = true\n}\n'
STORAGE = 'storage "inmem" {}\n'
LEAST = LISTENER + STORAGE

TLS = 'listener "tcp" {\n  tls_cert_file = "c.pem"\n  tls_key_file = "k.pem"\n'

HVAC = """
backend "inmem" {
}

listener "tcp" {
  // address = "127.0.0.1:8200"
  tls_cert_file = "../tests/config_files/server-cert.pem"
  tls_key_file  = "../tests/config_files/server-key.pem"
}

disable_mlock = true

default_lease_ttl = "768h"
max_lease_ttl = "768h"
"""
"""The file with which hvac's own tests start a server."""

WHOLE = """
listener "tcp" {
  address = "0.0.0.0:8200"
  cluster_address = "0.0.0.0:8201"
  tls_cert_file = "/etc/c.pem"
  tls_key_file = "/etc/k.pem"
  tls_client_ca_file = "/etc/ca.pem"
  tls_min_version = "tls13"
  tls_require_and_verify_client_cert = "true"
}
listener "tcp" { address = "[::1]:8300"  tls_disable = 1 }
storage "sqlite" { path = "/var/lib/ironkeep" }
audit { path = "/audit"  name = "node-7"  mirror = "/copy" }
witness "tower" { address = "https://tower.example"  vkey = "tower+1+AA" }
witness "moat" { address = "https://moat.example"  vkey = "moat+1+AA" }
quorum = 1
seal "file" { path = "/etc/seal.key" }
cluster_name = "keep"
api_addr = "https://keep.example:8200"
default_lease_ttl = "1h"
max_lease_ttl = 86400
log_file = "/var/log/keep.log"
ui = true
log_level = "debug"
"""


def test_the_least() -> None:
    assert config.parse(LEAST) == Config((Listener("127.0.0.1", 8200),))


def test_hvac_s_own_file() -> None:
    parsed = config.parse(HVAC)
    (listener,) = parsed.listeners
    assert (listener.host, listener.port, listener.tls) == ("127.0.0.1", 8200, True)
    assert listener.cert_file == Path("../tests/config_files/server-cert.pem")
    assert parsed.path is None
    assert parsed.default_lease_ttl_seconds == parsed.max_lease_ttl_seconds == DEFAULT_TTL_SECONDS
    assert parsed.ignored == ("disable_mlock",)


def test_everything() -> None:
    parsed = config.parse(WHOLE)
    assert parsed == Config(
        listeners=(
            Listener(
                "0.0.0.0",
                8200,
                Path("/etc/c.pem"),
                Path("/etc/k.pem"),
                Path("/etc/ca.pem"),
                require_client_cert=True,
                min_version="tls13",
            ),
            Listener("::1", 8300),
        ),
        path=Path("/var/lib/ironkeep"),
        audit_path=Path("/audit"),
        audit_mirror=Path("/copy"),
        audit_name="node-7",
        cluster_name="keep",
        api_addr="https://keep.example:8200",
        default_lease_ttl_seconds=3600,
        max_lease_ttl_seconds=86_400,
        witnesses=(
            Witness("tower", "https://tower.example", "tower+1+AA"),
            Witness("moat", "https://moat.example", "moat+1+AA"),
        ),
        quorum=1,
        seal_key_file=Path("/etc/seal.key"),
        log_file=Path("/var/log/keep.log"),
        ignored=("ui", "log_level", "listener cluster_address"),
    )


def test_json_is_as_good() -> None:
    text = """{"listener": [{"tcp": {"address": "127.0.0.1:1", "tls_disable": true}}],
               "storage": {"file": {"path": "/x"}}, "max_lease_ttl": "2h",
               "default_lease_ttl": "1h"}"""
    parsed = config.parse(text)
    assert (parsed.listeners[0].port, parsed.path) == (1, Path("/x"))
    assert parsed.max_lease_ttl_seconds == 7200


def test_most_witnesses_are_a_quorum_unless_told_otherwise() -> None:
    three = "".join(f'witness "{n}" {{ address = "a"  vkey = "v" }}\n' for n in "abc")
    assert config.parse(LEAST + three).quorum == 2
    assert config.parse(LEAST + three + "quorum = 0").quorum == 0
    assert config.parse(LEAST + three + "quorum = 3").quorum == 3


@pytest.mark.parametrize("key", sorted(config._WITHOUT_EFFECT))
def test_keys_of_vault_that_change_nothing_here_are_listed(key: str) -> None:
    assert config.parse(f"{LEAST}{key} = true").ignored == (key,)


WRONG = [
    ("", "give 1 to 8 listener blocks"),
    (LISTENER, "give one storage block"),
    (STORAGE, "give 1 to 8 listener blocks"),
    (LEAST + STORAGE, "give one storage block"),
    (LEAST + "disable_mlok = true", "line 5, column 1: unknown key 'disable_mlok'"),
    (LEAST + 'telemetry { x = "y" }', "line 5, column 1: unknown key 'telemetry'"),
    (STORAGE + 'listener "tcp" { tls_disabled = true }', "unknown key 'tls_disabled' in listener"),
    (STORAGE + 'listener "unix" { address = "x" }', "line 2.*only kind of listener"),
    (STORAGE + 'listener "tcp" { }', "line 2.*give tls_cert_file and tls_key_file"),
    (STORAGE + 'listener "tcp" { tls_cert_file = "c" }', "give tls_cert_file and tls_key_file"),
    (STORAGE + 'listener "tcp" { tls_disable = "perhaps" }', "expected true or false"),
    (STORAGE + TLS + '  tls_min_version = "tls10"\n}', "tls_min_version is tls12 or tls13"),
    *(
        (
            STORAGE + f'listener "tcp" {{ tls_disable = true  address = {given} }}',
            "host:port|string",
        )
        for given in ('"x"', '"x:y"', '"x:65536"', '"x:²"', '"x:-1"', '""', '["x:1"]', "5")
    ),
    (LISTENER + 'storage "consul" { path = "x" }', "the kinds of storage are"),
    (LISTENER + 'storage "sqlite" { }', "storage needs a path"),
    (LISTENER + 'storage "sqlite" { path = "x"  paht = "y" }', "unknown key 'paht' in storage"),
    (LISTENER + 'storage "sqlite" { path = ["x"] }', "string"),
    (LEAST + 'audit { file = "x" }', "unknown key 'file' in audit"),
    (LEAST + "audit { }\naudit { }", "'audit' is given twice"),
    (LEAST + 'witness "a" { address = "x" }', "a witness needs address and vkey"),
    (LEAST + 'witness "a" { address = "x"  vkey = "y"  key = "z" }', "unknown key 'key'"),
    (LEAST + "quorum = 1", "quorum is larger"),
    (LEAST + "quorum = -1", "quorum"),
    (LEAST + "quorum = true", "quorum is not of type int"),
    (LEAST + 'quorum = "1"', "quorum is not of type int"),
    (LEAST + 'seal "awskms" { }', 'at most one seal block, "shamir" or "file"'),
    (LEAST + 'seal "file" { path = "a" }\nseal "file" { path = "b" }', "at most one seal"),
    (LEAST + 'seal "file" { }', "path"),
    (LEAST + 'max_lease_ttl = "soon"', "line 5.*max_lease_ttl is a duration"),
    (LEAST + 'max_lease_ttl = ""', "max_lease_ttl is a duration"),
    (LEAST + 'max_lease_ttl = "²h"', "max_lease_ttl is a duration"),
    (LEAST + 'max_lease_ttl = "1h"\ndefault_lease_ttl = "2h"', "larger than max_lease_ttl"),
    (LEAST + "cluster_name = 5", "cluster_name is not of type str"),
    ("{", ""),
    ("listener", ""),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_what_is_wrong_is_said(text: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=f"(?s){message}"):
        config.parse(text)


def test_limits() -> None:
    assert len(config.parse(STORAGE + LISTENER * MAX_LISTENERS).listeners) == MAX_LISTENERS
    with pytest.raises(InvalidRequest):
        config.parse(STORAGE + LISTENER * (MAX_LISTENERS + 1))
    witnesses = [f'witness "w{n}" {{ address = "a"  vkey = "v" }}\n' for n in range(17)]
    assert len(config.parse(LEAST + "".join(witnesses[:MAX_WITNESSES])).witnesses) == MAX_WITNESSES
    with pytest.raises(InvalidRequest):
        config.parse(LEAST + "".join(witnesses))


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "ironkeep.hcl"
    for raw in (None, b"\xff"):
        if raw is not None:
            path.write_bytes(raw)
        with pytest.raises(InvalidRequest, match="cannot read"):
            config.load(path)
    path.write_text(LEAST)
    assert config.load(path) == config.parse(LEAST)


def test_the_environment_is_read_in_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_ADDR", "x")
    assert environment("VAULT_ADDR") == "x"
    assert environment("VAULT_NOTHING_OF_THE_KIND", "default") == "default"


VALUES = st.sampled_from(
    ['"x"', '"127.0.0.1:1"', "5", "-1", "1.5", "true", "[]", '["x"]', "{ }", '{ a = "b" }', '""']
)
NAMES = st.sampled_from(
    sorted(config._TOP | config._LISTENER | config._WITHOUT_EFFECT | {"path", "name", "vkey", "x"})
)


@st.composite
def texts(draw: Any) -> str:
    lines = []
    for _ in range(draw(st.integers(1, 6))):
        name, value = draw(NAMES), draw(VALUES)
        labels = " ".join(
            draw(st.lists(st.sampled_from(['"tcp"', '"file"', '"inmem"']), max_size=2))
        )
        inner = " ".join(f"{draw(NAMES)} = {draw(VALUES)}" for _ in range(draw(st.integers(0, 3))))
        lines.append(draw(st.sampled_from([f"{name} = {value}", f"{name} {labels} {{ {inner} }}"])))
    return "\n".join(lines)


@given(texts() | texts().map(lambda text: LEAST + text) | st.text(max_size=100))
def test_any_text_is_a_configuration_or_our_error(text: str) -> None:
    with contextlib.suppress(IronkeepError):
        assert isinstance(config.parse(text), Config)
