"""hvac, unmodified, asks for what takes approval, and opens it when it is given."""

import re
from pathlib import Path
from typing import Any

import hvac

from ironkeep.testing.server import ServerProcess
from tests.support.people.approval_estate import APPROVER, READER, SECRET

PASSWORD = "correct horse battery"


def client_of(server: ServerProcess, name: str, policy: str) -> Any:
    user = {"password": PASSWORD, "token_policies": [policy]}
    server.api("PUT", f"auth/userpass/users/{name}", user)
    client = hvac.Client(server.address)
    client.auth.userpass.login(name, PASSWORD)
    return client


def test_hvac_asks_another_approves_and_hvac_opens(tmp_path: Path) -> None:
    with ServerProcess.development(tmp_path) as server:
        server.api("PUT", "sys/auth/userpass", {"type": "userpass"})
        server.api("PUT", "sys/policies/acl/reader", {"policy": READER})
        server.api("PUT", "sys/policies/acl/approver", {"policy": APPROVER})
        server.api("PUT", SECRET, {"data": {"password": "hunter2"}})
        server.api("PUT", "sys/classes/secret/data/prod", {"class": "two-person"})
        rob, ann = client_of(server, "rob", "reader"), client_of(server, "ann", "approver")
        kept = rob.secrets.kv.v2.read_secret_version("prod/db", raise_on_deleted_version=False)
        assert kept["data"] is None
        found = re.search(r"number (\d{3})", kept["warnings"][0])
        assert found is not None
        accessor = kept["wrap_info"]["accessor"]
        given = ann.write_data(
            "sys/control-group/authorize", data={"accessor": accessor, "number": found[1]}
        )
        assert given["data"] == {"approved": True}
        opened = rob.sys.unwrap(kept["wrap_info"]["token"])
        assert opened["data"]["data"] == {"password": "hunter2"}
