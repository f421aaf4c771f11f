"""The `Date` header: on every answer, formatted once a second."""

import pytest

from ironkeep.api.date import HttpDate
from ironkeep.app import PLUGINS
from ironkeep.testing.vault import Vault
from tests.support.edge import Edge, Raw, request, run


def test_the_form_of_rfc_9110_made_once_a_second() -> None:
    now = [784_111_777.0]
    date = HttpDate(lambda: now[0])
    first = date.value()
    assert first == b"Sun, 06 Nov 1994 08:49:37 GMT"
    now[0] += 0.9
    assert date.value() is first
    now[0] += 0.1
    assert date.header() == (b"date", b"Sun, 06 Nov 1994 08:49:38 GMT")
    now[0] -= 1
    assert date.value() == first, "a clock that was put back is followed"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (request("GET", "secret/data/app", "ROOT"), 200),
        (request("POST", "secret/data/b", "ROOT", body=b'{"data":{}}'), 200),
        (request("GET", "secret/data/none", "ROOT"), 404),
        (request("GET", "secret/data/app", "hvs.none"), 403),
        (request("GET", "secret/data/app?version=1", "ROOT"), 200),
        (request("DELETE", "secret/data/app", "ROOT"), 204),
        (request("GET", "sys/health"), 200),
        (request("HEAD", "sys/health"), 200),
        (request("OPTIONS", "sys/health"), 405),
        (b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"nonsense\r\n\r\n", 400),
    ],
)
def test_every_answer_has_one(data: bytes, status: int) -> None:
    vault = Vault.started(PLUGINS)
    vault.write("secret/data/app", {"data": {"password": "p"}})
    answers: list[Raw] = []

    async def scenario(edge: Edge) -> None:
        client = edge.connect()
        client.send(data.replace(b"ROOT", vault.root.encode()))
        answers.append(await client.answer(head=data.startswith(b"HEAD")))

    run(scenario, vault)
    (raw,) = answers
    assert raw.status == status
    assert [name for name, _ in raw.headers].count("date") == 1
