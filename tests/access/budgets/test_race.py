"""A budget of ten lets through ten, however many ask at once, from however many processes."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import httpx

from ironkeep.testing.server import ServerProcess, environment

READS: Final = 400
WAIT_SECONDS: Final = 300
"""A bound against hanging, and no expectation: a loaded machine takes a minute and more."""
PROCESSES: Final = 4
BUDGET: Final = 10
PASSWORD: Final = "correct horse battery staple"


async def read(address: str, token: str, numbers: range) -> list[int]:
    limits = httpx.Limits(max_connections=100)
    async with httpx.AsyncClient(base_url=address, limits=limits, timeout=WAIT_SECONDS) as client:

        async def one(number: int) -> int:
            url = f"/v1/secret/data/race/{number}"
            return (await client.get(url, headers={"X-Vault-Token": token})).status_code

        return list(await asyncio.gather(*(one(number) for number in numbers)))


def prepare(client: httpx.Client) -> tuple[str, str]:
    """Return the token and the entity of a person who may read everything."""

    def put(path: str, body: dict[str, Any]) -> httpx.Response:
        return client.put(f"/v1/{path}", json=body).raise_for_status()

    put("sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
    for number in range(READS):
        put(f"secret/data/race/{number}", {"data": {"v": str(number)}})
    put("sys/policies/acl/reader", {"policy": 'path "secret/*" { capabilities = ["read"] }'})
    put("sys/auth/userpass", {"type": "userpass"})
    put("auth/userpass/users/alice", {"password": PASSWORD, "token_policies": "reader"})
    put("sys/budgets/defaults", {"soft": 100})
    put("sys/budgets/defaults/entity", {"hour": BUDGET, "day": 0, "month": 0})
    auth = put("auth/userpass/login/alice", {"password": PASSWORD}).json()["auth"]
    return auth["client_token"], auth["entity_id"]


def test_many_processes_share_one_budget(tmp_path: Path) -> None:
    with ServerProcess.configured(tmp_path) as server:
        server.initialise()
        headers = {"X-Vault-Token": server.token}
        with httpx.Client(base_url=server.address, headers=headers, timeout=WAIT_SECONDS) as client:
            token, entity = prepare(client)
            share = READS // PROCESSES
            askers = [
                subprocess.Popen(
                    [sys.executable, __file__, server.address, token, str(n * share), str(share)],
                    env=environment(tmp_path),
                    stdout=subprocess.PIPE,
                    text=True,
                )
                for n in range(PROCESSES)
            ]
            answers = [json.loads(asker.communicate(timeout=WAIT_SECONDS)[0]) for asker in askers]
            codes = [code for answer in answers for code in answer]
            assert sorted(set(codes)) == [200, 403]
            assert (len(codes), codes.count(200)) == (READS, BUDGET)
            used = client.get(f"/v1/sys/budgets/entity/{entity}").json()["data"]["windows"]
            assert used == [{"window": "hour", "used": BUDGET, "limit": BUDGET}]
        # There is no second budget either: one process serves a database, a second is refused.
        second = subprocess.run(
            [sys.executable, "-m", "ironkeep", "server", f"-config={tmp_path / 'ironkeep.hcl'}"],
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS,
            check=False,
        )
        assert second.returncode != 0
        assert "another process" in second.stderr.lower(), second.stderr


if __name__ == "__main__":
    where, whose, start, count = sys.argv[1:]
    numbers = range(int(start), int(start) + int(count))
    print(json.dumps(asyncio.run(read(where, whose, numbers))))
