"""Memory that an attacker has the server fill."""

import asyncio

import pytest

from ironkeep.api import asgi
from ironkeep.api.asgi import App
from ironkeep.app import PLUGINS
from ironkeep.core.errors import InvalidRequest, Unavailable
from ironkeep.core.ports import Row
from ironkeep.kernel import fields, state
from ironkeep.kernel.state import State
from ironkeep.testing.memory import MemoryStorage
from ironkeep.testing.vault import Vault


def test_a_stranger_s_text_of_commas_is_not_split() -> None:
    """Gains: sys/init, which anybody may call, splits 32 MiB into millions of texts."""
    vault = Vault.started(PLUGINS)
    reply = vault.write("sys/init", {"pgp_keys": "," * (fields.MAX_LIST + 1)}, token=None)
    assert reply.error is InvalidRequest
    assert f"at most {fields.MAX_LIST} items" in reply.errors[0]
    fits = vault.write("sys/init", {"pgp_keys": "," * fields.MAX_LIST}, token=None)
    assert "not applicable" in fits.errors[0]


def test_the_cache_of_rows_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gains: reading 65,536 secrets of a mebibyte, one's own, has the server killed."""
    monkeypatch.setattr(state, "CACHE_BYTES", 10_000)
    rows = State(MemoryStorage())
    for number in range(50):
        tx = rows.begin()
        tx.put(bytes([number]) * 20, Row(b"x" * 999))
        tx.merge()
        writes = rows.close_batch()
        assert writes is not None
        rows.committed(writes)
        held = sum(len(row.value) for row in rows._cache.values())
        assert held == rows._cached_bytes <= 10_000
        assert rows.get(bytes([number]) * 20) is not None
    assert not rows.is_dirty()


@pytest.mark.parametrize(("size", "taken"), [(asgi.SMALL_BODY, True), (asgi.SMALL_BODY + 1, False)])
def test_small_bodies_are_taken_while_large_ones_take_the_room(size: int, *, taken: bool) -> None:
    """Gains: eight connections of a stranger, each with half a body, keep all others' out."""
    app = App.__new__(App)
    app._receiving = asgi.MAX_BODIES

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"x" * size, "more_body": False}

    if taken:
        assert len(asyncio.run(app._read(receive, {}))) == size
    else:
        with pytest.raises(Unavailable):
            asyncio.run(app._read(receive, {}))
    assert app._receiving == asgi.MAX_BODIES
