"""Memory that an attacker has the server fill."""

import asyncio

import pytest

from ironkeep.api.http import bodies
from ironkeep.api.http.bodies import Bodies
from ironkeep.app import PLUGINS
from ironkeep.core.errors import InvalidRequest, TooLarge, Unavailable
from ironkeep.core.ports import Row
from ironkeep.plugin import fields
from ironkeep.store import state
from ironkeep.store.state import State
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


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("excess", [0, 1])
def test_small_bodies_are_taken_while_large_ones_take_the_room(excess: int, *, known: bool) -> None:
    """Gains: some connections, each with half a body, keep all others' out."""
    size = bodies.SMALL_BODY + excess
    room = Bodies()
    share = room._known if known else room._strangers
    share.held = full = share._most

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"x" * size, "more_body": False}

    if excess:
        with pytest.raises(Unavailable):
            asyncio.run(room.read(receive, {}, lambda: known))
    else:
        assert len(asyncio.run(room.read(receive, {}, lambda: known))) == size
    assert share.held == full


@pytest.mark.parametrize("announced", [{}, {b"content-length": b"1048577"}])
@pytest.mark.parametrize("known", [True, False])
def test_a_stranger_s_body_is_small(announced: dict[bytes, bytes], *, known: bool) -> None:
    """Gains: without a token, 32 MiB are held and parsed while nobody else is served."""
    room = Bodies()
    sent = []

    async def receive() -> dict[str, object]:
        sent.append(1 << 16)
        more = sum(sent) <= bodies.MAX_STRANGERS_BODY
        return {"type": "http.request", "body": b"x" * sent[-1], "more_body": more}

    if known:
        body = asyncio.run(room.read(receive, announced, lambda: known))
        assert len(body) > bodies.MAX_STRANGERS_BODY
    else:
        with pytest.raises(TooLarge, match="without a valid token"):
            asyncio.run(room.read(receive, announced, lambda: known))
        if announced:
            assert len(sent) == 1  # refused before it has all come
    assert room._known.held == room._strangers.held == 0
