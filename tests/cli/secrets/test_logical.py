"""read, write, list, delete, patch, unwrap, status, version against a server."""

import json
from pathlib import Path

import pytest

from ironkeep.testing.server import Done
from tests.support.commands import Run


def test_a_user_is_written_read_listed_and_deleted(run: Run) -> None:
    run("auth", "enable", "-path=logical", "userpass")
    users = "auth/logical/users"
    done = run("write", f"{users}/ada", "password=-", "token_policies=dev,ops", given="pass")
    assert done == Done(0, f"Success! Data written to: {users}/ada\n", "")

    done = run("read", f"{users}/ada", "-format=json")
    assert done.code == 0
    assert done.json()["data"]["token_policies"] == ["dev", "ops"]
    assert run("read", "-field=token_policies", f"{users}/ada").out == '["dev", "ops"]'
    assert "token_policies" in run("read", f"/{users}/ada/").out

    assert run("list", users).out == "Keys\n----\nada\n"
    assert run("list", users, "--format", "json").json() == ["ada"]
    assert run("delete", f"{users}/ada").out.startswith("Success! Data deleted")
    assert run("read", f"{users}/ada") == Done(2, "", f"No value found at {users}/ada\n")
    assert run("list", users) == Done(2, "", f"No value found at {users}/\n")


def test_patch_merges(run: Run) -> None:
    run("kv", "put", "secret/logical/patched", "a=1")
    run("kv", "metadata", "put", "-custom-metadata=owner=ada", "secret/logical/patched")
    path = "secret/metadata/logical/patched"
    assert run("patch", path, "-", given='{"max_versions": 7}').code == 0
    data = run("read", path, "-format=json").json()["data"]
    assert (data["max_versions"], data["custom_metadata"]) == (7, {"owner": "ada"})
    assert run("patch", path).code == 1


def test_a_wrapped_answer_opens_once(run: Run) -> None:
    run("kv", "put", "secret/logical/wrapped", "password=once")
    path = "secret/data/logical/wrapped"
    token = run("read", "-wrap-ttl=60", "-field=wrapping_token", path).out
    done = run("unwrap", "-format=json", "-", given=token + "\n")
    assert done.json()["data"]["data"] == {"password": "once"}
    done = run("unwrap", token)
    assert done.code == 2
    assert "wrapping token is not valid or does not exist" in done.err
    assert token not in done.err


def test_unwrap_takes_the_token_in_use(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    token = run("token", "create", "-wrap-ttl=60", "-field=wrapping_token").out
    monkeypatch.setenv("VAULT_TOKEN", token)
    assert run("unwrap", "-field=token").out.startswith("hvs.")


def test_writing_without_data_takes_force(run: Run) -> None:
    assert run("write", "sys/rotate").code == 1
    assert run("write", "-f", "sys/rotate").code == 0


def test_a_file_and_standard_input_give_data(run: Run, tmp_path: Path) -> None:
    (tmp_path / "value.txt").write_text("from a file\n")
    (tmp_path / "more.json").write_text('{"n": 5, "deep": {"k": [1, null]}}')
    run("secrets", "enable", "-path=plain", "-version=1", "kv")
    run("write", "plain/x", "@more.json", "v=@value.txt", "s=-", "at=\\@home", given="typed")
    data = run("read", "plain/x", "-format=json").json()["data"]
    assert data == {
        "n": 5, "deep": {"k": [1, None]}, "v": "from a file", "s": "typed", "at": "@home",
    }  # fmt: skip


def test_what_the_server_refuses_is_said_with_what_to_do(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run("read", "nowhere/x")
    assert done.code == 2
    assert 'no handler for route "nowhere/x"' in done.err
    monkeypatch.delenv("VAULT_TOKEN")
    done = run("read", "secret/data/x")
    assert done.code == 2
    assert "missing client token" in done.err
    assert "ironkeep login" in done.err


def test_a_path_of_kv_2_without_data_says_so(run: Run) -> None:
    done = run("read", "secret/logical/x")
    assert (done.code, done.out) == (2, "")
    assert "Invalid path for a versioned K/V" in done.err


def test_a_request_can_be_printed_and_is_not_sent(run: Run) -> None:
    done = run("write", "-output-curl-string", "auth/token/create", "ttl=1 h'x")
    assert done.code == 0
    assert done.out.startswith("curl -X PUT -H 'X-Vault-Request: true' ")
    assert '-H "X-Vault-Token: $VAULT_TOKEN"' in done.out
    assert """-d '{"ttl": "1 h'"'"'x"}'""" in done.out
    run("kv", "put", "secret/logical/curl", "a=1")
    done = run("kv", "put", "-output-curl-string", "secret/logical/curl", "a=2")
    assert done.out.rstrip().endswith("/v1/secret/data/logical/curl")
    assert run("kv", "get", "-field=a", "secret/logical/curl").out == "1"


def test_names_with_spaces_and_unicode_arrive(run: Run) -> None:
    run("kv", "put", "secret/logical/ü b%20?c#d", "a=1")
    assert "ü b%20?c#d" in run("kv", "list", "-format=json", "secret/logical").json()
    assert run("kv", "get", "-field=a", "secret/logical/ü b%20?c#d").out == "1"


def test_status_of_an_open_server(run: Run) -> None:
    done = run("status")
    assert done.code == 0
    assert "Sealed          false" in done.out
    assert run("status", "-format=json").json()["storage_type"] == "sqlite"
    assert run("status", "-field=version").out == "1.16.3"


@pytest.mark.parametrize("words", [("version",), ("-version",), ("--version",), ("-v",)])
def test_the_second_word_of_version_is_the_version(run: Run, words: tuple[str, ...]) -> None:
    assert run(*words).out.split()[:2] == ["Ironkeep", "v0.1.0"]


def test_the_format_comes_from_the_environment_too(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_FORMAT", "json")
    assert json.loads(run("status").out)["initialized"] is True
    monkeypatch.setenv("VAULT_FORMAT", "yaml")
    assert "\ninitialized: true\n" in run("status").out
    monkeypatch.setenv("VAULT_FORMAT", "toml")
    assert run("status").code == 1
    assert run("status", "-format=table").code == 0


def test_a_field_that_is_not_there_is_an_error(run: Run) -> None:
    done = run("read", "-field=nothing", "auth/token/lookup-self")
    assert done == Done(1, "", 'Field "nothing" not present in secret\n')


def test_another_namespace_is_refused_and_not_ignored(run: Run) -> None:
    run("kv", "put", "secret/logical/ns", "a=1")
    done = run("read", "-namespace=other", "secret/data/logical/ns")
    assert (done.code, done.out) == (2, "")
    assert "namespaces are not supported" in done.err


def test_path_help_says_what_a_path_takes(run: Run) -> None:
    assert "secret/data/{path...}" in run("path-help", "secret/").out
    assert run("path-help", "sys/health").out.startswith("Request: sys/health")
    assert "Request" in run("path-help", "-format=json", "sys/health").json()["data"]["help"]
    assert run("path-help", "-field=help", "sys/health").out.startswith("Request: sys/health")
    assert run("path-help", "nosuch").code == 2
