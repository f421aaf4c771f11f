"""Ansible: the integration targets of the collection community.hashi_vault, unmodified.

They ship in the source distribution of `ansible` 8.7.0 (collection 5.0.1; later ones leave them
out), whose `hashi_vault` lookup keeps an option that it does not declare: ansible-core refuses that
from 2.17 on, so they run on 2.16. Each is a role, run as `ansible-test integration` runs it: by
ansible-playbook on this machine, here against a server of its own for each target.
"""

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from ironkeep.testing.server import ServerProcess
from tests.compat.clients.outcome import Outcome, Suite

TITLE = "Ansible: targets of community.hashi_vault 5.0.1, on ansible-core 2.16"
SECONDS = 900
"""For one target, on a busy machine; an idle one needs some twenty."""
AT_ONCE = 2

TARGETS = (
    "auth_approle", "auth_none", "auth_token", "auth_userpass", "filter_vault_login_token",
    "lookup_hashi_vault", "lookup_vault_ansible_settings", "lookup_vault_kv1_get",
    "lookup_vault_kv2_get", "lookup_vault_list", "lookup_vault_login", "lookup_vault_read",
    "lookup_vault_token_create", "lookup_vault_write", "module_vault_kv1_get",
    "module_vault_kv2_delete", "module_vault_kv2_get", "module_vault_kv2_write",
    "module_vault_list", "module_vault_login", "module_vault_read",
    "module_vault_token_create", "module_vault_write",
)  # fmt: skip
"""All for kv, token, userpass and approle. `auth_cert`, `auth_jwt` and `pki` need MMock, a proxy or
an engine that is not built; hvac's suite covers the first two."""

_PLAY = """
- hosts: localhost
  connection: local
  gather_facts: true
  vars:
    ansible_python_interpreter: {python}
    vault_test_server_http: {address}
    vault_test_server_https: {address}
    vault_dev_root_token_id: {token}
    vault_run_https_tests: false
    vault_version: latest
  roles: [{target}]
"""
_COLLECTION = "ansible_collections/community/hashi_vault/tests/integration/targets"
_FATAL = re.compile(
    r"^TASK \[(?P<task>[^\]]+)\](?:(?!^TASK).)*?^fatal: (?P<why>(?:(?!^TASK).)*)",
    re.MULTILINE | re.DOTALL,
)


def run(folder: Path, home: Path, targets: tuple[str, ...] = TARGETS) -> Suite:
    """Run the targets one after another."""
    program = folder / "py" / "bin" / "ansible-playbook"
    if not program.exists() or not (folder / "ansible" / _COLLECTION).is_dir():
        return Suite("ansible", TITLE, missing="ansible-core or the collection is not installed")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return Suite("ansible", TITLE, list(pool.map(partial(_run, folder, home), targets)))


def _run(folder: Path, home: Path, target: str) -> Outcome:
    own = home / target
    own.mkdir()
    roles = folder / "ansible" / _COLLECTION
    plugins = roles / "setup_vault_test_plugins"
    with ServerProcess.development(own) as server:
        text = _PLAY.format(
            python=folder / "py" / "bin" / "python", address=server.address, token=server.token,
            target=target,
        )  # fmt: skip
        play = own / "play.yml"
        play.write_text(text, encoding="utf-8")
        environment = {
            **server.environment(),
            "ANSIBLE_COLLECTIONS_PATH": str(folder / "ansible"),
            "ANSIBLE_ROLES_PATH": str(roles),
            "ANSIBLE_LIBRARY": str(plugins / "library"),
            "ANSIBLE_LOOKUP_PLUGINS": str(plugins / "lookup_plugins"),
            "ANSIBLE_HOME": str(own / ".ansible"),
            "ANSIBLE_REMOTE_TMP": str(own / ".ansible" / "tmp"),
            "ANSIBLE_CONFIG": str(roles.parent / "integration.cfg"),
            "ANSIBLE_NOCOLOR": "1",
        }
        # The targets say themselves which server and token they use.
        for name in ("VAULT_ADDR", "VAULT_TOKEN"):
            environment.pop(name, None)
        done = subprocess.run(
            [str(folder / "py" / "bin" / "ansible-playbook"), "-i", "localhost,", str(play)],
            env=environment, cwd=own, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=SECONDS, check=False,
        )  # fmt: skip
    return Outcome(target, done.returncode == 0, "" if done.returncode == 0 else _why(done.stdout))


def _why(said: str) -> str:
    """Return the last task that failed, and what it said."""
    fatal = [found for found in _FATAL.finditer(said) if "...ignoring" not in found["why"]]
    if not fatal:
        return said[-200:]
    return f"{fatal[-1]['task']}: {' '.join(fatal[-1]['why'].split())[:300]}"
