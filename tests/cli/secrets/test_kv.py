"""kv and kv metadata against a server, in mounts of both versions."""

import re

import pytest

from ironkeep.testing.server import Done
from tests.support.commands import Run


def test_put_get_and_one_field(run: Run) -> None:
    done = run("kv", "put", "secret/kv/a", "user=ada", "password=-", given="line\n\n")
    assert done.code == 0
    assert "version            1" in done.out
    shown = run("kv", "get", "secret/kv/a").out
    assert shown.startswith("====== Secret Path ======\nsecret/data/kv/a\n")
    assert "user        ada" in shown
    # A newline in a value does not break a table's lines.
    assert "password    line\\n\\n" in shown
    assert run("kv", "get", "-field=password", "secret/kv/a").out == "line\n\n"
    assert run("kv", "get", "-mount=secret", "-field=user", "kv/a").out == "ada"
    assert (
        run("kv", "get", "-format=json", "secret/kv/a").json()["data"]["metadata"]["version"] == 1
    )


def test_check_and_set(run: Run) -> None:
    assert run("kv", "put", "-cas=0", "secret/kv/cas", "a=1").code == 0
    done = run("kv", "put", "-cas=0", "secret/kv/cas", "a=2")
    assert done.code == 2
    assert "check-and-set parameter did not match the current version" in done.err


@pytest.mark.parametrize("flags", [(), ("-method=patch",), ("-method=rw",), ("-cas=1",)])
def test_patch_changes_what_is_named(run: Run, flags: tuple[str, ...]) -> None:
    path = f"secret/kv/patch{''.join(flags)}"
    run("kv", "put", path, "a=1", "b=2")
    assert run("kv", "patch", *flags, path, "b=3", "c=4").code == 0
    data = run("kv", "get", "-format=json", path).json()["data"]
    assert data["data"] == {"a": "1", "b": "3", "c": "4"}


def test_patch_falls_back_where_only_reading_and_writing_is_allowed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = 'path "secret/data/kv/rw" { capabilities = ["read", "create", "update"] }'
    run("policy", "write", "rw", "-", given=policy)
    run("kv", "put", "secret/kv/rw", "a=1")
    monkeypatch.setenv("VAULT_TOKEN", run("token", "create", "-policy=rw", "-field=token").out)
    assert run("kv", "patch", "-method=patch", "secret/kv/rw", "b=2").code == 2
    assert run("kv", "patch", "secret/kv/rw", "b=2").code == 0
    assert run("kv", "get", "-field=b", "secret/kv/rw").out == "2"


def test_versions_are_deleted_undeleted_destroyed_and_rolled_back(run: Run) -> None:
    path = "secret/kv/v"
    for number in "123":
        run("kv", "put", path, f"n={number}")
    assert run("kv", "delete", path).code == 0
    deleted = run("kv", "get", path)
    assert deleted.code == 0
    assert "Metadata" in deleted.out
    assert "Data =" not in deleted.out
    assert run("kv", "undelete", "-versions=3", path).code == 0
    assert run("kv", "get", "-field=n", path).out == "3"
    assert run("kv", "delete", "-versions=1,2", path).code == 0
    assert run("kv", "undelete", "-versions=1", "-versions=2", path).code == 0
    assert run("kv", "get", "-version=1", "-field=n", path).out == "1"
    assert run("kv", "rollback", "-version=1", path).code == 0
    assert run("kv", "get", "-field=n", path).out == "1"
    assert run("kv", "destroy", "-versions=2", path).code == 0
    assert run("kv", "rollback", "-version=2", path).code == 2
    assert run("kv", "destroy", path).code == 1
    assert run("kv", "rollback", path).code == 1


def test_list(run: Run) -> None:
    run("kv", "put", "secret/kv/list/x", "a=1")
    run("kv", "put", "secret/kv/list/sub/y", "a=1")
    assert run("kv", "list", "secret/kv/list").out == "Keys\n----\nsub/\nx\n"
    assert run("kv", "list", "-format=json", "secret/kv/list/").json() == ["sub/", "x"]
    assert run("kv", "list", "secret/kv/list/none").code == 2


