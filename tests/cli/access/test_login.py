"""login and the token file: who can read it, and what it is not written through."""

import argparse
import io
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ironkeep.cli.access import login
from ironkeep.cli.client import tokenfile
from ironkeep.cli.command import Context
from ironkeep.cli.output.terminal import Terminal
from ironkeep.core.errors import InvalidRequest
from ironkeep.core.secret import Secret
from ironkeep.testing.server import Done, ServerProcess
from tests.support.commands import Run

NAME = ".vault-token"


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_a_token_from_standard_input_is_checked_and_kept(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = run("token", "create", "-policy=default", "-field=token").out
    monkeypatch.delenv("VAULT_TOKEN")
    done = run("login", "-", given=token + "\n")
    assert done.code == 0
    assert "stored in ~/.vault-token" in done.err
    assert "token_policies" in done.out
    assert (tmp_path / NAME).read_text() == token
    assert mode_of(tmp_path / NAME) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == [NAME]
    assert run("token", "lookup", "-field=id").out == token


def test_a_wrong_token_is_not_kept_and_not_shown(run: Run, tmp_path: Path) -> None:
    done = run("login", "-", given="hvs.canary-0123456789\n")
    assert done.code == 2
    assert "canary" not in done.err + done.out
    assert not (tmp_path / NAME).exists()


def test_a_password_logs_in(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("auth", "enable", "-path=people", "userpass")
    run("write", "auth/people/users/ada", "password=pass word", "token_policies=default")
    monkeypatch.delenv("VAULT_TOKEN")
    words = ("login", "-method=userpass", "-path=people", "username=ada")
    done = run(*words, "password=-", given="pass word\n")
    assert done.code == 0
    assert "token_meta_username    ada" in done.out
    assert (tmp_path / NAME).read_text().startswith("hvs.")
    done = run(*words, "password=wrong canary")
    assert done.code == 2
    assert "invalid username or password" in done.err
    assert "canary" not in done.err
    done = run(*words)
    assert done.code == 1
    assert "there is no terminal to ask for it" in done.err


def test_no_store_and_no_print(run: Run, tmp_path: Path) -> None:
    assert run("login", "-no-store", "-field=token", "-", given="root").out == "root"
    assert not (tmp_path / NAME).exists()
    done = run("login", "-no-print", "root")
    assert (done.code, done.out) == (0, "")
    assert (tmp_path / NAME).read_text() == "root"


def test_login_takes_one_token_and_a_known_method(run: Run) -> None:
    assert run("login", "a", "b").code == 1
    assert run("login", "-method=smoke-signals").code == 1


def test_a_wrapped_login_is_shown_wrapped(run: Run, tmp_path: Path) -> None:
    run("auth", "enable", "-path=wrapped", "userpass")
    run("write", "auth/wrapped/users/ada", "password=p")
    words = ("login", "-method=userpass", "-path=wrapped", "-wrap-ttl=60")
    done = run(*words, "username=ada", "password=p")
    assert "wrapping_token" in done.out
    assert not (tmp_path / NAME).exists()


def test_storing_replaces_a_symbolic_link_and_does_not_write_through_it(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("untouched")
    (tmp_path / NAME).symlink_to(target)
    tokenfile.store(tmp_path, Secret(b"hvs.new"))
    assert target.read_text() == "untouched"
    assert not (tmp_path / NAME).is_symlink()
    found = tokenfile.load(tmp_path)
    assert found is not None
    assert found.equals(b"hvs.new")


def test_a_failed_store_leaves_the_old_token_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenfile.store(tmp_path, Secret(b"old"))

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        tokenfile.store(tmp_path, Secret(b"new"))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_what_is_not_as_it_was_stored_is_refused(tmp_path: Path) -> None:
    assert tokenfile.load(tmp_path) is None
    path = tmp_path / NAME
    path.write_text("token")
    path.chmod(0o644)
    with pytest.raises(InvalidRequest, match="chmod 600"):
        tokenfile.load(tmp_path)
    path.unlink()
    (tmp_path / "target").write_text("token")
    path.symlink_to(tmp_path / "target")
    with pytest.raises(InvalidRequest, match="symbolic link"):
        tokenfile.load(tmp_path)
    path.unlink()
    path.mkdir(mode=0o700)
    with pytest.raises(InvalidRequest, match="not a regular file"):
        tokenfile.load(tmp_path)
    path.rmdir()
    tokenfile.store(tmp_path, Secret(b"x" * tokenfile.MAX_TOKEN))
    assert tokenfile.load(tmp_path) is not None
    tokenfile.store(tmp_path, Secret(b"x" * (tokenfile.MAX_TOKEN + 1)))
    with pytest.raises(InvalidRequest, match="longer than"):
        tokenfile.load(tmp_path)


def test_an_empty_file_is_no_token(tmp_path: Path) -> None:
    tokenfile.store(tmp_path, Secret(b"\n"))
    assert tokenfile.load(tmp_path) is None


def test_without_home_there_is_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    with pytest.raises(InvalidRequest, match="HOME is not set"):
        tokenfile.home()


def test_a_token_with_a_newline_inside_is_refused_before_it_is_sent(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "canary\nX-Other: 1")
    done = run("read", "auth/token/lookup-self")
    assert done.code == 1
    assert "canary" not in done.err
    assert run("login", "-", given="can ary").code == 1


def test_a_login_without_a_token_is_not_kept() -> None:
    args = argparse.Namespace(no_store=False, no_print=False)
    context = Context(args, Terminal(io.BytesIO(), io.StringIO(), io.StringIO()))
    waiting = {"auth": {"client_token": "", "mfa_requirement": {"mfa_request_id": "x"}}}
    with pytest.raises(InvalidRequest, match="second factor"):
        login._finish(context, waiting)


def wrapped(run: Run, *words: str) -> str:
    run("kv", "put", "secret/once", "v=привет", "other=o")
    token: str = run(*words, "-wrap-ttl=5m", "-field=wrapping_token").out
    return token


def test_a_field_of_a_wrapped_secret_is_found_where_kv_get_finds_it(run: Run) -> None:
    token = wrapped(run, "kv", "get", "secret/once")
    assert run("unwrap", "-field=v", token) == Done(0, "привет", "")


@pytest.mark.parametrize("kind", ["table", "json"])
def test_a_field_that_is_not_there_costs_no_one_time_answer(run: Run, kind: str) -> None:
    token = wrapped(run, "kv", "get", "secret/once")
    done = run("unwrap", "-field=nothing", f"-format={kind}", token)
    assert done.code == 1
    assert done.json()["data"]["data"] == {"v": "привет", "other": "o"}
    made = run("token", "create", "-policy=default", "-field=nothing")
    assert made.code == 1
    assert made.json()["auth"]["client_token"]
    spent = run("kv", "get", "-wrap-ttl=5m", "-field=v", "secret/once")
    assert spent.code == 1
    assert spent.json()["wrap_info"]["token"]


def test_nothing_is_asked_for_when_nobody_reads_the_answer(
    run: Run, dev: ServerProcess, tmp_path: Path
) -> None:
    token = wrapped(run, "kv", "get", "secret/once")
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as gone:  # noqa: PTH123 - a descriptor
        done = subprocess.run(
            [sys.executable, "-m", "ironkeep", "unwrap", token],
            env={**dev.environment(), "HOME": str(tmp_path)}, stdin=subprocess.DEVNULL, stdout=gone,
            stderr=subprocess.PIPE, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 5
    assert b"no program reads standard output" in done.stderr
    assert run("unwrap", "-field=v", token).out == "привет"


@pytest.mark.parametrize(("where", "code"), [(">&-", 5), (">/dev/full", 1)])
def test_a_token_is_not_spent_where_standard_output_takes_nothing(
    run: Run, dev: ServerProcess, tmp_path: Path, where: str, code: int
) -> None:
    token = wrapped(run, "kv", "get", "secret/once")
    command = f'exec "$0" -m ironkeep unwrap "$1" {where}'
    done = subprocess.run(
        ["/bin/sh", "-c", command, sys.executable, token],
        env={**dev.environment(), "HOME": str(tmp_path)}, stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE, timeout=60, check=False, text=True,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    if code == 1:
        shown = done.stderr.partition("again:\n")[2]
        found, _ = json.JSONDecoder().raw_decode(shown)
        assert found["data"]["data"]["other"] == "o"
    else:
        assert run("unwrap", "-field=other", token).out == "o"


def test_a_login_that_could_not_be_kept_is_not_begun(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = run("token", "create", "-policy=default", "-use-limit=2", "-field=token").out
    home = tmp_path / "open"
    home.mkdir()
    home.chmod(0o777)
    for place in (home, tmp_path / "missing"):
        monkeypatch.setenv("HOME", str(place))
        assert run("login", made).code == 1
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run("token", "lookup", made, "-format=json").json()["data"]["num_uses"] == 2


def test_a_password_is_the_same_however_it_comes(run: Run, tmp_path: Path) -> None:
    run("auth", "enable", "-path=alike", "userpass")
    (tmp_path / "pw").write_text("pa ss \n")
    ways: list[tuple[str, str]] = [
        ("password=-", "pa ss \n"), ("password=-", "pa ss "), ("password=@pw", ""),
        ("password=pa ss ", ""),
    ]  # fmt: skip
    for number, (word, given) in enumerate(ways):
        user = f"auth/alike/users/u{number}"
        assert run("write", user, word, given=given).code == 0
        for other, typed in ways:
            login = ["login", "-method=userpass", "-path=alike", "-no-store", f"username=u{number}"]
            assert run(*login, other, given=typed).code == 0


@pytest.mark.parametrize("method", ["userpass", "passkey"])
def test_an_empty_username_logs_nobody_else_in(method: str, run: Run) -> None:
    """`username=$UNSET` must not become the name of whoever runs the command."""
    for word in ("username=", "username= "):
        done = run("login", f"-method={method}", word)
        assert done.code == 1
        assert "username is empty" in done.err


def test_a_user_of_the_system_without_a_name_is_asked_for_one(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr("getpass.getuser", nameless)
    done = run("login", "-method=userpass", "password=x")
    assert done.code == 1
    assert "username=NAME" in done.err
