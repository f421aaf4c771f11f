"""token, policy, secrets, auth, lease against a server."""

from pathlib import Path

import pytest

from ironkeep.testing.server import Done
from tests.support.commands import Run


def test_a_token_is_made_looked_up_renewed_and_revoked(run: Run) -> None:
    words = ("-policy=default", "-ttl=1h", "-display-name=ci", "-metadata=team=a", "-use-limit=9")
    auth = run("token", "create", *words, "-format=json").json()["auth"]
    token, accessor = auth["client_token"], auth["accessor"]
    assert auth["lease_duration"] == 3600

    data = run("token", "lookup", "-format=json", "-", given=token).json()["data"]
    assert (data["display_name"], data["meta"]) == ("token-ci", {"team": "a"})
    assert run("token", "lookup", "-accessor", "-field=num_uses", accessor).out == "9"
    assert run("token", "lookup", "-field=id").out == "root"

    assert run("token", "renew", "-increment=2h", "-", given=token).code == 0
    shown = run("token", "renew", "-accessor", "-increment=90m", "-field=token_duration", accessor)
    assert shown.out == "5400"

    assert run("token", "revoke", "-accessor", accessor).code == 0
    done = run("token", "lookup", token)
    assert done.code == 2
    assert token not in done.err


def test_an_orphan_and_a_chosen_token(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run("token", "create", "-orphan", "-policy=default", "-id=-", given="chosen-token")
    assert done.code == 0
    assert run("token", "lookup", "-field=orphan", "chosen-token").out == "true"
    monkeypatch.setenv("VAULT_TOKEN", "chosen-token")
    assert run("token", "revoke", "-self").code == 0
    assert run("token", "lookup").code == 2


def test_revoking_says_which(run: Run) -> None:
    assert run("token", "revoke").code == 1
    assert run("token", "revoke", "-self", "x").code == 1
    assert run("token", "revoke", "-accessor").code == 1
    assert run("token", "revoke", "-self", "-mode=orphan").code == 1
    parent = run("token", "create", "-policy=default", "-field=token").out
    assert run("token", "revoke", "-mode=orphan", parent).code == 0


def test_capabilities(run: Run) -> None:
    assert run("token", "capabilities", "secret/data/x") == Done(0, "root\n", "")
    token = run("token", "create", "-policy=default", "-field=token").out
    assert run("token", "capabilities", token, "cubbyhole/x").out == (
        "create, delete, list, read, update\n"
    )
    path = "secret/data/x"
    assert run("token", "capabilities", "-", path, "-format=json", given=token).json() == ["deny"]
    assert run("token", "capabilities", "a", "b", "c").code == 1


def test_policies(run: Run, tmp_path: Path) -> None:
    text = '# kept byte for byte\npath "secret/data/*" {\n  capabilities = ["read"]\n}\n'
    (tmp_path / "dev.hcl").write_text(text)
    assert run("policy", "write", "Dev", "dev.hcl").out == "Success! Uploaded policy: dev\n"
    assert run("policy", "read", "dev").out == text
    assert run("policy", "read", "-format=json", "DEV").json() == {"policy": text}
    assert {"default", "dev", "root"} <= set(run("policy", "list").out.split())
    assert "dev" in run("policy", "list", "-format=json").json()
    done = run("policy", "write", "bad", "-", given='path "x" { capabilities = ["fly"] }')
    assert done.code == 2
    assert run("policy", "delete", "dev").code == 0
    assert run("policy", "read", "dev").code == 2
    assert run("policy", "write", "dev", "missing.hcl") == Done(
        1, "", "No such file or directory: missing.hcl\n"
    )


def test_secrets_engines(run: Run) -> None:
    words = ("-path=team", "-version=2", "-description=of the team", "-max-lease-ttl=24h")
    assert run("secrets", "enable", *words, "kv").out == (
        "Success! Enabled the kv secrets engine at: team/\n"
    )
    mount = run("secrets", "list", "-format=json").json()["team/"]
    assert (mount["options"], mount["description"]) == ({"version": "2"}, "of the team")
    assert "of the team" in run("secrets", "list").out
    assert '{"version": "2"}' in run("secrets", "list", "-detailed").out
    assert run("secrets", "tune", "-default-lease-ttl=1h", "-description=", "team/").code == 0
    assert run("read", "-field=default_lease_ttl", "sys/mounts/team/tune").out == "3600"
    assert run("secrets", "tune", "team").code == 1
    assert run("secrets", "move", "team/", "crew").code == 0
    assert "crew/" in run("secrets", "list").out
    assert run("secrets", "disable", "crew").code == 0
    assert "crew/" not in run("secrets", "list").out
    done = run("secrets", "enable", "nosuch")
    assert (done.code, "plugin not found in the catalog: nosuch" in done.err) == (2, True)
    assert run("secrets", "enable", "-options=novalue", "kv").code == 1


def test_auth_methods(run: Run) -> None:
    assert run("auth", "enable", "-path=staff", "-description=staff", "userpass").code == 0
    assert run("auth", "list", "-format=json").json()["staff/"]["type"] == "userpass"
    assert run("auth", "tune", "-listing-visibility=unauth", "auth/staff/").code == 0
    assert run("read", "-field=listing_visibility", "sys/auth/staff/tune").out == "unauth"
    assert run("auth", "move", "staff", "auth/people2").code == 0
    assert "people2/" in run("auth", "list", "-detailed").out
    assert run("auth", "disable", "people2/").code == 0
    assert "people2/" not in run("auth", "list").out


def test_leases(run: Run) -> None:
    below = "auth/token/create/"
    run("lease", "revoke", "-prefix", below)
    run("token", "create", "-policy=default", "-ttl=1h")
    (name,) = run("list", "-format=json", f"sys/leases/lookup/{below}").json()
    assert run("lease", "lookup", "-field=renewable", below + name).out == "true"
    renewed = run("lease", "renew", "-increment=30m", below + name)
    assert renewed.code == 2
    assert "tokens cannot be renewed through this endpoint" in renewed.err
    assert run("lease", "revoke", below + name).code == 0
    assert run("lease", "lookup", below + name).code == 2
    run("token", "create", "-policy=default", "-ttl=1h")
    assert run("lease", "revoke", "-force", below).code == 1
    assert run("lease", "revoke", "-prefix", below).code == 0
    assert run("lease", "revoke", "-prefix", "-force", below).code == 0
    assert run("list", f"sys/leases/lookup/{below}").code == 2


def test_a_token_can_be_made_wrapped(run: Run) -> None:
    assert "wrapping_token_ttl              60" in run("token", "create", "-wrap-ttl=60").out