def test_metadata(run: Run) -> None:
    path = "secret/kv/meta"
    run("kv", "put", path, "a=1")
    words = ("-max-versions=3", "-cas-required=true", "-delete-version-after=1h")
    assert run("kv", "metadata", "put", *words, "-custom-metadata=o=ada", path).code == 0
    assert run("kv", "metadata", "patch", "-custom-metadata=p=q", path).code == 0
    assert run("kv", "metadata", "patch", "-remove-custom-metadata=o", path).code == 0
    data = run("kv", "metadata", "get", "-format=json", path).json()["data"]
    assert data["custom_metadata"] == {"p": "q"}
    assert (data["max_versions"], data["cas_required"]) == (3, True)
    assert data["delete_version_after"] == "1h0m0s"
    shown = run("kv", "metadata", "get", path).out
    assert "====== Version 1 ======" in shown
    assert run("kv", "metadata", "get", "-field=max_versions", path).out == "3"
    assert run("kv", "metadata", "patch", path).code == 1
    assert run("kv", "metadata", "delete", path).code == 0
    assert run("kv", "metadata", "get", path).code == 2
    assert run("kv", "get", path) == Done(2, "", "No value found at secret/data/kv/meta\n")


def test_a_mount_of_version_1(run: Run) -> None:
    run("secrets", "enable", "-path=one", "-version=1", "kv")
    assert run("kv", "put", "one/a", "x=1").out == "Success! Data written to: one/a\n"
    assert run("kv", "get", "-field=x", "one/a").out == "1"
    assert "x" in run("kv", "get", "one/a").out
    assert run("kv", "list", "one").out == "Keys\n----\na\n"
    for words in (
        ("get", "-version=1", "one/a"),
        ("put", "-cas=0", "one/a", "x=2"),
        ("patch", "one/a", "x=2"),
        ("undelete", "-versions=1", "one/a"),
        ("metadata", "get", "one/a"),
    ):
        done = run("kv", *words)
        assert done.code == 1, words
        assert "version" in done.err
    assert run("kv", "delete", "one/a").code == 0
    assert run("kv", "get", "one/a") == Done(2, "", "No value found at one/a\n")


def test_a_wrapped_secret_is_shown_as_a_wrapping_token(run: Run) -> None:
    run("kv", "put", "secret/kv/wrap", "a=1")
    done = run("kv", "get", "-wrap-ttl=1m", "secret/kv/wrap")
    assert "wrapping_token_ttl              60" in done.out


@pytest.mark.parametrize("number", ["1.10", "1e3", "1E400", "-0.0", "10000000000000000001"])
@pytest.mark.parametrize("mount", ["secret/kv/number", "plain/number"])
def test_a_number_keeps_its_spelling_through_every_command(
    run: Run, mount: str, number: str
) -> None:
    run("secrets", "enable", "-path=plain", "kv")
    path = f"{mount}{number}"
    assert run("kv", "put", path, "-", given=f'{{"n": {number}}}').code == 0
    if mount.startswith("secret"):
        assert run("kv", "patch", "-method=rw", path, "w=1").code == 0
        assert run("kv", "patch", "-method=patch", path, "w=2").code == 0
        assert run("kv", "rollback", "-version=1", path).code == 0
    for shown in ("table", "json", "raw", "yaml"):
        out = run("kv", "get", f"-format={shown}", path).out
        assert re.search(rf'\bn"?:?\s*{re.escape(number)}(?![0-9eE.])', out), (shown, out)
    assert run("kv", "get", "-field=n", path).out == number


def test_a_mount_is_listed_without_a_path(run: Run) -> None:
    run("kv", "put", "secret/kv/listed", "a=1")
    assert "kv/" in run("kv", "list", "-mount=secret").out
    assert run("kv", "list", "-mount=secret").out == run("kv", "list", "secret/").out
    assert "-mount" in run("kv", "list").err


def test_versions_are_counted_from_1(run: Run) -> None:
    """Version 0 is the newest to the API: going back to it would write it again, as another one."""
    run("kv", "put", "secret/kv/counted", "v=1")
    for words in (
        ("rollback", "-version=0"), ("rollback", "-version=-1"), ("get", "-version=-1"),
        ("delete", "-versions=0"), ("undelete", "-versions=1,0"), ("destroy", "-versions=0"),
        ("destroy", "-versions=\u0661"),
    ):  # fmt: skip
        assert run("kv", *words, "secret/kv/counted").code == 1, words
    assert run("kv", "get", "-version=0", "-field=v", "secret/kv/counted").out == "1"
    kept = run("kv", "metadata", "get", "-field=current_version", "secret/kv/counted")
    assert kept.out == "1"


def test_a_mount_learns_to_keep_versions(run: Run) -> None:
    run("secrets", "enable", "-path=learning", "-version=1", "kv")
    run("kv", "put", "learning/a", "v=1")
    done = run("kv", "enable-versioning", "learning/")
    assert (done.code, "learning/" in done.out) == (0, True)
    assert run("kv", "get", "-version=1", "-field=v", "learning/a").out == "1"
    assert run("kv", "enable-versioning", "nosuch/").code == 2
